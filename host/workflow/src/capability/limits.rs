//! What one call of a plugin may use of the host: by the plugin and by the task.

use serde::{Deserialize, Serialize};

use super::algebra::Excess;

/// Limits that differ from the host's defaults ([`Limits::DEFAULT`]).
///
/// An absent limit is the default. So a plugin that needs more asks for it, a
/// reviewer approves it and the task names it; each of them alone keeps it low.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct LimitsGrant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_time_ms_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_time_ms_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_elements_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handles_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_calls_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_call_bytes_max: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes_max: Option<u64>,
}

/// All limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units of work, about one an instruction; the same input uses the same number.
    pub fuel_max: u64,
    /// Time in the plugin's own code; host calls are not counted.
    pub guest_time_ms_max: u64,
    /// From start to end of the call: waits included, also those in which the
    /// step had given up its instance. A host that starts again counts anew: its
    /// own absence is not the step's time.
    pub wall_time_ms_max: u64,
    /// Over all memories of the instance.
    pub memory_bytes_max: u64,
    /// Of each table.
    pub table_elements_max: u64,
    /// Core instances of the component.
    pub instances_max: u64,
    /// Resources held at once: secrets, and the streams of a wasi-baseline component.
    pub handles_max: u64,
    /// Host calls but `log`, which its own grant bounds.
    pub host_calls_max: u64,
    /// Copied between plugin and host in one host call.
    pub host_call_bytes_max: u64,
    /// JSON text of the output.
    pub result_bytes_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Limits {
    /// A step that orchestrates commands uses a thousandth of the fuel; a parser
    /// of a 4 MiB log a tenth. A day is longer than any command template allows.
    pub const DEFAULT: Limits = Limits {
        fuel_max: 5_000_000_000,
        guest_time_ms_max: 30_000,
        wall_time_ms_max: 24 * 60 * 60 * 1000,
        memory_bytes_max: 64 << 20,
        table_elements_max: 20_000,
        instances_max: 100,
        handles_max: 64,
        host_calls_max: 1_000,
        host_call_bytes_max: 8 << 20,
        result_bytes_max: 256 << 10,
    };

    /// The defaults with what `grant` says otherwise.
    pub fn of(grant: &LimitsGrant) -> Self {
        let mut limits = Self::DEFAULT;
        for ((_, value), (_, granted)) in limits.fields_mut().into_iter().zip(grant.fields()) {
            *value = granted.unwrap_or(*value);
        }
        limits
    }

    /// Each with its key.
    pub fn fields(&self) -> [(&'static str, u64); 10] {
        let mut copy = *self;
        copy.fields_mut().map(|(key, value)| (key, *value))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut u64); 10] {
        [
            ("fuel-max", &mut self.fuel_max),
            ("guest-time-ms-max", &mut self.guest_time_ms_max),
            ("wall-time-ms-max", &mut self.wall_time_ms_max),
            ("memory-bytes-max", &mut self.memory_bytes_max),
            ("table-elements-max", &mut self.table_elements_max),
            ("instances-max", &mut self.instances_max),
            ("handles-max", &mut self.handles_max),
            ("host-calls-max", &mut self.host_calls_max),
            ("host-call-bytes-max", &mut self.host_call_bytes_max),
            ("result-bytes-max", &mut self.result_bytes_max),
        ]
    }
}

impl LimitsGrant {
    /// Whether it says nothing: the defaults.
    pub fn is_default(&self) -> bool {
        self.fields().iter().all(|(_, value)| value.is_none())
    }

    /// The lower of both, each.
    pub(super) fn intersect(&self, other: &LimitsGrant) -> LimitsGrant {
        let mut both = LimitsGrant::default();
        let theirs = self.fields().into_iter().zip(other.fields()).zip(Limits::DEFAULT.fields());
        for ((_, value), (((_, left), (_, right)), (_, default))) in both.fields_mut().into_iter().zip(theirs) {
            let named = left.is_some() || right.is_some();
            *value = named.then(|| left.unwrap_or(default).min(right.unwrap_or(default)));
        }
        both
    }

    pub(super) fn exceeds(&self, bound: &LimitsGrant, excess: &mut Vec<Excess>) {
        let theirs = bound.fields().into_iter().zip(Limits::DEFAULT.fields());
        for ((key, granted), ((_, bound), (_, default))) in self.fields().into_iter().zip(theirs) {
            let allowed = bound.unwrap_or(default);
            if let Some(granted) = granted.filter(|granted| *granted > allowed) {
                let (granted, allowed) = (granted.to_string(), format!("at most {allowed}"));
                excess.push(Excess { key: format!("limits.{key}"), granted, allowed });
            }
        }
    }

    fn fields(&self) -> [(&'static str, Option<u64>); 10] {
        let mut copy = *self;
        copy.fields_mut().map(|(key, value)| (key, *value))
    }

    fn fields_mut(&mut self) -> [(&'static str, &mut Option<u64>); 10] {
        [
            ("fuel-max", &mut self.fuel_max),
            ("guest-time-ms-max", &mut self.guest_time_ms_max),
            ("wall-time-ms-max", &mut self.wall_time_ms_max),
            ("memory-bytes-max", &mut self.memory_bytes_max),
            ("table-elements-max", &mut self.table_elements_max),
            ("instances-max", &mut self.instances_max),
            ("handles-max", &mut self.handles_max),
            ("host-calls-max", &mut self.host_calls_max),
            ("host-call-bytes-max", &mut self.host_call_bytes_max),
            ("result-bytes-max", &mut self.result_bytes_max),
        ]
    }
}
