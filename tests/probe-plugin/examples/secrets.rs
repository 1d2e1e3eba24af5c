//! Takes a secret; with a command, hands it over.
#![cfg(target_arch = "wasm32")]

probe_plugin::probe!(|fields| {
    let name = fields.iter().find_map(|field| field.strip_prefix("secret:")).unwrap_or_default();
    let secret = secrets::acquire(name)?;
    if fields[0].is_empty() {
        return Ok(());
    }
    sandbox_secret::exec_with_secrets(&fields[0], &parameters(&fields[1..]), &[&secret]).map(drop)
});
