//! Values as text.

use std::fmt;

use super::super::meter::{self, Stopped, VALUE_BYTES_MAX};
use super::convert::float;
use super::{Kind, Val};

/// Longest text of a value in an error.
const SHOWN_BYTES_MAX: usize = 120;

impl Kind {
    /// As JSON without spaces.
    pub fn to_json_text(&self) -> String {
        meter::text_steps(self.bytes());
        let mut text = String::new();
        write(self, &mut text, VALUE_BYTES_MAX);
        if text.len() > VALUE_BYTES_MAX {
            meter::stop(Stopped::Value);
        }
        text
    }
}

/// Stops soon after `bytes_max`.
fn write(kind: &Kind, text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        return;
    }
    match kind {
        Kind::Null => text.push_str("null"),
        Kind::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Kind::Int(number) => text.push_str(&number.to_string()),
        Kind::Uint(number) => text.push_str(&number.to_string()),
        Kind::Float(number) => match float(*number) {
            Some(number) => text.push_str(&number.to_string()),
            None => text.push_str("null"),
        },
        Kind::Text(value) => quoted(value.as_str(), text, bytes_max),
        Kind::Array(array) => {
            text.push('[');
            for (index, item) in array.items.iter().enumerate() {
                if text.len() > bytes_max {
                    return;
                }
                if index > 0 {
                    text.push(',');
                }
                write(item, text, bytes_max);
            }
            text.push(']');
        }
        Kind::Object(object) => {
            text.push('{');
            for (index, (key, member)) in object.members.iter().enumerate() {
                if text.len() > bytes_max {
                    return;
                }
                if index > 0 {
                    text.push(',');
                }
                quoted(key, text, bytes_max);
                text.push(':');
                write(member, text, bytes_max);
            }
            text.push('}');
        }
    }
}

fn quoted(value: &str, text: &mut String, bytes_max: usize) {
    text.push('"');
    for character in value.chars() {
        if text.len() > bytes_max {
            return;
        }
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            control @ ('\0'..='\u{1f}' | '\u{7f}') => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// For errors: cut where nobody reads on.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        write(self, &mut text, SHOWN_BYTES_MAX);
        f.write_str(&super::super::excerpt(&text, SHOWN_BYTES_MAX))
    }
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}
