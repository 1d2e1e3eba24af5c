//! `plugin encode`: a core module becomes a component.

use crate::cli::PluginEncode;
use crate::output::{DONE, Failure};

pub fn run(encode: PluginEncode) -> Result<u8, Failure> {
    let module = std::fs::read(&encode.module)
        .map_err(|error| Failure::used_wrongly(format!("failed to read `{}`: {error}", encode.module.display())))?;
    let component = plugin_host::encode(&module)
        .map_err(|error| Failure::used_wrongly(format!("{}: {error}", encode.module.display())))?;
    std::fs::write(&encode.output, component)?;
    Ok(DONE)
}
