//! Real components on an idle host: calls, their audit, their loading.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HostConfig, HttpRequest, HttpResponse, LogLevel,
    ModelAnswer, ModelQuestion, Parameter, Plugin, PluginHost, ToolAnswer, measure,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use workflow::capability::{
    ArtifactsReadGrant, ArtifactsWriteGrant, Grants, HttpGrant, LogGrant, McpGrant, ModelGrant, SandboxGrant,
    SecretsGrant,
};
use workflow::{
    ArtifactUri, CommandName, CommandResult, CommandStatus, Digest, HttpOrigin, McpTool, ModelName, PluginName,
    SecretName, TaskPath, Timestamp,
};

use crate::build;
use crate::machine::{Machine, median, ms, percentile};
use crate::report::{Figure, figure};

const WARM_UP: usize = 500;
const CALLS: usize = 10_000;
const INSPECTIONS: usize = 50;
/// Plugins of a host that has many.
const PLUGINS: usize = 10;

pub fn measure(machine: &Machine, runtime: &Runtime, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let components = build::components()?;
    let mut figures = Vec::new();
    for (name, bytes) in &components {
        let p50 = inspect(bytes)?;
        figures.push(figure(format!("inspect.{name}"), p50, "ms").at_most(5.0));
        figures.push(figure(format!("size.{name}"), bytes.len() as f64 / 1024.0, "KiB"));
    }
    figures.extend(runtime.block_on(loading(machine, &components, rounds))?);
    figures.extend(calls(&components, runtime, rounds)?);
    Ok(figures)
}

fn inspect(bytes: &[u8]) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(INSPECTIONS);
    for _ in 0..INSPECTIONS {
        let start = Instant::now();
        plugin_host::inspect(bytes)?;
        times.push(ms(start.elapsed()));
    }
    Ok(median(&times))
}

/// Compiled, from the store of compiled code, and ten of these at a host's start.
async fn loading(
    machine: &Machine,
    components: &[(&'static str, Vec<u8>)],
    rounds: u32,
) -> anyhow::Result<Vec<Figure>> {
    let (mut compiled, mut precompiled, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    let (_, largest) = components.iter().max_by_key(|(_, bytes)| bytes.len()).context("there are components")?;
    let many: Vec<(PluginName, Vec<u8>)> = (0..PLUGINS)
        .map(|number| Ok((PluginName::new(format!("plugin-{number}"))?, renamed(largest, number as u8))))
        .collect::<anyhow::Result<_>>()?;
    let folder = machine.data("precompiled");
    let config = || HostConfig { precompiled: Some(folder.clone()), ..HostConfig::default() };
    load_all(&PluginHost::new(config())?, &many).await?;
    for round in 0..rounds {
        let config_of_round =
            || HostConfig { precompiled: Some(machine.data(&format!("precompiled-{round}"))), ..HostConfig::default() };
        let one = &many[..1];
        compiled.push(load_all(&PluginHost::new(config_of_round())?, one).await?);
        precompiled.push(load_all(&PluginHost::new(config_of_round())?, one).await?);
        let start = Instant::now();
        let host = PluginHost::new(config())?;
        load_all(&host, &many).await?;
        starts.push(ms(start.elapsed()));
    }
    Ok(vec![
        figure("load.compiled", median(&compiled), "ms"),
        figure("load.precompiled", median(&precompiled), "ms"),
        figure("start.tenPrecompiled", median(&starts), "ms").at_most(50.0),
    ])
}

/// Milliseconds.
async fn load_all(host: &PluginHost, plugins: &[(PluginName, Vec<u8>)]) -> anyhow::Result<f64> {
    let start = Instant::now();
    for (name, bytes) in plugins {
        host.load(name, bytes).await?;
    }
    Ok(ms(start.elapsed()))
}

/// The same code under another digest: a custom section follows it.
fn renamed(component: &[u8], number: u8) -> Vec<u8> {
    // Section 0, its size, the length of its name, the name, one byte of content.
    [component, &[0, 7, 5], b"bench", &[number]].concat()
}

fn calls(components: &[(&'static str, Vec<u8>)], runtime: &Runtime, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let (_, bytes) = components.iter().find(|(name, _)| *name == build::EVIL).context("the plugin is built")?;
    let host = Arc::new(PluginHost::new(HostConfig::default())?);
    let plugin = runtime.block_on(host.load(&PluginName::new(build::EVIL)?, bytes))?;
    thread(&host, &plugin, "five", WARM_UP)?;
    let (mut five, mut none) = (Vec::new(), Vec::new());
    let (mut one_thread, mut two_threads) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        none.extend(thread(&host, &plugin, "say nothing", CALLS / 2)?.0);
        let (times, elapsed) = thread(&host, &plugin, "five", CALLS)?;
        five.extend(times);
        one_thread.push(CALLS as f64 / elapsed.as_secs_f64());
        two_threads.push(two(&host, &plugin)?);
    }
    Ok(vec![
        figure("call.noHostCall.p50", median(&none), "us"),
        figure("call.fiveHostCalls.p50", median(&five), "us").at_most(60.0),
        figure("call.fiveHostCalls.p99", percentile(&five, 99.0), "us"),
        figure("calls.oneThread", median(&one_thread), "per s"),
        figure("calls.twoThreads", median(&two_threads), "per s").at_least(25_000.0),
    ])
}

/// Calls per second of two threads together.
fn two(host: &Arc<PluginHost>, plugin: &Arc<Plugin>) -> anyhow::Result<f64> {
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| thread(host, plugin, "five", CALLS)));
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map(drop),
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    Ok((2 * CALLS) as f64 / start.elapsed().as_secs_f64())
}

/// Calls on a runtime of their own: microseconds of each, and the whole.
fn thread(host: &PluginHost, plugin: &Plugin, input: &str, count: usize) -> anyhow::Result<(Vec<f64>, Duration)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (input, grants) = (Value::from(input), grants()?);
    let start = Instant::now();
    let side = || Box::new(Journal::default()) as Box<dyn HostCalls>;
    let times = runtime.block_on(measure::calls(host, plugin, &grants, &input, count, side))?;
    Ok((times.into_iter().map(|time| time.as_secs_f64() * 1e6).collect(), start.elapsed()))
}

fn grants() -> anyhow::Result<Grants> {
    Ok(Grants {
        log: Some(LogGrant { lines_max: 100, bytes_max: 64 << 10 }),
        artifacts_read: Some(ArtifactsReadGrant { names: BTreeSet::from(["t/**".to_owned()]) }),
        artifacts_write: Some(ArtifactsWriteGrant {
            names: BTreeSet::from(["report.json".to_owned()]),
            bytes_max: 1 << 20,
        }),
        sandbox: Some(SandboxGrant {
            commands: BTreeSet::from([CommandName::new("rust-release/cargo-build")?]),
            commands_max: 10,
            planned: Default::default(),
        }),
        secrets: Some(SecretsGrant { names: BTreeSet::from([SecretName::new("token")?]) }),
        model: Some(ModelGrant {
            models: BTreeSet::from([ModelName::new("default")?]),
            questions_max: 1,
            answer_tokens_max: 1000,
        }),
        mcp: Some(McpGrant { tools: BTreeSet::from([McpTool::new("server/tool")?]), calls_max: 1 }),
        http: Some(HttpGrant {
            origins: BTreeSet::from([HttpOrigin::new("https://example.com")?]),
            requests_max: 1,
            bytes_max: 1 << 20,
        }),
        ..Grants::default()
    })
}

/// A worker that answers at once and keeps its journal in memory.
#[derive(Default)]
struct Journal {
    entries: Vec<(u32, String)>,
}

impl Journal {
    fn note(&mut self, sequence: u32, call: String) {
        self.entries.push((sequence, call));
    }
}

#[async_trait]
impl HostCalls for Journal {
    async fn exec(
        &mut self,
        site: CallSite,
        command: &CommandName,
        _: Vec<(String, Parameter)>,
        _: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        self.note(site.sequence, command.to_string());
        Ok(succeeded())
    }

    async fn stat_artifact(&mut self, site: CallSite, uri: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        self.note(site.sequence, uri.to_string());
        Ok(ArtifactStat { size_bytes: 16, digest: String::new(), media_type: "text/plain".to_owned() })
    }

    async fn read_artifact(
        &mut self,
        site: CallSite,
        uri: &ArtifactUri,
        _: u64,
        _: u32,
    ) -> Result<Vec<u8>, HostCallError> {
        self.note(site.sequence, uri.to_string());
        Ok(vec![b'x'; 16])
    }

    async fn put_artifact(
        &mut self,
        site: CallSite,
        name: &str,
        _: &str,
        _: Vec<u8>,
    ) -> Result<ArtifactUri, HostCallError> {
        self.note(site.sequence, name.to_owned());
        Ok(uri(name))
    }

    async fn ask_model(&mut self, _: CallSite, question: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        panic!("the workload asks no model: {question:?}");
    }

    async fn call_tool(&mut self, _: CallSite, tool: &McpTool, _: Value) -> Result<ToolAnswer, HostCallError> {
        panic!("the workload calls no tool: {tool}");
    }

    async fn fetch(&mut self, _: CallSite, request: HttpRequest) -> Result<HttpResponse, HostCallError> {
        panic!("the workload fetches nothing: {request:?}");
    }

    async fn log(&mut self, _: LogLevel, message: String, _: Vec<(String, String)>) {
        self.note(0, message);
    }

    async fn denied(&mut self, site: CallSite, denial: &Denial) {
        panic!("host call {site:?} was denied: {denial:?}");
    }
}

fn uri(name: &str) -> ArtifactUri {
    ArtifactUri::new(format!("artifact://i/t/1/{name}")).expect("a reference")
}

fn succeeded() -> CommandResult {
    CommandResult {
        task_name: "t".to_owned(),
        task_path: TaskPath::root(),
        attempt: 1,
        command: "true".to_owned(),
        exit_code: Some(0),
        status: CommandStatus::Succeeded,
        started_at: Timestamp::UNIX_EPOCH,
        completed_at: Timestamp::UNIX_EPOCH,
        duration_ms: 0,
        stdout_ref: uri("stdout.log"),
        stderr_ref: uri("stderr.log"),
        summary: "exit code 0".to_owned(),
        changed_files: Vec::new(),
        egress: Vec::new(),
        artifacts: Vec::new(),
        sandbox_digest: Digest::of(b""),
        stdout_excerpt: String::new(),
        stderr_excerpt: String::new(),
    }
}
