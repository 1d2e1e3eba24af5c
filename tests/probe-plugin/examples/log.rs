//! Writes one line.
#![cfg(target_arch = "wasm32")]

probe_plugin::probe!(|_| {
    log::emit(log::Level::Info, "probe", &[]);
    Ok(())
});
