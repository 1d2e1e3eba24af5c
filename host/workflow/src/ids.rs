//! Names and numbers that travel through the whole house.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use jiff::Timestamp;

/// Makes a string newtype whose contents `$check` has accepted.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(InvalidName { what: $what, text })
                }
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
    };
}

/// A text that does not have the form its name asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid {what}")]
pub struct InvalidName {
    pub what: &'static str,
    pub text: String,
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 126
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// `template/command`: both parts are labels.
fn is_command_name(text: &str) -> bool {
    text.split_once('/').is_some_and(|(template, command)| is_label(template) && is_label(command))
}

/// One form only: what would be written differently by another reader is none.
fn is_origin(text: &str) -> bool {
    let (default_port, authority) = match text.split_once("://") {
        Some(("https", authority)) => ("443", authority),
        Some(("http", authority)) => ("80", authority),
        Some(_) | None => return false,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let port_fits = port.is_none_or(|port| {
        port != default_port && port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port)
    });
    let host_fits = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address),
        None => host.split('.').all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'))
        }),
    };
    text.len() <= 300 && host_fits && port_fits
}

name!(
    /// One run of a definition: a UUID (version 7) in its usual text form, or
    /// in tests any label.
    InstanceId, "instance id", is_label
);
name!(
    /// A versioned sandbox description, `sandbox-templates/NAME`.
    TemplateName, "sandbox template name", is_label
);
name!(
    /// A command template inside a sandbox template: `rust-release/cargo-build`.
    CommandName, "command template name (`template/command`)", is_command_name
);
name!(
    /// A WASI component in `plugins/`.
    PluginName, "plugin name", is_label
);
name!(
    /// A secret by its logical name; never its value.
    SecretName, "secret name", is_label
);
name!(
    /// A language model of the operator's configuration: `default`.
    ModelName, "model name", is_label
);
name!(
    /// A tool of an MCP server of the operator's configuration: `issues/search`.
    McpTool, "MCP tool (`server/tool`)", is_command_name
);
name!(
    /// Scheme, host and, unless it is the scheme's own, port: `https://index.crates.io`,
    /// `http://127.0.0.1:8080`. In lower case, so that one origin has one form.
    HttpOrigin, "origin (`https://host` or `http://host:port`, in lower case, without a default port)", is_origin
);
name!(
    /// The one who did something: `cli:alice`, `token:local`. For people to read.
    Actor, "actor", |text| !text.is_empty() && text.len() <= 126 && !text.contains(char::is_control)
);
name!(
    /// A SHA-256 digest in the form `sha256:<64 hex digits>`.
    Digest, "digest (`sha256:` and 64 hex digits)", |text| text
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
);
name!(
    /// Where a stored file can be had: `artifact://<release or instance>/<task>/<name>`.
    ArtifactUri, "artifact reference", |text| text
        .strip_prefix("artifact://")
        .is_some_and(|rest| rest.split('/').count() >= 2
            && rest.split('/').all(|part| !part.is_empty() && part != "." && part != ".."))
);

impl McpTool {
    pub fn server(&self) -> &str {
        self.0.split_once('/').map_or("", |(server, _)| server)
    }

    pub fn tool(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, tool)| tool)
    }
}

impl HttpOrigin {
    /// The origin of an absolute URL. None for what two readers could take for
    /// two different places: user information, a backslash, anything that is
    /// not a visible ASCII character; and for a fragment, which is never sent.
    pub fn of_url(url: &str) -> Option<Self> {
        if !url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#')) {
            return None;
        }
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        let default_port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.to_ascii_lowercase();
        let authority = authority.strip_suffix(default_port).unwrap_or(&authority);
        Self::new(format!("{scheme}://{authority}")).ok()
    }
}

impl InstanceId {
    /// The child that attempt `attempt` at `path` starts: the same on every host.
    pub fn of_child(parent: &InstanceId, path: &TaskPath, attempt: u32) -> Self {
        Self::of_parts(&[parent.as_str(), path.as_str(), &attempt.to_string()])
    }

    /// An id that follows from `parts`: hex of their digest.
    pub fn of_parts(parts: &[&str]) -> Self {
        let hex = Digest::of(parts.join("\n").as_bytes()).hex()[..32].to_owned();
        Self(hex)
    }
}

impl Digest {
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_sha256(Sha256::digest(bytes).into())
    }

    pub fn from_sha256(sum: [u8; 32]) -> Self {
        Self(format!("sha256:{}", hex::encode(sum)))
    }

    /// The 64 hex digits.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

/// The place of one task execution inside an instance.
///
/// The JSON pointer of the task in its definition, with the iteration index of
/// each enclosing `for` in brackets: `/do/3/publish[1]/do/0/publish-crate`.
/// Without the brackets it is the `task.reference` of the specification.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskPath(String);

impl TaskPath {
    /// The whole document's `do`, parent of all others.
    pub fn root() -> Self {
        Self(String::new())
    }

    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `list` is the key of the task list inside this task (`do`, `try`, `catch/do`).
    pub fn child(&self, list: &str, index: usize, name: &str) -> Self {
        Self(format!("{}/{list}/{index}/{name}", self.0))
    }

    pub fn iteration(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// Whether it is `outer`, or the place of a task inside that one.
    pub fn is_within(&self, outer: &TaskPath) -> bool {
        self.0.strip_prefix(&outer.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[']))
    }

    /// The JSON pointer in the definition: this path without iteration indexes.
    pub fn reference(&self) -> String {
        let mut pointer = String::with_capacity(self.0.len());
        let mut inside = false;
        for c in self.0.chars() {
            match c {
                '[' => inside = true,
                ']' => inside = false,
                c if !inside => pointer.push(c),
                _ => {}
            }
        }
        pointer
    }

    /// The list of a task whose `onFailure` names a plugin: it holds the call of that.
    pub const ON_FAILURE: &str = "onFailure";

    /// The task that this one says something about, if it is what an `onFailure` calls.
    pub fn diagnosed(&self) -> Option<TaskPath> {
        let (list, _) = self.0.rsplit_once("/0/")?;
        let (task, key) = list.rsplit_once('/')?;
        (key == Self::ON_FAILURE).then(|| Self(task.to_owned()))
    }

    /// The last part: the task's own name.
    pub fn task_name(&self) -> &str {
        let last = self.0.rsplit('/').next().unwrap_or("");
        last.split('[').next().unwrap_or(last)
    }
}

/// Ordered as its text is.
impl Borrow<str> for TaskPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TaskPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Names one effect for ever: the same key is never carried out twice.
///
/// `sequence` numbers the host calls of a plugin attempt from 1; the attempt's
/// own effect is 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EffectKey {
    pub instance: InstanceId,
    pub path: TaskPath,
    pub attempt: u32,
    pub sequence: u32,
}

impl EffectKey {
    /// A short text that may name a folder: hex of a digest over all parts.
    pub fn slug(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.instance, self.path, self.attempt, self.sequence);
        Digest::of(text.as_bytes()).hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_gives_its_reference_and_its_name() {
        let path = TaskPath::root().child("do", 3, "publish").iteration(1).child("do", 0, "publish-crate");
        assert_eq!(path.as_str(), "/do/3/publish[1]/do/0/publish-crate");
        assert_eq!(path.reference(), "/do/3/publish/do/0/publish-crate");
        assert_eq!(path.task_name(), "publish-crate");
    }

    #[test]
    fn a_path_is_within_itself_and_what_encloses_it() {
        let within = |inner: &str, outer: &str| TaskPath::from_text(inner).is_within(&TaskPath::from_text(outer));
        for outer in ["", "/do/3/publish", "/do/3/publish[1]", "/do/3/publish[1]/do/0/crate"] {
            assert!(within("/do/3/publish[1]/do/0/crate", outer), "{outer}");
        }
        for outer in ["/do/3/pub", "/do/3/publish[11]", "/do/3/publish[1]/do/0/crate/do/0/x"] {
            assert!(!within("/do/3/publish[1]/do/0/crate", outer), "{outer}");
        }
    }

    #[test]
    fn a_name_refuses_what_could_leave_its_folder() {
        for text in ["", "..", "../x", "a/b", "-rf", "a b", "a\n"] {
            assert!(TemplateName::new(text).is_err(), "{text:?}");
        }
        assert!(ArtifactUri::new("artifact://r/../x").is_err());
    }
}
