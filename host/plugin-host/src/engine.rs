//! The engine that all plugins share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::compiler::Compiler;
use crate::lane::Lane;
use crate::precompiled::{Precompiled, PrecompiledError, settings_digest};

/// How often guest time is looked at: long enough to cost nothing, short
/// enough that a spinning guest shares its thread.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Slots of the instance pool. An instance lives as long as its step, which may
/// wait for hours on a command, so there are more of them than of threads.
const INSTANCES_MAX: u32 = 256;

/// Fewer are no host: a step that waits and one that works need one each, and some for those beside.
const INSTANCES_MIN: u32 = 4;

/// What one slot reserves of the address space, memory or not: four memories of 4 GiB with what guards them,
/// tables and a stack.
const SLOT_BYTES: u64 = MEMORIES_MAX as u64 * ((4 << 30) + (64 << 20)) + (64 << 20);

/// Of one table: a Python component has ten thousand functions in one.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 20_000;

/// Of one component: a Rust one has four, a Python one with its libraries
/// more than twenty.
const CORE_INSTANCES_MAX: u32 = 100;

/// Memories and tables that one component may have, so that no component takes those of another.
const MEMORIES_MAX: u32 = 4;
const TABLES_MAX: u32 = 64;

/// What every instance of this host is bound by.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where compiled plugins are kept; none compiles at each start of the
    /// host. The folder is made with mode 0700 and must belong to this user.
    pub precompiled: Option<PathBuf>,
    /// A larger component is refused before it is read any further.
    pub component_bytes_max: usize,
    /// A component with more functions is not compiled.
    pub functions_max: u64,
    /// The most memory that any call's limits can allow.
    pub memory_bytes_max: usize,
    /// Compiles each plugin in a limited process of its own. Without one, this
    /// process compiles: for tests of this crate, whose plugins are known.
    pub compiler: Option<Compiler>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            precompiled: None,
            component_bytes_max: 32 << 20,
            functions_max: 100_000,
            memory_bytes_max: 64 << 20,
            compiler: None,
        }
    }
}

/// Why a host cannot run plugins at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to configure the WebAssembly engine: {0}")]
    Engine(String),
    #[error(transparent)]
    AddressSpace(#[from] TooLittle),
    #[error("failed to start the thread that counts guest time")]
    Ticker(#[source] std::io::Error),
    #[error("failed to open the store of compiled plugins")]
    Precompiled(#[from] PrecompiledError),
}

/// Why there is no room for plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "plugins need {} GiB of address space, of which little is ever memory, and this process may have {} GiB: raise it with \
     `ulimit -v unlimited`, or `LimitAS=infinity` for systemd",
    .needed_bytes.div_ceil(1 << 30), .limit_bytes >> 30
)]
pub struct TooLittle {
    pub needed_bytes: u64,
    /// `ulimit -v` of this process.
    pub limit_bytes: u64,
}

/// How many instances may live at a time in a process with this limit of address space.
///
/// The pool takes at most half of it: the rest is for code, threads and the store.
///
/// # Errors
///
/// A limit under which there is no room for the fewest that make sense.
pub fn instances_within(address_space_bytes_max: Option<u64>) -> Result<u32, TooLittle> {
    let Some(limit_bytes) = address_space_bytes_max else { return Ok(INSTANCES_MAX) };
    let fit = u32::try_from(limit_bytes / 2 / SLOT_BYTES).unwrap_or(INSTANCES_MAX).min(INSTANCES_MAX);
    if fit < INSTANCES_MIN {
        return Err(TooLittle { needed_bytes: 2 * SLOT_BYTES * u64::from(INSTANCES_MIN), limit_bytes });
    }
    Ok(fit)
}

/// As [`instances_within`], for this process.
///
/// # Errors
///
/// As there.
pub fn instances_here() -> Result<u32, TooLittle> {
    instances_within(rustix::process::getrlimit(rustix::process::Resource::As).current)
}

/// Loads and runs plugins. Cheap to share behind an `Arc`.
pub struct PluginHost {
    pub(crate) engine: Engine,
    pub(crate) config: HostConfig,
    pub(crate) precompiled: Option<Arc<Precompiled>>,
    /// Compiling takes a core and a hundred megabytes: one at a time.
    pub(crate) compiling: Arc<Semaphore>,
    /// One for each instance that the pool has room for.
    instances: Arc<Semaphore>,
    instances_max: u32,
    /// How many calls wait for one.
    waiting: watch::Sender<usize>,
    /// Where steps that compute much take turns.
    pub(crate) lane: Lane,
    fingerprint: String,
}

impl PluginHost {
    pub fn new(config: HostConfig) -> Result<Self, StartError> {
        let instances_max = instances_here()?;
        let engine = Engine::new(&engine_config(&config, instances_max))
            .map_err(|error| StartError::Engine(format!("{error:#}")))?;
        start_ticker(&engine)?;
        let precompiled = match &config.precompiled {
            Some(folder) => Some(Arc::new(Precompiled::open(folder)?)),
            None => None,
        };
        let fingerprint = settings_digest(&engine)[..16].to_owned();
        let (compiling, instances) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(instances_max as usize)));
        let waiting = watch::Sender::new(0);
        let lane = Lane::new();
        Ok(Self { engine, config, precompiled, compiling, instances, instances_max, waiting, lane, fingerprint })
    }

    /// Names the engine and its settings: what counts fuel otherwise has another one.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Instances that live now.
    pub fn instances(&self) -> usize {
        self.instances_max as usize - self.instances.available_permits()
    }

    /// Of one plugin: an eighth of the slots is left to the others, however many
    /// steps of it compute or wait.
    pub(crate) fn instances_of_plugin_max(&self) -> usize {
        (self.instances_max - self.instances_max.div_ceil(8)) as usize
    }

    /// Returns when a call waits for an instance and there is none: a step that
    /// only waits for a command should give up its own.
    pub async fn instance_wanted(&self) {
        // The sender lives as long as `self`.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting > 0).await;
    }

    /// Room for an instance of a plugin, until it is dropped.
    pub(crate) async fn room(&self, of_plugin: &Arc<Semaphore>) -> Room {
        // Who gets only one of the two gives it back before it waits.
        let free = |room: &Arc<Semaphore>| room.clone().try_acquire_owned().ok();
        if let Some(room) = free(of_plugin).and_then(|of_plugin| Some(Room(of_plugin, free(&self.instances)?))) {
            return room;
        }
        let _counted = Counted::new(&self.waiting);
        // Of the plugin first: while it waits for its own it keeps nobody else's.
        let of_plugin = of_plugin.clone().acquire_owned().await.expect("nobody closes it");
        Room(of_plugin, self.instances.clone().acquire_owned().await.expect("nobody closes it"))
    }
}

/// A slot of the pool: one of the plugin's share, and one of all.
pub(crate) struct Room(
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
    #[expect(dead_code, reason = "held until it is dropped")] OwnedSemaphorePermit,
);

struct Counted<'a>(&'a watch::Sender<usize>);

impl<'a> Counted<'a> {
    fn new(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|waiting| *waiting += 1);
        Self(waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

fn engine_config(host: &HostConfig, instances_max: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances_max)
        .total_core_instances(CORE_INSTANCES_MAX * instances_max)
        .total_memories(MEMORIES_MAX * instances_max)
        .total_tables(TABLES_MAX * instances_max)
        .total_stacks(instances_max)
        .max_memories_per_component(MEMORIES_MAX)
        .max_tables_per_component(TABLES_MAX)
        .max_core_instances_per_component(CORE_INSTANCES_MAX)
        .table_elements(TABLE_ELEMENTS_MAX)
        .max_memory_size(host.memory_bytes_max)
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(16 << 10);
    // Where the kernel tells which pages an instance wrote, those are wiped in
    // place. Giving them back would interrupt every thread that runs a plugin.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(1 << 20).async_stack_keep_resident(64 << 10);
    }
    let mut config = compiling_config();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// All that compiled code depends on. How instances are allocated is not in it:
/// a process that only compiles reserves no pool.
pub(crate) fn compiling_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Our host calls are request and response; the code behind concurrent
        // ones had most of this year's advisories.
        .concurrency_support(false)
        .epoch_interruption(true)
        .consume_fuel(true)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        // The same input and answers give the same output, so that a step can be replayed.
        .cranelift_nan_canonicalization(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(2 << 20)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    config
}

/// Moves the engine's epoch on for as long as the engine lives.
fn start_ticker(engine: &Engine) -> Result<(), StartError> {
    let weak = engine.weak();
    let tick = move || {
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("plugin-epoch".to_owned()).spawn(tick).map_err(StartError::Ticker)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_address_space_gives_a_smaller_pool_or_says_what_to_do() {
        assert_eq!(instances_within(None), Ok(INSTANCES_MAX));
        assert_eq!(instances_within(Some(64 << 40)), Ok(INSTANCES_MAX));
        assert_eq!(instances_within(Some(1 << 40)), Ok(31));
        let refused = instances_within(Some(8 << 30)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "plugins need 131 GiB of address space, of which little is ever memory, and this process may have 8 GiB: \
             raise it with `ulimit -v unlimited`, or `LimitAS=infinity` for systemd"
        );
        assert_eq!(instances_within(Some(refused.needed_bytes)), Ok(INSTANCES_MIN));
    }
}
