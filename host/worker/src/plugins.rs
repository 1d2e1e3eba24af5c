//! The plugins this host has: approved components by name and digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_host::{LoadError, Plugin, PluginHost};
use tokio::sync::Mutex;
use workflow::{Digest, PluginName};

/// A component on disk, named by the digest that `plugins.lock` approved.
#[derive(Debug, Clone)]
pub struct InstalledPlugin {
    pub digest: Digest,
    pub path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum PluginCatalogError {
    #[error("there is no plugin `{name}` with digest `{digest}` on this host")]
    Missing { name: PluginName, digest: Digest },
    #[error("failed to read plugin `{name}` from `{}`", path.display())]
    Read {
        name: PluginName,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not what was approved: it is not executed.
    #[error("plugin `{name}` in `{}` has digest `{actual}`, but `{approved}` was approved", path.display())]
    Swapped { name: PluginName, path: PathBuf, approved: Digest, actual: Digest },
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Loads each plugin once, when it is first called.
pub struct PluginCatalog {
    installed: BTreeMap<PluginName, InstalledPlugin>,
    loaded: Mutex<BTreeMap<Digest, Arc<Plugin>>>,
}

impl PluginCatalog {
    pub fn new(installed: BTreeMap<PluginName, InstalledPlugin>) -> Self {
        Self { installed, loaded: Mutex::new(BTreeMap::new()) }
    }

    pub fn installed(&self) -> &BTreeMap<PluginName, InstalledPlugin> {
        &self.installed
    }

    /// The component with exactly this digest; its bytes are checked when they are read.
    pub async fn plugin(
        &self,
        host: &PluginHost,
        name: &PluginName,
        digest: &Digest,
    ) -> Result<Arc<Plugin>, PluginCatalogError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(plugin) = loaded.get(digest) {
            return Ok(plugin.clone());
        }
        let missing = || PluginCatalogError::Missing { name: name.clone(), digest: digest.clone() };
        let installed = self.installed.get(name).filter(|found| found.digest == *digest).ok_or_else(missing)?;
        let bytes = read(name, &installed.path)?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(PluginCatalogError::Swapped {
                name: name.clone(),
                path: installed.path.clone(),
                approved: digest.clone(),
                actual,
            });
        }
        let plugin = host.load(name, &bytes).await?;
        loaded.insert(digest.clone(), plugin.clone());
        Ok(plugin)
    }
}

fn read(name: &PluginName, path: &Path) -> Result<Vec<u8>, PluginCatalogError> {
    std::fs::read(path).map_err(|source| PluginCatalogError::Read { name: name.clone(), path: path.to_owned(), source })
}
