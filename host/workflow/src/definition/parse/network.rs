//! What a task may not that stands in a document from the network.
//!
//! Whoever serves that document decides what is in it the next time it is
//! fetched, and nobody here reviews that. So it may compute, ask other systems
//! that the operator approved, and act in a sandbox of its own, which holds
//! nothing; it gets no power of this host, and speaks to nobody in its name.
//! The same holds for a task of ours that runs a script from the network.

use super::super::model::{LightMetadata, Run, TaskKind};
use crate::capability::Grants;
use crate::command::SandboxMode;
use crate::documents::DocumentName;
use crate::located::{Field, NodeValue};

const HELP: &str = "keep it in a file beside the definition, where it is reviewed";

/// Where a task may act, and with what.
pub fn confined(mut light: LightMetadata, run: Option<&Run>, task: &Field) -> LightMetadata {
    let what = if task.problems.shelf.is_network() {
        "function"
    } else if runs_a_script_of_the_network(task) {
        "script"
    } else {
        return light;
    };
    let given = [
        ("security.secrets", !light.secrets.is_empty()),
        ("security.sandbox.mode: workflow-session", light.mode == Some(SandboxMode::WorkflowSession)),
        ("grants", light.grants != Grants::default()),
        ("egress", !light.egress.is_empty()),
        ("artifactPolicy", !light.inputs.is_empty() || !light.capture.is_empty()),
        ("onFailure", !light.on_failure.0.is_empty()),
    ];
    for (field, _) in given.iter().filter(|(_, is_given)| *is_given) {
        task.error(format!("a {what} from the network may not have `metadata.lightWorkflow.{field}`"), Some(HELP));
    }
    if run.is_some_and(|run| !run.secrets.is_empty()) {
        task.error(format!("a {what} from the network may not use secrets"), Some(HELP));
    }
    light.mode = Some(SandboxMode::PerTask);
    light
}

/// Whether `run.script.source` of a task is a URL; its reader says what else is wrong with it.
fn runs_a_script_of_the_network(task: &Field) -> bool {
    let reference = task.node.at("/run/script/source/endpoint").and_then(|endpoint| match &endpoint.value {
        NodeValue::Map(_) => endpoint.get("uri")?.text(),
        _ => endpoint.text(),
    });
    let name = reference.map(|reference| DocumentName::default().resolve(reference.trim()));
    matches!(name, Some(Ok(DocumentName::Url(_))))
}

/// Whether `call` may name a function of `use.functions`, which may have all that the definition may.
pub fn may_call_ours(call: &Field, name: &str) -> bool {
    let is_network = call.problems.shelf.is_network();
    if is_network {
        call.error(format!("a function from the network may not call `{name}` of `use.functions`"), Some(HELP));
    }
    !is_network
}

/// Refuses kinds of task that people or other workflows would take for this host's own word.
pub fn refuse(kind: &TaskKind, task: &Field) {
    if !task.problems.shelf.is_network() {
        return;
    }
    let what = match kind {
        TaskKind::Ask(_) => "ask a person",
        TaskKind::Emit(_) => "emit events",
        TaskKind::RunWorkflow(_) => "run workflows",
        TaskKind::Outbound(outbound) if outbound.secrets().next().is_some() => "use secrets",
        TaskKind::Outbound(_)
        | TaskKind::Do(_)
        | TaskKind::Set(_)
        | TaskKind::Switch(_)
        | TaskKind::Assert(_)
        | TaskKind::Call(_)
        | TaskKind::Run(_)
        | TaskKind::Try(_)
        | TaskKind::Raise(_)
        | TaskKind::For(_)
        | TaskKind::Fork(_)
        | TaskKind::Function(_)
        | TaskKind::Wait(_)
        | TaskKind::Listen(_) => return,
    };
    task.error(format!("a function from the network may not {what}"), Some(HELP));
}
