//! JSON as [`Node`]s.
//!
//! `serde_json` decides what is JSON; the walk here only adds the places, so
//! it may rely on the text being well formed.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::Value;

use super::node::Step;
use super::{DEPTH_MAX, Node, NodeValue, Problem, Problems, Severity, TEXT_BYTES_MAX};

/// Reads one JSON text. None: `problems` says why.
pub fn read(text: &str, problems: &Problems) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        problems.unreadable(
            1,
            1,
            format!("the file has {} bytes and may have {TEXT_BYTES_MAX}", text.len()),
            Some("keep data out of it".to_owned()),
        );
        return None;
    }
    if let Err(error) = serde_json::from_str::<Value>(text) {
        let full = error.to_string();
        let message = full.split(" at line ").next().unwrap_or(&full);
        let (line, column) = place(text, &error);
        problems.unreadable(line, column, format!("not JSON: {message}"), None);
        return None;
    }
    Walk { text, at: 0, line: 1, column: 1, counted: 0, problems }.value(None, 0)
}

/// A problem at a JSON pointer into a text that [`read`] accepts, for checks made
/// elsewhere; of a pointer that leads nowhere the part that leads somewhere counts.
pub fn problem_at(text: &str, file: &str, pointer: &str, message: String, help: Option<&str>) -> Problem {
    let root = read(text, &Problems::of(file));
    let (line, column) = root.as_ref().map_or((1, 1), |root| {
        let node = root.nearest(pointer);
        (node.line, node.column)
    });
    Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line,
        column,
        pointer: pointer.to_owned(),
        message,
        help: help.map(str::to_owned),
    }
}

/// Reads JSON that may be anything.
///
/// # Errors
///
/// All that keeps it from being read: it is no JSON, gives a name twice, nests too deep.
pub fn value(text: &str, file: &str) -> Result<Value, Vec<Problem>> {
    let problems = Problems::of(file);
    match read(text, &problems) {
        Some(root) if problems.is_empty() => Ok(root.to_json()),
        Some(_) | None => Err(problems.into_sorted()),
    }
}

/// Where the reader stopped: it counts bytes, and from 0 after the end of a line.
fn place(text: &str, error: &serde_json::Error) -> (usize, usize) {
    let (line, column) = (error.line().max(1), error.column());
    if error.is_eof() {
        // What is missing should have come after the last that is there.
        let text = text.trim_end();
        let last = text.rsplit('\n').next().unwrap_or_default();
        return (text.matches('\n').count() + 1, last.chars().count() + 1);
    }
    if column == 0 {
        // The end of the line before is what should not be there.
        let before = text.lines().take(line.saturating_sub(1)).enumerate().last();
        return before.map_or((1, 1), |(index, text)| (index + 1, text.chars().count() + 1));
    }
    let before = text.split('\n').nth(line - 1).unwrap_or_default();
    let before = before.as_bytes().get(..column - 1).unwrap_or(before.as_bytes());
    (line, String::from_utf8_lossy(before).chars().count() + 1)
}

struct Walk<'t> {
    text: &'t str,
    /// Bytes read.
    at: usize,
    line: usize,
    /// Of the byte `counted`, in characters; counting on from there keeps one
    /// long line cheap.
    column: usize,
    counted: usize,
    problems: &'t Problems,
}

impl Walk<'_> {
    fn value(&mut self, step: Option<Rc<Step>>, depth: usize) -> Option<Node> {
        self.space();
        self.column += self.text[self.counted..self.at].chars().count();
        self.counted = self.at;
        let (line, column) = (self.line, self.column);
        if depth == DEPTH_MAX {
            self.problems.unreadable(line, column, format!("values nest deeper than {DEPTH_MAX} levels"), None);
            return None;
        }
        let value = match self.peek() {
            b'{' => self.map(step.as_ref(), depth)?,
            b'[' => self.list(step.as_ref(), depth)?,
            _ => self.scalar(),
        };
        Some(Node::new(line, column, step, value))
    }

    fn map(&mut self, around: Option<&Rc<Step>>, depth: usize) -> Option<NodeValue> {
        let mut members = Vec::new();
        let mut lines = HashMap::new();
        self.at += 1;
        while self.another(b'}') {
            let key = self.value(around.cloned(), depth + 1)?;
            let name = key.text().unwrap_or_default().to_owned();
            if let Some(first) = lines.insert(name.clone(), key.line) {
                let message = format!("`{name}` is given twice, first on line {first}");
                self.problems.error(&key, message, Some("keep one of the two".to_owned()));
            }
            self.space();
            self.at += 1; // the colon
            let value = self.value(Some(Step::into(around, name)), depth + 1)?;
            members.push((key, value));
        }
        Some(NodeValue::Map(members))
    }

    fn list(&mut self, around: Option<&Rc<Step>>, depth: usize) -> Option<NodeValue> {
        let mut items = Vec::new();
        self.at += 1;
        while self.another(b']') {
            items.push(self.value(Some(Step::into(around, items.len().to_string())), depth + 1)?);
        }
        Some(NodeValue::List(items))
    }

    /// Goes to the next item, or past the `close` of its list.
    fn another(&mut self, close: u8) -> bool {
        self.space();
        if self.peek() == b',' {
            self.at += 1;
            self.space();
        }
        let more = self.peek() != close;
        self.at += usize::from(!more);
        more
    }

    fn scalar(&mut self) -> NodeValue {
        let rest = &self.text[self.at..];
        let end =
            if rest.starts_with('"') { string_end(rest) } else { rest.find([',', ']', '}', ' ', '\t', '\n', '\r']) };
        let scalar = &rest[..end.unwrap_or(rest.len())];
        self.at += scalar.len();
        match serde_json::from_str(scalar) {
            Ok(Value::Bool(value)) => NodeValue::Bool(value),
            Ok(Value::Number(number)) => NodeValue::Number(number),
            Ok(Value::String(text)) => NodeValue::Text(text),
            Ok(Value::Null | Value::Array(_) | Value::Object(_)) | Err(_) => NodeValue::Null,
        }
    }

    fn space(&mut self) {
        while let b @ (b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
            if b == b'\n' {
                self.line += 1;
                self.column = 1;
                self.counted = self.at;
            }
        }
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}

/// Where the string that opens `text` ends, after its closing quote.
fn string_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().enumerate().skip(1).find_map(|(at, b)| match b {
        _ if escaped => {
            escaped = false;
            None
        }
        b'\\' => {
            escaped = true;
            None
        }
        b'"' => Some(at + 1),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walked_text_equals_the_parsed_one() {
        let text = "\n{\"a\" : [1, -2.5e3, \"x\\\"y\\u00e9\\\\\", {}, [], true,null ],\r\n\t\"\":{\"b\":\"😀\"}}\n";
        let problems = Problems::of("f.json");
        let node = read(text, &problems).unwrap();
        assert_eq!(node.to_json(), serde_json::from_str::<Value>(text).unwrap());
        let inner = node.at("//b").unwrap();
        assert_eq!((inner.line, inner.column, inner.pointer()), (3, 10, "//b".to_owned()));
        assert!(problems.is_empty());
    }

    #[test]
    fn what_is_not_json_says_where() {
        let table = [
            ("{\n  \"a\": 1,\n}", "f.json:3:1: not JSON: trailing comma"),
            ("", "f.json:1:1: not JSON: EOF while parsing a value"),
            ("{\"name\": \n", "f.json:1:9: not JSON: EOF while parsing a value"),
            ("[\"äöü\", x]", "f.json:1:9: not JSON: expected value"),
            ("{\"a\":1,\n\"a\":2}", "f.json:2:1: `a` is given twice, first on line 1; keep one of the two"),
        ];
        for (text, message) in table {
            let problems = Problems::of("f.json");
            read(text, &problems);
            assert_eq!(problems.into_sorted()[0].to_string(), message, "{text}");
        }
    }
}
