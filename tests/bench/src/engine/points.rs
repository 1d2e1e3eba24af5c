//! Throughput and latency at some numbers of workflows in flight.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::Value;
use tokio::task::JoinSet;
use workflow::definition::Definition;

use super::house::House;
use super::{W5_EFFECTS, payload, ten_sets, w5};
use crate::machine::{Machine, cpu_time, median, ms, percentile};
use crate::report::{Figure, figure, progress};

/// Before each round, uncounted.
const WARM_UP: Duration = Duration::from_millis(500);
/// One measurement of one round.
const MEASURED: Duration = Duration::from_secs(3);

/// What one measurement saw.
struct Point {
    latencies_ms: Vec<f64>,
    per_second: f64,
    commits_per_workflow: f64,
    cpu_ms_per_workflow: f64,
}

/// The same measurement in every round.
struct Series {
    name: &'static str,
    definition: Arc<Definition>,
    effects: u64,
    in_flight: usize,
    points: Vec<Point>,
}

pub async fn measure(machine: &Machine, rounds: u32) -> anyhow::Result<Vec<Figure>> {
    let (w5, ten_sets) = (w5()?, ten_sets()?);
    let series = |name, definition: &Arc<Definition>, effects, in_flight| Series {
        name,
        definition: definition.clone(),
        effects,
        in_flight,
        points: Vec::new(),
    };
    let mut all = [
        series("w5.at1", &w5, W5_EFFECTS, 1),
        series("w5.at32", &w5, W5_EFFECTS, 32),
        series("w5.at128", &w5, W5_EFFECTS, 128),
        series("tenSets.at32", &ten_sets, 0, 32),
    ];
    let mut fsyncs = Vec::new();
    for round in 0..rounds {
        let house = Arc::new(House::open(&machine.data(&format!("points-{round}"))).await?);
        run(&house, &w5, 32, WARM_UP).await?;
        for series in &mut all {
            progress(&format!("{}, round {}", series.name, round + 1));
            fsyncs.push(machine.fsync()?.p50_ms);
            let effects = house.effects();
            let point = run(&house, &series.definition, series.in_flight, MEASURED).await?;
            let done = point.latencies_ms.len() as u64;
            let effects = house.effects() - effects;
            ensure!(effects == done * series.effects, "{}: {done} workflows had {effects} effects", series.name);
            series.points.push(point);
        }
        let house = Arc::into_inner(house).expect("every client has ended");
        house.close().await?;
    }
    let fsync_ms = median(&fsyncs);
    let mut figures = vec![figure("fsync.p50", fsync_ms, "ms")];
    figures.extend(all.iter().flat_map(|series| series.figures(fsync_ms)));
    Ok(figures)
}

/// `in_flight` clients, each starting a workflow when its last one has ended.
async fn run(
    house: &Arc<House>,
    definition: &Arc<Definition>,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<Point> {
    let (commits, cpu, start) = (house.statistics().commits, cpu_time(), Instant::now());
    let mut clients = JoinSet::new();
    for _ in 0..in_flight {
        clients.spawn(client(house.clone(), definition.clone(), payload(), start + time));
    }
    let mut latencies_ms = Vec::new();
    while let Some(client) = clients.join_next().await {
        latencies_ms.extend(client??);
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_time() - cpu);
    let done = latencies_ms.len() as f64;
    Ok(Point {
        per_second: done / elapsed.as_secs_f64(),
        commits_per_workflow: (house.statistics().commits - commits) as f64 / done,
        cpu_ms_per_workflow: ms(cpu) / done,
        latencies_ms,
    })
}

async fn client(
    house: Arc<House>,
    definition: Arc<Definition>,
    input: Value,
    until: Instant,
) -> anyhow::Result<Vec<f64>> {
    let mut latencies_ms = Vec::new();
    while Instant::now() < until {
        let start = Instant::now();
        house.run(&definition, input.clone()).await?;
        latencies_ms.push(ms(start.elapsed()));
    }
    Ok(latencies_ms)
}

impl Series {
    fn median_of(&self, value: impl Fn(&Point) -> f64) -> f64 {
        median(&self.points.iter().map(value).collect::<Vec<_>>())
    }

    /// Every figure is the median of the rounds; `max` is the longest of all.
    fn figures(&self, fsync_ms: f64) -> Vec<Figure> {
        let name = |figure: &str| format!("{}.{figure}", self.name);
        let p50 = self.median_of(|point| median(&point.latencies_ms));
        let max = self.points.iter().flat_map(|point| &point.latencies_ms).fold(0.0, |a: f64, b| a.max(*b));
        let mut per_second = figure(name("throughput"), self.median_of(|point| point.per_second), "per s");
        let mut p99 = figure(name("p99"), self.median_of(|point| percentile(&point.latencies_ms, 99.0)), "ms");
        let mut commits = figure(name("commitsPerWorkflow"), self.median_of(|point| point.commits_per_workflow), "");
        match self.name {
            "w5.at1" => {
                per_second = per_second.at_least(120.0);
                // One for each effect and one for the start; a little of a lease's renewal.
                commits = commits.at_most(W5_EFFECTS as f64 + 1.01);
            }
            "w5.at32" => {
                per_second = per_second.at_least(1_200.0);
                p99 = p99.at_most(80.0);
            }
            "tenSets.at32" => per_second = per_second.at_least(4_000.0),
            _ => {}
        }
        let mut figures =
            vec![per_second, figure(name("p50"), p50, "ms"), p99, figure(name("max"), max, "ms"), commits];
        let cpu = self.median_of(|point| point.cpu_ms_per_workflow);
        if self.effects == 0 {
            figures.push(figure(name("cpuPerWorkflow"), cpu, "ms"));
        } else {
            let steps = self.effects as f64;
            figures.push(figure(name("cpuPerStep"), cpu / steps, "ms").at_most(0.20));
        }
        if self.in_flight == 1 {
            let fsyncs = (self.effects + 1) as f64;
            figures.push(figure(name("ratioToFsyncs"), p50 / (fsyncs * fsync_ms), "").at_most(1.1));
        }
        figures
    }
}
