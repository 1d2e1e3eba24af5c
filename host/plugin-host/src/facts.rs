//! What a reviewer learns from the bytes of a component.

use std::collections::{BTreeMap, BTreeSet};

use workflow::review::{ComponentClass, ComponentFacts};

use crate::inspect::{self, InspectError, Inspection, inspect};

impl Inspection {
    /// Key of a grant (`sandbox`) to the imported functions that need it (`sandbox.exec`).
    pub fn needs(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (interface, functions) in self.capabilities() {
            for key in interface.keys() {
                let names = functions.iter().map(|function| format!("{interface}.{function}"));
                needs.entry((*key).to_owned()).or_default().extend(names);
            }
        }
        // What this host links of WASI; for the rest there is no grant, and `problems` names it.
        let wasi = self.imports.iter().filter(|(name, _)| inspect::is_baseline(name));
        for (interface, functions) in wasi {
            let names = functions.iter().map(|function| format!("{interface}.{function}"));
            needs.entry("wasi-baseline".to_owned()).or_default().extend(names);
        }
        needs
    }
}

/// Reads what a report says of a component; nothing is compiled or run.
pub fn component_facts(bytes: &[u8]) -> Result<ComponentFacts, InspectError> {
    let inspection = inspect(bytes)?;
    let class = match inspection.class {
        inspect::ComponentClass::ImportPure => ComponentClass::ImportPure,
        inspect::ComponentClass::WasiBaseline => ComponentClass::WasiBaseline,
        inspect::ComponentClass::Other => ComponentClass::Other,
    };
    Ok(ComponentFacts {
        class,
        smallest_world: inspection.smallest_world,
        needs: inspection.needs(),
        problems: inspection.problems().iter().map(ToString::to_string).collect(),
        digest: inspection.digest,
        size_bytes: inspection.size_bytes,
        functions: inspection.imports,
    })
}
