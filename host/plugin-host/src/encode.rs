//! A core module built for `wasm32-unknown-unknown` becomes a component.

use std::path::Path;

use wit_component::ComponentEncoder;

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The module was not built with bindings of `wit/release.wit`.
    #[error("failed to read the module and the world it was built for: {0}")]
    Module(String),
    /// An import of the module is in no world: `std` calls that need an
    /// operating system are one way to get here.
    #[error("failed to make a component of the module: {0}")]
    Encode(String),
}

/// Makes an import-pure component of `core_module` and validates it.
///
/// The same bytes give the same component, so a digest can be approved.
pub fn encode(core_module: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let module = |error| EncodeError::Module(format!("{error:#}"));
    let mut encoder = ComponentEncoder::default();
    encoder.validate(true).module(core_module).map_err(module)?;
    encoder.encode().map_err(|error| EncodeError::Encode(format!("{error:#}")))
}

/// `RUSTFLAGS` for a plugin build whose bytes do not depend on where the
/// checkout, Cargo's home or the toolchain lie: panic messages name source
/// files, and those paths are replaced by fixed ones.
pub fn reproducible_rustflags(workspace: &Path, cargo_home: &Path) -> String {
    format!(
        "--remap-path-prefix={}=/workspace --remap-path-prefix={}=/cargo",
        workspace.display(),
        cargo_home.display()
    )
}
