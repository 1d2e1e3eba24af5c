//! From sources to component bytes, by the language's own tools.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::Language;
use crate::commands::plugin::project::Project;
use crate::commands::plugin::tool::Tool;
use crate::output::Failure;

const TARGET: &str = "wasm32-unknown-unknown";

pub fn component(project: &Project) -> Result<Vec<u8>, Failure> {
    match project.language {
        Language::Rust => rust(project),
        Language::Js => javascript(project),
        Language::Python => python(project),
    }
}

fn rust(project: &Project) -> Result<Vec<u8>, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| project.folder.join("target"), PathBuf::from);
    // Cargo names sources of the project by relative paths; those of its own home end up in panic messages.
    let flags = format!("--remap-path-prefix={}=/cargo", cargo_home()?.display());
    Tool {
        program: &cargo,
        arguments: ["build", "--release", "--lib", "--target", TARGET, "--target-dir"]
            .map(OsStr::new)
            .into_iter()
            .chain([target.as_os_str()])
            .collect(),
        folder: &project.folder,
        environment: vec![("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", flags)],
        without: &["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"],
        help: "install Rust from https://rustup.rs, then `rustup target add wasm32-unknown-unknown`",
    }
    .run()?;
    let module = target.join(TARGET).join("release").join(format!("{}.wasm", library(project)?.replace('-', "_")));
    let bytes = fs::read(&module).map_err(|error| {
        Failure::used_wrongly(format!(
            "cargo left no `{}`: {error}; the library needs `crate-type = [\"cdylib\", \"rlib\"]`",
            module.display()
        ))
    })?;
    Ok(plugin_host::encode(&bytes)?)
}

/// The name of the library: its own, or the package's.
fn library(project: &Project) -> Result<String, Failure> {
    let path = project.folder.join("Cargo.toml");
    let manifest: toml::Table = fs::read_to_string(&path)?
        .parse()
        .map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?;
    let named = |table: &str| manifest.get(table)?.get("name")?.as_str();
    let name = named("lib").or_else(|| named("package"));
    name.map(str::to_owned).ok_or_else(|| Failure::used_wrongly(format!("{}: the package has no name", path.display())))
}

fn cargo_home() -> Result<PathBuf, Failure> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var_os("HOME").ok_or_else(|| Failure::used_wrongly("HOME is not set"))?;
    Ok(PathBuf::from(home).join(".cargo"))
}

/// Every feature of the engine that would import WASI is off.
fn javascript(project: &Project) -> Result<Vec<u8>, Failure> {
    let tool = project.folder.join("node_modules/.bin/componentize-js");
    let output = made(project)?;
    let world = project.manifest.world.name();
    let arguments = [
        "step.js",
        "--wit",
        "wit",
        "--world-name",
        world,
        "--disable",
        "random",
        "stdio",
        "clocks",
        "http",
        "fetch-event",
        "--out",
    ];
    Tool {
        program: present(&tool).unwrap_or(OsStr::new("componentize-js")),
        arguments: arguments.map(OsStr::new).into_iter().chain([output.as_os_str()]).collect(),
        folder: &project.folder,
        environment: Vec::new(),
        without: &[],
        help: "install Node.js, then run `npm install` in the plugin's folder",
    }
    .run()?;
    Ok(fs::read(&output)?)
}

/// WASI is replaced by stubs: a step has no clock, randomness or files anyway.
fn python(project: &Project) -> Result<Vec<u8>, Failure> {
    let tool = project.folder.join(".venv/bin/componentize-py");
    let output = made(project)?;
    let world = project.manifest.world.name();
    let arguments =
        ["--quiet", "--wit-path", "wit", "--world", world, "componentize", "--stub-wasi", "step", "--output"];
    Tool {
        program: present(&tool).unwrap_or(OsStr::new("componentize-py")),
        arguments: arguments.map(OsStr::new).into_iter().chain([output.as_os_str()]).collect(),
        folder: &project.folder,
        // Bytes of another run must not lie in the project and in the component.
        environment: vec![("PYTHONDONTWRITEBYTECODE", "1".to_owned())],
        without: &[],
        help: "run `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` in the plugin's folder",
    }
    .run()?;
    Ok(fs::read(&output)?)
}

fn present(tool: &Path) -> Option<&OsStr> {
    tool.is_file().then_some(tool.as_os_str())
}

/// What the tool makes, before the description is added.
fn made(project: &Project) -> Result<OsString, Failure> {
    let made = project.build().join("made.wasm");
    match fs::remove_file(&made) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        Ok(()) | Err(_) => Ok(made.into_os_string()),
    }
}
