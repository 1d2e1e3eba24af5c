//! A provider for the tests, and what they ask of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sandbox::{ExecOutcome, ExecRequest, Local, LocalConfig, Provider, Template, Templates};
use workflow::command::SandboxMode;
use workflow::{Command, EffectKey, InstanceId, TaskPath, TemplateName};

const TEMPLATE: &str = r#"
name = "conformance"
version = "1"
summary = "For tests of providers."
egress = ["files.test:80", "files.test:443", "private.test:80"]
[rootfs]
kind = "host"
[limits]
time_limit_seconds = 120
memory_mib = 1024
processes = 128
output_mib = 8
"#;

const FROM_THE_FUTURE: &str = r#"
name = "from-the-future"
version = "1"
summary = "Asks for a tool that nobody has yet."
rootfs = { kind = "host" }
tools = { cargo = ">=99", git = ">=2" }
"#;

/// A provider and the folder that it keeps its files in.
pub struct World {
    pub provider: Box<dyn Provider>,
    pub templates: Arc<Templates>,
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(BTreeMap::new())
    }

    /// `resolve`: where the egress proxy finds a name.
    pub fn with(resolve: BTreeMap<String, SocketAddr>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let templates = templates(folder.path());
        let provider = Box::new(local(folder.path(), templates.clone(), launcher(), resolve));
        Self { provider, templates, _folder: folder }
    }

    pub async fn run(&self, request: ExecRequest) -> ExecOutcome {
        self.provider.exec(request).await.unwrap_or_else(|error| panic!("no outcome: {error}"))
    }

    /// Runs a script in the session of instance `i`.
    pub async fn shell(&self, sequence: u32, script: &str) -> ExecOutcome {
        self.run(request(sequence, SandboxMode::WorkflowSession, &["sh", "-c", script])).await
    }
}

pub fn launcher() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_sandbox-launcher"))
}

/// The tests' own templates and those for releases.
pub fn templates(folder: &Path) -> Arc<Templates> {
    let written = [("conformance", TEMPLATE), ("from-the-future", FROM_THE_FUTURE)].map(|(name, text)| {
        let own = folder.join(name);
        std::fs::create_dir_all(&own).expect("a folder");
        std::fs::write(own.join("template.toml"), text).expect("a template");
        own
    });
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sandbox-templates");
    let releases = ["rust-release", "java-release"].map(|name| bundled.join(name));
    let load = |folder: &Path| Template::load(folder).expect("a template");
    Arc::new(written.iter().chain(&releases).map(|folder| load(folder)).collect())
}

pub fn local(
    folder: &Path,
    templates: Arc<Templates>,
    launcher: PathBuf,
    resolve: BTreeMap<String, SocketAddr>,
) -> Local {
    let config = LocalConfig { resolve, ..LocalConfig::new(folder.join("root"), templates, launcher) };
    Local::new(config).expect("a provider")
}

pub fn key(sequence: u32) -> EffectKey {
    EffectKey {
        instance: InstanceId::new("i").expect("a label"),
        path: TaskPath::root().child("do", 0, "test"),
        attempt: 1,
        sequence,
    }
}

pub fn request(sequence: u32, mode: SandboxMode, argv: &[&str]) -> ExecRequest {
    let command = Command {
        template: TemplateName::new("conformance").expect("a name"),
        command_name: None,
        dialogue: None,
        container: None,
        mode,
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        environment: BTreeMap::new(),
        stdin: None,
        working_directory: String::new(),
        egress: Vec::new(),
        secrets: BTreeMap::new(),
        inputs: BTreeMap::new(),
        capture: Vec::new(),
        time_limit_ms: 0,
    };
    of(sequence, command)
}

pub fn of(sequence: u32, command: Command) -> ExecRequest {
    ExecRequest {
        key: key(sequence),
        command,
        secrets: BTreeMap::new(),
        inputs: BTreeMap::new(),
        also_redact: Vec::new(),
    }
}
