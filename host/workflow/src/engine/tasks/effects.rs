//! `run` and `call`: what is done in the world, and what its outcome means.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::children;

use crate::capability::TaskPolicy;
use crate::command::{Command, CommandResult, CommandStatus, Container};
use crate::definition::secrets::variables;
use crate::definition::{Call, Process, Run, RunReturn, TaskKind};
use crate::effect::{Effect, EffectClass, EffectOutcome, Fault, OWN_ERRORS, StandardError};
use crate::engine::data_flow::Running;
use crate::engine::frame::Attempting;
use crate::engine::scope::Scope;
use crate::event::Event;
use crate::expression::{Template, excerpt};
use crate::ids::{ArtifactUri, PluginName};
use crate::image::{PinnedImage, check_host_name};

/// The plugin whose call answers its input, where policy says so.
const ECHO: &str = "echo";

/// How often in a row an effect that may be repeated is repeated because its
/// outcome got lost: a host that dies from the effect itself must not go on.
const UNKNOWN_MAX: u32 = 5;

/// Of what a failed command said last, in its error.
const SAID_BYTES_MAX: usize = 300;

/// Without `effect:` in the definition, nobody knows whether doing it twice
/// does harm.
const DEFAULT_CLASS: EffectClass = EffectClass::Reconcilable;

pub fn call(running: Running<'_>, call: &Call) -> Result<Event, Fault> {
    let input = running.input()?;
    let with = call.with.evaluate(&input, &running.scope(&input))?;
    let effect = if call.plugin.as_str() == ECHO && running.instance.policy().echo {
        Effect::Echo { input: with }
    } else {
        plugin_effect(running, &call.plugin, with)?
    };
    Ok(start_attempt(running, effect))
}

fn plugin_effect(running: Running<'_>, plugin: &PluginName, input: Value) -> Result<Effect, Fault> {
    let policy = policy_of(running)?;
    let approved = policy.plugin.as_ref().filter(|approved| approved.name == *plugin).ok_or_else(|| {
        StandardError::Configuration.fault(format!("plugin `{plugin}` has no grants in this instance's policy"))
    })?;
    Ok(Effect::Plugin {
        plugin: plugin.clone(),
        digest: approved.digest.clone(),
        input,
        grants: Box::new(approved.grants.clone()),
        template: policy.template.clone(),
        mode: policy.mode,
        class: running.task.light.class.unwrap_or(DEFAULT_CLASS),
        approved: super::plans::approved(running)?,
    })
}

pub fn run(running: Running<'_>, run: &Run) -> Result<Event, Fault> {
    if !run.awaits {
        return children::start_detached(running, run);
    }
    let policy = policy_of(running)?;
    let input = running.input()?;
    let scope = running.scope(&input);
    let light = &running.task.light;
    let text = |template: &Template| text_of(template, &input, &scope);
    let command = Command {
        template: policy.template.clone(),
        command_name: None,
        dialogue: None,
        container: container(run, policy, text)?.map(Box::new),
        mode: policy.mode,
        argv: argv(run, policy, &input, &scope)?,
        environment: evaluate_all(&run.environment, text)?,
        stdin: run.stdin.as_ref().map(text).transpose()?,
        working_directory: String::new(),
        egress: light.egress.clone(),
        secrets: variables(&policy.secrets, &run.secrets),
        inputs: evaluate_all(&light.inputs, |template| artifact(&text(template)?))?,
        capture: light.capture.clone(),
        time_limit_ms: running.frame.time_limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
    };
    let class = light.class.unwrap_or(DEFAULT_CLASS);
    Ok(start_attempt(running, Effect::Command { command: Box::new(command), class }))
}

/// The process of a server that a call asks over its standard streams.
pub(super) fn server(
    running: Running<'_>,
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
) -> Result<Command, Fault> {
    let policy = policy_of(running)?;
    if argv.iter().chain(environment.values()).any(|text| text.contains('\0')) {
        return Err(StandardError::Expression.fault("an argument or a variable holds a NUL character"));
    }
    Ok(Command {
        template: policy.template.clone(),
        command_name: None,
        mode: policy.mode,
        argv,
        environment,
        stdin: None,
        working_directory: String::new(),
        egress: running.task.light.egress.clone(),
        secrets: variables(&policy.secrets, &BTreeMap::new()),
        inputs: BTreeMap::new(),
        capture: Vec::new(),
        // With the request, when it is carried out.
        time_limit_ms: 0,
        dialogue: None,
        container: None,
    })
}

pub(super) fn start_attempt(running: Running<'_>, effect: Effect) -> Event {
    let attempt = running.instance.last_attempt(running.path);
    Event::AttemptStarted { path: running.path.clone(), attempt, effect: Box::new(effect) }
}

fn policy_of(running: Running<'_>) -> Result<&TaskPolicy, Fault> {
    running.instance.policy().of(running.path).ok_or_else(|| {
        let reference = &running.task.reference;
        StandardError::Configuration.fault(format!("this instance's policy says nothing about `{reference}`"))
    })
}

/// Program and arguments, each of which stays one argument. A shell reads what the
/// author wrote as more than a word, and never what an expression gave.
fn argv(run: &Run, policy: &TaskPolicy, input: &Value, scope: &Scope<'_>) -> Result<Vec<String>, Fault> {
    let mut argv = match &run.process {
        Process::Shell { command } => command_words(command, input, scope)?,
        Process::Container(container) => match &container.command {
            // Instead of all that the image would start: what is read in the definition is what runs.
            Some(command) => command_words(command, input, scope)?,
            None => image_words(pinned(policy)?, run.arguments.is_empty())?,
        },
        Process::Script { language, code } => {
            let code = text_of(code, input, scope)?;
            let words: &[&str] = match language.as_str() {
                "python" | "python3" => &["python3", "-c", &code],
                "js" | "javascript" => &["node", "-e", &code],
                // What follows the code is `$0`; the arguments begin at `$1`.
                "sh" => &["sh", "-c", &code, "script"],
                "bash" => &["bash", "-c", &code, "script"],
                other => {
                    let detail = format!("`run.script` knows `python`, `js`, `sh` and `bash`, not `{other}`");
                    return Err(StandardError::Configuration.fault(detail));
                }
            };
            words.iter().map(|word| (*word).to_owned()).collect()
        }
    };
    for argument in &run.arguments {
        argv.push(text_of(argument, input, scope)?);
    }
    if argv.iter().any(|argument| argument.contains('\0')) {
        return Err(StandardError::Expression.fault("an argument holds a NUL character"));
    }
    Ok(argv)
}

fn command_words(command: &Template, input: &Value, scope: &Scope<'_>) -> Result<Vec<String>, Fault> {
    let text = text_of(command, input, scope)?;
    Ok(match command.is_literal() && !is_word(&text) {
        // As with a script.
        true => ["sh", "-c", &text, "command"].map(str::to_owned).to_vec(),
        false => vec![text],
    })
}

/// What an image starts. Arguments take the place of those that it would give
/// its entry point; where it has none, they are added to its command.
fn image_words(image: &PinnedImage, alone: bool) -> Result<Vec<String>, Fault> {
    let command = if alone || image.entrypoint.is_empty() { &image.command[..] } else { &[] };
    let words: Vec<String> = image.entrypoint.iter().chain(command).cloned().collect();
    if words.is_empty() {
        let detail =
            format!("image `{}` does not say what it starts; give the task a `command`", image.image.reference);
        return Err(StandardError::Configuration.fault(detail));
    }
    Ok(words)
}

fn pinned(policy: &TaskPolicy) -> Result<&PinnedImage, Fault> {
    policy.image.as_ref().and_then(|image| image.pinned.as_ref()).ok_or_else(|| {
        StandardError::Configuration.fault("this instance was started without knowing the image of this task")
    })
}

/// What a `run.container` runs in.
fn container(
    run: &Run,
    policy: &TaskPolicy,
    text: impl Fn(&Template) -> Result<String, Fault>,
) -> Result<Option<Container>, Fault> {
    let Process::Container(container) = &run.process else { return Ok(None) };
    let host_name = container.name.as_ref().map(text).transpose()?;
    if let Some(wrong) = host_name.as_ref().and_then(|name| check_host_name(name).err()) {
        return Err(StandardError::Validation.fault(wrong));
    }
    Ok(Some(Container { image: pinned(policy)?.image.clone(), host_name }))
}

/// Whether a shell would find one plain word in it.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| letter.is_alphanumeric() || "_-./+@%:,".contains(letter))
}

/// Texts, numbers and booleans can be arguments; `null` and structures cannot.
pub(super) fn text_of(template: &Template, input: &Value, scope: &Scope<'_>) -> Result<String, Fault> {
    match template.evaluate(input, scope)? {
        Value::String(text) => Ok(text),
        scalar @ (Value::Bool(_) | Value::Number(_)) => Ok(scalar.to_string()),
        other @ (Value::Null | Value::Array(_) | Value::Object(_)) => {
            let source = &template.source;
            Err(StandardError::Expression.fault(format!("{source} gives {other}: a command takes texts and numbers")))
        }
    }
}

fn evaluate_all<T>(
    templates: &BTreeMap<String, Template>,
    evaluate: impl Fn(&Template) -> Result<T, Fault>,
) -> Result<BTreeMap<String, T>, Fault> {
    templates.iter().map(|(name, template)| Ok((name.clone(), evaluate(template)?))).collect()
}

fn artifact(reference: &str) -> Result<ArtifactUri, Fault> {
    ArtifactUri::new(reference).map_err(|error| StandardError::Expression.fault(error.to_string()))
}

/// What an attempt's outcome means for its task; none while it is open.
pub fn conclude(running: Running<'_>, attempting: &Attempting) -> Option<Event> {
    let outcome = attempting.outcome.as_deref()?;
    Some(match outcome {
        EffectOutcome::Output { output } => running.complete(output.clone()),
        EffectOutcome::Faulted { error } => running.fault(error.clone()),
        EffectOutcome::Command { result } => {
            running.or_fault(command_output(running, result).map(|output| running.complete(output)))
        }
        EffectOutcome::Unknown { detail } => unknown(running, attempting, detail),
    })
}

/// Run again what may be run again; the rest is for the definition's `try`, or
/// for a person. Never blindly twice.
pub(super) fn unknown(running: Running<'_>, attempting: &Attempting, detail: &str) -> Event {
    let repeat = match attempting.effect.class() {
        EffectClass::Pure | EffectClass::Idempotent => attempting.unknown_count < UNKNOWN_MAX,
        EffectClass::Reconcilable | EffectClass::Manual => false,
    };
    if repeat {
        return Event::AttemptStarted {
            path: running.path.clone(),
            attempt: attempting.attempt + 1,
            effect: attempting.effect.clone(),
        };
    }
    running.fault(own_fault("outcome-unknown", 500, "nobody knows whether it happened", detail))
}

fn command_output(running: Running<'_>, result: &CommandResult) -> Result<Value, Fault> {
    let returns = match &running.task.kind {
        TaskKind::Run(run) => run.returns,
        TaskKind::Do(_)
        | TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Outbound(_)
        | TaskKind::RunWorkflow(_)
        | TaskKind::Ask(_)
        | TaskKind::Try(_)
        | TaskKind::Raise(_)
        | TaskKind::For(_)
        | TaskKind::Fork(_)
        | TaskKind::Function(_)
        | TaskKind::Wait(_)
        | TaskKind::Emit(_)
        | TaskKind::Listen(_) => RunReturn::Result,
    };
    let ended_by_itself = matches!(result.status, CommandStatus::Succeeded | CommandStatus::Failed);
    let asked_for_code = matches!(returns, RunReturn::Code | RunReturn::All);
    if result.status != CommandStatus::Succeeded && !(ended_by_itself && asked_for_code) {
        return Err(command_fault(result));
    }
    Ok(match returns {
        RunReturn::Stdout => result.stdout_excerpt.clone().into(),
        RunReturn::Stderr => result.stderr_excerpt.clone().into(),
        RunReturn::Code => json!(result.exit_code),
        RunReturn::All => json!({
            "code": result.exit_code,
            "stdout": result.stdout_excerpt,
            "stderr": result.stderr_excerpt,
        }),
        RunReturn::None => Value::Null,
        RunReturn::Result => serde_json::to_value(result)
            .map_err(|error| StandardError::Runtime.fault(format!("the result is no JSON: {error}")))?,
    })
}

fn command_fault(result: &CommandResult) -> Fault {
    // What a command says last is most often why it failed.
    let said = result.stderr_excerpt.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let summary = &match said.map(|said| excerpt(said, SAID_BYTES_MAX)) {
        Some(said) => format!("{}: {said}", result.summary),
        None => result.summary.clone(),
    };
    match result.status {
        CommandStatus::TimedOut => StandardError::Timeout.fault(summary.clone()),
        CommandStatus::Killed => own_fault("command-killed", 500, "the command was killed", summary),
        CommandStatus::PolicyViolation => own_fault("policy-violation", 403, "the sandbox refused it", summary),
        CommandStatus::Failed | CommandStatus::Succeeded => {
            own_fault("command-failed", 500, "the command failed", summary)
        }
    }
}

pub(super) fn own_fault(name: &str, status: u16, title: &str, detail: &str) -> Fault {
    Fault {
        kind: format!("{OWN_ERRORS}{name}"),
        status,
        title: Some(title.to_owned()),
        detail: Some(detail.to_owned()),
        instance: None,
    }
}
