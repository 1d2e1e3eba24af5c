//! Hosts that have plugins, or none yet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_light-workflow");

/// The plugin of these tests: a real one.
pub const PLUGIN: &str = "preflight";

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders below the root")
}

/// A component as `cargo xtask plugins` built it.
pub fn built(name: &str) -> Vec<u8> {
    let target = Path::new(PROGRAM).ancestors().nth(2).expect("it lies in target/debug");
    fs::read(target.join("plugins").join(format!("{name}.wasm"))).expect("run `cargo xtask plugins`")
}

/// A folder with a configuration.
pub struct Host {
    pub folder: TempDir,
}

impl Host {
    /// A host without plugins; `config` is what the operator says beside the places.
    pub fn new(config: &str) -> Self {
        let host = Self { folder: TempDir::new().unwrap() };
        host.configure(config);
        host
    }

    pub fn configure(&self, config: &str) {
        let paths = "[paths]\nplugins = \"plugins\"\ncomponents = \"components\"\ndefinitions = \"definitions\"\n";
        fs::write(self.path("light-workflow.toml"), format!("{config}\n{paths}")).unwrap();
    }

    /// A host with the plugin of these tests.
    pub fn with_plugin(config: &str) -> Self {
        let host = Self::new(config);
        host.install(PLUGIN, PLUGIN);
        host
    }

    /// Puts the bytes of one plugin under the name of another.
    pub fn install(&self, name: &str, bytes_of: &str) {
        for folder in ["components", &format!("plugins/{name}")] {
            fs::create_dir_all(self.path(folder)).unwrap();
        }
        fs::write(self.component(name), built(bytes_of)).unwrap();
        let toml = root().join("plugins").join(name).join("plugin.toml");
        fs::copy(toml, self.path(&format!("plugins/{name}/plugin.toml"))).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn component(&self, name: &str) -> PathBuf {
        self.path(&format!("components/{name}.wasm"))
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM).current_dir(self.folder.path()).args(arguments).output().unwrap()
    }

    /// What a command that succeeds says.
    pub fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{failed}", output.status);
        said.into_owned()
    }

    /// The same, as JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--format", "json"]).collect();
        serde_json::from_str(&self.does(&arguments)).unwrap()
    }

    /// Exit code and words of a command that fails.
    #[track_caller]
    pub fn fails(&self, arguments: &[&str], code: i32, words: &[&str]) {
        let output = self.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {said}{}",
            String::from_utf8_lossy(&output.stdout)
        );
        for word in words {
            assert!(said.contains(word), "{arguments:?}: `{word}` is not in {said}");
        }
    }

    /// Whether nothing of a plugin was left by a pull that failed.
    pub fn is_empty(&self) -> bool {
        !self.path("components").exists() && !self.path("plugins").exists()
    }

    pub fn approve(&self) -> String {
        self.does(&["plugin", "approve", PLUGIN, "--yes", "--reviewer", "cli:alice"])
    }
}
