//! What must hold at the end of every story.

use std::collections::{BTreeMap, BTreeSet};

use store::{InstanceFilter, Store, rebuild_check};
use workflow::engine::{Instance, Phase};
use workflow::event::Event;
use workflow::{Effect, InstanceId, Recorded};

use crate::definitions::Programs;
use crate::rules::Rules;

/// Folds every history of the store and looks for what was lost, doubled or too early.
pub async fn histories(
    store: &dyn Store,
    programs: &Programs,
    mains: &[InstanceId],
    watcher: &InstanceId,
    rules: &mut Rules,
) -> Result<(), String> {
    for row in store.instances(InstanceFilter::default()).await.map_err(|error| error.to_string())? {
        let history = store.history(&row.id, 0).await.map_err(|error| error.to_string())?;
        let definition = programs.all().into_iter().find(|known| known.digest == row.definition);
        let definition = definition.ok_or_else(|| format!("`{}` runs something unknown", row.id))?;
        let instance = Instance::fold(row.id.clone(), definition.clone(), history.clone())
            .map_err(|error| format!("`{}` cannot be folded: {error}", row.id))?;
        if instance.phase() != Phase::Completed {
            return Err(format!("`{}` ended {:?}: {:?}", row.id, instance.phase(), instance.error()));
        }
        let outcomes = outcomes(&row.id, &history)?;
        nothing_starts_while_suspended(&row.id, &history, rules)?;
        if !store.listeners(&row.id).await.map_err(|error| error.to_string())?.is_empty() {
            return Err(format!("`{}` has ended and still listens", row.id));
        }
        let expected = if definition.digest == programs.main.digest {
            is_main(store, &instance, &history, rules).await?;
            // Three items, three tries of `risky`, three branches, the winner, the child, what is left alone, three
            // ticks, and `last`.
            16
        } else if definition.digest == programs.child.digest || definition.digest == programs.detached().digest {
            1
        } else {
            0
        };
        if outcomes != expected {
            return Err(format!("`{}` recorded {outcomes} outcomes, not {expected}", row.id));
        }
    }
    everybody_was_heard(store, mains, watcher).await?;
    rebuild_check(store, None).await.map_err(|problem| problem.to_string())?;
    Ok(())
}

/// The number of attempts that ended, each once.
fn outcomes(id: &InstanceId, history: &[Recorded]) -> Result<usize, String> {
    let mut results: BTreeMap<(String, u32), u32> = BTreeMap::new();
    for recorded in history {
        if let Event::AttemptCompleted { path, attempt, .. } = &recorded.event {
            *results.entry((path.to_string(), *attempt)).or_default() += 1;
        }
    }
    match results.iter().find(|(_, count)| **count != 1) {
        Some((key, count)) => Err(format!("`{id}` recorded {count} outcomes of {key:?}")),
        None => Ok(results.len()),
    }
}

/// Facts that were on their way may come; nothing new may begin.
fn nothing_starts_while_suspended(id: &InstanceId, history: &[Recorded], rules: &mut Rules) -> Result<(), String> {
    let mut suspended = false;
    for recorded in history {
        match &recorded.event {
            Event::InstanceSuspended { .. } => {
                suspended = true;
                rules.suspended += 1;
            }
            Event::InstanceResumed { .. } => suspended = false,
            Event::AttemptCompleted { .. } | Event::QuestionAnswered { .. } | Event::EventConsumed { .. } => {}
            other if suspended => return Err(format!("`{id}` is suspended, and then comes {}", other.name())),
            _ => {}
        }
    }
    Ok(())
}

async fn is_main(
    store: &dyn Store,
    instance: &Instance,
    history: &[Recorded],
    rules: &mut Rules,
) -> Result<(), String> {
    let id = instance.id();
    if instance.output() != Some(&serde_json::json!({ "done": true })) {
        return Err(format!("`{id}` gave {:?}", instance.output()));
    }
    let mut ticks = Vec::new();
    let mut intended = BTreeSet::new();
    let mut answers = 0;
    for recorded in history {
        match &recorded.event {
            Event::QuestionAnswered { .. } => answers += 1,
            Event::EventConsumed { event, .. } => ticks.push(event.id().parse::<u64>().unwrap_or_default()),
            Event::AttemptStarted { effect, .. } => {
                if let Effect::Workflow { child, .. } = effect.as_ref() {
                    intended.insert(child.clone());
                }
            }
            _ => {}
        }
    }
    if answers != 1 {
        return Err(format!("`{id}` recorded {answers} answers"));
    }
    // Every tick fits, so one that is missing in between was lost, and one that comes twice doubled.
    rules.events_consumed += ticks.len() as u64;
    if ticks.len() != 3 || !ticks.windows(2).all(|two| two[1] == two[0] + 1) {
        return Err(format!("`{id}` consumed the ticks {ticks:?}"));
    }
    let filter = InstanceFilter { parent: Some(id.clone()), ..InstanceFilter::default() };
    let children = store.instances(filter).await.map_err(|error| error.to_string())?;
    rules.children_started += children.len() as u64;
    if children.iter().map(|child| child.id.clone()).collect::<BTreeSet<_>>() != intended || intended.len() != 2 {
        return Err(format!("`{id}` intended {intended:?} and has {} children", children.len()));
    }
    Ok(())
}

async fn everybody_was_heard(store: &dyn Store, mains: &[InstanceId], watcher: &InstanceId) -> Result<(), String> {
    let history = store.history(watcher, 0).await.map_err(|error| error.to_string())?;
    let mut heard: Vec<String> = history
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::EventConsumed { event, .. } => event.data().as_str().map(str::to_owned),
            _ => None,
        })
        .collect();
    heard.sort();
    let told: Vec<String> = mains.iter().map(ToString::to_string).collect();
    if heard != told {
        return Err(format!("the watcher consumed what {heard:?} told"));
    }
    Ok(())
}
