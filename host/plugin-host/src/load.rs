//! From bytes to a plugin that can be called.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;
use wasmtime::component::Component;
use workflow::capability::Grants;
use workflow::{Digest, PluginName};

use crate::bindings::EveryCapabilityPre;
use crate::call::{CallError, Description};
use crate::description::{DescriptionError, with_description};
use crate::engine::PluginHost;
use crate::inspect::{ImportProblem, InspectError, Inspection, count_functions, inspect};
use crate::interface::{Interface, MissingGrant, OverGrant, missing_grants};
use crate::link::link;
use crate::precompiled::{Found, Provenance, compiled_by_us};
use crate::state::State;

/// Why a component cannot be called on this host. Nothing of it has run.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("plugin `{name}` has {size_bytes} bytes; this host takes at most {size_bytes_max}")]
    TooLarge { name: PluginName, size_bytes: usize, size_bytes_max: usize },
    #[error("plugin `{name}` has {functions} functions; this host compiles at most {functions_max}")]
    TooManyFunctions { name: PluginName, functions: u64, functions_max: u64 },
    #[error("plugin `{name}` cannot be read")]
    Inspect {
        name: PluginName,
        #[source]
        source: InspectError,
    },
    /// All problems at once.
    #[error("plugin `{name}` does not fit this host: {}", join(problems))]
    Problems { name: PluginName, problems: Vec<ImportProblem> },
    #[error("plugin `{name}` does not compile: {detail}")]
    Compile { name: PluginName, detail: String },
    /// Of what WASI has, in other types than this host links.
    #[error("plugin `{name}` was built against another form of the package: {detail}")]
    Types { name: PluginName, detail: String },
}

/// Why a component has no description in its bytes.
#[derive(Debug, thiserror::Error)]
pub enum WithDescriptionError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Bytes(#[from] DescriptionError),
}

fn join(problems: &[ImportProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A component that this host can call.
pub struct Plugin {
    name: PluginName,
    inspection: Inspection,
    provenance: Provenance,
    pub(crate) capabilities: BTreeMap<Interface, BTreeSet<String>>,
    component: Component,
    /// Linked once for each set of granted interfaces.
    linked: Mutex<BTreeMap<BTreeSet<Interface>, EveryCapabilityPre<State>>>,
    /// A permit for each of its instances.
    pub(crate) running: Arc<Semaphore>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plugin({} {})", self.name, self.inspection.digest)
    }
}

impl Plugin {
    pub fn name(&self) -> &PluginName {
        &self.name
    }

    pub fn digest(&self) -> &Digest {
        &self.inspection.digest
    }

    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// Imported interfaces that `grants` does not grant: a call with them is refused.
    pub fn missing_grants(&self, grants: &Grants) -> Vec<MissingGrant> {
        // Asked at every call, so from what was read at the load.
        missing_grants(self.name.as_str(), &self.capabilities, grants)
    }

    /// Grants that no import needs.
    pub fn over_grants(&self, grants: &Grants) -> Vec<OverGrant> {
        self.inspection.over_grants(self.name.as_str(), grants)
    }

    /// The component linked with exactly `interfaces`.
    pub(crate) fn linked(&self, interfaces: &BTreeSet<Interface>) -> wasmtime::Result<EveryCapabilityPre<State>> {
        let mut linked = self.linked.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pre) = linked.get(interfaces) {
            return Ok(pre.clone());
        }
        let linker = link(self.component.engine(), interfaces)?;
        let pre = EveryCapabilityPre::new(linker.instantiate_pre(&self.component)?)?;
        linked.insert(interfaces.clone(), pre.clone());
        Ok(pre)
    }
}

impl PluginHost {
    /// Checks and compiles a component, or takes its code from the store.
    ///
    /// The name is for messages; identity is the digest of `bytes`. Compiling
    /// takes about a second and happens on a blocking thread.
    pub async fn load(&self, name: &PluginName, bytes: &[u8]) -> Result<Arc<Plugin>, LoadError> {
        let size_bytes_max = self.config.component_bytes_max;
        if bytes.len() > size_bytes_max {
            return Err(LoadError::TooLarge { name: name.clone(), size_bytes: bytes.len(), size_bytes_max });
        }
        let unreadable = |source| LoadError::Inspect { name: name.clone(), source };
        let (functions, functions_max) = (count_functions(bytes).map_err(unreadable)?, self.config.functions_max);
        if functions > functions_max {
            return Err(LoadError::TooManyFunctions { name: name.clone(), functions, functions_max });
        }
        let inspection = inspect(bytes).map_err(unreadable)?;
        let problems = inspection.problems();
        if !problems.is_empty() {
            return Err(LoadError::Problems { name: name.clone(), problems });
        }
        let (component, provenance) = self.component(name, bytes, &inspection.digest).await?;
        let capabilities = inspection.capabilities();
        let linked = Mutex::default();
        let running = Arc::new(Semaphore::new(self.instances_of_plugin_max()));
        let plugin = Plugin { name: name.clone(), inspection, provenance, capabilities, component, linked, running };
        plugin
            .linked(&plugin.capabilities.keys().copied().collect())
            .map_err(|error| LoadError::Types { name: name.clone(), detail: format!("{error:#}") })?;
        Ok(Arc::new(plugin))
    }

    /// What the plugin says of itself, and `component`, of which it was loaded, with that in its bytes.
    ///
    /// The code is kept for these bytes too: a custom section changes none of it.
    ///
    /// # Errors
    ///
    /// It does not answer, or `component` cannot hold the answer.
    pub async fn with_its_description(
        &self,
        plugin: &Plugin,
        component: &[u8],
    ) -> Result<(Description, Vec<u8>), WithDescriptionError> {
        let description = self.describe(plugin).await?;
        let bytes = with_description(component, &description)?;
        if let Some(store) = &self.precompiled
            && let Ok(code) = plugin.component.serialize()
            && let Err(error) = store.put(&self.engine, &Digest::of(&bytes), &code)
        {
            tracing::warn!(plugin.name = %plugin.name, %error, "Compiled code of plugin `{}` could not be kept", plugin.name);
        }
        Ok((description, bytes))
    }

    async fn component(
        &self,
        name: &PluginName,
        bytes: &[u8],
        digest: &Digest,
    ) -> Result<(Component, Provenance), LoadError> {
        let failed = |detail: String| LoadError::Compile { name: name.clone(), detail };
        let _one_at_a_time = self.compiling.acquire().await.map_err(|error| failed(error.to_string()))?;
        let provenance = match self.precompiled.as_ref().map(|store| store.get(&self.engine, digest)) {
            Some(Found::Entry(component)) => return Ok((component, Provenance::Precompiled)),
            Some(Found::Tampered) => {
                tracing::error!(plugin.name = %name, plugin.digest = %digest, "Compiled code of plugin `{name}` was changed on disk; it is compiled again");
                Provenance::CompiledAfterTampering
            }
            Some(Found::Nothing) | None => Provenance::Compiled,
        };
        let (engine, store) = (self.engine.clone(), self.precompiled.clone());
        let (bytes, digest, label) = (bytes.to_vec(), digest.clone(), name.clone());
        let compiler = self.config.compiler.clone();
        let compile = move || {
            let (component, code) = match compiler {
                Some(compiler) => {
                    let code = compiler.compile(&bytes, store.as_ref().map(|store| store.folder()))?;
                    let component = compiled_by_us(&engine, &code)
                        .map_err(|detail| format!("this host does not take what the compiler made of it: {detail}"))?;
                    (component, code)
                }
                None => {
                    let component = Component::from_binary(&engine, &bytes).map_err(|error| format!("{error:#}"))?;
                    let code = component.serialize().map_err(|error| format!("{error:#}"))?;
                    (component, code)
                }
            };
            if let Some(store) = store
                && let Err(error) = store.put(&engine, &digest, &code)
            {
                tracing::warn!(plugin.name = %label, %error, "Compiled code of plugin `{label}` could not be kept");
            }
            Ok::<_, String>(component)
        };
        let compiled = tokio::task::spawn_blocking(compile).await.map_err(|error| failed(error.to_string()))?;
        Ok((compiled.map_err(failed)?, provenance))
    }
}
