//! A stage, a host beside it, and the command lines of `light-workflow`.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fixtures::{Approval, DemoStage, Outcome, Request, Written, workspace};
use serde_json::Value;
use tempfile::TempDir;

/// The release of the demonstration's request.
pub const RELEASE: &str = "demo-1.2.0";

/// Longer than anything here takes on a slow machine; only a hang is found by it.
const PATIENCE: Duration = Duration::from_secs(180);

/// The folder of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}

/// Where cargo puts what it builds: this test is `<target>/debug/deps/house-…`.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    test.ancestors().nth(3).expect("a test lies three folders below the target").to_owned()
}

/// A program of the workspace.
fn program(name: &str) -> PathBuf {
    let path = target().join("debug").join(name);
    assert!(path.is_file(), "`{}` is not there; run `cargo build -p light-workflow`", path.display());
    path
}

/// The folder with the bundled components and the lock of this build.
pub fn components() -> PathBuf {
    let folder = target().join("plugins");
    let lock = folder.join("plugins.lock");
    assert!(lock.is_file(), "`{}` is not there; run `cargo xtask plugins`", lock.display());
    folder
}

/// A registry and a Git remote, a request to release from one to the other,
/// and the configuration of a host that may do it.
pub struct Stage {
    folder: TempDir,
    pub demo: DemoStage,
    pub written: Written,
}

impl Stage {
    /// `--yes` is enough for the approval.
    pub fn unattended() -> Self {
        Self::with(Approval::Unattended)
    }

    /// The request demands a person.
    pub fn with_a_person() -> Self {
        Self::with(Approval::Person)
    }

    fn with(approval: Approval) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let demo = DemoStage::start(&folder.path().join("stage")).unwrap();
        let written = demo.write_files(approval).unwrap();
        let stage = Self { folder, demo, written };
        let components = components();
        let paths = format!(
            "\n[paths]\ndefinitions = {:?}\ntemplates = {:?}\nplugins = {:?}\ncomponents = {:?}\nlock = {:?}\n",
            root().join("definitions"),
            root().join("sandbox-templates"),
            root().join("plugins"),
            components,
            components.join("plugins.lock"),
        );
        stage.configure(|text| text + &paths);
        stage
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file beside the stage.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Rewrites the host's configuration.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(&self.written.configuration).unwrap();
        fs::write(&self.written.configuration, change(text)).unwrap();
    }

    /// The request, changed.
    pub fn request_with(&self, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut request: Value = read_json(&self.written.request);
        change(&mut request);
        self.write("changed-request.json", &request.to_string())
    }

    pub fn host(&self) -> Host {
        Host { config: self.written.configuration.clone(), data: self.path("data"), folder: self.path("") }
    }

    /// The token and the password, as they are.
    pub fn secrets(&self) -> [(&'static str, &str); 2] {
        [("cargo-registry-token", &self.demo.registry_token), ("git-credential", &self.demo.git_password)]
    }

    /// `name version` of each accepted publish; a refused request is a failure of the test.
    pub fn published(&self) -> Vec<String> {
        let line = |entry: &fixtures::LogEntry| {
            assert_eq!(entry.outcome, Outcome::Accepted, "the registry refused `{}`", entry.name);
            assert_eq!(entry.request, Request::Publish);
            format!("{} {}", entry.name, entry.version)
        };
        self.demo.registry().log().iter().map(line).collect()
    }

    /// Each crate in the order of its needs: what one release publishes.
    pub fn all_crates() -> Vec<String> {
        workspace::CRATES.iter().map(|name| format!("{name} {}", workspace::VERSION)).collect()
    }

    /// `tag commit` of each tag that the remote has.
    pub fn tags(&self) -> Vec<String> {
        let output = Command::new("git")
            .args(["-c", "safe.directory=*", "-C"])
            .arg(self.demo.bare_repository())
            .args(["for-each-ref", "--format=%(refname:short) %(*objectname)", "refs/tags"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Pushes that reached the remote, by status; the stage's own push goes around it.
    pub fn pushes(&self) -> Vec<u16> {
        self.demo.pushes().unwrap().iter().filter(|push| push.status != 401).map(|push| push.status).collect()
    }
}

/// `light-workflow` with one configuration and one data folder.
pub struct Host {
    pub config: PathBuf,
    pub data: PathBuf,
    /// Where the program is started.
    pub folder: PathBuf,
}

/// What a program printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    /// None: a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Host {
    /// The program with this host's configuration and data, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program("light-workflow"));
        command.current_dir(&self.folder).arg("--config").arg(&self.config).arg("--data").arg(&self.data);
        command.args(arguments).stdin(Stdio::null()).env("USER", "tester");
        for name in ["LIGHT_WORKFLOW_CONFIG", "LIGHT_WORKFLOW_DATA", "LIGHT_WORKFLOW_LOG", "LIGHT_WORKFLOW_CRASH_AFTER"]
        {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), arguments)
    }

    /// Runs it with so many bytes of address space.
    pub fn run_within(&self, address_space_bytes: u64, arguments: &[&str]) -> Ran {
        let command = self.command(arguments);
        let mut limited = Command::new("sh");
        limited.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        limited.args(["-c", &format!("ulimit -v {}; exec \"$@\"", address_space_bytes >> 10), "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        finish(limited.spawn().unwrap(), arguments)
    }

    /// Runs it and reads its answer.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(arguments).ended_with(0);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", ran.stdout))
    }

    pub fn start_release(&self, stage: &Stage) -> Ran {
        self.run(&start_arguments(stage))
    }

    /// The release, killed right after its `count`-th committed write, or ended before.
    pub fn start_release_and_crash_after(&self, stage: &Stage, count: usize) -> Ran {
        self.run_and_crash_after(&start_arguments(stage), count)
    }

    /// The program, killed right after its `count`-th committed write, or ended before.
    pub fn run_and_crash_after(&self, arguments: &[&str], count: usize) -> Ran {
        let mut command = self.command(arguments);
        command.env("LIGHT_WORKFLOW_CRASH_AFTER", count.to_string());
        finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), arguments)
    }

    /// The release in a process that goes on beside the test.
    pub fn start_release_in_background(&self, stage: &Stage) -> Running {
        Running::spawn(self.command(&start_arguments(stage)))
    }

    /// Phase of the newest run of a release; none if there is none.
    pub fn phase(&self) -> Option<String> {
        if !self.data.exists() {
            return None;
        }
        let releases = self.json(&["release", "list", "--format", "json"]);
        Some(releases.get(0)?["phase"].as_str().unwrap().to_owned())
    }
}

fn start_arguments(stage: &Stage) -> [&str; 4] {
    ["release", "start", stage.written.request.to_str().unwrap(), "--yes"]
}

impl Ran {
    /// The whole output is in the message if it ended otherwise.
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code\nstdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected `{text}` in: {}", self.stderr);
        self
    }

    pub fn was_killed(&self) -> bool {
        self.code.is_none()
    }
}

/// A process that is ended with the test.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            use std::io::BufRead as _;
            for line in std::io::BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// The first line of standard error that contains `text`.
    pub fn line_with(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no line with `{text}` ({error}) after: {}", self.seen.join("\n")),
            }
        }
    }

    /// Lines that were passed over.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// `INT`, as a terminal sends it, or `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; gives its exit code.
    pub fn end(mut self) -> Option<i32> {
        eventually("the end of a process", || self.child.try_wait().unwrap()).code()
    }

    /// SIGKILL: the process learns nothing of it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a program, and ends one that hangs.
fn finish(mut child: Child, arguments: &[&str]) -> Ran {
    let mut stdout = child.stdout.take().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        stdout.read_to_end(&mut text).unwrap();
        text
    });
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        stderr.read_to_end(&mut text).unwrap();
        text
    });
    let deadline = Instant::now() + PATIENCE;
    let mut hangs = false;
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
            None => {
                hangs = true;
                child.kill().unwrap();
            }
        }
    };
    let output = Output { status, stdout: reader.join().unwrap(), stderr: errors.join().unwrap() };
    let ran = Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    assert!(!hangs, "`light-workflow {arguments:?}` did not end: {ran:?}");
    ran
}

/// Waits until `ready` gives a value.
#[track_caller]
pub fn eventually<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
