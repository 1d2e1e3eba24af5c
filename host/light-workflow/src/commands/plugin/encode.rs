//! `plugin encode`: a core module becomes a component.

use plugin_host::{HostConfig, PluginHost};
use workflow::PluginName;

use crate::cli::PluginEncode;
use crate::output::{DONE, Failure};

pub async fn run(encode: PluginEncode) -> Result<u8, Failure> {
    let module = std::fs::read(&encode.module)
        .map_err(|error| Failure::used_wrongly(format!("failed to read `{}`: {error}", encode.module.display())))?;
    let component = plugin_host::encode(&module)
        .map_err(|error| Failure::used_wrongly(format!("{}: {error}", encode.module.display())))?;
    // As `plugin build` does: the component carries what it says of itself.
    let name = PluginName::new("encoded").expect("this is a name");
    let host = PluginHost::new(HostConfig::default())?;
    let description = host.describe(&*host.load(&name, &component).await?).await?;
    std::fs::write(&encode.output, plugin_host::with_description(&component, &description)?)?;
    Ok(DONE)
}
