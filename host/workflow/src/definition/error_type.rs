//! One spelling for each standard error type.

use crate::effect::STANDARD_ERRORS;

/// Hosts under which the specification has published its error types.
const HOSTS: [&str; 2] = ["serverlessworkflow.io", "open-workflow-specification.org"];

/// Paths under which it has published them; the conformance kit still uses an older one.
const PATHS: [&str; 3] = ["/spec/1.0.0/errors/", "/dsl/errors/types/", "/errors/types/"];

const NAMES: [&str; 8] = [
    "configuration",
    "validation",
    "expression",
    "authentication",
    "authorization",
    "timeout",
    "communication",
    "runtime",
];

/// The 1.0.3 form of a standard error type in any of its published spellings;
/// every other type stays as it is.
pub fn canonical_error_type(kind: &str) -> String {
    let name = kind
        .strip_prefix("https://")
        .or_else(|| kind.strip_prefix("http://"))
        .and_then(|rest| HOSTS.iter().find_map(|host| rest.strip_prefix(host)))
        .and_then(|path| PATHS.iter().find_map(|prefix| path.strip_prefix(prefix)))
        .filter(|name| NAMES.contains(name));
    match name {
        Some(name) => format!("{STANDARD_ERRORS}{name}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_spelling_of_a_standard_error_is_one() {
        for kind in [
            "https://serverlessworkflow.io/spec/1.0.0/errors/communication",
            "https://serverlessworkflow.io/dsl/errors/types/communication",
            "https://open-workflow-specification.org/spec/1.0.0/errors/communication",
            "https://open-workflow-specification.org/errors/types/communication",
        ] {
            assert_eq!(canonical_error_type(kind), "https://serverlessworkflow.io/spec/1.0.0/errors/communication");
        }
    }

    #[test]
    fn other_error_types_stay_as_they_are() {
        for kind in [
            "https://serverlessworkflow.io/errors/not-implemented",
            "https://serverlessworkflow.io/spec/1.0.0/errors/communication/x",
            "https://example.com/spec/1.0.0/errors/communication",
            "communication",
            "",
        ] {
            assert_eq!(canonical_error_type(kind), kind);
        }
    }
}
