//! One helper that knows the provider's interface.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sandbox::{ExecError, ExecOutcome, ExecRequest, Local, LocalConfig, Provider, SecretValue, Templates};
use workflow::command::SandboxMode;
use workflow::{Command, EffectKey, InstanceId, SecretName, TaskPath, TemplateName};

/// Small enough for bombs, large enough for a compiler.
const TEMPLATE: &str = r#"
name = "test"
version = "1.0.0"
summary = "Runs the tests' commands."
egress = ["crates.demo.test:80"]

[rootfs]
kind = "host"

[limits]
time_limit_seconds = 120
memory_mib = 512
processes = 96
output_mib = 1
file_size_mib = 64
workspace_mib = 256

[environment]
FROM_TEMPLATE = "yes"

[commands.nothing]
summary = "Does nothing."
argv = ["true"]
"#;

/// A provider with a folder of its own.
pub struct House {
    pub local: Local,
    folder: tempfile::TempDir,
}

impl House {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut LocalConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let local = open(folder.path(), change);
        Self { local, folder }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// What the names of this provider's control groups begin with.
    pub fn mark(&self) -> String {
        let root = fs::canonicalize(self.root()).expect("the root");
        workflow::Digest::of(root.as_os_str().as_encoded_bytes()).hex()[..8].to_owned()
    }

    pub async fn run(&self, request: ExecRequest) -> ExecOutcome {
        self.local.exec(request).await.expect("an outcome")
    }

    pub async fn refused(&self, request: ExecRequest) -> ExecError {
        self.local.exec(request).await.expect_err("no outcome")
    }

    pub fn spool(&self, key: &EffectKey) -> PathBuf {
        self.root().join("spool").join(key.slug())
    }
}

/// A provider on a folder that may have had one before.
pub fn open(folder: &Path, change: impl FnOnce(&mut LocalConfig)) -> Local {
    let template = folder.join("templates/test");
    fs::create_dir_all(&template).expect("a folder");
    fs::write(template.join("template.toml"), TEMPLATE).expect("a template");
    let templates = Templates::load(&folder.join("templates")).expect("templates");
    let launcher = PathBuf::from(env!("CARGO_BIN_EXE_sandbox-launcher"));
    let mut config = LocalConfig::new(folder.join("root"), Arc::new(templates), launcher);
    change(&mut config);
    Local::new(config).expect("a provider")
}

pub fn instance(name: &str) -> InstanceId {
    InstanceId::new(name).expect("an instance id")
}

pub fn key(instance_name: &str, sequence: u32) -> EffectKey {
    EffectKey { instance: instance(instance_name), path: TaskPath::root().child("do", 0, "test"), attempt: 1, sequence }
}

/// A command of the session of `i`, under key `sequence`.
pub fn session(sequence: u32, argv: &[&str]) -> ExecRequest {
    request(SandboxMode::WorkflowSession, key("i", sequence), argv)
}

pub fn task(sequence: u32, argv: &[&str]) -> ExecRequest {
    request(SandboxMode::PerTask, key("i", sequence), argv)
}

pub fn shell(script: &str) -> ExecRequest {
    session(1, &["sh", "-c", script])
}

pub fn python(script: &str) -> ExecRequest {
    session(1, &["python3", "-c", script])
}

fn request(mode: SandboxMode, key: EffectKey, argv: &[&str]) -> ExecRequest {
    ExecRequest {
        key,
        command: Command {
            template: TemplateName::new("test").expect("a name"),
            command_name: None,
            dialogue: None,
            container: None,
            mode,
            argv: argv.iter().map(|&argument| argument.to_owned()).collect(),
            environment: BTreeMap::new(),
            stdin: None,
            working_directory: String::new(),
            egress: Vec::new(),
            secrets: BTreeMap::new(),
            inputs: BTreeMap::new(),
            capture: Vec::new(),
            time_limit_ms: 0,
        },
        secrets: BTreeMap::new(),
        inputs: BTreeMap::new(),
        also_redact: Vec::new(),
    }
}

/// The same request with a secret: variable `TOKEN`, name `release-token`.
pub fn with_secret(mut request: ExecRequest, value: &str) -> ExecRequest {
    let name = SecretName::new("release-token").expect("a name");
    request.command.secrets.insert("TOKEN".to_owned(), name.clone());
    request.secrets.insert(name, SecretValue::new(value));
    request
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As another user, the machine gives fewer means: what then holds is said where it differs.
pub fn as_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Command lines of live processes that hold `mark`.
pub fn processes_with(mark: &str) -> Vec<String> {
    let lines = fs::read_dir("/proc").expect("/proc").flatten().filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (number != std::process::id() && line.contains(mark)).then_some(line)
    });
    lines.collect()
}
