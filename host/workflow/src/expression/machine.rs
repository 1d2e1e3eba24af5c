//! The jq machine: which filters exist, how one is compiled and run.
//!
//! The library has no limit on steps, so the filters that can go on for ever
//! are ours and count. `def` is refused: without it nothing else can loop or
//! recurse more than its data allows. What this is not: a bound on the memory
//! of one filter (`"x" * 1e9`), or on products of generators over large data.
//! Definitions are reviewed; the bound is against mistakes.

use std::cell::Cell;
use std::sync::OnceLock;

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::{self, Arena, File, Lexer, Loader, parse::Def};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn, Filter, Lut, Vars, compile, data::HasLut};
use jaq_json::Val;
use serde_json::Value;

use super::Variables;
use super::value::{from_jq, into_jq};

/// How often one evaluation may go round in `range`, `repeat`, `recurse`,
/// `while`, `until` and `limit`: enough for any list that fits the output
/// limit, and over in some tens of milliseconds.
pub const STEPS_MAX: u64 = 100_000;

/// Filters that see more than their input, or act: left out.
const LEFT_OUT: &[(&str, &str)] = &[
    ("now", "the clock is not part of an expression: use `$workflow.startedAt` or `$task.startedAt`"),
    ("env", "an expression sees no environment"),
    ("debug", "an expression has no output beside its result"),
    ("stderr", "an expression has no output beside its result"),
    ("debug_empty", "an expression has no output beside its result"),
    ("stderr_empty", "an expression has no output beside its result"),
    ("halt", "an expression cannot end the host: use `error`"),
    ("halt_error", "an expression cannot end the host: use `error`"),
    ("localtime", "the machine's time zone is not part of an expression: use `gmtime`"),
    ("strflocaltime", "the machine's time zone is not part of an expression: use `strftime`"),
    ("input", "an expression has one input: `.`"),
    ("inputs", "an expression has one input: `.`"),
];

/// Variables that jq knows and this host keeps away from expressions.
const KEPT_AWAY: &[(&str, &str)] = &[
    ("$secrets", "secrets are never in expressions: name them under `metadata.lightWorkflow.security.secrets`"),
    ("$ENV", "an expression sees no environment"),
    ("$__loc__", "an expression has no place to tell"),
    ("$__prog_args", "an expression has no arguments"),
];

/// The looping filters, each round counted by `count_step`.
const LOOPS: &str = "
    def range($from; $to; $by): uncounted_range($from; $to; $by) | count_step;
    def repeat(f): def rec: ., (count_step | f | rec); rec;
    def recurse(f): def rec: ., (count_step | f | rec); rec;
    def while(cond; update): def rec: if cond then ., (count_step | update | rec) else empty end; rec;
    def until(cond; update): def rec: if cond then . else count_step | update | rec end; rec;
";

struct Machine;

impl DataT for Machine {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

/// What the counting filters reach while a program runs.
#[derive(Clone)]
struct Run<'a> {
    lut: &'a Lut<Machine>,
    steps_left: &'a Cell<u64>,
}

impl<'a> HasLut<'a, Machine> for Run<'a> {
    fn lut(&self) -> &'a Lut<Machine> {
        self.lut
    }
}

/// A compiled filter and the variables it needs, in the order it wants them.
pub struct Program {
    filter: Filter<Machine>,
    /// With `$`.
    variables: Vec<String>,
}

impl Program {
    /// # Errors
    ///
    /// What is wrong with the text, for the author of the definition.
    pub fn compile(source: &str) -> Result<Self, String> {
        let tokens = Lexer::new(source).lex().map_err(|errors| lex_error(&errors))?;
        let mut names = Names::default();
        names.collect(&tokens);
        names.refuse_what_is_left_out()?;
        // With no local bindings every variable is one that must be given;
        // otherwise jq tells which ones are.
        let variables = match names.binds {
            false => names.variables,
            true => match compile_with(source, &[])? {
                Compiled::Filter(filter) => return Ok(Self { filter, variables: Vec::new() }),
                Compiled::Undefined(variables) => variables,
            },
        };
        match compile_with(source, &variables)? {
            Compiled::Filter(filter) => Ok(Self { filter, variables }),
            Compiled::Undefined(names) => Err(format!("undefined variable {}", names.join(", "))),
        }
    }

    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|name| &name[1..])
    }

    /// # Errors
    ///
    /// Why there is no result, for whoever runs the definition.
    pub fn run(&self, input: &Value, variables: &dyn Variables) -> Result<Value, String> {
        let mut values = Vec::with_capacity(self.variables.len());
        for name in &self.variables {
            let value = variables.variable(&name[1..]).ok_or_else(|| format!("variable `{name}` is not known here"))?;
            values.push(into_jq(&value));
        }
        let steps_left = Cell::new(STEPS_MAX);
        let run = Run { lut: &self.filter.lut, steps_left: &steps_left };
        let context = Ctx::<Machine>::new(run, Vars::new(values));
        let result = match self.filter.id.run((context, into_jq(input))).next() {
            None => Ok(Value::Null),
            Some(Ok(output)) => from_jq(&output),
            Some(Err(exception)) => Err(exception.get_err().map_or_else(
                |_| "it left the expression without a result".to_owned(),
                |error| error_text(error.into_val()),
            )),
        };
        // Out of steps stays so, even where `try` or `?` has swallowed the error.
        if steps_left.get() == 0 { Err(out_of_steps()) } else { result }
    }
}

/// What `error("…")` says is shown without quotes.
fn error_text(error: Val) -> String {
    match error {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        other => other.to_string(),
    }
}

fn out_of_steps() -> String {
    format!("it took more than {STEPS_MAX} steps")
}

/// Words and variables of a source text, strings' interpolations included.
#[derive(Default)]
struct Names {
    words: Vec<String>,
    /// With `$`; each once.
    variables: Vec<String>,
    /// Whether it may bind variables of its own.
    binds: bool,
}

impl Names {
    fn collect(&mut self, tokens: &[Token<&str>]) {
        for token in tokens {
            self.collect_one(token);
        }
    }

    fn collect_one(&mut self, Token(text, kind): &Token<&str>) {
        match kind {
            Tok::Word => {
                self.binds |= matches!(*text, "as" | "label" | "reduce" | "foreach");
                self.words.push((*text).to_owned());
            }
            Tok::Var => {
                if !self.variables.iter().any(|known| known == text) {
                    self.variables.push((*text).to_owned());
                }
            }
            Tok::Block(tokens) => self.collect(tokens),
            Tok::Str(parts) => parts.iter().for_each(|part| match part {
                StrPart::Term(token) => self.collect_one(token),
                StrPart::Str(_) | StrPart::Char(_) => {}
            }),
            Tok::Fmt | Tok::Num | Tok::Sym => {}
        }
    }

    fn refuse_what_is_left_out(&self) -> Result<(), String> {
        for (name, why) in KEPT_AWAY {
            if self.variables.iter().any(|variable| variable == name) {
                return Err(format!("`{name}` is not available: {why}"));
            }
        }
        match self.words.first().map(String::as_str) {
            Some("import" | "include" | "module") => Err("modules are not available".to_owned()),
            _ if self.words.iter().any(|word| word == "def") => {
                Err("`def` is not available: an expression that needs it wants to be a plugin".to_owned())
            }
            _ => Ok(()),
        }
    }
}

enum Compiled {
    Filter(Filter<Machine>),
    /// Variables, with `$`, that nothing defines.
    Undefined(Vec<String>),
}

fn compile_with(source: &str, variables: &[String]) -> Result<Compiled, String> {
    let arena = Arena::default();
    let modules = Loader::new(prelude().iter().cloned())
        .load(&arena, File { code: source, path: () })
        .map_err(|errors| errors.iter().map(|(_, error)| load_error(error)).collect::<Vec<_>>().join("; "))?;
    let compiled = Compiler::<_, Machine>::default()
        .with_funs(natives())
        .with_global_vars(variables.iter().map(String::as_str))
        .compile(modules);
    let errors = match compiled {
        Ok(filter) => return Ok(Compiled::Filter(filter)),
        Err(errors) => errors,
    };
    let mut unknown = Vec::new();
    for (name, undefined) in errors.into_iter().flat_map(|(_, errors)| errors) {
        match undefined {
            compile::Undefined::Var => unknown.push(name.to_owned()),
            other => return Err(undefined_error(name, &other)),
        }
    }
    unknown.sort();
    unknown.dedup();
    Ok(Compiled::Undefined(unknown))
}

fn undefined_error(name: &str, kind: &compile::Undefined) -> String {
    match LEFT_OUT.iter().find(|(left_out, _)| *left_out == name) {
        Some((_, why)) => format!("`{name}` is not available: {why}"),
        None => match kind {
            compile::Undefined::Filter(arity) => format!("undefined filter `{name}/{arity}`"),
            other => format!("undefined {} `{name}`", other.as_str()),
        },
    }
}

fn lex_error(errors: &[load::lex::Error<&str>]) -> String {
    errors.iter().map(|(expected, found)| expected_error(expected.as_str(), found)).collect::<Vec<_>>().join("; ")
}

fn load_error(error: &load::Error<&str>) -> String {
    match error {
        load::Error::Io(_) => "modules are not available".to_owned(),
        load::Error::Lex(errors) => lex_error(errors),
        load::Error::Parse(errors) => errors
            .iter()
            .map(|(expected, found)| expected_error(expected.as_str(), found))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

fn expected_error(expected: &str, found: &str) -> String {
    let found = found.lines().next().unwrap_or("").trim();
    let found = if found.is_empty() { "its end".to_owned() } else { format!("`{}`", super::excerpt(found, 40)) };
    format!("expected {expected}, found {found}")
}

/// The definitions written in jq, parsed once.
fn prelude() -> &'static [Def<&'static str>] {
    static PRELUDE: OnceLock<Vec<Def<&'static str>>> = OnceLock::new();
    PRELUDE.get_or_init(|| {
        let ours = load::parse(LOOPS, |parser| parser.defs()).unwrap_or_default();
        assert!(!ours.is_empty(), "the looping filters parse");
        let replaced =
            |def: &Def<&str>| ours.iter().any(|own| own.name == def.name && own.args.len() == def.args.len());
        let (core, rest): (Vec<_>, Vec<_>) =
            (jaq_core::defs().collect(), jaq_std::defs().chain(jaq_json::defs()).collect());
        // Ours come as early as can be, after `empty` that they use: the rest builds on them.
        let (before, after) = core.split_at(core.iter().take_while(|def| def.name != "empty").count() + 1);
        let kept = |def: &&Def<&str>| !is_left_out(def.name) && !replaced(def);
        (before.iter().chain(&ours).chain(after).chain(&rest))
            .filter(|def| ours.iter().any(|own| std::ptr::eq(own, *def)) || kept(def))
            .cloned()
            .collect()
    })
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

/// The filters written in Rust.
fn natives() -> impl Iterator<Item = Fun<Machine>> {
    let library = jaq_core::funs::<Machine>().chain(jaq_std::funs::<Machine>()).chain(jaq_json::funs::<Machine>());
    let library = library.filter(|(name, _, _)| !is_left_out(name)).map(|(name, arguments, native)| {
        let name = if name == "range" { "uncounted_range" } else { name };
        (name, arguments, native)
    });
    library.chain([run::<Machine>(("count_step", v(0), |cv| {
        let steps_left = cv.0.data().steps_left;
        let left = steps_left.get().saturating_sub(1);
        steps_left.set(left);
        match left {
            0 => Box::new(std::iter::once(Err(Exn::from(Error::str(out_of_steps()))))),
            _ => bome(Ok(cv.1)),
        }
    }))])
}
