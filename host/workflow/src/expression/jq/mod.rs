//! The jq machine: which filters exist, how one is compiled and run.
//!
//! The library runs it on values of ours, which count (`meter`). `def` is
//! refused: a filter that calls itself without touching a value would not be
//! counted, and nothing else can loop so.

mod natives;
mod prelude;
mod source;
mod value;

pub use natives::split;

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::{self, Arena, File, Lexer, Loader};
use jaq_core::native::Fun;
use jaq_core::{Compiler, Ctx, DataT, Filter, Lut, Vars, compile, data::HasLut};
use serde_json::Value;

use super::Variables;
use super::meter::{bounded, bounded_with_long_stack};
use super::value::{Kind, Val};

/// Filters that see more than their input, or act: left out.
const LEFT_OUT: &[(&str, &str)] = &[
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

/// Filters of the library around its own regular expressions, which count nothing.
const UNCOUNTED: &[(&str, usize)] = &[
    ("matches", 2),
    ("split_matches", 2),
    ("capture_of_match", 0),
    ("scan_", 2),
    ("test", 1),
    ("test", 2),
    ("match", 1),
    ("match", 2),
    ("capture", 1),
    ("capture", 2),
    ("scan", 1),
    ("scan", 2),
    ("split", 2),
    ("splits", 1),
    ("splits", 2),
    ("sub", 2),
    ("sub", 3),
    ("gsub", 2),
    ("gsub", 3),
];

/// Variables that jq knows and this host keeps away from expressions.
const KEPT_AWAY: &[(&str, &str)] = &[
    ("$ENV", "an expression sees no environment"),
    ("$__loc__", "an expression has no place to tell"),
    ("$__prog_args", "an expression has no arguments"),
];

struct Machine;

impl DataT for Machine {
    type V<'a> = Val;
    type Data<'a> = Run<'a>;
}

/// What filters reach while a program runs.
#[derive(Clone)]
struct Run<'a> {
    lut: &'a Lut<Machine>,
    /// Seconds since 1970, where there is such a moment.
    now: Option<f64>,
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
    /// Whether it may build paths of any length.
    is_deep: bool,
}

/// Filters that go on for as long as their data or a condition say. Inside of
/// `path(…)` or left of `|=` the library keeps what they pass in a list.
const DEEP: &[&str] = &[
    "reduce",
    "foreach",
    "recurse",
    "repeat",
    "until",
    "while",
    "limit",
    "getpath",
    "setpath",
    "pick",
    "paths",
    "tostream",
    "walk",
    "combinations",
];

impl Program {
    /// # Errors
    ///
    /// What is wrong with the text, for the author of the definition.
    pub fn compile(source: &str) -> Result<Self, String> {
        source::refuse_deep(source)?;
        let tokens = Lexer::new(source).lex().map_err(|errors| lex_error(&errors))?;
        let mut names = Names::default();
        names.collect(&tokens);
        names.refuse_what_is_left_out()?;
        let is_deep = names.words.iter().any(|word| DEEP.contains(&word.as_str()));
        // With no local bindings every variable is one that must be given;
        // otherwise jq tells which ones are.
        let variables = match names.binds {
            false => names.variables,
            true => match compile_with(source, &names.words, &[])? {
                Compiled::Filter(filter) => return Ok(Self { filter, variables: Vec::new(), is_deep }),
                Compiled::Undefined(variables) => variables,
            },
        };
        match compile_with(source, &names.words, &variables)? {
            Compiled::Filter(filter) => Ok(Self { filter, variables, is_deep }),
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
            values.push(variables.variable(&name[1..]).ok_or_else(|| format!("variable `{name}` is not known here"))?);
        }
        let run = Run { lut: &self.filter.lut, now: variables.now().map(|now| now.as_nanosecond() as f64 / 1e9) };
        let evaluation = || {
            let values = Vars::new(values.iter().map(|value| Kind::given(value).held()));
            let context = Ctx::<Machine>::new(run, values);
            match self.filter.id.run((context, Kind::given(input).held())).next() {
                None => Ok(Value::Null),
                Some(Ok(output)) => output.kind.to_json(),
                Some(Err(exception)) => Err(exception.get_err().map_or_else(
                    |_| "it left the expression without a result".to_owned(),
                    |error| error_text(error.into_val()),
                )),
            }
        };
        let outcome = if self.is_deep { bounded_with_long_stack(evaluation) } else { bounded(evaluation) };
        outcome.unwrap_or_else(|stopped| Err(stopped.to_string()))
    }
}

/// What `error("…")` says is shown without quotes.
fn error_text(error: Val) -> String {
    match &error.kind {
        Kind::Text(text) => super::excerpt(text.as_str(), 1000),
        other => other.to_string(),
    }
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
            Tok::Fmt => self.words.push((*text).to_owned()),
            Tok::Num | Tok::Sym => {}
        }
    }

    fn refuse_what_is_left_out(&self) -> Result<(), String> {
        if self.variables.iter().any(|variable| variable == "$secrets") {
            return Err(super::NO_SECRETS.to_owned());
        }
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

/// With the definitions that the text names; with all of them if that is not enough.
fn compile_with(source: &str, words: &[String], variables: &[String]) -> Result<Compiled, String> {
    let needed = prelude::needed(words.iter().map(String::as_str));
    compile_after(needed.into_iter(), source, variables)
        .or_else(|_| compile_after(prelude::all().iter().cloned(), source, variables))
}

fn compile_after(
    prelude: impl Iterator<Item = load::parse::Def<&'static str>>,
    source: &str,
    variables: &[String],
) -> Result<Compiled, String> {
    let arena = Arena::default();
    let modules = Loader::new(prelude)
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

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.iter().any(|(left_out, _)| *left_out == name)
}

/// The filters written in Rust.
fn natives() -> impl Iterator<Item = Fun<Machine>> {
    let ours: Vec<_> = natives::natives().collect();
    let known: Vec<_> = ours.iter().map(|(name, arguments, _)| (*name, arguments.len())).collect();
    let library = jaq_core::funs::<Machine>().chain(jaq_std::funs::<Machine>());
    library
        .filter(move |(name, arguments, _)| {
            let it = (*name, arguments.len());
            !is_left_out(name) && !known.contains(&it) && !UNCOUNTED.contains(&it)
        })
        .chain(ours)
}
