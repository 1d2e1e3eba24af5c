//! One call of a plugin: a fresh instance, its grants, its limits, its end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wasmtime::{CallHook, Store, Trap};
use workflow::approval::canonical;
use workflow::capability::{Grants, Limits, LimitsGrant};
use workflow::command::PlannedCommand;
use workflow::{ArtifactUri, CommandName, Timestamp};

use crate::baseline::Baseline;
use crate::bindings::{EveryCapability, step, types};
use crate::engine::{PluginHost, Room, TABLE_ELEMENTS_MAX};
use crate::host_calls::{Denial, HostCalls};
use crate::interface::{Interface, MissingGrants};
use crate::load::Plugin;
use crate::state::{State, Stop, Turn};
use crate::surroundings::Surroundings;
use crate::texts::{ERROR_BYTES_MAX, SUBJECT_BYTES_MAX, SUMMARY_BYTES_MAX, one_line};
use crate::trap::plain_words;

/// Commands of one plan: more than any person reads.
const PLANNED_MAX: usize = 1_000;

/// References of one failure: more than any command leaves.
const FAILURE_LOGS_MAX: usize = 100;

/// For `describe` and `plan`, which only speak: a tenth of what a step may compute.
const QUIET_FUEL_MAX: u64 = Limits::DEFAULT.fuel_max / 10;

/// What `describe` and `plan` run under: no power, and little time.
fn quiet() -> Grants {
    let limits = LimitsGrant { fuel_max: Some(QUIET_FUEL_MAX), ..LimitsGrant::default() };
    Grants { limits, ..Grants::default() }
}

/// What a plugin is called with.
pub struct Call<'a> {
    /// The effective grants of the task, its limits among them.
    pub grants: &'a Grants,
    pub surroundings: Surroundings,
    pub input: Value,
}

/// The limit that ended a call. Each is for the author to fix or for policy to raise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum LimitReached {
    #[error("it used up its {max} units of fuel: a loop without end, or too large an input")]
    Fuel { max: u64 },
    #[error("it computed for more than {ms_max} ms, waits on commands not counted")]
    GuestTime { ms_max: u64 },
    #[error("it asked for more than {max} bytes of memory")]
    Memory { max: u64 },
    #[error("it asked for a table of more than {max} elements")]
    Table { max: u64 },
    #[error("it has more than {max} core instances, tables or memories")]
    Instances { max: u64 },
    #[error("it took longer than {ms_max} ms, waits counted")]
    WallTime { ms_max: u64 },
    #[error("it made more than {max} host calls")]
    HostCalls { max: u64 },
    #[error("it passed more than {max} bytes in one call")]
    HostCallBytes { max: u64 },
    #[error("it logged more than {max} lines, which is what `log.lines-max` grants")]
    LogLines { max: u32 },
    #[error("it logged more than {max} bytes, which is what `log.bytes-max` grants")]
    LogBytes { max: u64 },
    #[error("its output has {bytes} bytes of JSON; at most {max} are kept")]
    Result { bytes: u64, max: u64 },
    #[error("it held more than {max} handles at once")]
    Handles { max: u64 },
}

/// A command ran and did not do what it should.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFailure {
    /// One line.
    pub summary: String,
    pub exit_code: Option<i32>,
    /// References that are none were left out.
    pub logs: Vec<ArtifactUri>,
}

/// Why a call has no output. Four different things: the step said so
/// (`InvalidInput` to `NeedsHuman`), policy, a trap, a limit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CallError {
    #[error("the input does not fit the step: {0}")]
    InvalidInput(String),
    #[error("denied: {} `{}`: {}", .0.capability, .0.subject, .0.reason)]
    Denied(Denial),
    #[error("worth another attempt: {0}")]
    Transient(String),
    #[error("{}", .0.summary)]
    Failed(StepFailure),
    #[error("a person must decide: {0}")]
    NeedsHuman(String),
    /// An import is not granted. Nothing ran.
    #[error("{0}")]
    Refused(MissingGrants),
    /// The plugin broke: nobody knows what it would have said.
    #[error("plugin `{plugin}` stopped: {words}{}", last_words(last_error))]
    Trapped {
        plugin: String,
        words: String,
        /// The last `error` line of its log: a panic's text, mostly.
        last_error: Option<String>,
    },
    #[error("plugin `{plugin}` was stopped: {limit}")]
    Limit { plugin: String, limit: LimitReached },
    /// The host stops or lost its lease: there is no outcome.
    #[error("the host stops")]
    Interrupted,
}

fn last_words(last_error: &Option<String>) -> String {
    last_error.as_ref().map_or_else(String::new, |line| format!("; its last error line: {line}"))
}

/// What a step says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub input_schema: Value,
    pub output_schema: Value,
    pub idempotent: bool,
}

impl PluginHost {
    /// What the plugin says about itself. Every host call is refused meanwhile.
    pub async fn describe(&self, plugin: &Plugin) -> Result<Description, CallError> {
        let mut run = self.start(plugin, Turn::Describe, &quiet(), NOWHERE).await?;
        let answer = run.bindings.lightapi_release_step().call_describe(&mut run.store).await;
        let description = run.finish(answer).await?;
        Ok(Description {
            input_schema: run.json(&description.input_schema)?,
            output_schema: run.json(&description.output_schema)?,
            name: one_line(&description.name, SUMMARY_BYTES_MAX),
            version: one_line(&description.version, SUMMARY_BYTES_MAX),
            summary: one_line(&description.summary, SUMMARY_BYTES_MAX),
            idempotent: description.idempotent,
        })
    }

    /// The commands that `input` would run. Every host call but `log` is
    /// refused meanwhile, and log lines are dropped.
    pub async fn plan(&self, plugin: &Plugin, input: &Value) -> Result<Vec<PlannedCommand>, CallError> {
        let mut run = self.start(plugin, Turn::Plan, &quiet(), NOWHERE).await?;
        let answer = run.bindings.lightapi_release_step().call_plan(&mut run.store, &canonical(input)).await;
        let planned = run.finish(answer).await?.map_err(step_error)?;
        if planned.len() > PLANNED_MAX {
            return Err(run.broken(format!("it planned {} commands; at most {PLANNED_MAX} are read", planned.len())));
        }
        let convert = |planned: step::PlannedCommand| {
            let command = CommandName::new(planned.command)
                .map_err(|error| run.broken(one_line(&error.to_string(), SUMMARY_BYTES_MAX)))?;
            let parameters = run.json(&planned.parameters)?;
            if !parameters.is_object() {
                return Err(run.broken(format!("the parameters of the planned `{command}` are not an object")));
            }
            Ok(PlannedCommand { command, parameters, why: one_line(&planned.why, SUMMARY_BYTES_MAX) })
        };
        planned.into_iter().map(convert).collect()
    }

    /// Runs the step to its end in a fresh instance.
    ///
    /// Host calls may take as long as they need; only the plugin's own time is
    /// bounded. Dropping the future ends the call without an outcome.
    ///
    /// # Errors
    ///
    /// [`CallError::Refused`] before anything runs, if the plugin imports an
    /// interface that is not granted. [`CallError::Interrupted`] if a host call
    /// said so: there is no outcome to record.
    pub async fn execute(&self, plugin: &Plugin, call: Call<'_>, host: Box<dyn HostCalls>) -> Result<Value, CallError> {
        let missing = plugin.missing_grants(call.grants);
        if !missing.is_empty() {
            return Err(CallError::Refused(MissingGrants(missing)));
        }
        let limits = Limits::of(&call.grants.limits);
        let wall_time = Duration::from_millis(limits.wall_time_ms_max);
        match tokio::time::timeout(wall_time, self.execute_within(plugin, call, host)).await {
            Ok(result) => result,
            Err(_elapsed) => {
                let limit = LimitReached::WallTime { ms_max: limits.wall_time_ms_max };
                Err(CallError::Limit { plugin: plugin.name().to_string(), limit })
            }
        }
    }

    async fn execute_within(
        &self,
        plugin: &Plugin,
        call: Call<'_>,
        host: Box<dyn HostCalls>,
    ) -> Result<Value, CallError> {
        let mut run = self.start(plugin, Turn::Execute(host), call.grants, call.surroundings).await?;
        // A history may keep an object's keys in another order: the step must read
        // the same bytes, and use the same fuel, when it runs again.
        let input = canonical(&call.input);
        let answer = run.bindings.lightapi_release_step().call_execute(&mut run.store, &input).await;
        let output = run.finish(answer).await?.map_err(step_error)?;
        let (bytes, max) = (output.len() as u64, Limits::of(&call.grants.limits).result_bytes_max);
        if bytes > max {
            let limit = LimitReached::Result { bytes, max };
            return Err(CallError::Limit { plugin: run.plugin, limit });
        }
        run.json(&output)
    }

    async fn start(
        &self,
        plugin: &Plugin,
        turn: Turn,
        grants: &Grants,
        surroundings: Surroundings,
    ) -> Result<Run, CallError> {
        // Before the guest's time begins, and dropped after its store.
        let room = self.room(&plugin.running).await;
        // A turn without effects refuses inside the functions: what it would
        // have called is not known yet, so everything imported is linked.
        let is_linked = |interface: &Interface| !matches!(turn, Turn::Execute(_)) || interface.is_granted(grants);
        let interfaces: BTreeSet<Interface> = plugin.capabilities.keys().copied().filter(is_linked).collect();
        let broken = |words: String| CallError::Trapped { plugin: plugin.name().to_string(), words, last_error: None };
        let linked = plugin.linked(&interfaces).map_err(|error| broken(format!("{error:#}")))?;
        let mut limits = Limits::of(&grants.limits);
        // Whatever is granted, the pool has no more.
        limits.memory_bytes_max = limits.memory_bytes_max.min(self.config.memory_bytes_max as u64);
        limits.table_elements_max = limits.table_elements_max.min(TABLE_ELEMENTS_MAX as u64);
        let output_bytes_max = grants.log.as_ref().map_or(OUTPUT_BYTES_MAX, |grant| grant.bytes_max);
        let baseline = interfaces.contains(&Interface::WasiBaseline);
        let baseline = baseline.then(|| Box::new(Baseline::new(&surroundings, output_bytes_max)));
        let mut store = Store::new(&self.engine, State::new(turn, grants.clone(), limits, baseline, &self.lane));
        store.limiter(|state| state);
        store.set_fuel(limits.fuel_max).map_err(|error| broken(format!("{error:#}")))?;
        store.set_hostcall_fuel(usize::try_from(limits.host_call_bytes_max).unwrap_or(usize::MAX));
        // Parameters of one call are handles for a moment too.
        let handles = usize::try_from(limits.handles_max.saturating_mul(4)).unwrap_or(usize::MAX);
        store.set_max_component_handles(handles.max(256));
        store.call_hook(move |mut context, crossing| {
            if matches!(crossing, CallHook::CallingHost) {
                let left = context.get_fuel()?;
                context.data_mut().fuel = limits.fuel_max - left;
            }
            Ok(())
        });
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| context.data_mut().tick());
        let name = plugin.name().to_string();
        match linked.instantiate_async(&mut store).await {
            Ok(bindings) => Ok(Run { plugin: name, store, bindings, _room: room }),
            Err(error) => {
                let _ = store.data_mut().log_output(true).await;
                Err(ending(name, &store, &error))
            }
        }
    }
}

/// What `describe` and `plan` find around them: they have no attempt yet.
const NOWHERE: Surroundings = Surroundings { started_at: Timestamp::UNIX_EPOCH, seed: [0; 32] };

/// What may be printed where no log is granted, and is dropped.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;

/// An instance during its one call.
struct Run {
    plugin: String,
    store: Store<State>,
    bindings: EveryCapability,
    /// Given back after the store is dropped.
    _room: Room,
}

impl Run {
    async fn finish<T>(&mut self, answer: wasmtime::Result<T>) -> Result<T, CallError> {
        // The last lines come before the end, whichever it is, and may be one line too many.
        let logged = self.store.data_mut().log_output(true).await;
        let answer = answer.and_then(|answer| logged.map(|()| answer));
        answer.map_err(|error| ending(self.plugin.clone(), &self.store, &error))
    }

    fn json(&self, text: &str) -> Result<Value, CallError> {
        serde_json::from_str(text).map_err(|error| self.broken(format!("it returned text that is not JSON: {error}")))
    }

    fn broken(&self, words: String) -> CallError {
        CallError::Trapped { plugin: self.plugin.clone(), words, last_error: self.store.data().last_error.clone() }
    }
}

/// Why the guest did not return: the host stopped it, a meter ran out, or it broke.
fn ending(plugin: String, store: &Store<State>, error: &wasmtime::Error) -> CallError {
    let state = store.data();
    // What was printed may have been one line too many as well, when it was looked at last.
    if let Some(max) = state.output_over() {
        return CallError::Limit { plugin, limit: LimitReached::LogBytes { max } };
    }
    match &state.stop {
        Some(Stop::Interrupted) => return CallError::Interrupted,
        Some(Stop::Limit(limit)) => return CallError::Limit { plugin, limit: limit.clone() },
        Some(stop @ Stop::Exited { .. }) => {
            return CallError::Trapped { plugin, words: stop.to_string(), last_error: state.last_error.clone() };
        }
        None => {}
    }
    if error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel) {
        return CallError::Limit { plugin, limit: LimitReached::Fuel { max: state.limits.fuel_max } };
    }
    // The engine's errors for these have no public type; their text is all there is.
    let text = error.root_cause().to_string();
    if text.starts_with("resource limit exceeded") {
        return CallError::Limit { plugin, limit: LimitReached::Instances { max: state.limits.instances_max } };
    }
    // Secrets are counted by the store, streams and pollables of WASI by the table that holds them.
    if ["store handle limit exceeded", "resource table has no free keys"].iter().any(|words| text.contains(words)) {
        return CallError::Limit { plugin, limit: LimitReached::Handles { max: state.limits.handles_max } };
    }
    if text.contains("fuel allocated for hostcalls") {
        let max = state.limits.host_call_bytes_max;
        return CallError::Limit { plugin, limit: LimitReached::HostCallBytes { max } };
    }
    CallError::Trapped { plugin, words: plain_words(error), last_error: state.last_error.clone() }
}

/// The step's own words, each one line and bounded: they go into the history and before people.
fn step_error(error: types::StepError) -> CallError {
    let line = |text: String| one_line(&text, ERROR_BYTES_MAX);
    match error {
        types::StepError::InvalidInput(detail) => CallError::InvalidInput(line(detail)),
        types::StepError::Denied(denial) => CallError::Denied(Denial {
            capability: one_line(&denial.capability, SUBJECT_BYTES_MAX),
            subject: one_line(&denial.subject, SUBJECT_BYTES_MAX),
            reason: line(denial.reason),
        }),
        types::StepError::Transient(detail) => CallError::Transient(line(detail)),
        types::StepError::Failed(failure) => CallError::Failed(StepFailure {
            summary: line(failure.summary),
            exit_code: failure.exit_code,
            logs: failure
                .logs
                .into_iter()
                .filter_map(|uri| ArtifactUri::new(uri).ok())
                .filter(|uri| uri.as_str().len() <= SUMMARY_BYTES_MAX)
                .take(FAILURE_LOGS_MAX)
                .collect(),
        }),
        types::StepError::NeedsHuman(detail) => CallError::NeedsHuman(line(detail)),
    }
}
