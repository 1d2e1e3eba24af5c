//! What an instance is at one revision, to go on from there without the events before.
//!
//! A snapshot is a cache of the fold: whoever has none, or one of another
//! program, folds the history.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::frame::Frame;
use super::frames::Frames;
use super::instance::{Approved, End, HistoryError, Instance, SameDigest, SinceRest};
use super::views::EndedCommand;
use crate::capability::EffectivePolicy;
use crate::definition::Definition;
use crate::event::{Parent, Recorded};
use crate::ids::{Actor, Digest, InstanceId, TaskPath, Timestamp};

/// Digest of the sources of this crate (`build.rs`): what other sources kept may mean something else.
const MADE_BY: &str = env!("WORKFLOW_SOURCES");

/// A snapshot as it was read back.
#[derive(Debug, Clone)]
pub struct Snapshot(Kept<'static>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept<'a> {
    made_by: Cow<'a, str>,
    id: InstanceId,
    definition: Digest,
    revision: u64,
    input: Arc<Value>,
    policy: Arc<EffectivePolicy>,
    started_by: Actor,
    parent: Option<Box<Parent>>,
    started_at: Timestamp,
    deadline: Option<Timestamp>,
    newest_at: Timestamp,
    context: Arc<Value>,
    frames: Cow<'a, BTreeMap<TaskPath, Frame>>,
    attempts: Cow<'a, HashMap<TaskPath, u32>>,
    ended_commands: Cow<'a, VecDeque<EndedCommand>>,
    since_rest: Cow<'a, SinceRest>,
    suspended: bool,
    approved: Cow<'a, BTreeMap<TaskPath, Approved>>,
    end: Cow<'a, Option<(End, Timestamp)>>,
}

impl Snapshot {
    /// None for what another version of this program kept, and for what is no snapshot.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let kept: Kept<'static> = serde_json::from_slice(bytes).ok()?;
        (kept.made_by == MADE_BY).then_some(Self(kept))
    }

    /// What its instance runs: [`Instance::resume`] wants it.
    pub fn definition(&self) -> &Digest {
        &self.0.definition
    }

    /// Of the last event that is in it.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }
}

impl Instance {
    /// What [`Snapshot::read`] reads, as JSON.
    pub fn snapshot(&self) -> Vec<u8> {
        let kept = Kept {
            made_by: MADE_BY.into(),
            id: self.id.clone(),
            definition: self.definition.0.digest.clone(),
            revision: self.revision,
            input: self.input.clone(),
            policy: self.policy.clone(),
            started_by: self.started_by.clone(),
            parent: self.parent.clone(),
            started_at: self.started_at,
            deadline: self.deadline,
            newest_at: self.newest_at,
            context: self.context.clone(),
            frames: Cow::Borrowed(self.frames.by_path()),
            attempts: Cow::Borrowed(&self.attempts),
            ended_commands: Cow::Borrowed(&self.ended_commands),
            since_rest: Cow::Borrowed(&self.since_rest),
            suspended: self.suspended,
            approved: Cow::Borrowed(&self.approved),
            end: Cow::Borrowed(&self.end),
        };
        serde_json::to_vec(&kept).expect("an instance has texts for keys")
    }

    /// The same instance as [`Instance::fold`] gives of the whole history.
    ///
    /// # Errors
    ///
    /// As [`Instance::fold`]: another definition or instance, or events that do not follow the snapshot.
    pub fn resume(
        id: &InstanceId,
        definition: Arc<Definition>,
        snapshot: Snapshot,
        later: impl IntoIterator<Item = Recorded>,
    ) -> Result<Self, HistoryError> {
        let Kept { made_by: _, id: of, definition: digest, revision, .. } = &snapshot.0;
        if of != id || *digest != definition.digest {
            let why = format!("it is of instance `{of}` and definition `{digest}`");
            return Err(HistoryError::Impossible { revision: *revision, event: "snapshot", why });
        }
        let kept = snapshot.0;
        let mut instance = Self {
            id: kept.id,
            frames: Frames::restore(kept.frames.into_owned(), &definition),
            definition: SameDigest(definition),
            revision: kept.revision,
            input: kept.input,
            policy: kept.policy,
            started_by: kept.started_by,
            parent: kept.parent,
            started_at: kept.started_at,
            deadline: kept.deadline,
            newest_at: kept.newest_at,
            context: kept.context,
            attempts: kept.attempts.into_owned(),
            ended_commands: kept.ended_commands.into_owned(),
            since_rest: kept.since_rest.into_owned(),
            suspended: kept.suspended,
            approved: kept.approved.into_owned(),
            imagined: None,
            end: kept.end.into_owned(),
        };
        for recorded in later {
            instance.take(recorded)?;
        }
        Ok(instance)
    }
}
