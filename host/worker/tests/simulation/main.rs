//! Deterministic simulation: hosts, a store and a world under one seeded
//! scheduler, with crashes before and after each commit, jumps of the clock and
//! owners that are late. The drivers, the engine and the store's contract are
//! the real ones.

mod checks;
mod definitions;
mod rules;
mod world;

use rules::Rules;
use world::{Bug, World};

/// Enough to meet each planted bug hundreds of times.
const SEEDS: u64 = 1_000;

#[test]
fn a_thousand_seeds_lose_nothing_and_do_nothing_twice() {
    let mut met = Rules::default();
    for seed in 0..SEEDS {
        match World::new(seed, None).run() {
            Ok(rules) => met.add(&rules),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    // A simulation in which nothing goes wrong proves nothing.
    assert!(met.crashes_before_commit > 500, "{met:?}");
    assert!(met.crashes_after_commit > 500, "{met:?}");
    assert!(met.late_owners_refused > 200, "{met:?}");
    assert!(met.takeovers > 200, "{met:?}");
    assert!(met.people_answered > 500, "{met:?}");
    assert!(met.children_started > 500, "{met:?}");
    assert!(met.events_sent > 500, "{met:?}");
    assert!(met.events_sent_again > 20, "{met:?}");
    assert!(met.events_consumed > 500, "{met:?}");
    assert!(met.suspended > 200, "{met:?}");
    assert!(met.resumed > 1_000, "{met:?}");
}

#[test]
fn a_store_that_does_not_check_the_fence_is_found_out() {
    let found = (0..SEEDS).find_map(|seed| World::new(seed, Some(Bug::FenceNotChecked)).run().err());
    let violation = found.expect("some seed lets a late owner write");
    assert!(violation.contains("fence"), "{violation}");
}

#[test]
fn a_host_that_acts_before_it_commits_is_found_out() {
    let found = (0..SEEDS).find_map(|seed| World::new(seed, Some(Bug::EffectBeforeCommit)).run().err());
    let violation = found.expect("some seed crashes between the effect and the commit");
    assert!(violation.contains("no intent"), "{violation}");
}

#[test]
fn an_event_that_is_delivered_twice_is_found_out() {
    let found = (0..SEEDS).find_map(|seed| World::new(seed, Some(Bug::MessageKept)).run().err());
    let violation = found.expect("some seed takes a message up again");
    assert!(violation.contains("consumed"), "{violation}");
}

#[test]
fn an_event_that_is_lost_is_found_out() {
    let found = (0..SEEDS).find_map(|seed| World::new(seed, Some(Bug::DeliveryLost)).run().err());
    let violation = found.expect("some seed loses an event");
    assert!(violation.contains("consumed"), "{violation}");
}

#[test]
fn the_same_seed_is_the_same_story() {
    let story = |seed| World::new(seed, None).run().map(|rules| format!("{rules:?}"));
    assert_eq!(story(42), story(42));
}
