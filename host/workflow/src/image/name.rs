//! How definitions name images.

use crate::distribution::Reference;
use crate::expression::excerpt;

/// The registry of a name that has none, as everywhere.
pub const DEFAULT_REGISTRY: &str = "docker.io";

/// Folder of [`DEFAULT_REGISTRY`] with the images that have no other.
const OFFICIAL: &str = "library";

/// Why a text names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no image: {reason}")]
pub struct NameError {
    text: String,
    reason: String,
}

/// `alpine`, `team/tool:1.2`, `registry.example:5000/tool@sha256:…`: a name
/// without a registry is one of `docker.io`, and one without tag and digest is
/// the tag `latest`.
///
/// # Errors
///
/// An expression is no name: what runs is settled before anything runs.
pub fn read_name(text: &str) -> Result<Reference, NameError> {
    let wrong = |reason: String| NameError { text: text.to_owned(), reason };
    if text.contains("${") {
        return Err(wrong(
            "an image is settled when the instance starts, so it cannot be computed; write a name".to_owned(),
        ));
    }
    let (first, rest) = text.split_once('/').map_or((None, text), |(first, rest)| (Some(first), rest));
    let whole = match first {
        Some(first) if first.contains(['.', ':']) || first == "localhost" => format!("{first}/{rest}"),
        Some(_) => format!("{DEFAULT_REGISTRY}/{text}"),
        None => format!("{DEFAULT_REGISTRY}/{OFFICIAL}/{text}"),
    };
    let mut reference: Reference = whole.parse().map_err(|_| {
        wrong("write `name`, `name:tag`, `name@sha256:…`, or one of these behind a registry and `/`".to_owned())
    })?;
    if reference.registry == DEFAULT_REGISTRY && !reference.repository.contains('/') {
        reference.repository = format!("{OFFICIAL}/{}", reference.repository);
    }
    if reference.tag.is_none() && reference.digest.is_none() {
        reference.tag = Some("latest".to_owned());
    }
    Ok(reference)
}

/// Of a container's name: what the kernel lets a machine be called.
const HOST_NAME_BYTES_MAX: usize = 63;

/// Whether a container can be called `name`.
///
/// # Errors
///
/// What such a name is made of, for people.
pub fn check_host_name(name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_one = name.len() <= HOST_NAME_BYTES_MAX
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(inside);
    if is_one {
        return Ok(());
    }
    Err(format!(
        "`{}` is no name of a container: at most {HOST_NAME_BYTES_MAX} letters, digits, `_`, `.` and `-`, and the first is a letter or digit",
        excerpt(name, 300)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn a_name_means_what_it_means_everywhere() {
        let cases = [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("alpine:3.20", "docker.io/library/alpine:3.20".to_owned()),
            ("docker.io/alpine", "docker.io/library/alpine:latest".to_owned()),
            ("team/tool", "docker.io/team/tool:latest".to_owned()),
            ("ghcr.io/team/tool:1.2", "ghcr.io/team/tool:1.2".to_owned()),
            ("localhost:5000/tool", "localhost:5000/tool:latest".to_owned()),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b:latest".to_owned()),
            (&format!("alpine@{DIGEST}"), format!("docker.io/library/alpine@{DIGEST}")),
            (&format!("r.example/x:1@{DIGEST}"), format!("r.example/x:1@{DIGEST}")),
        ];
        for (text, expected) in cases {
            assert_eq!(read_name(text).unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        let long = "a".repeat(300);
        for text in ["", "/", "Alpine", "a:b:c", "x@sha256:12", "../x", "a//b", "a b", "r.example/", "x:-1", &long] {
            let error = read_name(text).unwrap_err().to_string();
            assert!(error.contains("names no image: write"), "{text}: {error}");
        }
        for text in ["${ .image }", "alpine:${ .tag }"] {
            assert!(read_name(text).unwrap_err().to_string().contains("cannot be computed"), "{text}");
        }
    }
}
