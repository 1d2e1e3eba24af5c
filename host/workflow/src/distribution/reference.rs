//! How a plugin is named in a registry.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::origin::{Origin, OriginScheme};

/// `registry.example/team/cargo:0.1.0`, `127.0.0.1:5000/cargo@sha256:…`, or both a tag and a digest.
///
/// The registry is always written: there is none that is meant by default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    /// `host` or `host:port`, in lower case.
    pub registry: String,
    pub repository: String,
    pub tag: Option<String>,
    /// Of the manifest. Where there is one, the tag is only for people.
    pub digest: Option<Digest>,
}

/// Why a text names nothing in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no reference like `registry.example/team/plugin:0.1.0` or `…/plugin@sha256:…`: {reason}")]
pub struct ReferenceError {
    text: String,
    reason: &'static str,
}

/// As the distribution specification has it.
const TAG_BYTES_MAX: usize = 128;
const REPOSITORY_BYTES_MAX: usize = 255;

impl Reference {
    /// Where the registry is reached.
    ///
    /// # Panics
    ///
    /// Never: the parts were checked when the reference was read.
    pub fn origin(&self, scheme: OriginScheme) -> Origin {
        origin(&self.registry, scheme).expect("a reference names a registry that is an origin")
    }

    /// Whether the registry is this machine.
    pub fn is_loopback(&self) -> bool {
        let origin = self.origin(OriginScheme::Http);
        origin.host() == "localhost" || origin.address().is_some_and(|address| address.is_loopback())
    }

    /// The digest, or else the tag: what is asked for.
    pub fn wanted(&self) -> &str {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// The same place, as exactly this manifest.
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// `registry/repository`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }
}

fn origin(registry: &str, scheme: OriginScheme) -> Option<Origin> {
    format!("{}://{registry}", scheme.name()).parse().ok()
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |reason| ReferenceError { text: text.to_owned(), reason };
        let rest = text.strip_prefix("oci://").unwrap_or(text);
        let (registry, rest) = rest.split_once('/').ok_or_else(|| wrong("it names a registry and a repository"))?;
        let registry = registry.to_ascii_lowercase();
        if !(registry.contains(['.', ':']) || registry == "localhost") {
            return Err(wrong("its first part is the host of a registry, with a dot or a port"));
        }
        if origin(&registry, OriginScheme::Https).is_none() {
            return Err(wrong("its first part is no host"));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let digest = Digest::new(digest).map_err(|_| wrong("after `@` stands `sha256:` and 64 hex digits"))?;
                (rest, Some(digest))
            }
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(wrong(
                "its repository has parts of lower-case letters and digits, with `.`, `_` or `-` inside",
            ));
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(
                "its tag has at most 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two",
            ));
        }
        Ok(Self { registry, repository: repository.to_owned(), tag, digest })
    }
}

fn is_repository(text: &str) -> bool {
    let part = |part: &str| {
        let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        ends(part.bytes().next()) && ends(part.bytes().last()) && part.bytes().all(inside) && !part.contains("..")
    };
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(part)
}

fn is_tag(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(first)
        && text.bytes().all(|byte| first(byte) || byte == b'.' || byte == b'-')
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Reference {
    type Error = ReferenceError;

    fn try_from(text: String) -> Result<Self, ReferenceError> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> String {
        reference.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_reference_is_read_and_written_the_same() {
        for text in [
            "registry.example/cargo",
            "registry.example:5000/team/plugins/cargo:0.1.0",
            "localhost/cargo:latest",
            "[::1]:5000/cargo:x",
            &format!("127.0.0.1:5000/a/b-c_d.e@{DIGEST}"),
            &format!("registry.example/a:1@{DIGEST}"),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), text);
            assert_eq!(format!("oci://{text}").parse(), Ok(reference));
        }
    }

    #[test]
    fn what_names_nothing_says_what_is_missing() {
        for (text, reason) in [
            ("cargo", "a registry and a repository"),
            ("team/cargo", "host of a registry"),
            ("http://registry.example/x", "no host"),
            ("a.b:0/x", "no host"),
            ("a.b/", "repository"),
            ("a.b/X", "repository"),
            ("a.b/x/../y", "repository"),
            ("a.b/-x", "repository"),
            ("a.b/x?y", "repository"),
            ("a.b/x:", "tag"),
            ("a.b/x:.y", "tag"),
            ("a.b/x:y/z", "tag"),
            ("a.b/x@sha256:12", "64 hex digits"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains(text), "{error}");
        }
        assert!(format!("a.b/x:{}", "y".repeat(129)).parse::<Reference>().is_err());
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let is_loopback = |text: &str| text.parse::<Reference>().unwrap().is_loopback();
        assert!(["localhost/x", "127.9.9.9:1/x", "[::1]:5000/x"].into_iter().all(is_loopback));
        assert!(!["localhost.example/x", "10.0.0.1/x", "registry.example/x"].into_iter().any(is_loopback));
    }
}
