//! Patterns over artifact names, closed under intersection: `*` is one part,
//! `**` as a last part is all below.

/// Whether `name` (`build/1.2/stdout.log`) is one of those that `pattern` speaks of.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut names = name.split('/');
    let mut patterns = pattern.split('/').peekable();
    while let Some(part) = patterns.next() {
        if part == "**" && patterns.peek().is_none() {
            return names.next().is_some();
        }
        match names.next() {
            Some(name) if part == "*" || part == name => {}
            Some(_) | None => return false,
        }
    }
    names.next().is_none()
}

/// The pattern of the names that both match; none if there are no such names.
pub fn intersection(left: &str, right: &str) -> Option<String> {
    let (left, right): (Vec<_>, Vec<_>) = (left.split('/').collect(), right.split('/').collect());
    let mut both = Vec::new();
    for at in 0.. {
        match (left.get(at).copied(), right.get(at).copied()) {
            (None, None) => break,
            (None, Some(_)) | (Some(_), None) => return None,
            (Some("**"), Some(_)) if at + 1 == left.len() => {
                both.extend(&right[at..]);
                break;
            }
            (Some(_), Some("**")) if at + 1 == right.len() => {
                both.extend(&left[at..]);
                break;
            }
            (Some("*"), Some(part)) | (Some(part), Some("*")) => both.push(part),
            (Some(l), Some(r)) if l == r => both.push(l),
            (Some(_), Some(_)) => return None,
        }
    }
    Some(both.join("/"))
}

/// Whether every name that `narrow` matches is matched by `wide` too.
pub fn covers(wide: &str, narrow: &str) -> bool {
    intersection(wide, narrow).as_deref() == Some(narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part_and_two_are_all_below() {
        for (pattern, name, expected) in [
            ("build/1/stdout.log", "build/1/stdout.log", true),
            ("build/*/stdout.log", "build/1.2/stdout.log", true),
            ("build/*", "build/1/stdout.log", false),
            ("build/**", "build/1/stdout.log", true),
            ("build/**", "build", false),
            ("**", "anything/at/all", true),
            ("**", "one", true),
            ("build/**", "builder/x", false),
            ("**/x", "a/x", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn two_patterns_meet_in_what_both_match() {
        for (left, right, both) in [
            ("build/**", "**", Some("build/**")),
            ("build/**", "*/1/*", Some("build/1/*")),
            ("*", "**", Some("*")),
            ("a/*", "*/b", Some("a/b")),
            ("a/**", "b/**", None),
            ("a", "a/**", None),
            ("*/b", "a", None),
        ] {
            assert_eq!(intersection(left, right).as_deref(), both, "{left} {right}");
            assert_eq!(intersection(right, left).as_deref(), both, "{right} {left}");
        }
    }
}
