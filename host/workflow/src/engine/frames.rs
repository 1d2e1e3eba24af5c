//! All frames of an instance, and which of them has something to do next.
//!
//! Whatever changes a frame goes through [`Frames::get_mut`], and the event
//! that changed it ends with [`Frames::settle`]: so what is next is found
//! without looking at the frames that wait, however many there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::frame::{Frame, Turn};
use crate::definition::Definition;
use crate::ids::{TaskPath, Timestamp};

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Frames {
    by_path: BTreeMap<TaskPath, Frame>,
    /// Frames in which something follows without waiting, with the revision
    /// at which that came to be: branches of a `fork` take turns.
    ready: BTreeSet<(u64, TaskPath)>,
    timers: BTreeSet<(Timestamp, TaskPath)>,
    /// When tasks have taken too long.
    timeouts: BTreeSet<(Timestamp, TaskPath)>,
    /// Changed since the last `settle`.
    touched: Vec<TaskPath>,
}

/// How a frame stands in the indexes of [`Frames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Agenda {
    /// Which revision made it so is a matter of the history; the rest follows from the frame.
    ready: Option<u64>,
    #[serde(skip)]
    timer: Option<Timestamp>,
    #[serde(skip)]
    timeout: Option<Timestamp>,
}

impl Frames {
    /// Of frames that were kept, with their indexes made anew.
    pub fn restore(by_path: BTreeMap<TaskPath, Frame>, definition: &Definition) -> Self {
        let mut frames = Self { by_path, ..Self::default() };
        for (path, frame) in &mut frames.by_path {
            frame.agenda.timer = frame.timer();
            frame.agenda.timeout = frame.timeout(definition).map(|(due, _)| due);
            let Agenda { ready, timer, timeout } = frame.agenda;
            replace(&mut frames.ready, None, ready, path);
            replace(&mut frames.timers, None, timer, path);
            replace(&mut frames.timeouts, None, timeout, path);
        }
        frames
    }

    pub fn by_path(&self) -> &BTreeMap<TaskPath, Frame> {
        &self.by_path
    }

    pub fn get(&self, path: &TaskPath) -> Option<&Frame> {
        self.by_path.get(path)
    }

    pub fn get_mut(&mut self, path: &TaskPath) -> Option<&mut Frame> {
        let frame = self.by_path.get_mut(path)?;
        if self.touched.last() != Some(path) {
            self.touched.push(path.clone());
        }
        Some(frame)
    }

    /// In the order of their paths: a task before those inside it.
    pub fn iter(&self) -> impl Iterator<Item = (&TaskPath, &Frame)> {
        self.by_path.iter()
    }

    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    pub fn insert(&mut self, path: TaskPath, frame: Frame) {
        if let Some(parent) = frame.parent.as_ref().and_then(|parent| self.by_path.get_mut(parent)) {
            parent.children += 1;
        }
        self.touched.extend(frame.parent.clone());
        self.touched.push(path.clone());
        self.by_path.insert(path, frame);
    }

    pub fn remove(&mut self, path: &TaskPath) -> Option<Frame> {
        let frame = self.by_path.remove(path)?;
        if let Some(parent) = frame.parent.as_ref().and_then(|parent| self.by_path.get_mut(parent)) {
            parent.children -= 1;
        }
        self.touched.extend(frame.parent.clone());
        let Agenda { ready, timer, timeout } = frame.agenda;
        ready.map(|since| self.ready.remove(&(since, path.clone())));
        timer.map(|due| self.timers.remove(&(due, path.clone())));
        timeout.map(|due| self.timeouts.remove(&(due, path.clone())));
        Some(frame)
    }

    /// Whatever runs inside the task at `path`, without itself.
    pub fn inside(&self, path: &TaskPath) -> Vec<TaskPath> {
        self.by_path
            .range(path.clone()..)
            .map(|(inner, _)| inner)
            .take_while(|inner| inner.as_str().starts_with(path.as_str()))
            .filter(|inner| *inner != path && inner.is_within(path))
            .cloned()
            .collect()
    }

    /// The running task that `path` is in, the innermost one.
    pub fn around(&self, path: &TaskPath) -> Option<&TaskPath> {
        let text = path.as_str();
        let ends = text.char_indices().rev().filter(|(_, c)| matches!(c, '/' | '[')).map(|(end, _)| end);
        ends.filter_map(|end| self.by_path.get_key_value(&text[..end])).map(|(around, _)| around).next()
    }

    /// The frame in which something follows at once: the one that has waited longest for its turn.
    pub fn first_ready(&self) -> Option<&TaskPath> {
        self.ready.first().map(|(_, path)| path)
    }

    /// What waits for time alone and is due at `now`.
    pub fn first_timer(&self, now: Timestamp) -> Option<&TaskPath> {
        self.timers.first().filter(|(due, _)| *due <= now).map(|(_, path)| path)
    }

    /// The first task that has taken too long at `now`, of several the outermost.
    pub fn first_timeout(&self, now: Timestamp) -> Option<&TaskPath> {
        self.timeouts.first().filter(|(due, _)| *due <= now).map(|(_, path)| path)
    }

    /// When time alone moves one of them next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.timers.first().into_iter().chain(self.timeouts.first()).map(|(due, _)| *due).min()
    }

    /// Brings the indexes up to what the event of this revision has changed.
    pub fn settle(&mut self, revision: u64, definition: &Definition) {
        for path in std::mem::take(&mut self.touched) {
            let Some(frame) = self.by_path.get_mut(&path) else { continue };
            let before = frame.agenda;
            let ready = match frame.turn(definition) {
                Turn::None => None,
                Turn::InOrder => Some(before.ready.unwrap_or(revision)),
                Turn::First => Some(0),
            };
            let after = Agenda { ready, timer: frame.timer(), timeout: frame.timeout(definition).map(|(due, _)| due) };
            frame.agenda = after;
            replace(&mut self.ready, before.ready, after.ready, &path);
            replace(&mut self.timers, before.timer, after.timer, &path);
            replace(&mut self.timeouts, before.timeout, after.timeout, &path);
        }
    }
}

fn replace<K: Ord + Copy>(index: &mut BTreeSet<(K, TaskPath)>, before: Option<K>, after: Option<K>, path: &TaskPath) {
    if before == after {
        return;
    }
    if let Some(key) = before {
        index.remove(&(key, path.clone()));
    }
    if let Some(key) = after {
        index.insert((key, path.clone()));
    }
}
