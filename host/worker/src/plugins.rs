//! The plugins this host has: approved components by name and digest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_host::{LoadError, Plugin, PluginHost};
use tokio::sync::Mutex;
use workflow::distribution::{Distribution, SignatureError, TrustedKeys};
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
    /// Nobody vouches for it whom this host trusts: it is not executed.
    #[error("plugin `{name}` in `{}` is not used", path.display())]
    Signature {
        name: PluginName,
        path: PathBuf,
        #[source]
        source: SignatureError,
    },
    #[error(transparent)]
    Distribution(#[from] DistributionError),
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What lies beside a component cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DistributionError {
    #[error("failed to read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{}` is not what `light-workflow plugin pull` or `sign` wrote; have it written anew", path.display())]
    Malformed {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
}

/// Loads each plugin once, when it is first called.
pub struct PluginCatalog {
    installed: BTreeMap<PluginName, InstalledPlugin>,
    loaded: Mutex<BTreeMap<Digest, Arc<Plugin>>>,
    /// Whose signature each plugin needs; absent: none.
    required: Option<Arc<TrustedKeys>>,
}

impl PluginCatalog {
    pub fn new(installed: BTreeMap<PluginName, InstalledPlugin>) -> Self {
        Self { installed, loaded: Mutex::new(BTreeMap::new()), required: None }
    }

    /// The same plugins; each is loaded only if one of these keys signed it.
    #[must_use]
    pub fn requiring(self, keys: Arc<TrustedKeys>) -> Self {
        Self { required: Some(keys), ..self }
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
        if let Some(keys) = &self.required {
            let distribution = distribution_of(&installed.path)?;
            keys.verify(distribution.as_ref(), &actual).map_err(|source| PluginCatalogError::Signature {
                name: name.clone(),
                path: installed.path.clone(),
                source,
            })?;
        }
        let plugin = host.load(name, &bytes).await?;
        loaded.insert(digest.clone(), plugin.clone());
        Ok(plugin)
    }
}

/// What lies beside a component: where it came from and who signed it; none if nothing does.
pub fn distribution_of(component: &Path) -> Result<Option<Distribution>, DistributionError> {
    let path = component.with_extension(Distribution::EXTENSION);
    match std::fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).map(Some).map_err(|source| DistributionError::Malformed { path, source })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DistributionError::Read { path, source }),
    }
}

fn read(name: &PluginName, path: &Path) -> Result<Vec<u8>, PluginCatalogError> {
    std::fs::read(path).map_err(|source| PluginCatalogError::Read { name: name.clone(), path: path.to_owned(), source })
}
