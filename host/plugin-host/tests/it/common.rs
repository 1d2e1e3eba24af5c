//! The components, one host for all tests, and a scripted worker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, Call, CallError, CallSite, Denial, HostCallError, HostCalls, HostConfig, HttpRequest, HttpResponse,
    LogLevel, ModelAnswer, ModelQuestion, Parameter, Plugin, PluginHost, Surroundings, ToolAnswer,
};
use serde_json::{Value, json};
use workflow::capability::{
    ArtifactsReadGrant, ArtifactsWriteGrant, Grants, HttpGrant, LimitsGrant, LogGrant, McpGrant, ModelGrant,
    SandboxGrant, SecretsGrant,
};
use workflow::{
    ArtifactUri, CommandName, CommandResult, CommandStatus, Digest, HttpOrigin, McpTool, ModelName, PluginName,
    SecretName, TaskPath, Timestamp,
};

/// Name of the plugin to its component, built once for all tests from the sources beside them.
pub fn components() -> &'static BTreeMap<String, Vec<u8>> {
    static COMPONENTS: OnceLock<BTreeMap<String, Vec<u8>>> = OnceLock::new();
    COMPONENTS.get_or_init(|| {
        let names = [
            "cargo",
            "cargo-publish",
            "config-profile",
            "diagnose",
            "maven",
            "preflight",
            "release-notes",
            "verify",
            "evil",
            "released",
        ];
        build(&names, "wasm32-unknown-unknown");
        build(&["std"], "wasm32-wasip2");
        let component = |name: &str| {
            let module = std::fs::read(module(name)).expect("cargo has just built the module");
            (name.to_owned(), plugin_host::encode(&module).expect("the module becomes a component"))
        };
        // The compiler makes a component for this target, not a module.
        let std = std::fs::read(target().join("wasm32-wasip2/plugin/std_plugin.wasm"));
        let std = ("std".to_owned(), std.expect("cargo has just built the component"));
        names.into_iter().map(component).chain([std]).collect()
    })
}

/// The core module that cargo makes of a plugin.
pub fn module(name: &str) -> PathBuf {
    let file = format!("{}_plugin.wasm", name.replace('-', "_"));
    target().join("wasm32-unknown-unknown/plugin").join(file)
}

// Tests build their own fixtures; nothing of a release runs here.
#[allow(clippy::disallowed_methods)]
fn build(names: &[&str], target_name: &str) {
    let cargo_home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home =
        cargo_home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cargo"));
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--profile", "plugin", "--target", target_name, "--lib"]);
    command.args(names.iter().flat_map(|name| ["-p".to_owned(), format!("{name}-plugin")]));
    command.current_dir(root()).arg("--target-dir").arg(target());
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    // The flags of `cargo xtask plugins`, so that neither build undoes the other.
    let flags = plugin_host::reproducible_rustflags(&root(), &cargo_home);
    command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", &flags);
    command.env("CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS", &flags);
    assert!(command.status().expect("cargo runs").success(), "the plugins build");
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace's root")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

pub fn host() -> &'static PluginHost {
    static HOST: OnceLock<PluginHost> = OnceLock::new();
    HOST.get_or_init(|| PluginHost::new(HostConfig::default()).expect("the engine starts"))
}

/// A loaded plugin; compiled once for all tests.
pub async fn plugin(name: &str) -> Arc<Plugin> {
    static LOADED: tokio::sync::Mutex<BTreeMap<String, Arc<Plugin>>> = tokio::sync::Mutex::const_new(BTreeMap::new());
    let mut loaded = LOADED.lock().await;
    if let Some(plugin) = loaded.get(name) {
        return plugin.clone();
    }
    let plugin = host().load(&plugin_name(name), &components()[name]).await.expect("the plugin loads");
    loaded.insert(name.to_owned(), plugin.clone());
    plugin
}

pub fn plugin_name(name: &str) -> PluginName {
    PluginName::new(name).expect("a plugin's name")
}

/// Grants of every interface, each with one subject.
pub fn all_grants() -> Grants {
    Grants {
        log: Some(LogGrant { lines_max: 100, bytes_max: 64 << 10 }),
        artifacts_read: Some(ArtifactsReadGrant { names: BTreeSet::from(["t/**".to_owned()]) }),
        artifacts_write: Some(ArtifactsWriteGrant {
            names: BTreeSet::from(["report.json".to_owned()]),
            bytes_max: 32 << 20,
        }),
        sandbox: Some(SandboxGrant {
            commands: commands(&["rust-release/cargo-build", "rust-release/cargo-publish"]),
            commands_max: 10,
            planned: Default::default(),
        }),
        secrets: Some(SecretsGrant { names: BTreeSet::from([SecretName::new("token").expect("a name")]) }),
        model: Some(ModelGrant {
            models: BTreeSet::from([ModelName::new("default").expect("a name")]),
            questions_max: 2,
            answer_tokens_max: 1000,
        }),
        mcp: Some(McpGrant { tools: BTreeSet::from([McpTool::new("issues/search").expect("a name")]), calls_max: 2 }),
        http: Some(HttpGrant {
            origins: BTreeSet::from([HttpOrigin::new("https://index.test").expect("an origin")]),
            requests_max: 2,
            bytes_max: 100,
        }),
        ..Grants::default()
    }
}

pub fn commands(names: &[&str]) -> BTreeSet<CommandName> {
    names.iter().map(|name| CommandName::new(*name).expect("a command's name")).collect()
}

/// Runs the evil plugin with all grants.
pub async fn evil(input: &str) -> (Result<Value, CallError>, Record) {
    evil_with(input, all_grants()).await
}

pub async fn evil_with(input: &str, grants: Grants) -> (Result<Value, CallError>, Record) {
    let plugin = plugin("evil").await;
    run(&plugin, Value::from(input), &grants, Scripted::default()).await
}

/// All grants, with limits of their own.
pub fn limited(limits: LimitsGrant) -> Grants {
    Grants { limits, ..all_grants() }
}

/// What every attempt of these tests finds around it.
pub const SURROUNDINGS: Surroundings = Surroundings { started_at: Timestamp::UNIX_EPOCH, seed: [7; 32] };

pub async fn run(
    plugin: &Plugin,
    input: Value,
    grants: &Grants,
    scripted: Scripted,
) -> (Result<Value, CallError>, Record) {
    run_in(plugin, input, grants, SURROUNDINGS, scripted).await
}

pub async fn run_in(
    plugin: &Plugin,
    input: Value,
    grants: &Grants,
    surroundings: Surroundings,
    scripted: Scripted,
) -> (Result<Value, CallError>, Record) {
    let record = scripted.record.clone();
    let result = host().execute(plugin, Call { grants, surroundings, input }, Box::new(scripted)).await;
    let record = record.lock().expect("no test panics with it").clone();
    (result, record)
}

/// What reached the worker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// `1 exec rust-release/cargo-build`
    pub calls: Vec<String>,
    /// Used before each of them.
    pub fuel: Vec<u64>,
    pub denied: Vec<(u32, Denial)>,
    pub log: Vec<LogLine>,
}

/// Level, message, fields.
pub type LogLine = (LogLevel, String, Vec<(String, String)>);

/// A worker that answers commands from a list, or with success.
#[derive(Default)]
pub struct Scripted {
    pub record: Arc<Mutex<Record>>,
    /// Stdout of each command in turn; files captured.
    pub commands: Vec<(String, i32, Vec<String>)>,
    /// The answer to every command instead.
    pub fails: Option<HostCallError>,
    /// How long a command takes.
    pub command_time: std::time::Duration,
    /// How long its result says that it took.
    pub command_ms: u64,
}

impl Scripted {
    fn note(&self, site: CallSite, call: String) {
        let mut record = self.record.lock().expect("no test panics with it");
        record.calls.push(format!("{} {call}", site.sequence));
        record.fuel.push(site.fuel);
    }
}

#[async_trait]
impl HostCalls for Scripted {
    async fn exec(
        &mut self,
        site: CallSite,
        command: &CommandName,
        parameters: Vec<(String, Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        let with: String = parameters.iter().map(|(name, value)| format!(" {name}={value:?}")).collect();
        let holding: String = secrets.iter().map(|name| format!(" with {name}")).collect();
        self.note(site, format!("exec {command}{with}{holding}"));
        tokio::time::sleep(self.command_time).await;
        if let Some(error) = &self.fails {
            return Err(error.clone());
        }
        let (stdout, exit_code, files) = match self.commands.is_empty() {
            true => ("ok".to_owned(), 0, Vec::new()),
            false => self.commands.remove(0),
        };
        Ok(CommandResult { duration_ms: self.command_ms, ..result(stdout, exit_code, &files) })
    }

    async fn stat_artifact(&mut self, site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        self.note(site, format!("stat {uri}"));
        let digest = Digest::of(b"x").to_string();
        Ok(ArtifactStat { size_bytes: 16, digest, media_type: "text/plain".to_owned() })
    }

    async fn read_artifact(
        &mut self,
        site: CallSite,
        uri: &ArtifactUri,
        offset: u64,
        length: u32,
    ) -> Result<Vec<u8>, HostCallError> {
        self.note(site, format!("read {uri} {offset} {length}"));
        Ok(vec![b'x'; 16])
    }

    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        media_type: &str,
        bytes: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError> {
        self.note(site, format!("put {name} {media_type} {}", bytes.len()));
        Ok(ArtifactUri::new(format!("artifact://i/t/1/{name}")).expect("a reference"))
    }

    async fn ask_model(&mut self, site: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        let evidence: String = question.evidence.iter().map(|uri| format!(" {uri}")).collect();
        let (model, tokens) = (question.model, question.answer_tokens_max);
        self.note(site, format!("ask {model} {tokens} {}{evidence}", question.prompt));
        if let Some(error) = &self.fails {
            return Err(error.clone());
        }
        let model = format!("test {model} 1");
        Ok(ModelAnswer { value: json!("flaky"), model, question_tokens: 10, answer_tokens: tokens })
    }

    async fn call_tool(
        &mut self,
        site: CallSite,
        tool: &McpTool,
        arguments: Value,
    ) -> Result<ToolAnswer, HostCallError> {
        self.note(site, format!("tool {tool} {arguments}"));
        if let Some(error) = &self.fails {
            return Err(error.clone());
        }
        let content = vec![json!({ "type": "text", "text": "found" })];
        Ok(ToolAnswer { is_error: false, content, structured: None })
    }

    async fn fetch(&mut self, site: CallSite, request: HttpRequest) -> Result<HttpResponse, HostCallError> {
        self.note(site, format!("fetch {:?} {} {}", request.method, request.url, request.body_bytes_max));
        if let Some(error) = &self.fails {
            return Err(error.clone());
        }
        Ok(HttpResponse { status: 404, headers: Vec::new(), body: vec![b'x'; 60] })
    }

    async fn log(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) {
        self.record.lock().expect("no test panics with it").log.push((level, message, fields));
    }

    async fn denied(&mut self, site: CallSite, denial: &Denial) {
        self.record.lock().expect("no test panics with it").denied.push((site.sequence, denial.clone()));
    }
}

fn result(stdout: String, exit_code: i32, files: &[String]) -> CommandResult {
    let uri = |name: &str| ArtifactUri::new(format!("artifact://i/t/1/{name}")).expect("a reference");
    let artifact = |name: &String| workflow::command::Artifact {
        uri: uri(name),
        digest: Digest::of(name.as_bytes()),
        size_bytes: name.len() as u64,
    };
    CommandResult {
        task_name: "t".to_owned(),
        task_path: TaskPath::root().child("do", 0, "t"),
        attempt: 1,
        command: "sh".to_owned(),
        exit_code: Some(exit_code),
        status: if exit_code == 0 { CommandStatus::Succeeded } else { CommandStatus::Failed },
        started_at: Timestamp::UNIX_EPOCH,
        completed_at: Timestamp::UNIX_EPOCH,
        duration_ms: 0,
        stdout_ref: uri("stdout.log"),
        stderr_ref: uri("stderr.log"),
        summary: format!("exit code {exit_code}"),
        changed_files: Vec::new(),
        artifacts: files.iter().map(artifact).collect(),
        egress: Vec::new(),
        sandbox_digest: Digest::of(b"sandbox"),
        stdout_excerpt: stdout,
        stderr_excerpt: String::new(),
    }
}
