//! The effective grants of a task: asked ∩ approved ∩ granted ∩ ceiling.

use super::algebra::Excess;
use super::{Date, Grants, LockEntry, PluginManifest};
use crate::ids::{Digest, PluginName};

/// All that a plugin's powers on this host come from.
#[derive(Debug, Clone, Copy)]
pub struct Approval<'a> {
    pub manifest: &'a PluginManifest,
    /// Its entry in `plugins.lock`, if there is one.
    pub lock: Option<&'a LockEntry>,
    /// Of the component on this host.
    pub digest: &'a Digest,
    /// The operator's; none bounds nothing beyond what is asked.
    pub ceiling: Option<&'a Grants>,
    pub today: Date,
}

/// Why a task cannot use a plugin as it wants to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantProblem {
    #[error("nobody approved it; review it and add its digest to `plugins.lock`")]
    NotApproved { plugin: PluginName },
    #[error("its bytes changed since the review: `{actual}` is here, `{approved}` was approved; review it again")]
    Changed { approved: Digest, actual: Digest },
    #[error("its version changed since the review: `{actual}` is here, `{approved}` was approved; review it again")]
    Version { approved: semver::Version, actual: semver::Version },
    #[error("its approval expired on {on}; review it again")]
    Expired { on: Date },
    #[error("its approval grants `{granted}` in `{key}`, which its `plugin.toml` does not ask for; asked: {allowed}")]
    ApprovedMoreThanAsked { key: String, granted: String, allowed: String },
    #[error("the task grants `{granted}` in `{key}`, which was not approved; approved: {allowed}")]
    GrantedMoreThanApproved { key: String, granted: String, allowed: String },
    #[error("the task grants `{granted}` in `{key}`, which the operator's ceiling does not allow; allowed: {allowed}")]
    AboveCeiling { key: String, granted: String, allowed: String },
}

/// What a task that grants `task` may do through the plugin, or all that stands against it.
///
/// Every key alone bounds the result; a task can only narrow, so granting more
/// than was approved is an error and not silently cut.
pub fn effective(approval: &Approval, task: &Grants) -> Result<Grants, Vec<GrantProblem>> {
    let Approval { manifest, lock, digest, ceiling, today } = *approval;
    let Some(lock) = lock else {
        return Err(vec![GrantProblem::NotApproved { plugin: manifest.name.clone() }]);
    };
    let mut problems = Vec::new();
    if lock.digest != *digest {
        problems.push(GrantProblem::Changed { approved: lock.digest.clone(), actual: digest.clone() });
    }
    if lock.version != manifest.version {
        problems.push(GrantProblem::Version { approved: lock.version.clone(), actual: manifest.version.clone() });
    }
    if today >= lock.expires {
        problems.push(GrantProblem::Expired { on: lock.expires });
    }
    let unasked = lock.grants.exceeds(&manifest.asks).into_iter();
    problems.extend(unasked.map(|Excess { key, granted, allowed }| GrantProblem::ApprovedMoreThanAsked {
        key,
        granted,
        allowed,
    }));
    let unapproved = task.exceeds(&lock.grants).into_iter();
    problems.extend(unapproved.map(|Excess { key, granted, allowed }| GrantProblem::GrantedMoreThanApproved {
        key,
        granted,
        allowed,
    }));
    let above = ceiling.map(|ceiling| task.exceeds(ceiling)).unwrap_or_default().into_iter();
    problems.extend(above.map(|Excess { key, granted, allowed }| GrantProblem::AboveCeiling { key, granted, allowed }));
    if !problems.is_empty() {
        return Err(problems);
    }
    let bounded = manifest.asks.intersect(&lock.grants).intersect(task);
    Ok(ceiling.map_or_else(|| bounded.clone(), |ceiling| bounded.intersect(ceiling)))
}
