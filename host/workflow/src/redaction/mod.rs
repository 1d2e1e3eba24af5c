//! Secrets are removed from text before it is stored or sent.
//!
//! A [`Redactor`] knows the exact values of some secrets and finds them in the
//! encodings that tools print them in: raw, each line of a multi-line value,
//! base64 (standard and URL-safe, at each of the three places a value can have
//! in a longer text, also wrapped over lines), hex, percent-encoding, JSON and
//! XML escapes, shell quoting. What it finds becomes `[secret NAME]`.
//!
//! **Invariant:** no text leaves a [`RedactionStream`] while it could still be
//! the beginning of a secret.

mod bench;
mod encodings;
mod matcher;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use bench::{Workload, workload};

use matcher::Matcher;

/// The shortest value that can be told from ordinary text, in bytes: a shorter
/// one would be found by chance, and guessed from where it was replaced.
pub const SECRET_BYTES_MIN: usize = 8;

/// Text from which every known secret has been removed.
///
/// Only [`Redactor::redact`] makes one, so a function that takes `Redacted`
/// cannot be handed a raw log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted(String);

impl Redacted {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}

/// Why no redactor can be made for a secret. The secret must then not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedactionError {
    #[error("secret `{name}` has fewer than {minimum} bytes: it cannot be told from ordinary text")]
    TooShort { name: String, minimum: usize },
}

/// Finds the exact values of some secrets, in every encoding. Cheap to clone.
#[derive(Clone)]
pub struct Redactor {
    /// None when there is no secret: text passes as it is.
    matcher: Option<Arc<Matcher>>,
}

impl Redactor {
    /// Pairs of secret name and value. Blanks and line breaks around a value
    /// are no part of it.
    ///
    /// # Errors
    ///
    /// [`RedactionError::TooShort`] below [`SECRET_BYTES_MIN`]: what cannot be
    /// redacted must not be used.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, RedactionError> {
        let mut replacements = Vec::new();
        let mut patterns = BTreeMap::new();
        for (name, value) in secrets {
            if value.trim().len() < SECRET_BYTES_MIN {
                return Err(RedactionError::TooShort { name: name.to_owned(), minimum: SECRET_BYTES_MIN });
            }
            let secret = replacements.len();
            replacements.push(format!("[secret {name}]"));
            for pattern in encodings::of_value(value) {
                patterns.entry(pattern).or_insert(secret);
            }
        }
        if patterns.is_empty() {
            return Ok(Self { matcher: None });
        }
        Ok(Self { matcher: Some(Arc::new(Matcher::new(patterns, replacements))) })
    }

    pub fn redact(&self, text: &str) -> Redacted {
        let Some(matcher) = &self.matcher else { return Redacted(text.to_owned()) };
        let mut clean = String::with_capacity(text.len());
        let mut from = 0;
        while let Some(found) = matcher.find(text.as_bytes(), from) {
            // A pattern is a whole UTF-8 text, so it begins and ends at character borders.
            clean.push_str(&text[from..found.start]);
            clean.push_str(matcher.replacement(&found));
            from = found.end;
        }
        clean.push_str(&text[from..]);
        Redacted(clean)
    }

    /// The same JSON with every string and every key redacted. A number that is
    /// a secret becomes a string.
    pub fn redact_json(&self, value: &Value) -> Value {
        if self.matcher.is_none() {
            return value.clone();
        }
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(number) => {
                let text = number.to_string();
                let clean = self.redact(&text).into_string();
                if clean == text { value.clone() } else { Value::String(clean) }
            }
            Value::String(text) => Value::String(self.redact(text).into_string()),
            Value::Array(items) => items.iter().map(|item| self.redact_json(item)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, member)| (self.redact(key).into_string(), self.redact_json(member)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// For streams that come in chunks.
    pub fn stream(&self) -> RedactionStream {
        RedactionStream { matcher: self.matcher.clone(), held: Vec::new() }
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(…)")
    }
}

/// Redacts a stream; a secret across a chunk border is found too.
pub struct RedactionStream {
    matcher: Option<Arc<Matcher>>,
    /// The end of the stream so far, if a secret may have begun there. At most
    /// one byte shorter than the longest pattern.
    held: Vec<u8>,
}

impl RedactionStream {
    /// Appends to `out` what is certain by now: everything, unless the end of
    /// `chunk` could be the beginning of a secret.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let Some(matcher) = &self.matcher else { return out.extend_from_slice(chunk) };
        if self.held.is_empty() {
            let kept = matcher.replace(chunk, End::MayGoOn, out);
            self.held.extend_from_slice(&chunk[kept..]);
        } else {
            self.held.extend_from_slice(chunk);
            let kept = matcher.replace(&self.held, End::MayGoOn, out);
            self.held.drain(..kept);
        }
    }

    /// Appends the rest.
    pub fn finish(self, out: &mut Vec<u8>) {
        if let Some(matcher) = &self.matcher {
            matcher.replace(&self.held, End::OfStream, out);
        }
    }
}

impl fmt::Debug for RedactionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactionStream(…)")
    }
}

/// What comes after the bytes at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    MayGoOn,
    OfStream,
}
