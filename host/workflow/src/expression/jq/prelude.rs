//! The definitions written in jq: the library's, and ours.
//!
//! A program is compiled with those it may need and no others: compiling all of
//! them takes far longer than compiling the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::load::{self};
use jaq_core::path::Part;

use super::{UNCOUNTED, is_left_out, natives};

/// What is as jq has it, and not as the library does.
const DEFINITIONS: &str = include_str!("definitions.jq");

/// What the compiler itself calls.
const ALWAYS: &[&str] = &["empty", "error", "true", "false", "not", "tostring", "select", "null"];

type Definition = Def<&'static str>;

struct Prelude {
    definitions: Vec<Definition>,
    /// Which of them have this name, and which names those use.
    by_name: BTreeMap<&'static str, (Vec<usize>, BTreeSet<&'static str>)>,
}

/// All definitions, in an order in which each is after those it uses.
pub fn all() -> &'static [Definition] {
    &prelude().definitions
}

/// Those that a program with these words may use.
pub fn needed<'a>(words: impl Iterator<Item = &'a str>) -> Vec<Definition> {
    let prelude = prelude();
    let mut open: Vec<&str> = words.chain(ALWAYS.iter().copied()).collect();
    let (mut seen, mut wanted) = (BTreeSet::new(), BTreeSet::<&usize>::new());
    while let Some(name) = open.pop() {
        if let (Some((at, uses)), true) = (prelude.by_name.get(name), seen.insert(name)) {
            wanted.extend(at);
            open.extend(uses);
        }
    }
    wanted.into_iter().map(|at| prelude.definitions[*at].clone()).collect()
}

fn prelude() -> &'static Prelude {
    static PRELUDE: OnceLock<Prelude> = OnceLock::new();
    PRELUDE.get_or_init(|| {
        let ours = load::parse(DEFINITIONS, |parser| parser.defs()).unwrap_or_default();
        assert!(!ours.is_empty(), "our definitions parse");
        let natives: Vec<_> = natives::natives().map(|(name, arguments, _)| (name, arguments.len())).collect();
        let library = jaq_core::defs().chain(jaq_std::defs()).filter(|def| {
            let it = (def.name, def.args.len());
            !is_left_out(def.name) && !natives.contains(&it) && !UNCOUNTED.contains(&it)
        });
        // What ours replace stays below them: the library builds on it.
        let definitions: Vec<Definition> = library.chain(ours).collect();
        let mut by_name: BTreeMap<_, (Vec<usize>, BTreeSet<_>)> = BTreeMap::new();
        for (at, definition) in definitions.iter().enumerate() {
            let (places, uses) = by_name.entry(definition.name).or_default();
            places.push(at);
            names_of_definition(definition, uses);
        }
        Prelude { definitions, by_name }
    })
}

fn names_of_definition<'a>(definition: &Def<&'a str>, names: &mut BTreeSet<&'a str>) {
    names_of(&definition.body, names);
}

fn names_of<'a>(term: &Term<&'a str>, names: &mut BTreeSet<&'a str>) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(format, parts) => {
            names.extend(format);
            for part in parts {
                match part {
                    StrPart::Term(term) => names_of(term, names),
                    StrPart::Str(_) | StrPart::Char(_) => {}
                }
            }
        }
        Term::Arr(Some(term)) | Term::Neg(term) | Term::Label(_, term) => names_of(term, names),
        Term::Obj(members) => {
            for (key, member) in members {
                names_of(key, names);
                member.iter().for_each(|member| names_of(member, names));
            }
        }
        Term::BinOp(left, operator, right) => {
            names_of(left, names);
            names_of(right, names);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                names_of_pattern(pattern, names);
            }
        }
        Term::Fold(_, over, pattern, parts) => {
            names_of(over, names);
            names_of_pattern(pattern, names);
            parts.iter().for_each(|part| names_of(part, names));
        }
        Term::TryCatch(tried, caught) => {
            names_of(tried, names);
            caught.iter().for_each(|caught| names_of(caught, names));
        }
        Term::IfThenElse(cases, otherwise) => {
            for (condition, then) in cases {
                names_of(condition, names);
                names_of(then, names);
            }
            otherwise.iter().for_each(|otherwise| names_of(otherwise, names));
        }
        Term::Def(definitions, term) => {
            definitions.iter().for_each(|definition| names_of_definition(definition, names));
            names_of(term, names);
        }
        Term::Call(name, arguments) => {
            names.insert(name);
            arguments.iter().for_each(|argument| names_of(argument, names));
        }
        Term::Path(term, path) => {
            names_of(term, names);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => names_of(index, names),
                    Part::Range(from, to) => from.iter().chain(to).for_each(|bound| names_of(bound, names)),
                }
            }
        }
    }
}

fn names_of_pattern<'a>(pattern: &Pattern<&'a str>, names: &mut BTreeSet<&'a str>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(parts) => parts.iter().for_each(|part| names_of_pattern(part, names)),
        Pattern::Obj(parts) => {
            for (key, part) in parts {
                names_of(key, names);
                names_of_pattern(part, names);
            }
        }
    }
}
