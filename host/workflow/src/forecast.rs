//! What a definition will ask of plugins, as far as its input alone says.
//!
//! Nothing is done: the engine walks the flow, and each effect is answered with
//! a value that means nothing. It walks several times with other answers; a
//! call that is the same each time does not depend on what runs before it. The
//! answers are few, so a forecast is for people to read. What binds is the plan
//! that an attempt records before it runs anything ([`crate::capability::Planned`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::capability::EffectivePolicy;
use crate::definition::{Definition, ErrorFilter, TaskKind, TaskList, each_task};
use crate::effect::{Effect, EffectOutcome, Fault, OWN_ERRORS};
use crate::engine::{Instance, begun};
use crate::event::{Decision, Event, Question};
use crate::ids::{Actor, InstanceId, TaskPath, Timestamp};
use crate::plan::StepToPlan;

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
const TURNS_MAX: usize = 10_000;

/// So often a walk comes by one place: a loop that waits for an answer which
/// means nothing goes on for ever, and shows nothing new.
const VISITS_MAX: u32 = 32;

/// The same for timers: they are over at once, and a circle of nothing but waiting has no other end.
const TIMERS_MAX: u32 = 256;

/// Walks `definition` with this input. Questions are answered as the flow goes on; timers are over at once.
pub fn forecast(definition: &Arc<Definition>, input: &Value, policy: &EffectivePolicy, now: Timestamp) -> Forecast {
    let id = InstanceId::new("forecast").expect("a fixed name is valid");
    let (instance, _) = begun(definition, id, input.clone(), by(), policy.clone(), now);
    let known = the_same_each_time(&instance, now, &Leaning::default());
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

/// What is known of the steps that a question is about.
pub(crate) struct Foreseen {
    /// In the order of the flow.
    pub steps: Vec<StepToPlan>,
    /// Names of the tasks of which no step is known.
    pub not_known: Vec<String>,
}

/// What follows for these tasks, given as references, when the flow goes on
/// from where `instance` stands.
///
/// Steps that an error or a condition on the way leads to are come to as well:
/// other walks fail the block of a `try` whose handler holds one of the tasks,
/// and take the `if` of each task around one of them for true.
pub(crate) fn foreseen(instance: &Instance, tasks: &[String], now: Timestamp) -> Foreseen {
    let definition = instance.definition();
    let straight = the_same_each_time(instance, now, &Leaning::default());
    let leaning = Leaning::towards(definition, tasks);
    let failing = if leaning.is_straight() { Vec::new() } else { the_same_each_time(instance, now, &leaning) };
    let find = |calls: &[KnownCall], path: &TaskPath| calls.iter().find(|call| call.path == *path).cloned();
    // Walks that lean towards the tasks come by more than the others.
    let beyond = straight.iter().filter(|call| find(&failing, &call.path).is_none());
    let mut steps = Vec::new();
    for call in failing.iter().chain(beyond).filter(|call| tasks.contains(&call.path.reference())) {
        let on_the_straight_way = find(&straight, &call.path);
        let differs = on_the_straight_way.as_ref().is_some_and(|other| other != call);
        let Effect::Plugin { plugin, digest, input, .. } = &call.effect else { continue };
        if !differs {
            steps.push(StepToPlan {
                path: call.path.clone(),
                plugin: plugin.clone(),
                digest: digest.clone(),
                input: input.clone(),
                certain: on_the_straight_way.is_some() || !leaning.leads_to(&call.path.reference()),
            });
        }
    }
    let mut not_known = Vec::new();
    each_task(&definition.tasks, &mut |task| {
        let is_known = || steps.iter().any(|step| step.path.reference() == task.reference);
        if tasks.contains(&task.reference) && !is_known() {
            not_known.push(task.name.clone());
        }
    });
    Foreseen { steps, not_known }
}

/// What brings a walk to tasks that an answer which means nothing leads past.
#[derive(Default)]
struct Leaning {
    /// Where it is to fail, as the beginning of references, and with what.
    failures: Vec<(String, Fault)>,
    /// References of the tasks whose `if` counts as true.
    wanted: Arc<BTreeSet<String>>,
}

impl Leaning {
    fn towards(definition: &Definition, tasks: &[String]) -> Self {
        let holds = |list: &TaskList| {
            let mut holds = false;
            each_task(list, &mut |inside| holds |= tasks.contains(&inside.reference));
            holds
        };
        let (mut failures, mut wanted) = (Vec::new(), BTreeSet::new());
        each_task(&definition.tasks, &mut |task| {
            let is_around = || tasks.contains(&task.reference) || task.lists().into_iter().any(holds);
            if task.condition.is_some() && is_around() {
                wanted.insert(task.reference.clone());
            }
            if let TaskKind::Try(block) = &task.kind
                && block.handler.as_ref().is_some_and(holds)
            {
                failures.push((format!("{}/try/", task.reference), caught_by(&block.errors)));
            }
        });
        Self { failures, wanted: Arc::new(wanted) }
    }

    /// Whether a task is come to for what is assumed here, and not only after it.
    fn leads_to(&self, reference: &str) -> bool {
        let is_in =
            |around: &str| reference.strip_prefix(around).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let handles = |block: &str| block.strip_suffix("/try/").is_some_and(|task| is_in(&format!("{task}/catch")));
        self.wanted.iter().any(|task| is_in(task)) || self.failures.iter().any(|(block, _)| handles(block))
    }

    fn is_straight(&self) -> bool {
        self.failures.is_empty() && self.wanted.is_empty()
    }
}

/// An error that passes the filter.
fn caught_by(filter: &ErrorFilter) -> Fault {
    let ErrorFilter { kind, status, instance, title, detail } = filter.clone();
    Fault {
        kind: kind.unwrap_or_else(|| format!("{OWN_ERRORS}step-failed")),
        status: status.unwrap_or(500),
        title,
        detail: detail.or_else(|| Some("foretold".to_owned())),
        instance,
    }
}

/// The plugin calls that every walk comes by with the same input, whatever the others answer.
fn the_same_each_time(instance: &Instance, now: Timestamp, leaning: &Leaning) -> Vec<KnownCall> {
    let answers = [Value::Null, json!("not known"), json!({ "not": "known" }), json!([])];
    let mut walks = answers.iter().map(|answer| walk(instance.imagined(leaning.wanted.clone()), now, answer, leaning));
    let mut known = walks.next().unwrap_or_default();
    for other in walks {
        let others: BTreeMap<_, _> = other.into_iter().map(|call| (call.path, call.effect)).collect();
        known.retain(|call| others.get(&call.path) == Some(&call.effect));
    }
    known
}

/// The plugin calls of one walk, the first at each path.
fn walk(mut instance: Instance, mut now: Timestamp, answer: &Value, leaning: &Leaning) -> Vec<KnownCall> {
    let mut calls: Vec<KnownCall> = Vec::new();
    let mut visits: BTreeMap<TaskPath, u32> = BTreeMap::new();
    let (mut turns, mut timers) = (0, 0);
    if instance.advance(Vec::new(), now).is_err() {
        return calls;
    }
    while !instance.phase().is_final() && turns < TURNS_MAX {
        let mut facts = answered(&instance, now);
        let mut visit = |path: &TaskPath| *visits.entry(path.clone()).and_modify(|count| *count += 1).or_insert(1);
        let mut often = facts.iter().filter_map(Event::path).map(&mut visit).max().unwrap_or_default();
        turns += 1;
        for open in instance.open_attempts() {
            turns += 1;
            let count = visit(&open.path);
            often = often.max(count);
            if let Effect::Plugin { .. } = open.effect
                && count == 1
            {
                calls.push(KnownCall { path: open.path.clone(), effect: open.effect.clone() });
            }
            let reference = open.path.reference();
            let failure = leaning.failures.iter().find(|(block, _)| reference.starts_with(block));
            facts.push(Event::AttemptCompleted {
                path: open.path,
                attempt: open.attempt,
                outcome: Box::new(match failure {
                    Some((_, error)) => EffectOutcome::Faulted { error: error.clone() },
                    None => EffectOutcome::Output { output: answer.clone() },
                }),
            });
        }
        if often > VISITS_MAX {
            break;
        }
        if facts.is_empty() {
            timers += 1;
            match instance.next_wake().filter(|_| timers <= TIMERS_MAX) {
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
    let decide = |path: &TaskPath, question: &Question| {
        let reference = path.reference();
        let mut proceeds = Vec::new();
        each_task(&instance.definition().tasks, &mut |task| {
            if let TaskKind::Ask(ask) = &task.kind
                && task.reference == reference
            {
                proceeds.clone_from(&ask.proceed_on);
            }
        });
        let values = || question.options.iter().map(|option| &option.value);
        let goes_on = values().find(|value| proceeds.contains(value)).or_else(|| values().next());
        Decision {
            value: goes_on.cloned().unwrap_or_default(),
            decided_by: by(),
            decided_at: now,
            subject_digest: question.subject_digest.clone(),
            comment: None,
        }
    };
    let answer = |open: crate::engine::OpenQuestion<'_>| Event::QuestionAnswered {
        decision: decide(&open.path, open.question),
        path: open.path,
    };
    instance.open_questions().map(answer).collect()
}

fn by() -> Actor {
    Actor::new("forecast").expect("a fixed name is valid")
}
