//! A commit's message, read as a conventional commit where it is one.
//!
//! Source: Conventional Commits 1.0.0.

use schemars::JsonSchema;
use serde::Deserialize;

/// A commit of the release, as `cargo` `changes` gives it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// 40 hex digits.
    pub commit: String,
    #[serde(default, rename = "author")]
    pub _author: Option<String>,
    #[serde(default, rename = "date")]
    pub _date: Option<String>,
    /// Subject, body and footers.
    pub message: String,
}

/// Where a change stands in the notes, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Features,
    Fixes,
    Performance,
    Reverts,
    Documentation,
    Other,
}

impl Section {
    pub const ALL: [Section; 6] = [
        Section::Features,
        Section::Fixes,
        Section::Performance,
        Section::Reverts,
        Section::Documentation,
        Section::Other,
    ];

    pub fn title(self) -> &'static str {
        match self {
            Section::Features => "Features",
            Section::Fixes => "Fixes",
            Section::Performance => "Performance",
            Section::Reverts => "Reverts",
            Section::Documentation => "Documentation",
            Section::Other => "Other changes",
        }
    }

    /// Of a type that the convention or common use knows.
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "feat" | "feature" => Some(Section::Features),
            "fix" | "bugfix" => Some(Section::Fixes),
            "perf" => Some(Section::Performance),
            "revert" => Some(Section::Reverts),
            "docs" | "doc" => Some(Section::Documentation),
            "build" | "chore" | "ci" | "refactor" | "style" | "test" => Some(Section::Other),
            _ => None,
        }
    }
}

/// What a commit changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub section: Section,
    /// `parser` of `fix(parser): …`.
    pub scope: Option<String>,
    pub text: String,
    /// What breaks, in the author's words.
    pub breaking: Option<String>,
    /// Numbers of issues that the footers close.
    pub closes: Vec<u64>,
}

impl Commit {
    pub fn change(&self) -> Change {
        let mut lines = self.message.lines();
        let subject = lines.next().unwrap_or_default().trim();
        let footers: Vec<&str> = lines.map(str::trim).collect();
        let breaking = footers.iter().find_map(|line| {
            line.strip_prefix("BREAKING CHANGE:").or_else(|| line.strip_prefix("BREAKING-CHANGE:")).map(str::trim)
        });
        let (section, scope, bang, text) = match head(subject) {
            Some((section, scope, bang, text)) => (section, scope, bang, text),
            None if subject.starts_with("Revert \"") => (Section::Reverts, None, false, subject),
            None => (Section::Other, None, false, subject),
        };
        let breaking = breaking.map(str::to_owned).or_else(|| bang.then(|| text.to_owned()));
        let closes = footers.iter().flat_map(|line| closes(line)).collect();
        Change { section, scope: scope.map(str::to_owned), text: text.to_owned(), breaking, closes }
    }
}

/// `type(scope)!: text`; none if the subject is not conventional.
fn head(subject: &str) -> Option<(Section, Option<&str>, bool, &str)> {
    let (head, text) = subject.split_once(": ")?;
    let (head, bang) = head.strip_suffix('!').map_or((head, false), |head| (head, true));
    let (kind, scope) = match head.split_once('(') {
        Some((kind, scope)) => (kind, Some(scope.strip_suffix(')')?)),
        None => (head, None),
    };
    let section = Section::of(&kind.to_ascii_lowercase())?;
    Some((section, scope.filter(|scope| !scope.is_empty()), bang, text.trim()))
}

/// Numbers after `Closes #12` and its kin.
fn closes(line: &str) -> Vec<u64> {
    let words = ["closes", "close", "fixes", "fix", "resolves", "resolve"];
    let lower = line.to_ascii_lowercase();
    let Some(word) = words.iter().find(|word| lower.starts_with(**word)) else { return Vec::new() };
    let numbers = lower[word.len()..].split([' ', ',', ':']).filter_map(|part| part.strip_prefix('#')?.parse().ok());
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(message: &str) -> Change {
        Commit { commit: "0".repeat(40), _author: None, _date: None, message: message.to_owned() }.change()
    }

    #[test]
    fn a_conventional_subject_is_taken_apart() {
        for (message, section, scope, text) in [
            ("feat(parser): read tables", Section::Features, Some("parser"), "read tables"),
            ("Fix: a leak", Section::Fixes, None, "a leak"),
            ("refactor: names", Section::Other, None, "names"),
            ("plugins: diagnose, rules over lines", Section::Other, None, "plugins: diagnose, rules over lines"),
            ("feat(open: no", Section::Other, None, "feat(open: no"),
            ("Revert \"feat: x\"", Section::Reverts, None, "Revert \"feat: x\""),
            ("", Section::Other, None, ""),
        ] {
            let found = change(message);
            assert_eq!(
                (found.section, found.scope.as_deref(), found.text.as_str()),
                (section, scope, text),
                "{message}"
            );
        }
    }

    #[test]
    fn a_break_is_seen_in_the_subject_and_in_a_footer() {
        assert_eq!(change("feat!: new keys").breaking.as_deref(), Some("new keys"));
        assert_eq!(change("fix(a)!: x\n\nBREAKING CHANGE: y is gone").breaking.as_deref(), Some("y is gone"));
        assert_eq!(change("fix: x\n\nnot BREAKING CHANGE: y").breaking, None);
    }

    #[test]
    fn issues_that_the_footers_close_are_named() {
        assert_eq!(change("fix: x\n\nCloses #12, #13\nFixes: #7\nSee #9").closes, [12, 13, 7]);
    }
}
