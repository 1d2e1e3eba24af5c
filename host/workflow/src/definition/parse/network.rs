//! What a task may not that stands in a document from the network.
//!
//! Whoever serves that document decides what is in it the next time it is
//! fetched, and nobody here reviews that. So it may compute, ask other systems
//! that the operator approved, and act in a sandbox of its own, which holds
//! nothing; it gets no power of this host, and speaks to nobody in its name.

use super::super::model::{LightMetadata, TaskKind};
use crate::capability::Grants;
use crate::command::SandboxMode;
use crate::located::Field;

const HELP: &str = "keep the function in a file beside the definition, where it is reviewed";

/// Where a task may act, and with what.
pub fn confined(mut light: LightMetadata, task: &Field) -> LightMetadata {
    if !task.problems.shelf.is_network() {
        return light;
    }
    let given = [
        ("security.secrets", !light.secrets.is_empty()),
        ("security.sandbox.mode: workflow-session", light.mode == Some(SandboxMode::WorkflowSession)),
        ("grants", light.grants != Grants::default()),
        ("egress", !light.egress.is_empty()),
        ("artifactPolicy", !light.inputs.is_empty() || !light.capture.is_empty()),
    ];
    for (field, _) in given.iter().filter(|(_, is_given)| *is_given) {
        task.error(format!("a function from the network may not have `metadata.lightWorkflow.{field}`"), Some(HELP));
    }
    light.mode = Some(SandboxMode::PerTask);
    light
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
