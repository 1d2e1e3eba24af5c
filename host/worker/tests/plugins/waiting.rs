//! Steps that wait on commands hold no instances.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use workflow::effect::EffectClass;
use workflow::{Effect, EffectOutcome};

use crate::machine::{Death, Machine};
use crate::world::{World, host};

const STEPS: usize = 10_000;

/// Of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("its second number");
    pages * 4096
}

#[tokio::test]
async fn ten_thousand_steps_that_wait_on_commands_hold_no_instance() {
    let mut machine = Machine::new([]);
    machine.gate = tokio::sync::Semaphore::new(0);
    let world = Arc::new(World::in_memory(machine));
    let input = json!({ "operation": "build", "directory": "d" });
    // Loaded once before anything is measured.
    world.hands.plugins.plugin(&host(), &"cargo".parse().unwrap(), &world.digest("cargo")).await.unwrap();
    let before = resident();
    let mut steps = tokio::task::JoinSet::new();
    for number in 0..STEPS {
        world.start(&format!("i{number}")).await;
        let (world, attempt) = (world.clone(), world.attempt("cargo", &format!("i{number}"), input.clone()));
        steps.spawn(async move { world.live(&attempt, Death::never(), &Mutex::default()).await });
    }
    let deadline = std::time::Instant::now() + Duration::from_secs(300);
    while world.machine.started().len() < STEPS || host().instances() > 0 {
        assert!(std::time::Instant::now() < deadline, "{} of {STEPS} wait", world.machine.started().len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let each = resident().saturating_sub(before) / STEPS as u64;
    // An instance alone has 62 kB; what is left is the command, its key and its journal.
    assert!(each < 40_000, "{each} bytes for each waiting step");
    world.machine.gate.add_permits(STEPS);
    while let Some(ended) = steps.join_next().await {
        assert!(matches!(ended.unwrap(), Some(EffectOutcome::Output { .. })));
    }
    assert_eq!(world.machine.started().len(), STEPS);
    assert!(world.machine.started().iter().all(|(_, times)| *times == 1), "no command was started twice");
    assert_eq!(host().instances(), 0);
}

/// It gives up its instance after two seconds; what it may take is more than that. Nobody
/// knows what a command came to that was under way, so only what may be done twice just failed.
#[tokio::test]
async fn a_step_that_gave_up_its_instance_ends_when_its_time_is_up() {
    for class in [EffectClass::Idempotent, EffectClass::Reconcilable] {
        let mut machine = Machine::new([]);
        machine.gate = tokio::sync::Semaphore::new(0);
        let world = World::in_memory(machine);
        world.start("i").await;
        let mut attempt = world.attempt("cargo", "i", json!({ "operation": "build", "directory": "d" }));
        let Effect::Plugin { grants, class: of_effect, .. } = &mut attempt.effect else {
            unreachable!("it is a plugin's")
        };
        grants.limits.wall_time_ms_max = Some(4_000);
        *of_effect = class;
        let history = Mutex::default();
        let life = world.live(&attempt, Death::never(), &history);
        let ended = tokio::time::timeout(Duration::from_secs(60), life).await;
        match (class, ended) {
            (EffectClass::Idempotent, Ok(Some(EffectOutcome::Faulted { error }))) => {
                assert!(error.kind.ends_with("plugin-limit"), "{error:?}");
                assert!(error.detail.unwrap().ends_with("it took longer than 4000 ms, waits counted"));
            }
            (EffectClass::Reconcilable, Ok(Some(EffectOutcome::Unknown { detail }))) => {
                assert!(detail.starts_with("the step's 4000 ms were over while it waited for exec rust-"), "{detail}");
            }
            (class, ended) => panic!("{class:?}: {ended:?}"),
        }
        assert_eq!((world.machine.started().len(), world.machine.killed(), host().instances()), (1, 1, 0));
    }
}
