//! The types of a function as one text, so that two of them can be compared.
//!
//! Aliases are followed and everything is written out, since that is what the
//! engine compares: fields and cases by name and order, parameters by place.

use std::collections::BTreeMap;

use wit_parser::{Function, Handle, InterfaceId, Resolve, Type, TypeDefKind, TypeId};

/// Types can be written so that they double with each line. Ours have less than a kilobyte.
const SHAPE_BYTES_MAX: usize = 16 << 10;

/// A type that holds a type that holds a type … Ours nest no deeper than five; a
/// reader that follows them by calling itself must not follow for ever.
const DEPTH_MAX: usize = 100;

/// What is shown of a difference.
const SHOWN_CHARS_MAX: usize = 60;

/// Every function of an interface, resource methods included, with its shape.
pub(crate) fn shapes(resolve: &Resolve, interface: InterfaceId) -> BTreeMap<String, String> {
    let functions = &resolve.interfaces[interface].functions;
    functions.iter().map(|(name, function)| (name.clone(), shape(resolve, function))).collect()
}

fn shape(resolve: &Resolve, function: &Function) -> String {
    let mut writer = Writer { resolve, text: String::new(), depth: 0 };
    if function.kind.is_async() {
        writer.word("async ");
    }
    writer.list("(", function.params.iter().map(|param| (None, Some(param.ty))), ")");
    if let Some(result) = function.result {
        writer.word(" -> ");
        writer.ty(result);
    }
    writer.text
}

/// Where two shapes part: what the one says, and what the other.
pub(crate) fn difference(theirs: &str, ours: &str) -> (String, String) {
    let common = theirs.bytes().zip(ours.bytes()).take_while(|(theirs, ours)| theirs == ours).count();
    let at_word = |byte: u8| !(byte.is_ascii_alphanumeric() || byte == b'-');
    let start = theirs.as_bytes()[..common].iter().rposition(|byte| at_word(*byte)).map_or(0, |at| at + 1);
    let shown = |text: &str| {
        let rest = &text[start..];
        let short: String = rest.chars().take(SHOWN_CHARS_MAX).collect();
        let (before, after) = (if start == 0 { "" } else { "…" }, if short.len() < rest.len() { "…" } else { "" });
        format!("{before}{short}{after}")
    };
    (shown(theirs), shown(ours))
}

struct Writer<'a> {
    resolve: &'a Resolve,
    text: String,
    depth: usize,
}

impl Writer<'_> {
    fn word(&mut self, word: &str) {
        // All names in WIT are ASCII, and so a text that is cut off is one.
        if self.text.len() < SHAPE_BYTES_MAX {
            self.text.push_str(word);
        }
    }

    fn list<'n>(&mut self, open: &str, items: impl Iterator<Item = (Option<&'n str>, Option<Type>)>, close: &str) {
        self.word(open);
        for (at, (name, ty)) in items.enumerate() {
            self.word(if at == 0 { "" } else { ", " });
            if let Some(name) = name {
                self.word(name);
            }
            self.word(if name.is_some() && ty.is_some() { ": " } else { "" });
            if let Some(ty) = ty {
                self.ty(ty);
            }
        }
        self.word(close);
    }

    fn ty(&mut self, ty: Type) {
        match ty {
            Type::Bool => self.word("bool"),
            Type::U8 => self.word("u8"),
            Type::U16 => self.word("u16"),
            Type::U32 => self.word("u32"),
            Type::U64 => self.word("u64"),
            Type::S8 => self.word("s8"),
            Type::S16 => self.word("s16"),
            Type::S32 => self.word("s32"),
            Type::S64 => self.word("s64"),
            Type::F32 => self.word("f32"),
            Type::F64 => self.word("f64"),
            Type::Char => self.word("char"),
            Type::String => self.word("string"),
            Type::ErrorContext => self.word("error-context"),
            Type::Id(id) if self.text.len() < SHAPE_BYTES_MAX => self.named(id),
            Type::Id(_) => {}
        }
    }

    /// Follows names that stand for names one by one: a chain of them writes nothing, and may be long.
    fn named(&mut self, mut id: TypeId) {
        let resolve = self.resolve;
        loop {
            match &resolve.types[id].kind {
                TypeDefKind::Type(Type::Id(of)) => id = *of,
                TypeDefKind::Type(ty) => return self.ty(*ty),
                _ => break,
            }
        }
        if self.depth == DEPTH_MAX {
            // No type of ours is written so: it is told as another one.
            return self.word("nested-too-deep");
        }
        self.depth += 1;
        self.defined(id);
        self.depth -= 1;
    }

    fn defined(&mut self, id: TypeId) {
        let resolve = self.resolve;
        let one = |ty: &Type| [(None, Some(*ty))].into_iter();
        match &resolve.types[id].kind {
            TypeDefKind::Type(ty) => self.ty(*ty),
            TypeDefKind::Record(record) => {
                self.list("record(", record.fields.iter().map(|field| (Some(&*field.name), Some(field.ty))), ")");
            }
            TypeDefKind::Variant(variant) => {
                self.list("variant(", variant.cases.iter().map(|case| (Some(&*case.name), case.ty)), ")");
            }
            TypeDefKind::Enum(of) => self.list("enum(", of.cases.iter().map(|case| (Some(&*case.name), None)), ")"),
            TypeDefKind::Flags(of) => self.list("flags(", of.flags.iter().map(|flag| (Some(&*flag.name), None)), ")"),
            TypeDefKind::Tuple(tuple) => self.list("tuple(", tuple.types.iter().map(|ty| (None, Some(*ty))), ")"),
            TypeDefKind::Option(ty) => self.list("option(", one(ty), ")"),
            TypeDefKind::List(ty) => self.list("list(", one(ty), ")"),
            TypeDefKind::FixedLengthList(ty, length) => self.list(&format!("list-of-{length}("), one(ty), ")"),
            TypeDefKind::Map(key, value) => {
                self.list("map(", [(None, Some(*key)), (None, Some(*value))].into_iter(), ")");
            }
            TypeDefKind::Result(result) => {
                self.list("result(", [(Some("ok"), result.ok), (Some("err"), result.err)].into_iter(), ")");
            }
            TypeDefKind::Future(ty) => self.list("future(", [(None, *ty)].into_iter(), ")"),
            TypeDefKind::Stream(ty) => self.list("stream(", [(None, *ty)].into_iter(), ")"),
            TypeDefKind::Handle(Handle::Own(resource)) => self.resource("own", *resource),
            TypeDefKind::Handle(Handle::Borrow(resource)) => self.resource("borrow", *resource),
            TypeDefKind::Resource | TypeDefKind::Unknown => self.word("resource"),
        }
    }

    /// A resource is told by its name, under whatever name it is used.
    fn resource(&mut self, handle: &str, mut id: TypeId) {
        while let TypeDefKind::Type(Type::Id(of)) = self.resolve.types[id].kind {
            id = of;
        }
        let name = self.resolve.types[id].name.clone().unwrap_or_default();
        self.word(&format!("{handle}({name})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(wit: &str) -> (Resolve, InterfaceId) {
        let mut resolve = Resolve::default();
        let package = resolve.push_str("test.wit", &format!("package a:b; {wit}")).unwrap();
        let interface = resolve.packages[package].interfaces["i"];
        (resolve, interface)
    }

    fn shapes_of(wit: &str) -> BTreeMap<String, String> {
        let (resolve, interface) = resolved(wit);
        shapes(&resolve, interface)
    }

    #[test]
    fn a_shape_says_everything_and_follows_every_name() {
        let shapes = shapes_of(
            "interface t { record r { x: u8, y: list<text> } type text = string; resource s; }
             interface i {
                 use t.{r, s as key};
                 variant v { a(r), b }
                 enum e { one, two }
                 flags f { p, q }
                 go: func(v: v, e: e, f: f, keys: list<borrow<key>>) -> result<option<tuple<u64, bool>>>;
                 stop: func() -> result<_, own<key>>;
                 quiet: func();
             }",
        );
        assert_eq!(
            shapes["go"],
            "(variant(a: record(x: u8, y: list(string)), b), enum(one, two), flags(p, q), list(borrow(s))) -> result(ok: option(tuple(u64, bool)), err)"
        );
        assert_eq!(shapes["stop"], "() -> result(ok, err: own(s))");
        assert_eq!(shapes["quiet"], "()");
    }

    #[test]
    fn a_type_that_doubles_with_each_line_is_cut_off() {
        let lines: String = (1..60).map(|n| format!("type t{n} = tuple<t{}, t{}>;", n - 1, n - 1)).collect();
        let shapes = shapes_of(&format!("interface i {{ type t0 = u8; {lines} go: func(t: t59); }}"));
        assert!((SHAPE_BYTES_MAX..SHAPE_BYTES_MAX + 100).contains(&shapes["go"].len()));
    }

    #[test]
    fn a_chain_of_names_is_followed_to_its_end_and_deep_types_are_cut_off() {
        let read = |line: fn(usize) -> String, last: usize| {
            let lines: String = (1..=last).map(line).collect();
            resolved(&format!("interface i {{ type t0 = u8; {lines} go: func(t: t{last}); }}"))
        };
        let chain = read(|n| format!("type t{n} = t{};", n - 1), 3_000);
        let deep = read(|n| format!("type t{n} = list<t{}>;", n - 1), 150);
        // On a stack that is smaller than that of any thread of a host.
        let small = std::thread::Builder::new().stack_size(256 << 10);
        let followed = small.spawn(move || [chain, deep].map(|(resolve, interface)| shapes(&resolve, interface)));
        let [chain, deep] = followed.unwrap().join().unwrap();
        assert_eq!(chain["go"], "(u8)");
        assert!(deep["go"].starts_with("(list(list(") && deep["go"].contains("nested-too-deep"), "{}", deep["go"]);
    }

    #[test]
    fn a_difference_is_shown_from_the_word_where_it_begins() {
        let both = |theirs: &str, ours: &str| difference(theirs, ours);
        assert_eq!(both("(u32)", "(string)"), ("…u32)".to_owned(), "…string)".to_owned()));
        assert_eq!(both("(x: u32) -> u8", "(x: u64) -> u8"), ("…u32) -> u8".to_owned(), "…u64) -> u8".to_owned()));
        assert_eq!(both("()", "() -> u8"), ("…".to_owned(), "… -> u8".to_owned()));
        assert_eq!(both("async ()", "()"), ("async ()".to_owned(), "()".to_owned()));
    }
}
