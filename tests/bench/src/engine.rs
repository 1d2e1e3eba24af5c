//! Workflows through the real worker on the real store, fsync on; only the
//! effects are a benchmark's.

mod house;
mod long;
mod points;
mod recovery;

use std::sync::Arc;

use anyhow::ensure;
use serde_json::{Value, json};
use workflow::Timestamp;
use workflow::definition::{self, Definition};
use workflow::engine::{Phase, simulation};

use crate::machine::{Machine, cpu_time, median};
use crate::report::{Figure, figure};

/// Effects of the standard workload.
pub const W5_EFFECTS: u64 = 5;

/// Workflows of the engine alone in one round.
const PURE_WORKFLOWS: u32 = 2_000;

pub async fn measure(machine: &Machine, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = points::measure(machine, rounds).await?;
    figures.push(pure(rounds)?);
    figures.extend(long::measure(machine).await?);
    figures.extend(recovery::measure(machine).await?);
    Ok(figures)
}

/// Start, five durable effects, end; 300 bytes flow through.
pub fn w5() -> anyhow::Result<Arc<Definition>> {
    let task =
        |number| format!("  - effect-{number}:\n      call: echo\n      with: {{ payload: \"${{ .payload }}\" }}\n");
    parse("w5", &(1..=W5_EFFECTS).map(task).collect::<String>())
}

/// Ten tasks without an effect.
pub fn ten_sets() -> anyhow::Result<Arc<Definition>> {
    let task = |number| format!("  - set-{number}:\n      set: {{ payload: \"${{ .payload }}\", number: {number} }}\n");
    parse("ten-sets", &(1..=10).map(task).collect::<String>())
}

pub fn parse(name: &str, tasks: &str) -> anyhow::Result<Arc<Definition>> {
    let text =
        format!("document: {{ dsl: \"1.0.3\", namespace: bench, name: {name}, version: \"1.0.0\" }}\ndo:\n{tasks}");
    let parsed = definition::parse(&text, name);
    Ok(Arc::new(parsed.map_err(|problems| anyhow::anyhow!("definition `{name}`: {problems:?}"))?))
}

pub fn payload() -> Value {
    json!({ "payload": "x".repeat(300) })
}

/// Microseconds of processor time of a workflow when nothing is stored: expressions, decisions and folds.
fn pure(rounds: u32) -> anyhow::Result<Figure> {
    let (definition, input) = (w5()?, payload());
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = cpu_time();
        for _ in 0..PURE_WORKFLOWS {
            let (instance, _) = simulation::run_to_end(&definition, input.clone(), Timestamp::UNIX_EPOCH);
            ensure!(instance.phase() == Phase::Completed, "a simulated workflow did not complete");
        }
        times.push((cpu_time() - start).as_secs_f64() * 1e6 / f64::from(PURE_WORKFLOWS));
    }
    Ok(figure("engineAlone.w5", median(&times), "us"))
}
