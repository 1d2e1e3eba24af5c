//! What a definition will ask of plugins, as far as its input alone says.
//!
//! Nothing is done: the engine walks the flow, and each effect is answered with
//! a value that means nothing. It walks several times with other answers; a
//! call that is the same each time does not depend on what runs before it. The
//! answers are few, so a forecast is for people to read. What binds is the plan
//! that an attempt records before it runs anything ([`crate::capability::Planned`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::capability::EffectivePolicy;
use crate::definition::{Definition, TaskKind, each_task};
use crate::effect::{Effect, EffectOutcome};
use crate::engine::{Instance, start};
use crate::event::{Decision, Event, Question};
use crate::ids::{Actor, InstanceId, TaskPath, Timestamp};

/// A call of a plugin that will be made.
#[derive(Debug, Clone, PartialEq)]
pub struct KnownCall {
    pub path: TaskPath,
    /// Always [`Effect::Plugin`].
    pub effect: Effect,
}

/// What is known before anything runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forecast {
    /// In the order of the flow.
    pub known: Vec<KnownCall>,
    /// References of the plugin tasks whose input comes from what runs before them, or that may not be reached.
    pub unknown: Vec<String>,
}

/// More than a release has; a loop that never ends has to end here.
const EFFECTS_MAX: usize = 10_000;

/// Walks `definition` with this input. Questions are answered as the flow goes on; timers are over at once.
pub fn forecast(definition: &Arc<Definition>, input: &Value, policy: &EffectivePolicy, now: Timestamp) -> Forecast {
    let answers = [Value::Null, json!("not known"), json!({ "not": "known" }), json!([])];
    let mut walks = answers.iter().map(|answer| walk(definition, input, policy, now, answer));
    let mut known = walks.next().unwrap_or_default();
    for other in walks {
        let others: BTreeMap<_, _> = other.into_iter().map(|call| (call.path, call.effect)).collect();
        known.retain(|call| others.get(&call.path) == Some(&call.effect));
    }
    let mut unknown = Vec::new();
    each_task(&definition.tasks, &mut |task| {
        let is_plugin = policy.tasks.get(&task.reference).is_some_and(|task| task.plugin.is_some());
        let is_known = known.iter().any(|call| call.path.reference() == task.reference);
        if is_plugin && !is_known && matches!(task.kind, TaskKind::Call(_)) {
            unknown.push(task.reference.clone());
        }
    });
    Forecast { known, unknown }
}

/// The plugin calls of one walk, the first at each path.
fn walk(
    definition: &Arc<Definition>,
    input: &Value,
    policy: &EffectivePolicy,
    mut now: Timestamp,
    answer: &Value,
) -> Vec<KnownCall> {
    let id = InstanceId::new("forecast").expect("a fixed name is valid");
    let (mut instance, _) = start(definition, id, input.clone(), by(), policy.clone(), now);
    let mut calls: Vec<KnownCall> = Vec::new();
    let mut effects = 0;
    while !instance.phase().is_final() && effects < EFFECTS_MAX {
        let mut facts = answered(&instance, now);
        for open in instance.open_attempts() {
            effects += 1;
            if let Effect::Plugin { .. } = open.effect
                && !calls.iter().any(|call| call.path == open.path)
            {
                calls.push(KnownCall { path: open.path.clone(), effect: open.effect.clone() });
            }
            facts.push(Event::AttemptCompleted {
                path: open.path,
                attempt: open.attempt,
                outcome: Box::new(EffectOutcome::Output { output: answer.clone() }),
            });
        }
        if facts.is_empty() {
            match instance.next_wake() {
                Some(wake) => now = now.max(wake),
                None => break,
            }
        }
        // What cannot follow from a meaningless answer ends the walk: what is beyond is not known.
        if instance.advance(facts, now).is_err() {
            break;
        }
    }
    calls
}

/// Open questions, answered so that the flow goes on.
fn answered(instance: &Instance, now: Timestamp) -> Vec<Event> {
    let decide = |question: &Question| {
        let first = question.options.first().map(|option| option.value.clone()).unwrap_or_default();
        let approves = question.options.iter().any(|option| option.value == "approved");
        Decision {
            value: if approves { "approved".to_owned() } else { first },
            decided_by: by(),
            decided_at: now,
            subject_digest: question.subject_digest.clone(),
            comment: None,
        }
    };
    let answer = |open: crate::engine::OpenQuestion<'_>| Event::QuestionAnswered {
        decision: decide(open.question),
        path: open.path,
    };
    instance.open_questions().map(answer).collect()
}

fn by() -> Actor {
    Actor::new("forecast").expect("a fixed name is valid")
}
