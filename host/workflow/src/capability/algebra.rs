//! Grants as a lattice: `intersect` is its meet, `exceeds` its order.

use std::collections::BTreeSet;

use super::{
    ArtifactsReadGrant, ArtifactsWriteGrant, Grants, HttpGrant, LogGrant, McpGrant, ModelGrant, SandboxGrant,
    SecretsGrant, glob,
};
use crate::ids::ArtifactUri;

/// One thing that is granted beyond what may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// `sandbox.commands`
    pub key: String,
    /// `rust-release/cargo-publish`, or a number.
    pub granted: String,
    /// What may be granted instead.
    pub allowed: String,
}

impl Grants {
    /// What both grant; the order of the two does not matter.
    pub fn intersect(&self, other: &Grants) -> Grants {
        Grants {
            log: both(&self.log, &other.log, |a, b| LogGrant {
                lines_max: a.lines_max.min(b.lines_max),
                bytes_max: a.bytes_max.min(b.bytes_max),
            }),
            artifacts_read: both(&self.artifacts_read, &other.artifacts_read, |a, b| ArtifactsReadGrant {
                names: intersect_patterns(&a.names, &b.names),
            }),
            artifacts_write: both(&self.artifacts_write, &other.artifacts_write, |a, b| ArtifactsWriteGrant {
                names: &a.names & &b.names,
                bytes_max: a.bytes_max.min(b.bytes_max),
            }),
            sandbox: both(&self.sandbox, &other.sandbox, |a, b| SandboxGrant {
                commands: &a.commands & &b.commands,
                commands_max: a.commands_max.min(b.commands_max),
                planned: a.planned.max(b.planned),
            }),
            secrets: both(&self.secrets, &other.secrets, |a, b| SecretsGrant { names: &a.names & &b.names }),
            model: both(&self.model, &other.model, |a, b| ModelGrant {
                models: &a.models & &b.models,
                questions_max: a.questions_max.min(b.questions_max),
                answer_tokens_max: a.answer_tokens_max.min(b.answer_tokens_max),
            }),
            mcp: both(&self.mcp, &other.mcp, |a, b| McpGrant {
                tools: &a.tools & &b.tools,
                calls_max: a.calls_max.min(b.calls_max),
            }),
            http: both(&self.http, &other.http, |a, b| HttpGrant {
                origins: &a.origins & &b.origins,
                requests_max: a.requests_max.min(b.requests_max),
                bytes_max: a.bytes_max.min(b.bytes_max),
            }),
            wasi_baseline: both(&self.wasi_baseline, &other.wasi_baseline, |a, _| *a),
            limits: self.limits.intersect(&other.limits),
        }
    }

    /// All that this grants and `bound` does not, one entry each.
    pub fn exceeds(&self, bound: &Grants) -> Vec<Excess> {
        let mut excess = Vec::new();
        if let Some(grant) = &self.log {
            let bound = bound.log.as_ref();
            number(&mut excess, "log.lines-max", grant.lines_max.into(), bound.map(|bound| bound.lines_max.into()));
            number(&mut excess, "log.bytes-max", grant.bytes_max, bound.map(|bound| bound.bytes_max));
        }
        if let Some(grant) = &self.artifacts_read {
            let allowed = bound.artifacts_read.as_ref().map(|bound| &bound.names);
            let is_allowed =
                |name: &&String| allowed.is_some_and(|all| all.iter().any(|wide| glob::covers(wide, name)));
            beyond(&mut excess, "artifacts-read.names", grant.names.iter().filter(|name| !is_allowed(name)), allowed);
        }
        if let Some(grant) = &self.artifacts_write {
            let bound = bound.artifacts_write.as_ref();
            members(&mut excess, "artifacts-write.names", &grant.names, bound.map(|bound| &bound.names));
            number(&mut excess, "artifacts-write.bytes-max", grant.bytes_max, bound.map(|bound| bound.bytes_max));
        }
        if let Some(grant) = &self.sandbox {
            let bound = bound.sandbox.as_ref();
            members(&mut excess, "sandbox.commands", &grant.commands, bound.map(|bound| &bound.commands));
            let allowed = bound.map(|bound| bound.commands_max.into());
            number(&mut excess, "sandbox.commands-max", grant.commands_max.into(), allowed);
            if let Some(bound) = bound.filter(|bound| grant.planned < bound.planned) {
                let (granted, allowed) = (grant.planned.name().to_owned(), format!("`{}`", bound.planned.name()));
                excess.push(Excess { key: "sandbox.planned".to_owned(), granted, allowed });
            }
        }
        if let Some(grant) = &self.secrets {
            members(&mut excess, "secrets.names", &grant.names, bound.secrets.as_ref().map(|bound| &bound.names));
        }
        if let Some(grant) = &self.model {
            let bound = bound.model.as_ref();
            members(&mut excess, "model.models", &grant.models, bound.map(|bound| &bound.models));
            let allowed = bound.map(|bound| bound.questions_max.into());
            number(&mut excess, "model.questions-max", grant.questions_max.into(), allowed);
            let allowed = bound.map(|bound| bound.answer_tokens_max);
            number(&mut excess, "model.answer-tokens-max", grant.answer_tokens_max, allowed);
        }
        if let Some(grant) = &self.mcp {
            let bound = bound.mcp.as_ref();
            members(&mut excess, "mcp.tools", &grant.tools, bound.map(|bound| &bound.tools));
            let allowed = bound.map(|bound| bound.calls_max.into());
            number(&mut excess, "mcp.calls-max", grant.calls_max.into(), allowed);
        }
        if let Some(grant) = &self.http {
            let bound = bound.http.as_ref();
            members(&mut excess, "http.origins", &grant.origins, bound.map(|bound| &bound.origins));
            let allowed = bound.map(|bound| bound.requests_max.into());
            number(&mut excess, "http.requests-max", grant.requests_max.into(), allowed);
            number(&mut excess, "http.bytes-max", grant.bytes_max, bound.map(|bound| bound.bytes_max));
        }
        if self.wasi_baseline.is_some() && bound.wasi_baseline.is_none() {
            beyond(&mut excess, "wasi-baseline", std::iter::once(&"{}"), None::<&BTreeSet<&str>>);
        }
        self.limits.exceeds(&bound.limits, &mut excess);
        excess
    }

    /// The interfaces granted, by their keys.
    pub fn keys(&self) -> Vec<&'static str> {
        let all = [
            ("log", self.log.is_some()),
            ("artifacts-read", self.artifacts_read.is_some()),
            ("artifacts-write", self.artifacts_write.is_some()),
            ("sandbox", self.sandbox.is_some()),
            ("secrets", self.secrets.is_some()),
            ("model", self.model.is_some()),
            ("mcp", self.mcp.is_some()),
            ("http", self.http.is_some()),
            ("wasi-baseline", self.wasi_baseline.is_some()),
        ];
        all.into_iter().filter(|(_, granted)| *granted).map(|(key, _)| key).collect()
    }
}

impl ArtifactsReadGrant {
    /// Whether a pattern matches the reference without its instance:
    /// `artifact://<instance>/<task>/<attempt>/<name>`. That the instance is the
    /// plugin's own is for the worker to see.
    pub fn covers(&self, uri: &ArtifactUri) -> bool {
        let rest = uri.as_str().strip_prefix("artifact://").and_then(|rest| rest.split_once('/'));
        rest.is_some_and(|(_, name)| self.names.iter().any(|pattern| glob::matches(pattern, name)))
    }
}

fn both<T>(left: &Option<T>, right: &Option<T>, meet: impl Fn(&T, &T) -> T) -> Option<T> {
    Some(meet(left.as_ref()?, right.as_ref()?))
}

/// Every meeting of two patterns, without those inside another one, so that
/// the result does not depend on the order.
fn intersect_patterns(left: &BTreeSet<String>, right: &BTreeSet<String>) -> BTreeSet<String> {
    let pairs = left.iter().flat_map(|l| right.iter().map(move |r| (l, r)));
    let all: BTreeSet<String> = pairs.filter_map(|(l, r)| glob::intersection(l, r)).collect();
    let inside = |narrow: &String| all.iter().any(|wide| wide != narrow && glob::covers(wide, narrow));
    all.iter().filter(|pattern| !inside(pattern)).cloned().collect()
}

fn number(excess: &mut Vec<Excess>, key: &str, granted: u64, allowed: Option<u64>) {
    if allowed.is_none_or(|allowed| granted > allowed) {
        let allowed = allowed.map_or_else(|| "nothing".to_owned(), |allowed| format!("at most {allowed}"));
        excess.push(Excess { key: key.to_owned(), granted: granted.to_string(), allowed });
    }
}

fn members<T: Ord + ToString>(
    excess: &mut Vec<Excess>,
    key: &str,
    granted: &BTreeSet<T>,
    allowed: Option<&BTreeSet<T>>,
) {
    let outside = granted.iter().filter(|name| allowed.is_none_or(|allowed| !allowed.contains(name)));
    beyond(excess, key, outside, allowed);
}

fn beyond<'a, T: ToString + 'a>(
    excess: &mut Vec<Excess>,
    key: &str,
    outside: impl Iterator<Item = &'a T>,
    allowed: Option<&BTreeSet<T>>,
) {
    let names: Vec<_> = allowed.into_iter().flatten().map(|name| format!("`{}`", name.to_string())).collect();
    let allowed = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    excess.extend(outside.map(|name| Excess {
        key: key.to_owned(),
        granted: name.to_string(),
        allowed: allowed.clone(),
    }));
}
