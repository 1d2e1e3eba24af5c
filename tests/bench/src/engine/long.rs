//! One workflow of very many steps: each must cost what the first did.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use serde_json::json;
use store::Store as _;
use workflow::definition::Definition;
use workflow::engine::Instance;
use workflow::event::Event;
use workflow::{Recorded, Timestamp};

use super::house::House;
use super::parse;
use crate::machine::{Machine, median, ms};
use crate::report::{Figure, figure, progress};

const STEPS: usize = 10_000;

fn definition() -> anyhow::Result<Arc<Definition>> {
    let tasks = format!(
        "  - each:\n      for: {{ each: number, in: \"${{ [range({STEPS})] }}\" }}\n      do:\n        - step:\n            \
         call: echo\n            with: {{ number: \"${{ $number }}\" }}\n"
    );
    parse("long", &tasks)
}

pub async fn measure(machine: &Machine) -> anyhow::Result<Vec<Figure>> {
    progress("one workflow of 10,000 steps");
    let definition = definition()?;
    let house = House::open(&machine.data("long")).await?;
    let fsync_before = machine.fsync()?.p50_ms;
    let instance = house.run(&definition, json!({})).await?;
    let fsync_ms = median(&[fsync_before, machine.fsync()?.p50_ms]);
    ensure!(house.effects() == STEPS as u64, "{} effects instead of {STEPS}", house.effects());

    let start = Instant::now();
    let history = house.store().history(&instance, 0).await?;
    let read = ms(start.elapsed());
    let ends: Vec<Timestamp> = history.iter().filter_map(end_of_a_step).collect();
    let events = history.len();
    let start = Instant::now();
    let whole = Instance::fold(instance.clone(), definition, history)?;
    let folded = ms(start.elapsed());
    let start = Instant::now();
    let loaded = house.load(&instance).await?;
    let resumed = ms(start.elapsed());
    ensure!(*loaded.instance() == whole, "what was kept is not what the history gives");
    house.close().await?;

    let quarter = STEPS / 4;
    let first = ms_per_step(&ends[..quarter]);
    let last = ms_per_step(&ends[STEPS - quarter..]);
    Ok(vec![
        figure("long.events", events as f64, ""),
        figure("long.firstQuarterPerStep", first, "ms"),
        figure("long.lastQuarterPerStep", last, "ms"),
        figure("long.lastToFirst", last / first, "").at_most(1.25),
        figure("long.ratioToFsync", ms_per_step(&ends) / fsync_ms, "").at_most(1.5),
        figure("long.historyRead", read, "ms"),
        figure("long.historyFolded", folded, "ms"),
        figure("long.resume", resumed, "ms").at_most(50.0),
    ])
}

fn end_of_a_step(recorded: &Recorded) -> Option<Timestamp> {
    matches!(recorded.event, Event::AttemptCompleted { .. }).then_some(recorded.at)
}

fn ms_per_step(ends: &[Timestamp]) -> f64 {
    let (first, last) = (ends[0], ends[ends.len() - 1]);
    last.duration_since(first).as_secs_f64() * 1e3 / (ends.len() - 1) as f64
}
