//! What a component can do, read from its bytes: nothing is compiled or run.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::Serialize;
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldItem, WorldKey};
use workflow::Digest;
use workflow::capability::{Grants, World};

use crate::baseline;
use crate::interface::{Interface, MissingGrant, OFFER, OverGrant, PACKAGE, STEP, missing_grants, over_grants};
use crate::shape::{difference, shapes};

/// Items of a component's outer sections: JavaScript and Python components have some hundreds.
const ITEMS_MAX: u64 = 10_000;

/// Why the bytes are not a component that could be inspected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    #[error("the file is empty")]
    Empty,
    #[error("the file is not WebAssembly: it starts with {0}")]
    NotWasm(String),
    #[error(
        "the file is a core module, not a component: build it with `light-workflow plugin build` or `cargo xtask plugins`"
    )]
    CoreModule,
    #[error("the file is a WIT package, not a component: it has no code")]
    WitPackage,
    /// What reads a component looks at each of its items beside all others.
    #[error("the component has {items} imports, exports and types; this host reads at most {ITEMS_MAX}")]
    TooMany { items: u64 },
    /// Cut off, changed, or made with a feature of the component model that this host does not read.
    #[error("the component is damaged or truncated: {0}")]
    Malformed(String),
}

/// The imports and exports of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    pub digest: Digest,
    pub size_bytes: u64,
    /// Interface with package and version (`lightapi:release/log@0.1.0`) to the
    /// functions imported of it. An interface with types only is not in it.
    pub imports: BTreeMap<String, BTreeSet<String>>,
    pub exports: BTreeMap<String, BTreeSet<String>>,
    /// The world with the fewest powers that has all imports; none if no world has them.
    pub smallest_world: Option<World>,
    /// Imports are of our package only: no clock, randomness, files, environment or network.
    pub import_pure: bool,
    pub class: ComponentClass,
    /// Functions of ours with types that are not ours.
    #[serde(skip)]
    other_types: Vec<ImportProblem>,
}

/// What a component was built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComponentClass {
    /// It imports of our package only: its import list is its capability list.
    ImportPure,
    /// And of WASI what a standard library needs to start: a clock and randomness
    /// of the journal, the log, nothing to read. It needs the grant `wasi-baseline`.
    WasiBaseline,
    /// More than this host links for anyone.
    Other,
}

impl ComponentClass {
    pub fn name(self) -> &'static str {
        match self {
            ComponentClass::ImportPure => "import-pure",
            ComponentClass::WasiBaseline => "wasi-baseline",
            ComponentClass::Other => "other",
        }
    }

    fn of<'a>(mut imports: impl Iterator<Item = &'a String> + Clone) -> Self {
        if imports.clone().all(|name| split(name).0 == PACKAGE) {
            ComponentClass::ImportPure
        } else if imports.all(|name| split(name).0 == PACKAGE || is_baseline(name)) {
            ComponentClass::WasiBaseline
        } else {
            ComponentClass::Other
        }
    }
}

impl std::fmt::Display for ComponentClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// An import or export that this host has no answer for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportProblem {
    #[error(
        "it imports `{interface}` ({functions}), which is not in what this host links of WASI 0.2 (clocks, randomness, \
         standard streams, an empty filesystem); use the interfaces of {PACKAGE} instead, or build the plugin without it"
    )]
    Wasi { interface: String, functions: String },
    #[error("it imports `{interface}` ({functions}) of a package this host does not have; it offers {offered}")]
    UnknownPackage { interface: String, functions: String, offered: String },
    #[error("it imports `{interface}` ({functions}), which no version of the package has; this host offers {offered}")]
    UnknownInterface { interface: String, functions: String, offered: String },
    #[error("it needs `{interface}` in version {wanted} ({functions}); this host offers version {offered}")]
    Version { interface: String, functions: String, wanted: String, offered: Version },
    #[error("it needs the function `{function}` of `{interface}`; this host offers {offered}")]
    UnknownFunction { interface: String, function: String, offered: String },
    /// The name is right and the types are not: it was built against a changed copy of the package.
    #[error(
        "`{function}` of `{interface}` has other types than version {offered} of the package, which this host offers: `{theirs}` instead of `{ours}`; build it against an unchanged copy"
    )]
    Types { interface: String, function: String, offered: Version, theirs: String, ours: String },
    #[error("it exports no `{PACKAGE}/{STEP}`, so it is not a step; it exports {exported}")]
    NoStep { exported: String },
    #[error("it exports `{interface}`, a version this host cannot call; this host calls version {offered}")]
    StepVersion { interface: String, offered: Version },
    #[error("its `{PACKAGE}/{STEP}` lacks the function `{function}`")]
    MissingExport { function: String },
}

/// Reads the capabilities of a component from its bytes.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, InspectError> {
    check_header(bytes)?;
    let items = items(bytes);
    if items > ITEMS_MAX {
        return Err(InspectError::TooMany { items });
    }
    let decoded = wit_component::decode(bytes).map_err(|error| InspectError::Malformed(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(InspectError::WitPackage);
    };
    let world = &resolve.worlds[world];
    let imports = interfaces(&resolve, world.imports.iter());
    let exports = interfaces(&resolve, world.exports.iter());
    // WASI is a matter of the class, not of the world.
    let of_worlds = imports.keys().filter(|name| !is_baseline(name));
    let used: Option<BTreeSet<Interface>> = of_worlds.map(|name| own_interface(name)).collect();
    let smallest_world =
        used.and_then(|used| World::ALL.into_iter().find(|world| OFFER.world(*world).is_superset(&used)));
    let class = ComponentClass::of(imports.keys());
    let items = world.imports.values().chain(world.exports.values());
    let other_types = items.flat_map(|item| other_types(&resolve, item)).collect();
    Ok(Inspection {
        digest: Digest::of(bytes),
        size_bytes: bytes.len() as u64,
        imports,
        exports,
        smallest_world,
        import_pure: class == ComponentClass::ImportPure,
        class,
        other_types,
    })
}

impl Inspection {
    /// The capabilities imported, with the functions of each.
    pub fn capabilities(&self) -> BTreeMap<Interface, BTreeSet<String>> {
        let mut found: BTreeMap<Interface, BTreeSet<String>> = BTreeMap::new();
        for (name, functions) in &self.imports {
            if is_baseline(name) {
                found.entry(Interface::WasiBaseline).or_default().insert(name.clone());
            } else if let Some(own) = own_interface(name) {
                found.entry(own).or_default().extend(functions.iter().cloned());
            }
        }
        found
    }

    /// Whether all imports are in `world`.
    pub fn fits(&self, world: World) -> bool {
        let in_world = |own: &Interface| *own == Interface::WasiBaseline || OFFER.world(world).contains(own);
        self.smallest_world.is_some_and(|_| self.capabilities().keys().all(in_world))
    }

    /// All that stands between this component and this host, beside grants.
    pub fn problems(&self) -> Vec<ImportProblem> {
        let imports = self.imports.iter().flat_map(|(name, functions)| import_problems(name, functions));
        imports.chain(self.export_problems()).chain(self.other_types.iter().cloned()).collect()
    }

    /// Imported interfaces that `grants` does not grant.
    pub fn missing_grants(&self, plugin: &str, grants: &Grants) -> Vec<MissingGrant> {
        missing_grants(plugin, &self.capabilities(), grants)
    }

    /// Grants that no import needs.
    pub fn over_grants(&self, plugin: &str, grants: &Grants) -> Vec<OverGrant> {
        over_grants(plugin, &self.capabilities(), grants)
    }

    fn export_problems(&self) -> Vec<ImportProblem> {
        let is_step = |name: &str| {
            let (package, interface, _) = split(name);
            package == PACKAGE && interface == STEP
        };
        let Some((name, functions)) = self.exports.iter().find(|(name, _)| is_step(name)) else {
            return vec![ImportProblem::NoStep { exported: list(self.exports.keys()) }];
        };
        if !version_fits(split(name).2) {
            return vec![ImportProblem::StepVersion { interface: name.clone(), offered: OFFER.version.clone() }];
        }
        let lacking = OFFER.interfaces[STEP].difference(functions);
        lacking.map(|function| ImportProblem::MissingExport { function: function.clone() }).collect()
    }
}

/// Functions of all core modules inside, without a look at their code.
pub(crate) fn count_functions(bytes: &[u8]) -> Result<u64, InspectError> {
    check_header(bytes)?;
    let mut functions = 0u64;
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(wasmparser::Payload::FunctionSection(section)) => functions += u64::from(section.count()),
            // Everything else is for the decoder to look at.
            Ok(_) => {}
            Err(error) => return Err(InspectError::Malformed(error.message().to_owned())),
        }
    }
    Ok(functions)
}

fn import_problems(name: &str, functions: &BTreeSet<String>) -> Vec<ImportProblem> {
    let (package, interface, version) = split(name);
    let (interface_text, functions_text) = (name.to_owned(), list(functions.iter()));
    if is_baseline(name) {
        return Vec::new();
    }
    if package.starts_with("wasi:") {
        return vec![ImportProblem::Wasi { interface: interface_text, functions: functions_text }];
    }
    if package != PACKAGE {
        let offered = crate::package_offered();
        return vec![ImportProblem::UnknownPackage { interface: interface_text, functions: functions_text, offered }];
    }
    let Some(offered) = OFFER.interfaces.get(interface).filter(|_| Interface::of_name(interface).is_some()) else {
        let offered =
            list(Interface::ALL.iter().map(|own| own.name()).filter(|own| OFFER.interfaces.contains_key(*own)));
        return vec![ImportProblem::UnknownInterface { interface: interface_text, functions: functions_text, offered }];
    };
    if !version_fits(version) {
        return vec![ImportProblem::Version {
            interface: format!("{package}/{interface}"),
            functions: functions_text,
            wanted: version.unwrap_or("none").to_owned(),
            offered: OFFER.version.clone(),
        }];
    }
    let unknown = functions.difference(offered).map(|function| ImportProblem::UnknownFunction {
        interface: name.to_owned(),
        function: function.clone(),
        offered: format!("{} in version {}", list(offered.iter()), OFFER.version),
    });
    unknown.collect()
}

/// Functions that this host has under the same name, version and interface, and with other types.
fn other_types(resolve: &Resolve, item: &WorldItem) -> Vec<ImportProblem> {
    let WorldItem::Interface { id, .. } = item else { return Vec::new() };
    let name = resolve.id_of(*id).unwrap_or_default();
    let (package, interface, version) = split(&name);
    let Some(ours) = OFFER.shapes.get(interface).filter(|_| package == PACKAGE && version_fits(version)) else {
        return Vec::new();
    };
    let differs = |(function, theirs): (String, String)| {
        let ours = ours.get(&function).filter(|ours| **ours != theirs)?;
        let (theirs, ours) = difference(&theirs, ours);
        Some(ImportProblem::Types { interface: name.clone(), function, offered: OFFER.version.clone(), theirs, ours })
    };
    shapes(resolve, *id).into_iter().filter_map(differs).collect()
}

/// Versions before 1.0 are compatible within their minor: a newer patch may have
/// functions that this host lacks, and those are named one by one.
fn version_fits(version: Option<&str>) -> bool {
    let wanted = version.and_then(|text| Version::parse(text).ok());
    wanted.is_some_and(|wanted| (wanted.major, wanted.minor) == (OFFER.version.major, OFFER.version.minor))
}

/// An interface of WASI 0.2 that components of the class wasi-baseline may import.
pub(crate) fn is_baseline(name: &str) -> bool {
    let (path, version) = name.split_once('@').unwrap_or((name, ""));
    let version = Version::parse(version).ok();
    baseline::INTERFACES.contains(&path) && version.is_some_and(|version| (version.major, version.minor) == (0, 2))
}

/// Our capability behind a full interface name, whatever its version.
fn own_interface(name: &str) -> Option<Interface> {
    let (package, interface, _) = split(name);
    (package == PACKAGE).then(|| Interface::of_name(interface)).flatten()
}

/// `lightapi:release/log@0.1.0` in its parts: package, interface, version.
fn split(name: &str) -> (&str, &str, Option<&str>) {
    let (path, version) = name.split_once('@').map_or((name, None), |(path, version)| (path, Some(version)));
    let (package, interface) = path.split_once('/').unwrap_or(("", path));
    (package, interface, version)
}

fn interfaces<'a>(
    resolve: &Resolve,
    items: impl Iterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (key, item) in items {
        match item {
            WorldItem::Interface { id, .. } => {
                let functions = resolve.interfaces[*id].functions.keys();
                let name = resolve.id_of(*id).unwrap_or_else(|| resolve.name_world_key(key));
                found.entry(name).or_default().extend(functions.cloned());
            }
            WorldItem::Function(function) => {
                found.entry(resolve.name_world_key(key)).or_default().insert(function.name.clone());
            }
            WorldItem::Type { .. } => {}
        }
    }
    found.retain(|_, functions| !functions.is_empty());
    found
}

fn check_header(bytes: &[u8]) -> Result<(), InspectError> {
    if bytes.is_empty() {
        return Err(InspectError::Empty);
    }
    match bytes {
        [0, b'a', b's', b'm', 0x01, 0, 0, 0, ..] => Err(InspectError::CoreModule),
        [0, b'a', b's', b'm', _, _, 0x01, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', ..] => Err(InspectError::Malformed("its header is not one of a component".to_owned())),
        _ => {
            let start = &bytes[..bytes.len().min(8)];
            Err(InspectError::NotWasm(format!("`{}`", start.escape_ascii())))
        }
    }
}

/// How many items the outer sections say that they have: known from their
/// headers, before anything is decoded. Damage is for the decoder to find.
fn items(bytes: &[u8]) -> u64 {
    let (mut items, mut rest) = (0u64, bytes.get(8..).unwrap_or_default());
    while let Some((id, after)) = rest.split_first() {
        let Some((size, content)) = number(after) else { break };
        // Core modules, components and custom sections are one item each.
        let count = if matches!(id, 0 | 1 | 4) { Some(1) } else { number(content).map(|(count, _)| count) };
        items = items.saturating_add(count.unwrap_or(0));
        let Some(next) = usize::try_from(size).ok().and_then(|size| content.get(size..)) else { break };
        rest = next;
    }
    items
}

/// An unsigned number in LEB128, and what follows it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[at + 1..]));
        }
    }
    None
}

fn list(names: impl Iterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
