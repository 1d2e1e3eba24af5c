//! YAML 1.2 (core schema) as [`Node`]s.
//!
//! Less than YAML on purpose: one document, text keys, no tags, and no aliases,
//! because a text that grows when it is read cannot be bounded and what a
//! reviewer sees should be what runs.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;

use super::node::Step;
use super::{DEPTH_MAX, Node, NodeValue, Problems, TEXT_BYTES_MAX};

/// Reads one YAML document. None: `problems` says why.
pub fn read(text: &str, problems: &Problems) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        problems.unreadable(
            1,
            1,
            format!("the file has {} bytes and may have {TEXT_BYTES_MAX}", text.len()),
            Some("split it, or keep data out of it".to_owned()),
        );
        return None;
    }
    let mut builder = Builder { problems, open: Vec::new(), root: None };
    for event in Parser::new_from_str(text) {
        let read = match event {
            Ok((event, span)) => builder.event(event, span),
            Err(error) => {
                let at = error.marker();
                let help = "put a text that has `: ` or ` #` in it into quotes";
                let help = error.info().starts_with("mapping values").then(|| help.to_owned());
                problems.unreadable(at.line(), at.col() + 1, format!("not YAML: {}", error.info()), help);
                Err(Stop)
            }
        };
        if read.is_err() {
            return None;
        }
    }
    if builder.root.is_none() {
        problems.unreadable(1, 1, "the file is empty", None);
    }
    builder.root
}

/// A problem has been recorded after which reading on would only confuse.
struct Stop;

struct Builder<'p> {
    problems: &'p Problems,
    /// The lists and mappings around the next value, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
}

enum Open {
    List { node: Node, items: Vec<Node> },
    Map { node: Node, members: Vec<(Node, Node)>, lines: HashMap<String, usize>, key: Option<Node> },
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                self.stop(span, "a second document begins here", "keep one document in a file")
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(_) => self.stop(span, "YAML aliases (`*name`) are not read", "write the value out"),
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag)) => self.stop(
                span,
                &format!("YAML tags (`{tag}`) are not read"),
                "remove it; text that looks like a number goes in quotes",
            ),
            Event::Scalar(text, style, _, None) => {
                let value = match style {
                    ScalarStyle::Plain => match plain(&text) {
                        Some(value) => value,
                        None => {
                            return self.stop(
                                span,
                                &format!("`{text}` is not a number that JSON has"),
                                "use a finite number",
                            );
                        }
                    },
                    _ => NodeValue::Text(text.into_owned()),
                };
                let node = self.node(span, value);
                self.close(node)
            }
            Event::SequenceStart(_, None) => {
                let node = self.node(span, NodeValue::Null);
                self.open(span, Open::List { node, items: Vec::new() })
            }
            Event::MappingStart(_, None) => {
                let node = self.node(span, NodeValue::Null);
                self.open(span, Open::Map { node, members: Vec::new(), lines: HashMap::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { node, items }) => self.close(Node { value: NodeValue::List(items), ..node }),
                Some(Open::Map { node, members, .. }) => self.close(Node { value: NodeValue::Map(members), ..node }),
                None => unreachable!("the parser closes only what it opened"),
            },
        }
    }

    /// A value that begins at `span`, in the place that is open for it.
    fn node(&self, span: Span, value: NodeValue) -> Node {
        let step = self.open.last().and_then(|around| match around {
            Open::List { node, items } => Some(Step::into(node.step.as_ref(), items.len().to_string())),
            Open::Map { node, key: Some(key), .. } => {
                Some(Step::into(node.step.as_ref(), key.text().unwrap_or_default()))
            }
            // A key is at the place of its mapping until its value gives it one.
            Open::Map { node, key: None, .. } => node.step.clone(),
        });
        Node::new(span.start.line(), span.start.col() + 1, step, value)
    }

    fn open(&mut self, span: Span, open: Open) -> Result<(), Stop> {
        if self.open.len() == DEPTH_MAX {
            return self.stop(span, &format!("values nest deeper than {DEPTH_MAX} levels"), "make it flatter");
        }
        if matches!(self.open.last(), Some(Open::Map { key: None, .. })) {
            return self.stop(span, "a key must be text", "give it a name");
        }
        self.open.push(open);
        Ok(())
    }

    /// Puts a finished value into its place.
    fn close(&mut self, value: Node) -> Result<(), Stop> {
        match self.open.last_mut() {
            None => self.root = Some(value),
            Some(Open::List { items, .. }) => items.push(value),
            Some(Open::Map { members, key: key @ Some(_), .. }) => members.extend(key.take().map(|key| (key, value))),
            Some(Open::Map { lines, key, .. }) => {
                let Some(name) = key_name(&value) else {
                    self.problems.error(&value, "a key must be text", Some("put it in quotes".to_owned()));
                    return Err(Stop);
                };
                if let Some(first) = lines.insert(name.clone(), value.line) {
                    // Both stay: the reader takes the first, and the file is refused anyhow.
                    let message = format!("`{name}` is given twice, first on line {first}");
                    self.problems.error(&value, message, Some("keep one of the two".to_owned()));
                }
                *key = Some(Node { value: NodeValue::Text(name), ..value });
            }
        }
        Ok(())
    }

    fn stop(&self, span: Span, message: &str, help: &str) -> Result<(), Stop> {
        self.problems.unreadable(span.start.line(), span.start.col() + 1, message, Some(help.to_owned()));
        Err(Stop)
    }
}

/// `on: …` and `200: …` are names like any other.
fn key_name(key: &Node) -> Option<String> {
    match &key.value {
        NodeValue::Text(text) => Some(text.clone()),
        NodeValue::Bool(value) => Some(value.to_string()),
        NodeValue::Number(number) => Some(number.to_string()),
        NodeValue::Null | NodeValue::List(_) | NodeValue::Map(_) => None,
    }
}

/// What an unquoted scalar is in the core schema: no dates, no `yes`, no octal `010`.
/// None: a number, but none that JSON has.
fn plain(text: &str) -> Option<NodeValue> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Bool(true),
        "false" | "False" | "FALSE" => NodeValue::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return None,
        _ if matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF") => {
            return None;
        }
        _ if is_integer(text) || is_decimal(text) => NodeValue::Number(number(text)?),
        _ => match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
            (Some(digits), _) => radix(digits, 16, text),
            (_, Some(digits)) => radix(digits, 8, text),
            (None, None) => NodeValue::Text(text.to_owned()),
        },
    })
}

fn radix(digits: &str, radix: u32, text: &str) -> NodeValue {
    let plain_digits = digits.chars().all(|c| c.is_digit(radix));
    match u64::from_str_radix(digits, radix) {
        Ok(value) if plain_digits => NodeValue::Number(value.into()),
        _ => NodeValue::Text(text.to_owned()),
    }
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent.is_none_or(is_integer)
}

fn number(text: &str) -> Option<Number> {
    let text = text.strip_prefix('+').unwrap_or(text);
    text.parse::<u64>()
        .map(Number::from)
        .or_else(|_| text.parse::<i64>().map(Number::from))
        .ok()
        .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn json_of(text: &str) -> serde_json::Value {
        let problems = Problems::of("f.yaml");
        let node = read(text, &problems);
        assert!(problems.is_empty(), "{text}: {problems:?}");
        node.unwrap().to_json()
    }

    fn problem_of(text: &str) -> String {
        let problems = Problems::of("f.yaml");
        read(text, &problems);
        problems.into_sorted().iter().map(|problem| format!("{problem}\n")).collect()
    }

    #[test]
    fn plain_scalars_follow_the_core_schema_of_yaml_1_2() {
        assert_eq!(
            json_of("[1, -2, +3, 0x1F, 0o17, 010, 1.5, .5, 6e2, ~, null, '', true, False]"),
            json!([1, -2, 3, 31, 15, 10, 1.5, 0.5, 600.0, null, null, "", true, false])
        );
        assert_eq!(
            json_of("[yes, off, 2026-11-24, 1.0.3, '1', 12:30, 0x, ., e1, 1e, 0o8]"),
            json!(["yes", "off", "2026-11-24", "1.0.3", "1", "12:30", "0x", ".", "e1", "1e", "0o8"])
        );
        assert_eq!(json_of("on: 1\n200: 2\ntrue: 3\n"), json!({"on": 1, "200": 2, "true": 3}));
        assert_eq!(json_of("18446744073709551615"), json!(u64::MAX));
    }

    #[test]
    fn a_node_knows_its_line_its_column_and_its_pointer() {
        let problems = Problems::of("f.yaml");
        let root = read("a:\n  - b/c:\n      d: x\n", &problems).unwrap();
        let node = root.at("/a/0/b~1c/d").unwrap();
        assert_eq!((node.line, node.column, node.pointer()), (3, 10, "/a/0/b~1c/d".to_owned()));
        assert!(root.at("/a/1").is_none());
        assert!(root.at("/a/0/b~1c/d/e").is_none());
    }

    #[test]
    fn what_is_not_read_says_what_to_do() {
        let table = [
            ("", "f.yaml:1:1: the file is empty\n"),
            ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: `a` is given twice, first on line 1; keep one of the two\n"),
            ("a: &x [1]\nb: *x\n", "f.yaml:2:4: YAML aliases (`*name`) are not read; write the value out\n"),
            ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins here; keep one document in a file\n"),
            ("? [a]\n: 1\n", "f.yaml:1:3: a key must be text; give it a name\n"),
            ("~: 1\n", "f.yaml:1:1: a key must be text; put it in quotes\n"),
            (
                "a: ${ { b: 1 } }\n",
                "f.yaml:1:10: not YAML: mapping values are not allowed in this context; \
                 put a text that has `: ` or ` #` in it into quotes\n",
            ),
            ("a: .inf\n", "f.yaml:1:4: `.inf` is not a number that JSON has; use a finite number\n"),
            ("a: 1e999\n", "f.yaml:1:4: `1e999` is not a number that JSON has; use a finite number\n"),
        ];
        for (text, message) in table {
            assert_eq!(problem_of(text), message, "{text}");
        }
        let deep = problem_of(&"- ".repeat(100));
        assert_eq!(deep, "f.yaml:1:129: values nest deeper than 64 levels; make it flatter\n");
        let long = problem_of(&"a".repeat(TEXT_BYTES_MAX + 1));
        assert_eq!(
            long,
            "f.yaml:1:1: the file has 1048577 bytes and may have 1048576; split it, or keep data out of it\n"
        );
        assert_eq!(problem_of(&"[".repeat(100_000)), "f.yaml:1:256: not YAML: recursion limit exceeded\n");
    }
}
