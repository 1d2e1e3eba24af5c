//! The command line: a stable surface that scripts and reviewers rely on.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use workflow::Origin;
use workflow::distribution::Reference;

/// Software releases as durable workflows with WebAssembly steps.
#[derive(Debug, Parser)]
#[command(name = "light-workflow", version, arg_required_else_help = true)]
pub struct Cli {
    /// Where everything durable is kept.
    #[arg(long, global = true, value_name = "DIR", default_value = ".light-workflow", env = "LIGHT_WORKFLOW_DATA")]
    pub data: PathBuf,
    /// The host's configuration [default: light-workflow.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE", env = "LIGHT_WORKFLOW_CONFIG")]
    pub config: Option<PathBuf>,
    /// Show the host's own log on standard error.
    #[arg(long, short, global = true)]
    pub verbose: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API and work on releases.
    Serve(Serve),
    /// Run one instance of a definition to its end, without a server.
    Run(Run),
    /// Validate definitions, templates and grants; show the effective policy of every task.
    Check(Check),
    /// Start and watch releases.
    #[command(subcommand)]
    Release(Release),
    /// Human tasks: what waits for a person.
    #[command(subcommand)]
    Task(Task),
    /// Events for workflows that listen.
    #[command(subcommand)]
    Event(Event),
    /// Plugins and what they can do.
    #[command(subcommand)]
    Plugin(Plugin),
    /// Sandbox templates and their commands.
    #[command(subcommand)]
    Template(Template),
    /// The hash-linked record of everything that happened.
    #[command(subcommand)]
    Audit(Audit),
    /// What this machine can enforce, what it lacks, how to get it.
    Doctor(Output),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    #[value(alias = "text")]
    Table,
    Json,
    Markdown,
    Sarif,
}

#[derive(Debug, Args)]
pub struct Output {
    /// Text for people, JSON for programs.
    #[arg(long, value_enum, default_value = "text")]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// HTTP API and worker in one process.
    All,
    /// Only the HTTP API: it records, and runs nothing.
    Api,
    /// Only the worker.
    Worker,
}

#[derive(Debug, Args)]
pub struct Serve {
    /// Address to listen on.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7420")]
    pub listen: std::net::SocketAddr,
    #[arg(long, value_enum, default_value = "all")]
    pub role: Role,
    #[command(flatten)]
    pub calls: CallOptions,
}

/// What the host's own calls may reach, beside what the configuration says.
#[derive(Debug, Default, Args)]
pub struct CallOptions {
    /// Approve an origin for `call: http` and kin, like `https://api.example.com`.
    #[arg(long = "allow-call", value_name = "ORIGIN")]
    pub allow: Vec<Origin>,
    /// Approve images for `run.container`: one, a folder or a registry, like `docker.io/library/alpine`.
    #[arg(long, value_name = "IMAGE", value_parser = image_rule)]
    pub allow_image: Vec<String>,
    /// Call this address instead of the host's own; approves that host and port.
    #[arg(long, value_name = "HOST:PORT=ADDRESS")]
    pub http_resolve: Vec<Mapped>,
    /// Trust the authorities in this PEM file, beside those of the machine.
    #[arg(long, value_name = "FILE")]
    pub http_ca: Option<PathBuf>,
}

fn image_rule(text: &str) -> Result<String, String> {
    match crate::config::is_image_rule(text) {
        true => Ok(text.to_owned()),
        false => Err("write a registry, or a folder or an image below it, like docker.io/library/alpine".to_owned()),
    }
}

/// `HOST:PORT=ADDRESS`.
#[derive(Debug, Clone)]
pub struct Mapped {
    pub target: String,
    pub address: std::net::SocketAddr,
}

impl std::str::FromStr for Mapped {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (target, address) =
            text.split_once('=').ok_or("write HOST:PORT=ADDRESS, like a.example:443=127.0.0.1:8443")?;
        let target = target.to_ascii_lowercase();
        if !crate::config::is_callee(&target) {
            return Err(format!("`{target}` is not HOST:PORT"));
        }
        let address = address.parse().map_err(|_| format!("`{address}` is no address like 127.0.0.1:8443"))?;
        Ok(Self { target, address })
    }
}

#[derive(Debug, Args)]
pub struct Run {
    pub definition: PathBuf,
    /// Input of the workflow as JSON: a file, or `-` for standard input.
    #[arg(long, value_name = "FILE|-")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
    /// Answer approvals with yes, where policy allows it.
    #[arg(long)]
    pub yes: bool,
    #[command(flatten)]
    pub calls: CallOptions,
}

#[derive(Debug, Args)]
#[command(override_usage = "light-workflow check [OPTIONS] <PATH>...\n       light-workflow check --schema")]
pub struct Check {
    /// Definitions, sandbox templates, or folders of them.
    #[arg(value_name = "PATH", required_unless_present = "schema")]
    pub paths: Vec<PathBuf>,
    /// Print the JSON schema of definitions instead, with the plugins of this host, for editors.
    #[arg(long, conflicts_with = "paths")]
    pub schema: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum Release {
    /// Start a release and watch it to its end; goes on with one that was interrupted.
    Start(ReleaseStart),
    /// The commands that a release would run, as far as its request says; nothing is run or recorded.
    Plan(ReleasePlan),
    /// All releases, newest first.
    List(Output),
    /// One release: its tasks, commands, open questions.
    Show(ReleaseNamed),
    /// What the commands of a release printed.
    Logs(ReleaseLogs),
    /// Ask a release to stop.
    Cancel(ReleaseReason),
    /// Start nothing new in a release, and in its children, until it is resumed.
    Suspend(ReleaseReason),
    /// Go on with a suspended release.
    Resume(ReleaseReason),
    /// The durable summary of a release.
    Summary(ReleaseNamed),
}

#[derive(Debug, Args)]
pub struct ReleaseStart {
    /// The release request as JSON: a file, or `-` for standard input.
    #[arg(value_name = "REQUEST|-")]
    pub request: PathBuf,
    /// Definition to run [default: the one for the request's release type].
    #[arg(long, value_name = "FILE")]
    pub definition: Option<PathBuf>,
    /// Answer approvals with yes, where policy allows it.
    #[arg(long)]
    pub yes: bool,
    /// Record the release and print its instance id. What follows from the request alone is decided at once; a server or a
    /// later start carries out the first command, call or wait and all after it.
    #[arg(long)]
    pub detach: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ReleasePlan {
    /// The release request as JSON: a file, or `-` for standard input.
    #[arg(value_name = "REQUEST|-")]
    pub request: PathBuf,
    /// Definition to run [default: the one for the request's release type].
    #[arg(long, value_name = "FILE")]
    pub definition: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ReleaseNamed {
    /// Release id (the run that goes on, else the first that completed, else the newest), or instance id.
    pub release: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ReleaseLogs {
    /// Release id (the run that goes on, else the first that completed, else the newest), or instance id.
    pub release: String,
    /// Only this task.
    #[arg(long)]
    pub task: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct ReleaseReason {
    /// Release id (the run that goes on, else the first that completed, else the newest), or instance id.
    pub release: String,
    #[arg(long)]
    pub reason: String,
}

#[derive(Debug, Subcommand)]
pub enum Task {
    /// What waits for a person.
    List(TaskList),
    /// One human task with all that is asked.
    Show(TaskNamed),
    /// Decide one.
    Complete(TaskComplete),
}

#[derive(Debug, Args)]
pub struct TaskList {
    /// Also those that are decided.
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct TaskNamed {
    pub id: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct TaskComplete {
    pub id: String,
    /// One of the options that `task show` lists.
    #[arg(long, value_name = "VALUE")]
    pub decision: String,
    /// Digest of what you were shown (`task show` prints it).
    #[arg(long, value_name = "DIGEST")]
    pub subject: String,
    #[arg(long)]
    pub comment: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Event {
    /// Leave a CloudEvent for every workflow that listens for it.
    Send(EventSend),
}

#[derive(Debug, Args)]
pub struct EventSend {
    /// The event as JSON: a file, or `-` for standard input.
    #[arg(value_name = "FILE|-")]
    pub event: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Plugin {
    /// What a plugin can do, read from its bytes, and what each task lets it do.
    Inspect(PluginInspect),
    /// What every plugin and every task can reach, and what stands against it.
    Report(PluginReport),
    /// What is not the same in two components, and what of it lets the new one do more.
    Diff(PluginDiff),
    /// Show a plugin, ask, and write the approval of its bytes into `plugins.lock`.
    Approve(PluginApprove),
    /// The line that would allow what was denied, and what else it would allow.
    Explain(PluginExplain),
    /// The plugins of this host.
    List(Output),
    /// Send a plugin, its `plugin.toml` and its signatures to a registry, as an OCI artifact.
    Push(PluginPush),
    /// Fetch a plugin from a registry, check its digests and signatures, and leave it for a review.
    Pull(PluginPull),
    /// Vouch for a plugin with an Ed25519 key.
    Sign(PluginSign),
    /// Make a component of a core module that was built for `wasm32-unknown-unknown`.
    Encode(PluginEncode),
    /// Start a plugin: a project that builds, with tests.
    New(PluginNew),
    /// Build the plugin of a project, with the author's own tools, and say what it can do.
    Build(PluginBuild),
    /// Run a built plugin against a scripted host, and once with everything denied.
    Test(PluginTest),
    /// Run the malicious plugin suite against this host's configuration: hostile components, and what comes of each.
    Attack(PluginAttack),
}

#[derive(Debug, Args)]
pub struct PluginAttack {
    /// Only attacks with one of these in their name [default: all].
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    Rust,
    Js,
    Python,
}

#[derive(Debug, Args)]
pub struct PluginNew {
    /// Lower-case words with dashes: `tool-version`.
    pub name: workflow::PluginName,
    #[arg(long, value_enum, default_value = "rust")]
    pub lang: Language,
    /// What the step may do: `pure`, `diagnose`, `probe`, `build` or `publish`.
    #[arg(long, default_value = "build", value_parser = world)]
    pub world: workflow::capability::World,
    /// Where to write it [default: a folder of that name, here].
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
}

fn world(text: &str) -> Result<workflow::capability::World, String> {
    let worlds = workflow::capability::World::ALL;
    let found = worlds.into_iter().find(|world| world.name() == text);
    found.ok_or_else(|| format!("the worlds are {}", crate::output::listed(worlds)))
}

#[derive(Debug, Args)]
pub struct PluginBuild {
    /// Folder with the `plugin.toml`.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginTest {
    /// Folder with the `plugin.toml`; its component is the one that `plugin build` made.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Cases as TOML or JSON [default: `tests/cases.toml` in the folder].
    #[arg(long, value_name = "FILE")]
    pub cases: Vec<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Subcommand)]
pub enum Template {
    /// Write the commands of a sandbox template as types for a plugin in Rust.
    Stubs(TemplateStubs),
}

#[derive(Debug, Args)]
pub struct TemplateStubs {
    /// A template of this host, or the folder of one.
    pub template: PathBuf,
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PluginInspect {
    /// Name of a plugin, or path of a component.
    pub plugin: String,
    /// A table for a terminal, Markdown for a review, JSON for programs, SARIF for code scanning.
    #[arg(long, value_enum, default_value = "table")]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct PluginReport {
    /// Definitions, or folders of them.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// A table for a terminal, Markdown for a review, JSON for programs, SARIF for code scanning.
    #[arg(long, value_enum, default_value = "table")]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct PluginDiff {
    /// A component's file, a plugin's name, or `NAME@sha256:…`.
    pub old: String,
    pub new: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginPush {
    /// Name of a plugin of this host, or path of a component.
    pub plugin: String,
    /// `HOST[:PORT]/REPOSITORY[:TAG]`.
    pub reference: Reference,
    /// Sign it as well: the file of a private key, as `openssl genpkey -algorithm ed25519` writes it.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginPull {
    /// `HOST[:PORT]/REPOSITORY[:TAG][@sha256:…]` [default: every plugin for which `plugins.lock` names a source].
    pub reference: Option<Reference>,
    /// Write component and `plugin.toml` here [default: where this host keeps its plugins].
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// Put it in the place of what is there and differs.
    #[arg(long)]
    pub replace: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginSign {
    /// Name of a plugin of this host, or path of a component.
    pub plugin: String,
    /// The file of a private key, as `openssl genpkey -algorithm ed25519` writes it.
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginApprove {
    /// Name of a plugin of this host.
    pub plugin: String,
    /// Who answers for it [default: the person at this terminal].
    #[arg(long, value_name = "NAME")]
    pub reviewer: Option<String>,
    /// The first day on which it no longer counts [default: in six months].
    #[arg(long, value_name = "DATE")]
    pub expires: Option<workflow::capability::Date>,
    /// Approve no more than was approved before, whatever it asks for now.
    #[arg(long)]
    pub keep_grants: bool,
    /// Do not ask; needs --reviewer.
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct PluginExplain {
    /// `TASK/CAPABILITY/SUBJECT`, or the text of the error.
    pub denial: Option<String>,
    /// Everything that this release was denied.
    #[arg(long, value_name = "RELEASE")]
    pub release: Option<String>,
    /// Where the definitions lie [default: the host's].
    #[arg(long, value_name = "PATH")]
    pub definitions: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Args)]
pub struct PluginEncode {
    pub module: PathBuf,
    #[arg(long, short)]
    pub output: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Write the whole log as JSON lines.
    Export(AuditExport),
    /// Check an export; or this host's own log, and that all it keeps follows from the log.
    Verify(AuditVerify),
}

#[derive(Debug, Args)]
pub struct AuditExport {
    /// [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct AuditVerify {
    /// An export [default: this host's own log].
    pub file: Option<PathBuf>,
    /// The public key (64 hex digits, as `audit verify` shows it) that must have signed it.
    #[arg(long, value_name = "HEX")]
    pub key: Option<PublicKey>,
}

/// A key in the spelling of exports: lower-case hex.
#[derive(Debug, Clone)]
pub struct PublicKey(pub String);

impl std::str::FromStr for PublicKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let count = text.chars().count();
        Err(format!(
            "a public key is 64 hex digits, as `audit verify` shows it after `signed by`; this has {count} characters"
        ))
    }
}
