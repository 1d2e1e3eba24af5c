//! A plugin's project on its author's disk.

use std::fs;
use std::path::{Path, PathBuf};

use plugin_host::compiler::Compiler;
use plugin_host::{HostConfig, PluginHost};
use workflow::capability::PluginManifest;

use crate::cli::Language;
use crate::output::Failure;

/// A folder with a `plugin.toml` and sources.
pub struct Project {
    pub folder: PathBuf,
    pub manifest: PluginManifest,
    pub language: Language,
}

impl Project {
    pub fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("plugin.toml");
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure::used_wrongly(format!(
                "failed to read `{}`: {error}; name the folder of a plugin, or make one with `light-workflow plugin new`",
                path.display()
            ))
        })?;
        let manifest = PluginManifest::parse(&text)
            .map_err(|error| Failure::used_wrongly(format!("{}: {error}", path.display())))?;
        let marks = [("Cargo.toml", Language::Rust), ("package.json", Language::Js), ("step.py", Language::Python)];
        let found: Vec<_> = marks.into_iter().filter(|(mark, _)| folder.join(mark).is_file()).collect();
        let [(_, language)] = found[..] else {
            return Err(Failure::used_wrongly(format!(
                "`{}` must have one of `Cargo.toml` (Rust), `package.json` (JavaScript), `step.py` (Python); it has {}",
                folder.display(),
                found.len()
            )));
        };
        Ok(Self { folder: folder.canonicalize()?, manifest, language })
    }

    /// Where `plugin build` leaves the component.
    pub fn component(&self) -> PathBuf {
        self.build().join(format!("{}.wasm", self.manifest.name))
    }

    /// What is made of the sources, and can be made again.
    pub fn build(&self) -> PathBuf {
        self.folder.join("build")
    }

    /// A host whose compiled code is kept in the project: a component of JavaScript or Python takes a minute to compile.
    pub fn host(&self) -> Result<PluginHost, Failure> {
        fs::create_dir_all(self.build())?;
        let precompiled = Some(self.build().join("compiled"));
        Ok(PluginHost::new(HostConfig {
            precompiled,
            compiler: Some(Compiler::this_program()),
            ..HostConfig::default()
        })?)
    }
}
