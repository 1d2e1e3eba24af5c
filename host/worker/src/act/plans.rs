//! What steps to come would run: asked of their plugins, for a person to see.

use plugin_host::CallError;
use workflow::EffectOutcome;
use workflow::effect::{Fault, StandardError};
use workflow::plan::{PlannedStep, ShownPlan, StepToPlan};

use super::Hands;
use super::command::chain;
use super::plugin::{faulted, outcome_of};

impl Hands {
    /// None: nothing is known, and the attempt is made again. A step that cannot
    /// say its plan ends it: nobody can approve what nobody sees.
    pub(super) async fn plan_steps(&self, steps: &[StepToPlan], not_known: &[String]) -> Option<EffectOutcome> {
        let mut planned = Vec::new();
        for step in steps {
            let component = match self.plugins.plugin(&self.plugin_host, &step.plugin, &step.digest).await {
                Ok(component) => component,
                Err(error) => return Some(of_step(step, faulted("plugin-not-loaded", 500, chain(&error)))),
            };
            let commands = match self.plugin_host.plan(&component, &step.input).await {
                Ok(commands) => commands,
                Err(CallError::Interrupted) => return None,
                Err(error) => return Some(of_step(step, outcome_of(error))),
            };
            planned.push(PlannedStep {
                path: step.path.clone(),
                plugin: step.plugin.clone(),
                digest: step.digest.clone(),
                certain: step.certain,
                commands,
            });
        }
        let shown = ShownPlan { steps: planned, not_known: not_known.to_vec() };
        Some(match serde_json::to_value(shown) {
            Ok(output) => EffectOutcome::Output { output },
            Err(error) => EffectOutcome::Faulted { error: StandardError::Runtime.fault(error.to_string()) },
        })
    }
}

/// The error, with the step that it is of.
fn of_step(step: &StepToPlan, outcome: EffectOutcome) -> EffectOutcome {
    match outcome {
        EffectOutcome::Faulted { error } => {
            let detail = error.detail.as_deref().unwrap_or_default();
            let detail = Some(format!("the plan of `{}` ({}): {detail}", step.path, step.plugin));
            EffectOutcome::Faulted { error: Fault { detail, ..error } }
        }
        EffectOutcome::Command { .. } | EffectOutcome::Output { .. } | EffectOutcome::Unknown { .. } => outcome,
    }
}
