//! The events of a release as server-sent events: what was, then what comes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderName;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use store::{Change, SharedStore};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use workflow::{Event, InstanceId, Recorded};

use super::events::RecordedView;
use crate::problem::chain;

/// How often the store is asked for what another process wrote; our own writes are told at once.
const LOOK: Duration = Duration::from_secs(1);
/// Silence after which a comment is sent: proxies close connections that are idle for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a client waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);

/// A reader that stands at some revision of a history.
pub(super) struct Follow {
    store: SharedStore,
    instance: InstanceId,
    after: u64,
    changes: broadcast::Receiver<Change>,
    stop: watch::Receiver<bool>,
    ready: VecDeque<Recorded>,
    ended: bool,
}

impl Follow {
    pub(super) fn new(store: SharedStore, instance: InstanceId, after: u64, stop: watch::Receiver<bool>) -> Self {
        // Subscribed before the first look, so that nothing falls between them.
        let changes = store.changes();
        Self { store, instance, after, changes, stop, ready: VecDeque::new(), ended: false }
    }

    pub(super) fn into_response(self) -> Response {
        let events = stream::unfold(self, |mut follow| async {
            let recorded = follow.next().await?;
            Some((Ok::<_, Infallible>(sse_event(recorded)), follow))
        });
        let sse = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
        // Asks nginx and its kin not to hold events back.
        ([(HeaderName::from_static("x-accel-buffering"), "no")], sse).into_response()
    }

    /// The next event, when there is one; none when the release or the host has ended.
    async fn next(&mut self) -> Option<Recorded> {
        loop {
            if let Some(recorded) = self.ready.pop_front() {
                self.after = recorded.revision;
                self.ended = is_final(&recorded.event);
                return Some(recorded);
            }
            if self.ended {
                return None;
            }
            match self.store.history(&self.instance, self.after).await {
                Ok(events) if events.is_empty() => {
                    if !self.wait().await {
                        return None;
                    }
                }
                Ok(events) => self.ready.extend(events),
                Err(error) => {
                    // The client comes back with the last revision it saw.
                    tracing::error!(instance.id = %self.instance, "A stream of events broke off: {}", chain(&error));
                    return None;
                }
            }
        }
    }

    /// Waits until a look at the store may be worth it; false when the host stops.
    async fn wait(&mut self) -> bool {
        let look_at = Instant::now() + LOOK;
        loop {
            if *self.stop.borrow() {
                return false;
            }
            tokio::select! {
                () = sleep_until(look_at) => return true,
                changed = self.stop.changed() => if changed.is_err() {
                    return false;
                },
                change = self.changes.recv() => match change {
                    Ok(Change::Appended { instance, .. }) if instance == self.instance => return true,
                    Ok(Change::Appended { .. } | Change::Inbox { .. }) => {}
                    Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => {
                        sleep_until(look_at).await;
                        return true;
                    }
                },
            }
        }
    }
}

fn sse_event(recorded: Recorded) -> SseEvent {
    let (revision, name) = (recorded.revision, recorded.event.name());
    let data = serde_json::to_string(&RecordedView::from(recorded)).expect("an event has string keys only");
    SseEvent::default().id(revision.to_string()).event(name).retry(RETRY).data(data)
}

fn is_final(event: &Event) -> bool {
    matches!(event, Event::InstanceCompleted { .. } | Event::InstanceFaulted { .. } | Event::InstanceCancelled { .. })
}
