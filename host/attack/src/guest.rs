//! Hostile components from a few lines of WebAssembly text.
//!
//! A [`Guest`] is a core module by hand: it has the memory, the allocator and
//! the three exports that every step needs, each of which a case may replace.
//! Nothing of Rust's standard library stands between the attack and the host.

use std::fmt::Write as _;
use std::sync::LazyLock;

use wit_component::StringEncoding;
use wit_parser::Resolve;

/// The contract, as this host was built with it.
const WIT: &str = include_str!("../../../wit/release.wit");

/// `0.1.0`, of the package that this host offers.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let offered = plugin_host::package_offered();
    offered.split_once('@').expect("the package has a version").1.to_owned()
});

/// Where `execute` puts its result, `describe` its description, `plan` its list.
const RESULT: u32 = 256;
const DESCRIPTION: u32 = 320;
const PLAN: u32 = 400;
/// The names of answers, 16 bytes each, and then their lengths, a byte each.
const KINDS: u32 = 1024;
const KINDS_LENGTH: u32 = 1280;
/// The case's own texts and records.
const DATA: u32 = 2048;

/// What `$kind` answers for `ok` and for each error of a host call, as JSON.
const ANSWERS: [&str; 6] = ["\"ok\"", "\"denied\"", "\"invalid\"", "\"not-found\"", "\"quota\"", "\"unavailable\""];

/// A function of the package that a guest imports, under a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    Emit,
    Stat,
    Read,
    Put,
    Exec,
    Acquire,
    Name,
    /// Dropping a handle is a function of the canonical ABI, not of the interface.
    Drop,
    ExecWithSecrets,
    Ask,
    CallTool,
    Fetch,
}

impl Import {
    /// Every function of every interface.
    pub const ALL: [Import; 11] = [
        Import::Emit,
        Import::Stat,
        Import::Read,
        Import::Put,
        Import::Exec,
        Import::Acquire,
        Import::Name,
        Import::ExecWithSecrets,
        Import::Ask,
        Import::CallTool,
        Import::Fetch,
    ];

    /// Interface, function, the name in the guest, parameters of the core function.
    fn form(self) -> (&'static str, &'static str, &'static str, &'static str) {
        match self {
            Import::Emit => ("log", "emit", "emit", "i32 i32 i32 i32 i32"),
            Import::Stat => ("artifacts-read", "stat", "stat", "i32 i32 i32"),
            Import::Read => ("artifacts-read", "read", "read", "i32 i32 i64 i32 i32"),
            Import::Put => ("artifacts-write", "put", "put", "i32 i32 i32 i32 i32 i32 i32"),
            Import::Exec => ("sandbox", "exec", "exec", "i32 i32 i32 i32 i32"),
            Import::Acquire => ("secrets", "acquire", "acquire", "i32 i32 i32"),
            Import::Name => ("secrets", "[method]secret.name", "name", "i32 i32"),
            Import::Drop => ("secrets", "[resource-drop]secret", "drop", "i32"),
            Import::ExecWithSecrets => {
                ("sandbox-secret", "exec-with-secrets", "exec-with", "i32 i32 i32 i32 i32 i32 i32")
            }
            Import::Ask => ("model", "ask", "ask", "i32 i32 i32 i32 i32 i32 i32 i32 i32 i32"),
            Import::CallTool => ("mcp", "call-tool", "call-tool", "i32 i32 i32 i32 i32 i32 i32"),
            Import::Fetch => ("http", "fetch", "fetch", "i32 i32 i32 i32 i32 i32"),
        }
    }

    /// In the guest's text.
    pub fn name(self) -> &'static str {
        self.form().2
    }

    /// Types of the core function's parameters: `i32`, `i64`.
    pub fn parameters(self) -> Vec<&'static str> {
        self.form().3.split(' ').collect()
    }

    pub fn interface(self) -> &'static str {
        self.form().0
    }

    pub fn function(self) -> &'static str {
        self.form().1
    }

    fn text(self) -> String {
        let (interface, function, name, parameters) = self.form();
        format!(
            "(import \"lightapi:release/{interface}@{}\" \"{function}\" (func ${name} (param {parameters})))",
            *VERSION
        )
    }

    /// A call that puts its answer at 512, with nothing in its texts.
    pub fn empty_call(self) -> String {
        let (name, types) = (self.name(), self.parameters());
        let place = |at: usize| match (self, at) {
            // A handle is a number from 1; `emit` and dropping have no answer.
            (Import::Name | Import::Drop, 0) => 1,
            (Import::Emit | Import::Drop, _) => 0,
            (_, at) if at + 1 == types.len() => 512,
            (_, _) => 0,
        };
        let operands: String = (0..types.len()).map(|at| format!(" ({}.const {})", types[at], place(at))).collect();
        format!("(call ${name}{operands})")
    }
}

/// A value for a parameter of a command, as the guest passes it.
#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Flag(bool),
    Integer(i64),
    Artifact(String),
    Texts(Vec<String>),
}

/// A text in the guest's memory: where it begins and how long it is.
#[derive(Debug, Clone, Copy)]
pub struct Text(pub u32, pub u32);

impl std::fmt::Display for Text {
    /// As two operands.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(i32.const {}) (i32.const {})", self.0 as i32, self.1 as i32)
    }
}

/// A step by hand. What is not replaced is honest: `describe` describes,
/// `plan` plans nothing, `execute` answers `"ok"`.
#[derive(Debug, Clone)]
pub struct Guest {
    imports: String,
    items: String,
    memory: String,
    realloc: String,
    describe: String,
    plan: String,
    execute: String,
    description: [Text; 5],
    data: Vec<u8>,
    /// Exports beside the step, in WIT, for a world of its own.
    world: String,
    /// Packages that the world names, in WIT.
    packages: String,
}

impl Default for Guest {
    fn default() -> Self {
        Self::new()
    }
}

impl Guest {
    pub fn new() -> Self {
        let mut guest = Self {
            imports: String::new(),
            items: String::new(),
            memory: String::new(),
            realloc: REALLOC.to_owned(),
            describe: format!("(i32.const {DESCRIPTION})"),
            plan: format!("(i32.const {PLAN})"),
            execute: "(call $says (i32.const 0))".to_owned(),
            description: [Text(0, 0); 5],
            data: Vec::new(),
            world: String::new(),
            packages: String::new(),
        };
        guest.description =
            ["hostile", "0.1.0", "Does what a plugin must not.", "{}", "{}"].map(|text| guest.text(text));
        guest
    }

    /// Puts bytes into the guest's memory.
    pub fn bytes(&mut self, bytes: &[u8]) -> Text {
        self.data.resize(self.data.len().next_multiple_of(8), 0);
        let at = DATA + u32::try_from(self.data.len()).expect("a guest's data are small");
        self.data.extend_from_slice(bytes);
        Text(at, u32::try_from(bytes.len()).expect("a guest's data are small"))
    }

    pub fn text(&mut self, text: &str) -> Text {
        self.bytes(text.as_bytes())
    }

    /// The list that `exec` takes: a name and a value each.
    pub fn parameters(&mut self, parameters: &[(&str, Value)]) -> Text {
        let mut records = Vec::with_capacity(24 * parameters.len());
        for (name, value) in parameters {
            let name = self.text(name);
            let (case, payload) = match value {
                Value::Text(text) => (0u8, self.text(text).raw()),
                Value::Flag(flag) => (1, [u8::from(*flag), 0, 0, 0, 0, 0, 0, 0]),
                Value::Integer(integer) => (2, integer.to_le_bytes()),
                Value::Artifact(uri) => (3, self.text(uri).raw()),
                Value::Texts(texts) => {
                    let texts: Vec<u8> = texts.iter().flat_map(|text| self.text(text).raw()).collect();
                    let count = u32::try_from(texts.len() / 8).expect("a guest's data are small");
                    (4, Text(self.bytes(&texts).0, count).raw())
                }
            };
            records.extend(name.raw());
            records.extend([case, 0, 0, 0, 0, 0, 0, 0]);
            records.extend(payload);
        }
        Text(self.bytes(&records).0, u32::try_from(parameters.len()).expect("a guest's data are small"))
    }

    pub fn import(mut self, import: Import) -> Self {
        let text = import.text();
        if !self.imports.contains(&text) {
            self.imports.push_str(&text);
        }
        self
    }

    /// An import as it stands, with the WIT that declares it left to [`Guest::world`].
    pub fn raw_import(mut self, text: &str) -> Self {
        self.imports.push_str(text);
        self
    }

    /// More functions, globals, tables, memories.
    pub fn item(mut self, text: &str) -> Self {
        self.items.push_str(text);
        self
    }

    /// `(memory …)` in full, exported as `memory`.
    pub fn memory(mut self, text: &str) -> Self {
        self.memory = text.to_owned();
        self
    }

    /// The body of `cabi_realloc`: `$old $old_size $align $size` to a pointer.
    pub fn realloc(mut self, body: &str) -> Self {
        self.realloc = body.to_owned();
        self
    }

    pub fn describe(mut self, body: &str) -> Self {
        self.describe = body.to_owned();
        self
    }

    /// Replaces a text of the description: 0 name, 1 version, 2 summary, 3 and 4 the schemas.
    pub fn describes(mut self, part: usize, text: Text) -> Self {
        self.description[part] = text;
        self
    }

    pub fn plan(mut self, body: &str) -> Self {
        self.plan = body.to_owned();
        self
    }

    /// The body of `execute`: `$input $input_len` to the place of the result.
    /// `$says` answers a text of [`ANSWERS`], `$kind` what a host call came to,
    /// `$ok` any text.
    pub fn execute(mut self, body: &str) -> Self {
        self.execute = body.to_owned();
        self
    }

    /// More of the world, in WIT: `export things: interface { … }`.
    pub fn world(mut self, wit: &str) -> Self {
        self.world = wit.to_owned();
        self
    }

    /// Packages beside the host's own, in WIT, for [`Guest::world`] to name.
    pub fn packages(mut self, wit: &str) -> Self {
        self.packages = wit.to_owned();
        self
    }

    /// `execute` fails with this case of `step-error` and text.
    pub fn failing(mut self, case: u8, text: &str) -> Self {
        let text = self.text(text);
        self.execute(&format!(
            "(i32.store8 (i32.const {RESULT}) (i32.const 1))
             (i32.store8 offset=4 (i32.const {RESULT}) (i32.const {case}))
             (i32.store offset=8 (i32.const {RESULT}) (i32.const {}))
             (i32.store offset=12 (i32.const {RESULT}) (i32.const {}))
             (i32.const {RESULT})",
            text.0, text.1
        ))
    }

    /// The core module as text.
    fn module(&self) -> String {
        let mut fixed = vec![0; (DATA - RESULT) as usize];
        let mut put = |at: u32, bytes: &[u8]| {
            let at = (at - RESULT) as usize;
            fixed[at..at + bytes.len()].copy_from_slice(bytes);
        };
        for (index, answer) in (0u32..).zip(ANSWERS) {
            put(KINDS + 16 * index, answer.as_bytes());
            put(KINDS_LENGTH + index, &[answer.len() as u8]);
        }
        for (index, text) in (0u32..).zip(self.description) {
            put(DESCRIPTION + 8 * index, &text.raw());
        }
        let data: String = fixed.iter().chain(&self.data).fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").expect("a string takes any text");
            text
        });
        let heap = (DATA as usize + self.data.len()).next_multiple_of(16);
        let memory = match self.memory.as_str() {
            "" => format!("(memory (export \"memory\") {})", heap.div_ceil(65536) + 1),
            text => text.to_owned(),
        };
        let Self { imports, items, realloc, describe, plan, execute, .. } = self;
        let step = format!("lightapi:release/step@{}", *VERSION);
        format!(
            "(module {imports} {memory}
             (global $heap (mut i32) (i32.const {heap}))
             (func $realloc (export \"cabi_realloc\") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
                 (result i32) (local $at i32) (local $end i32) {realloc})
             (func $ok (param $text i32) (param $length i32) (result i32)
                 (i32.store8 (i32.const {RESULT}) (i32.const 0))
                 (i32.store offset=4 (i32.const {RESULT}) (local.get $text))
                 (i32.store offset=8 (i32.const {RESULT}) (local.get $length))
                 (i32.const {RESULT}))
             (func $says (param $kind i32) (result i32)
                 (call $ok (i32.add (i32.const {KINDS}) (i32.mul (local.get $kind) (i32.const 16)))
                     (i32.load8_u (i32.add (i32.const {KINDS_LENGTH}) (local.get $kind)))))
             (func $kind (param $answer i32) (param $offset i32) (result i32) (local $kind i32)
                 (if (i32.load8_u (local.get $answer)) (then
                     (local.set $kind (i32.add (i32.const 1) (i32.load8_u (i32.add (local.get $answer) (local.get $offset)))))))
                 (call $says (local.get $kind)))
             {items}
             (func (export \"{step}#describe\") (result i32) {describe})
             (func (export \"{step}#plan\") (param $input i32) (param $input_len i32) (result i32)
                 (local $i i32) (local $n i32) {plan})
             (func (export \"{step}#execute\") (param $input i32) (param $input_len i32) (result i32)
                 (local $i i32) (local $n i32) {execute})
             (data (i32.const {RESULT}) \"{data}\"))"
        )
    }

    /// The component. What does not become one is a mistake in a case, not an attack.
    pub fn component(&self) -> Vec<u8> {
        let mut module = wat::parse_str(self.module()).expect("the text of a guest is WebAssembly");
        let mut resolve = Resolve::default();
        resolve.push_str("release.wit", WIT).expect("the host's own WIT parses");
        // Every capability: what is not used is not in the component.
        let includes: String = ["publish", "probe", "diagnose"]
            .map(|world| format!("include lightapi:release/{world}@{};", *VERSION))
            .concat();
        let text = format!("package attack:more; world more {{ {includes} {} }} {}", self.world, self.packages);
        let package = resolve.push_str("more.wit", &text).expect("the WIT of a case parses");
        let world = resolve.select_world(&[package], Some("more")).expect("the world is there");
        wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
            .expect("the world can be embedded");
        plugin_host::encode(&module).expect("a guest becomes a component")
    }
}

impl Text {
    fn raw(self) -> [u8; 8] {
        let mut raw = [0; 8];
        raw[..4].copy_from_slice(&self.0.to_le_bytes());
        raw[4..].copy_from_slice(&self.1.to_le_bytes());
        raw
    }
}

/// Gives out memory from the end of the data on, and never takes it back.
const REALLOC: &str = "
    (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (global.set $heap (local.get $end))
    (if (i32.gt_u (local.get $end) (i32.mul (memory.size) (i32.const 65536))) (then
        (drop (memory.grow (i32.add (i32.const 1)
            (i32.shr_u (i32.sub (local.get $end) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16)))))))
    (memory.copy (local.get $at) (local.get $old) (local.get $old_size))
    (local.get $at)";

/// A component from component text.
pub fn component(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text of a case is WebAssembly")
}

/// A component that imports and exports what the world `other` of this WIT says.
pub fn of_world(wit: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("other.wit", wit).expect("the WIT of a case parses");
    let world = resolve.select_world(&[package], Some("other")).expect("its world is there");
    let mut module = wit_component::dummy_module(&resolve, world, wit_parser::ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the world can be embedded");
    plugin_host::encode(&module).expect("a dummy becomes a component")
}
