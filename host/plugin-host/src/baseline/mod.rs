//! Components that were built for an operating system, on none: a clock and
//! randomness of the journal, an empty environment, nothing to read, and the
//! log to write to.
//!
//! Linked interface by interface: sockets, HTTP and everything else that WASI
//! has is not there. The filesystem is there for components that cannot start
//! without it, with no folder in it, so that no file can even be named.

mod clocks;
mod output;
mod random;

use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliCtx, WasiCliCtxView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemCtx, WasiFilesystemCtxView};
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::p2::bindings::{cli, clocks as wasi_clocks, filesystem, random as wasi_random};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::state::{State, Stop};
use crate::surroundings::Surroundings;

use clocks::VirtualClock;
pub(crate) use output::{Output, Written};
use random::SeededRandom;

/// The interfaces of WASI 0.2 that exist for a component of this class.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What one call of such a component finds around it.
pub(crate) struct Baseline {
    cli: WasiCliCtx,
    filesystem: WasiFilesystemCtx,
    clock: VirtualClock,
    random: SeededRandom,
    output: Output,
}

impl Baseline {
    /// `output_bytes_max`: of stdout and stderr together.
    pub fn new(surroundings: &Surroundings, output_bytes_max: u64) -> Self {
        Self {
            // Empty: no variable, no argument, no folder, and input that is at its end.
            cli: WasiCliCtx::default(),
            filesystem: WasiFilesystemCtx::default(),
            clock: VirtualClock::new(surroundings.started_at),
            random: SeededRandom::new(surroundings.seed),
            output: Output::new(output_bytes_max),
        }
    }

    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Time that the history says has passed: a command took it.
    pub fn advance(&self, nanoseconds: u64) {
        self.clock.advance(nanoseconds);
    }
}

/// Links all of [`INTERFACES`] and nothing else of WASI.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<State, HasTable>(linker, State::table)?;
    io::poll::add_to_linker::<State, HasTable>(linker, State::table)?;
    io::streams::add_to_linker::<State, HasTable>(linker, State::table)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::stdin::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, cli_view)?;
    cli::exit::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    cli::stdout::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    cli::stderr::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi_clocks::wall_clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi_clocks::monotonic_clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi_random::random::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi_random::insecure::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    wasi_random::insecure_seed::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, filesystem_view)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, filesystem_view)?;
    Ok(())
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

fn cli_view(state: &mut State) -> WasiCliCtxView<'_> {
    let (baseline, table) = state.baseline_and_table();
    WasiCliCtxView { ctx: &mut baseline.cli, table }
}

fn filesystem_view(state: &mut State) -> WasiFilesystemCtxView<'_> {
    let (baseline, table) = state.baseline_and_table();
    WasiFilesystemCtxView { ctx: &mut baseline.filesystem, table }
}

impl cli::exit::Host for State {
    fn exit(&mut self, status: Result<(), ()>) -> wasmtime::Result<()> {
        Err(self.end(Stop::Exited { code: u8::from(status.is_err()) }))
    }

    fn exit_with_code(&mut self, code: u8) -> wasmtime::Result<()> {
        Err(self.end(Stop::Exited { code }))
    }
}

impl cli::stdout::Host for State {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output_stream(Written::Stdout)
    }
}

impl cli::stderr::Host for State {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        self.output_stream(Written::Stderr)
    }
}

impl State {
    fn output_stream(&mut self, written: Written) -> wasmtime::Result<Resource<DynOutputStream>> {
        let (baseline, table) = self.baseline_and_table();
        let stream: DynOutputStream = Box::new(baseline.output.stream(written));
        Ok(table.push(stream)?)
    }
}
