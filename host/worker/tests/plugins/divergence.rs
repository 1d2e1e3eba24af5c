//! A replay that asks for something else ends as an error of its own, and runs nothing.

use std::sync::Mutex;

use serde_json::json;
use workflow::EffectOutcome;
use workflow::event::Event;

use crate::machine::{Death, Machine};
use crate::world::World;

/// The history of a build that was killed after its last command, changed.
async fn resumed(change: impl FnOnce(&mut Vec<Event>)) -> (String, u32) {
    let world = World::new(Machine::new([])).await;
    world.start("i").await;
    let history = Mutex::default();
    let attempt = world.attempt("cargo", "i", json!({ "operation": "build", "directory": "d", "fetch": true }));
    world.live(&attempt, Death::never(), &history).await.expect("it ends");
    let before = world.machine.started().len();
    change(&mut history.lock().unwrap());
    let outcome = world.live(&attempt, Death::never(), &history).await.expect("it ends");
    let EffectOutcome::Faulted { error } = outcome else { panic!("it did not diverge: {outcome:?}") };
    assert_eq!(error.kind, "https://light-workflow.dev/errors/plugin-diverged");
    (error.detail.unwrap(), (world.machine.started().len() - before) as u32)
}

#[tokio::test]
async fn every_way_to_diverge_is_told() {
    let (text, started) = resumed(|history| {
        let Event::CommandStarted { command, .. } = &mut history[0] else { panic!("{history:?}") };
        command.command_name = Some("rust-release/git-bundle".parse().unwrap());
    })
    .await;
    assert_eq!(
        (text.as_str(), started),
        ("host call 1 was `exec rust-release/git-bundle` and is `exec rust-release/cargo-fetch` now", 0)
    );

    let (text, started) = resumed(|history| {
        let Event::CommandStarted { fingerprint, .. } = &mut history[0] else { panic!("{history:?}") };
        fingerprint.as_mut().unwrap().request = workflow::Digest::of(b"other parameters");
    })
    .await;
    assert_eq!(
        (text.as_str(), started),
        ("host call 1 is `exec rust-release/cargo-fetch` again, with other parameters", 0)
    );

    let (text, started) = resumed(|history| {
        let Event::CommandStarted { fingerprint, .. } = &mut history[2] else { panic!("{history:?}") };
        fingerprint.as_mut().unwrap().fuel = 1;
    })
    .await;
    assert!(
        text.starts_with("host call 2, `exec rust-release/cargo-build`, came after 1 units of fuel and comes after "),
        "{text}"
    );
    assert_eq!(started, 0);

    let (text, started) = resumed(|history| {
        let mut more = history[0].clone();
        let Event::CommandStarted { sequence, .. } = &mut more else { panic!("{history:?}") };
        *sequence = 9;
        history.push(more);
    })
    .await;
    assert_eq!(
        (text.as_str(), started),
        ("it ended before host call 9, `exec rust-release/cargo-fetch`, which it made the first time", 0)
    );
}

#[tokio::test]
async fn another_engines_fuel_and_an_older_history_are_not_compared() {
    let world = World::new(Machine::new([])).await;
    world.start("i").await;
    let attempt = world.attempt("cargo", "i", json!({ "operation": "build", "directory": "d", "fetch": true }));
    let history = Mutex::default();
    let first = world.live(&attempt, Death::never(), &history).await;
    for event in history.lock().unwrap().iter_mut() {
        if let Event::CommandStarted { fingerprint, sequence, .. } = event {
            match sequence {
                1 => *fingerprint = None,
                _ => {
                    let fingerprint = fingerprint.as_mut().unwrap();
                    (fingerprint.fuel, fingerprint.engine) = (1, "another".to_owned());
                }
            }
        }
    }
    assert_eq!(world.live(&attempt, Death::never(), &history).await, first);
}

#[tokio::test]
async fn a_recorded_denial_is_restored_without_asking_policy() {
    let world = World::new(Machine::new([])).await;
    world.start("i").await;
    let mut attempt = world.attempt("cargo", "i", json!({ "operation": "test", "directory": "d" }));
    let workflow::Effect::Plugin { grants, .. } = &mut attempt.effect else { unreachable!() };
    let all = grants.clone();
    grants.sandbox.as_mut().unwrap().commands.clear();
    let history = Mutex::default();
    let denied = world.live(&attempt, Death::never(), &history).await;
    let Some(EffectOutcome::Faulted { error }) = &denied else { panic!("{denied:?}") };
    assert_eq!(error.kind, "https://light-workflow.dev/errors/denied");
    // Policy would allow it now: the attempt goes the way that it went.
    let workflow::Effect::Plugin { grants, .. } = &mut attempt.effect else { unreachable!() };
    *grants = all;
    assert_eq!(world.live(&attempt, Death::never(), &history).await, denied);
    assert_eq!(world.machine.started(), []);
    assert_eq!(history.into_inner().unwrap().len(), 1, "it is recorded once");
}
