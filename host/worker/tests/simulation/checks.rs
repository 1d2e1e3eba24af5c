//! What must hold at the end of every story.

use std::collections::BTreeMap;
use std::sync::Arc;

use store::{Store, rebuild_check};
use workflow::InstanceId;
use workflow::definition::Definition;
use workflow::engine::{Instance, Phase};
use workflow::event::Event;

pub async fn histories(
    store: &dyn Store,
    definition: &Arc<Definition>,
    instances: &[InstanceId],
) -> Result<(), String> {
    for id in instances {
        let history = store.history(id, 0).await.map_err(|error| error.to_string())?;
        let instance = Instance::fold(id.clone(), definition.clone(), history.clone())
            .map_err(|error| format!("`{id}` cannot be folded: {error}"))?;
        if instance.phase() != Phase::Completed {
            return Err(format!("`{id}` ended {:?}: {:?}", instance.phase(), instance.error()));
        }
        if instance.output() != Some(&serde_json::json!({ "done": true })) {
            return Err(format!("`{id}` gave {:?}", instance.output()));
        }
        let mut results: BTreeMap<(String, u32), u32> = BTreeMap::new();
        let mut answers = 0;
        let mut race = Vec::new();
        for recorded in &history {
            match &recorded.event {
                Event::AttemptCompleted { path, attempt, .. } => {
                    *results.entry((path.to_string(), *attempt)).or_default() += 1;
                }
                Event::QuestionAnswered { .. } => answers += 1,
                Event::TaskCompleted { path, .. } | Event::TaskCancelled { path }
                    if path.as_str().contains("/race/fork/") =>
                {
                    race.push((path.task_name().to_owned(), recorded.event.name()));
                }
                _ => {}
            }
        }
        if let Some((key, count)) = results.iter().find(|(_, count)| **count != 1) {
            return Err(format!("`{id}` recorded {count} outcomes of {key:?}"));
        }
        // Three items, three tries of `risky`, both branches, and `last`; in the
        // race `quick` and `person` may have come to an end.
        if !(9..=10).contains(&results.len()) || !(1..=2).contains(&answers) {
            return Err(format!("`{id}` recorded {} attempts and {answers} answers", results.len()));
        }
        let winners = race.iter().filter(|(_, event)| *event == "TaskCompleted").count();
        if race.len() != 3 || winners != 1 {
            return Err(format!("the race of `{id}` went {race:?}"));
        }
    }
    rebuild_check(store, None).await.map_err(|problem| problem.to_string())?;
    Ok(())
}
