//! The engine that all plugins share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::precompiled::{Precompiled, PrecompiledError};

/// How often guest time is looked at: long enough to cost nothing, short
/// enough that a spinning guest shares its thread.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// Slots of the instance pool. An instance lives as long as its step, which may
/// wait for hours on a command, so there are more of them than of threads.
const INSTANCES_MAX: u32 = 256;

/// What every instance of this host is bound by.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Where compiled plugins are kept; none compiles at each start of the
    /// host. The folder is made with mode 0700 and must belong to this user.
    pub precompiled: Option<PathBuf>,
    /// A larger component is refused before it is read any further.
    pub component_bytes_max: usize,
    /// The most memory that any call's [`crate::Limits`] can allow.
    pub memory_bytes_max: usize,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { precompiled: None, component_bytes_max: 32 << 20, memory_bytes_max: 64 << 20 }
    }
}

/// Why a host cannot run plugins at all.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("failed to configure the WebAssembly engine: {0}")]
    Engine(String),
    #[error("failed to start the thread that counts guest time")]
    Ticker(#[source] std::io::Error),
    #[error("failed to open the store of compiled plugins")]
    Precompiled(#[from] PrecompiledError),
}

/// Loads and runs plugins. Cheap to share behind an `Arc`.
pub struct PluginHost {
    pub(crate) engine: Engine,
    pub(crate) config: HostConfig,
    pub(crate) precompiled: Option<Arc<Precompiled>>,
    /// Compiling takes a core and a hundred megabytes: one at a time.
    pub(crate) compiling: Arc<Semaphore>,
}

impl PluginHost {
    pub fn new(config: HostConfig) -> Result<Self, StartError> {
        let engine = Engine::new(&engine_config(&config)).map_err(|error| StartError::Engine(format!("{error:#}")))?;
        start_ticker(&engine)?;
        let precompiled = match &config.precompiled {
            Some(folder) => Some(Arc::new(Precompiled::open(folder)?)),
            None => None,
        };
        Ok(Self { engine, config, precompiled, compiling: Arc::new(Semaphore::new(1)) })
    }
}

fn engine_config(host: &HostConfig) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES_MAX)
        .total_core_instances(4 * INSTANCES_MAX)
        .total_memories(INSTANCES_MAX)
        .total_tables(2 * INSTANCES_MAX)
        .total_stacks(INSTANCES_MAX)
        .max_memories_per_component(4)
        .max_tables_per_component(64)
        .max_core_instances_per_component(32)
        .table_elements(20_000)
        .max_memory_size(host.memory_bytes_max)
        .linear_memory_keep_resident(128 << 10)
        .table_keep_resident(16 << 10);
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
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
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
