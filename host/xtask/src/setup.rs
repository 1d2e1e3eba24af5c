//! Installs what the other tasks need, and says so. Safe to repeat.

use std::path::Path;

use anyhow::{Context, bail};
use xshell::{Shell, cmd};

use crate::say;

/// Program that must be there, and Debian's package of it.
const PACKAGES: [(&str, &str); 8] = [
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/bin/git", "git"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/curl", "curl"),
    ("/usr/bin/jq", "jq"),
    ("/usr/bin/faketime", "faketime"),
    ("/usr/bin/cc", "build-essential"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// The languages beside Rust in which plugins of the tests are written.
const LANGUAGES: [(&str, &str); 1] = [("/usr/bin/npm", "npm")];

/// What the ignored test of the template `java-release` builds with: Maven, a JDK, and Debian's own repository.
const JAVA_PACKAGES: [(&str, &str); 7] = [
    ("/usr/bin/mvn", "maven"),
    ("/usr/bin/javac", "default-jdk-headless"),
    ("/usr/share/maven-repo/org/apache/maven/plugins/maven-compiler-plugin", "libmaven-compiler-plugin-java"),
    ("/usr/share/maven-repo/org/apache/maven/plugins/maven-resources-plugin", "libmaven-resources-plugin-java"),
    ("/usr/share/maven-repo/org/apache/maven/plugins/maven-jar-plugin", "libmaven-jar-plugin-java"),
    ("/usr/share/maven-repo/org/apache/maven/plugins/maven-surefire-plugin", "libsurefire-java"),
    ("/usr/share/maven-repo/junit/junit", "junit4"),
];

/// Of import-pure plugins, and of those that were built for an operating system.
const TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

pub fn run(shell: &Shell) -> anyhow::Result<()> {
    packages(shell, &PACKAGES)?;
    TARGETS.iter().try_for_each(|target| wasm_target(shell, target))
}

/// For `cargo xtask test --all`: the packages take minutes to install, and CI does without.
pub fn java(shell: &Shell) -> anyhow::Result<()> {
    packages(shell, &JAVA_PACKAGES)
}

/// What turns JavaScript and Python into components comes from npm and PyPI, in the tests themselves.
pub fn languages(shell: &Shell) -> anyhow::Result<()> {
    packages(shell, &LANGUAGES)?;
    // Debian's Python comes without it.
    let has_venv = cmd!(shell, "python3 -c").arg("import ensurepip").quiet().ignore_stderr().run().is_ok();
    if has_venv { Ok(()) } else { packages(shell, &[("", "python3-venv")]) }
}

fn packages(shell: &Shell, wanted: &[(&str, &str)]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        wanted.iter().filter(|(path, _)| !Path::new(path).exists()).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    say(&format!("installing Debian packages: {list}"));
    let front = if is_root(shell) { "env" } else { "sudo" };
    let _quiet = shell.push_env("DEBIAN_FRONTEND", "noninteractive");
    let installed = cmd!(shell, "{front} apt-get update -qq").run().and_then(|()| {
        cmd!(shell, "{front} apt-get install -y -qq --no-install-recommends {missing...}").ignore_stdout().run()
    });
    installed.with_context(|| format!("failed to install packages; as root run: apt-get install {list}"))
}

/// Servers that tests start themselves, and what images of tests are made of: a file of the package, and the Debian package.
const SERVERS: [(&str, &str); 4] = [
    ("usr/share/doc/busybox-static/copyright", "busybox-static"),
    ("usr/bin/docker-registry", "docker-registry"),
    ("usr/sbin/mosquitto", "mosquitto"),
    ("usr/sbin/nats-server", "nats-server"),
];

/// The registry and the brokers of the tests: only their programs and libraries, since each package would start
/// a server for everybody.
pub fn servers(shell: &Shell) -> anyhow::Result<()> {
    let folder = crate::target().join("tools");
    let is_there = |program: &str| folder.join(program).is_file() || Path::new("/").join(program).is_file();
    let missing = SERVERS.iter().filter(|(program, _)| !is_there(program));
    missing.map(|(_, package)| *package).try_for_each(|package| unpack(shell, package, &folder))
}

/// Unpacks a package, with those that it needs and this machine does not have.
fn unpack(shell: &Shell, package: &str, folder: &Path) -> anyhow::Result<()> {
    say(&format!("unpacking a program of the tests (Debian's {package})"));
    shell.create_dir(folder)?;
    let _there = shell.push_dir(folder);
    let needed = || cmd!(shell, "apt-get install --simulate --no-install-recommends {package}").quiet().read();
    let front = if is_root(shell) { "env" } else { "sudo" };
    let plan = needed()
        .or_else(|_| cmd!(shell, "{front} apt-get update -qq").run().and_then(|()| needed()))
        .with_context(|| format!("failed to find the package `{package}`"))?;
    let names = plan.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    let mut names: Vec<&str> = names.collect();
    if !names.contains(&package) {
        names.push(package);
    }
    let list = &names;
    let download = || cmd!(shell, "apt-get download -qq {list...}").ignore_stdout().run();
    download()
        .or_else(|_| cmd!(shell, "{front} apt-get update -qq").run().and_then(|()| download()))
        .with_context(|| format!("failed to download the package `{package}`"))?;
    let is_package = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "deb");
    for file in shell.read_dir(".")?.into_iter().filter(is_package) {
        cmd!(shell, "dpkg-deb -x {file} .").run().with_context(|| format!("failed to unpack `{}`", file.display()))?;
        shell.remove_path(&file)?;
    }
    Ok(())
}

fn is_root(shell: &Shell) -> bool {
    cmd!(shell, "id -u").quiet().read().is_ok_and(|id| id == "0")
}

/// A target of plugins. The download fails now and then: one more try.
fn wasm_target(shell: &Shell, target: &str) -> anyhow::Result<()> {
    let installed = cmd!(shell, "rustup target list --installed").quiet().read().context("rustup is needed")?;
    if installed.lines().any(|line| line == target) {
        return Ok(());
    }
    say(&format!("adding the Rust target {target}"));
    for _ in 0..3 {
        if cmd!(shell, "rustup target add {target}").quiet().run().is_ok() {
            return Ok(());
        }
    }
    bail!("failed to add the Rust target; run: rustup target add {target}")
}

/// A cargo subcommand that is built from source if it is not there.
pub fn cargo_tool(shell: &Shell, name: &str) -> anyhow::Result<()> {
    let subcommand = name.trim_start_matches("cargo-");
    if cmd!(shell, "cargo {subcommand} --version").quiet().ignore_stdout().ignore_stderr().run().is_ok() {
        return Ok(());
    }
    say(&format!("installing {name} (built from source, this takes some minutes)"));
    cmd!(shell, "cargo install --locked --quiet {name}").run().with_context(|| format!("failed to install {name}"))
}
