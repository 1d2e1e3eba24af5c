//! What a call costs: for `cargo xtask bench plugins`.

use std::time::{Duration, Instant};

use serde_json::Value;
use workflow::Timestamp;
use workflow::capability::Grants;

use crate::call::{Call, CallError};
use crate::engine::PluginHost;
use crate::host_calls::HostCalls;
use crate::load::Plugin;
use crate::surroundings::Surroundings;

/// Runs `execute` `count` times, each in a fresh instance with a host from
/// `host`, and gives the time of each: authorisation, instantiation, JSON both
/// ways and all host calls of the step included.
///
/// # Errors
///
/// The first call that has no output: a benchmark of failures would mislead.
pub async fn calls(
    plugin_host: &PluginHost,
    plugin: &Plugin,
    grants: &Grants,
    input: &Value,
    count: usize,
    mut host: impl FnMut() -> Box<dyn HostCalls>,
) -> Result<Vec<Duration>, CallError> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let (side, input) = (host(), input.clone());
        let start = Instant::now();
        let surroundings = Surroundings { started_at: Timestamp::UNIX_EPOCH, seed: [0; 32] };
        plugin_host.execute(plugin, Call { grants, surroundings, input }, side).await?;
        times.push(start.elapsed());
    }
    Ok(times)
}
