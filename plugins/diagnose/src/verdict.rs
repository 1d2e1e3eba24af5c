//! From matches to one verdict, and from a verdict to what may be done.

use crate::logs::{Line, Text, cut};
use crate::rules::{Match, matches};
use crate::{Action, Category, Evidence, Input, Status};

/// A kind of failure, how sure that is, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub category: Category,
    pub confidence: f64,
    pub evidence: Vec<Evidence>,
    pub by: String,
}

/// How many lines a verdict shows, and how much of each.
const EVIDENCE_MAX: usize = 3;
const EVIDENCE_BYTES_MAX: usize = 300;

/// Below this a person decides.
pub const SURE: f64 = 0.75;

/// What the rules say of the lines.
pub fn of_lines(texts: &[Text], lines: &[Line<'_>]) -> Verdict {
    let found = matches(lines);
    let Some(best) = heaviest(&found) else {
        return Verdict {
            category: Category::Uncertain,
            confidence: 0.0,
            evidence: Vec::new(),
            by: "rules".to_owned(),
        };
    };
    let other = found.iter().filter(|found| found.category != best.category).map(|found| found.weight).max();
    // Two kinds that are told almost as loudly make each other doubtful.
    let doubt = match other.map(|other| best.weight - other) {
        Some(0..=1) => 10,
        Some(2..=4) => 5,
        Some(_) | None => 0,
    };
    let evidence = evidence(texts, lines, &found, best);
    Verdict {
        category: best.category,
        confidence: f64::from(best.weight - doubt) / 100.0,
        evidence,
        by: "rules".to_owned(),
    }
}

/// The match that decides: of two as heavy the last, which `max_by_key` takes.
pub fn heaviest(found: &[Match]) -> Option<&Match> {
    found.iter().max_by_key(|found| found.weight)
}

/// The best match first, then the heaviest others of its category; each line once.
fn evidence(texts: &[Text], lines: &[Line<'_>], found: &[Match], best: &Match) -> Vec<Evidence> {
    let mut same: Vec<&Match> =
        found.iter().filter(|found| found.category == best.category && *found != best).collect();
    same.sort_by_key(|found| std::cmp::Reverse((found.weight, found.line)));
    let mut shown: Vec<Evidence> = Vec::new();
    for found in std::iter::once(best).chain(same) {
        let Line { log, raw, .. } = &lines[found.line];
        let text = cut(raw.trim(), EVIDENCE_BYTES_MAX).to_owned();
        if shown.len() < EVIDENCE_MAX && shown.iter().all(|evidence| evidence.text != text) {
            shown.push(Evidence { artifact: texts[*log].uri.clone(), text });
        }
    }
    shown
}

/// What the host itself saw needs no log.
pub fn of_status(status: Option<Status>) -> Option<Verdict> {
    match status {
        Some(Status::PolicyViolation) => Some(Verdict {
            category: Category::PolicyViolation,
            confidence: 1.0,
            evidence: Vec::new(),
            by: "status".to_owned(),
        }),
        Some(Status::Failed | Status::TimedOut | Status::Killed) | None => None,
    }
}

/// What the policy allows for this verdict, and why.
pub fn action(verdict: &Verdict, input: &Input) -> (Action, String) {
    let human = |why: &str| (Action::HumanTask, why.to_owned());
    if verdict.confidence < SURE {
        return human("it is not sure what failed");
    }
    match verdict.category {
        Category::PermissionOrSecret => human("a permission or a secret is a person's to give"),
        Category::PolicyViolation => human("what policy forbids a person may decide, and nobody else"),
        Category::Uncertain => human("no kind of failure fits, or the surroundings failed and not the release"),
        Category::TransientInfrastructure => match input.retries_left {
            Some(0) => human("the retries are used up"),
            Some(_) | None => (Action::RetryWithBackoff, "it may work later".to_owned()),
        },
        Category::DependencyResolution
        | Category::CompileFailure
        | Category::TestFailure
        | Category::ReleaseMetadata => {
            if !input.policy.allow_ai_patch {
                human("the policy allows no patch")
            } else if input.repair_attempts >= input.policy.max_repair_attempts {
                human("the repair attempts are used up")
            } else {
                (Action::ProposePatch, "the policy allows a patch".to_owned())
            }
        }
    }
}
