//! Figures next to their targets, for people and for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::machine::{FsyncProbe, Machine, load_average};

/// Says what is being measured, to whoever waits.
pub fn progress(what: &str) {
    eprintln!("measuring {what}");
}

/// What a figure is held to.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn met_by(self, value: f64) -> bool {
        match self {
            Target::AtMost(limit) => value <= limit,
            Target::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(limit) => write!(f, "<= {limit}"),
            Target::AtLeast(limit) => write!(f, ">= {limit}"),
        }
    }
}

/// One number; its name is a stable key.
#[derive(Debug, Clone)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    pub target: Option<Target>,
}

/// A figure without a target: context for the others.
pub fn figure(name: impl Into<String>, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.into(), value, unit, target: None }
}

impl Figure {
    pub fn at_most(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtMost(limit));
        self
    }

    pub fn at_least(mut self, limit: f64) -> Self {
        self.target = Some(Target::AtLeast(limit));
        self
    }

    fn json(&self) -> Value {
        let mut figure = json!({ "name": self.name, "value": self.value, "unit": self.unit });
        if let Some(target) = self.target {
            let (key, limit) = match target {
                Target::AtMost(limit) => ("atMost", limit),
                Target::AtLeast(limit) => ("atLeast", limit),
            };
            figure["target"] = json!({ key: limit });
            figure["met"] = json!(target.met_by(self.value));
        }
        figure
    }
}

/// A suite's figures, and what the machine was like around them.
pub struct Report {
    suite: String,
    file_system: String,
    /// Of one minute: before, and after.
    load: [f64; 2],
    fsync_before: FsyncProbe,
    fsync_after: FsyncProbe,
    figures: Vec<Figure>,
}

impl Report {
    pub fn new(suite: &str, machine: &Machine, figures: Vec<Figure>) -> anyhow::Result<Self> {
        Ok(Self {
            suite: suite.to_owned(),
            file_system: machine.file_system.clone(),
            load: [machine.load_before, load_average()?],
            fsync_before: machine.fsync_before,
            fsync_after: machine.fsync()?,
            figures,
        })
    }

    pub fn json(&self) -> Value {
        json!({
            "suite": self.suite,
            "optimised": !cfg!(debug_assertions),
            "fileSystem": self.file_system,
            "loadAverage": { "before": self.load[0], "after": self.load[1] },
            "fsync": { "before": self.fsync_before.json(), "after": self.fsync_after.json() },
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = if cfg!(debug_assertions) { " (not optimised: these figures mean nothing)" } else { "" };
        writeln!(f, "suite {}{build}", self.suite)?;
        writeln!(f, "load average {:.2} before, {:.2} after", self.load[0], self.load[1])?;
        writeln!(f, "data on {}; fsync before: {}; after: {}", self.file_system, self.fsync_before, self.fsync_after)?;
        let width = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        for figure in &self.figures {
            let value = match figure.value {
                value if value.abs() >= 100.0 => format!("{value:.0}"),
                value if value.abs() >= 10.0 => format!("{value:.1}"),
                value => format!("{value:.3}"),
            };
            write!(f, "{:<width$}  {value:>10} {:<10}", figure.name, figure.unit)?;
            match figure.target {
                Some(target) if target.met_by(figure.value) => writeln!(f, "  target {target}: met")?,
                Some(target) => writeln!(f, "  target {target}: MISSED")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
