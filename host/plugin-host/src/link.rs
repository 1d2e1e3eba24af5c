//! A linker with exactly the interfaces that were granted.

use std::collections::BTreeSet;

use wasmtime::Engine;
use wasmtime::component::{HasSelf, Linker};

use crate::baseline;
use crate::bindings::{artifacts_read, artifacts_write, http, log, mcp, model, sandbox, sandbox_secret, secrets};
use crate::interface::Interface;
use crate::state::State;

/// Links `interfaces` and nothing else: what is not linked cannot be called,
/// whatever the checks inside the functions say.
pub(crate) fn link(engine: &Engine, interfaces: &BTreeSet<Interface>) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    // The type of a secret is one of `secrets`, though a component may import no function of it.
    if interfaces.contains(&Interface::SandboxSecret) && !interfaces.contains(&Interface::Secrets) {
        secrets::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    }
    for interface in interfaces {
        match interface {
            Interface::Log => log::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::ArtifactsRead => artifacts_read::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::ArtifactsWrite => {
                artifacts_write::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?
            }
            Interface::Sandbox => sandbox::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::Secrets => secrets::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::SandboxSecret => sandbox_secret::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::Model => model::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::Mcp => mcp::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
            Interface::WasiBaseline => baseline::link(&mut linker)?,
            Interface::Http => http::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?,
        }
    }
    Ok(linker)
}
