//! Messages are taken, recorded, and only then acknowledged.
//!
//! What an earlier host recorded in the same attempt counts as taken. A
//! connection that breaks is made again as long as there is time.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until, timeout_at};
use workflow::asyncapi::{AsyncApiCall, Collector, Subscription};
use workflow::effect::StandardError;

use super::link::{GOODBYE, Link, LinkError, Purpose};
use super::message::{Inbound, MessageFacts};
use super::server::Place;
use crate::session::{Failure, Session, communication};

/// Messages that are recorded together. Brokers give out ten at least before
/// they want to hear that they were taken.
const BATCH: usize = 8;

/// How long what was taken may wait for more before it is recorded.
const QUIET: Duration = Duration::from_millis(200);

/// From one connection to the next.
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How many marks of recorded messages are kept, to know them when they are given again.
const MARKS_MAX: usize = 64;

pub(super) struct Source<'a> {
    pub session: &'a Session<'a>,
    pub call: &'a AsyncApiCall,
    pub place: &'a Place,
    pub address: &'a str,
    pub facts: &'a [MessageFacts<'a>],
}

impl Source<'_> {
    /// Until when a courtesy to the other side may take.
    fn goodbye(&self) -> Instant {
        self.session.deadline.min(Instant::now() + GOODBYE)
    }
}

/// What was taken, and how much of it is on disk.
struct Taking<'a> {
    source: &'a Source<'a>,
    collector: Collector,
    recorded: usize,
    /// Of those that are not recorded yet.
    waiting: Vec<Inbound>,
    known: VecDeque<String>,
    /// `consume.for`.
    end: Option<Instant>,
}

enum Ended {
    /// It is enough.
    Done,
    /// The connection broke.
    Lost(String),
}

pub(super) async fn collect(source: &Source<'_>, subscription: &Subscription) -> Result<Value, Failure> {
    let mut taking = Taking::of(source, subscription)?;
    let mut pause = PAUSE;
    let mut was_connected = false;
    while !taking.is_over() {
        let opened = Link::open(source.session, source.call, source.place, source.address, Purpose::Subscribe).await;
        let lost = match opened {
            Ok(mut link) => {
                was_connected = true;
                let count = taking.collector.count();
                let ended = taking.take(&mut link).await?;
                if taking.collector.count() > count {
                    pause = PAUSE;
                }
                match ended {
                    Ended::Done => {
                        link.close(source.session.deadline).await;
                        break;
                    }
                    Ended::Lost(detail) => detail,
                }
            }
            Err(Failure::Fault(fault)) if was_connected && fault.kind == StandardError::Communication.kind() => {
                fault.detail.unwrap_or_default()
            }
            Err(failure) => return Err(failure),
        };
        let next = Instant::now() + pause;
        if next >= source.session.deadline {
            return Err(communication(format!("`{}`: {lost}", source.place.origin)));
        }
        sleep_until(taking.end.map_or(next, |end| end.min(next))).await;
        pause = (2 * pause).min(PAUSE_MAX);
    }
    forget(source).await;
    Ok(taking.collector.into_messages().into())
}

/// A broker need not keep anything for this task any more.
async fn forget(source: &Source<'_>) {
    use workflow::asyncapi::Protocol;
    match source.place.protocol {
        Protocol::Mqtt | Protocol::Mqtt5 => {
            let goodbye = async {
                let link = Link::open(source.session, source.call, source.place, source.address, Purpose::Forget).await;
                if let Ok(link) = link {
                    link.close(source.session.deadline).await;
                }
            };
            let _ = timeout_at(source.goodbye(), goodbye).await;
        }
        Protocol::Http | Protocol::Nats | Protocol::Ws => {}
    }
}

impl<'a> Taking<'a> {
    fn of(source: &'a Source<'a>, subscription: &Subscription) -> Result<Self, Failure> {
        let earlier = source.session.taken();
        let lists = |name: &'static str| earlier.iter().filter_map(move |batch| batch[name].as_array()).flatten();
        let collector = Collector::new(subscription, lists("messages").cloned().collect())?;
        let marks = lists("marks").filter_map(Value::as_str).map(str::to_owned);
        let mut known: VecDeque<String> = marks.collect();
        known.drain(..known.len().saturating_sub(MARKS_MAX));
        Ok(Self {
            source,
            recorded: collector.count(),
            collector,
            waiting: Vec::new(),
            known,
            end: subscription.time_ms.map(|time| Instant::now() + Duration::from_millis(time)),
        })
    }

    fn is_over(&self) -> bool {
        self.collector.is_done() || self.end.is_some_and(|end| end <= Instant::now())
    }

    async fn take(&mut self, link: &mut Link) -> Result<Ended, Failure> {
        let deadline = self.source.session.deadline;
        loop {
            if self.is_over() {
                self.write_down().await?;
                // Whatever the other side hears of it, this is what came.
                let _ = timeout_at(self.source.goodbye(), acknowledge(link, &self.waiting)).await;
                return Ok(Ended::Done);
            }
            if Instant::now() >= deadline {
                self.record(link).await?;
                return Err(self.source.session.timed_out().into());
            }
            let quiet = (!self.waiting.is_empty()).then(|| Instant::now() + QUIET);
            let until = [self.end, quiet].into_iter().flatten().fold(deadline, Instant::min);
            match timeout_at(until, link.next()).await {
                Ok(Ok(inbound)) => {
                    if let Ended::Lost(detail) = self.look_at(inbound, link).await? {
                        return Ok(Ended::Lost(detail));
                    }
                }
                Ok(Err(LinkError::Refused(fault))) => return Err(fault.into()),
                // What was taken is taken: it is known when it is given again.
                Ok(Err(LinkError::Lost(detail))) => {
                    self.write_down().await?;
                    self.waiting.clear();
                    return Ok(Ended::Lost(detail));
                }
                Err(_) if self.is_over() || Instant::now() >= deadline => {}
                Err(_) => {
                    if let lost @ Ended::Lost(_) = self.record(link).await? {
                        return Ok(lost);
                    }
                }
            }
        }
    }

    async fn look_at(&mut self, inbound: Inbound, link: &mut Link) -> Result<Ended, Failure> {
        let is_known = inbound.is_again && inbound.mark.as_ref().is_some_and(|mark| self.known.contains(mark));
        if is_known || !self.collector.offer(inbound.value(self.source.facts))? {
            return Ok(self.acknowledge(link, &[inbound]).await);
        }
        self.waiting.push(Inbound { payload: Vec::new(), ..inbound });
        let is_full = self.waiting.len() >= BATCH && !self.is_over();
        if is_full { self.record(link).await } else { Ok(Ended::Done) }
    }

    /// Writes down what was taken, and then tells the other side.
    async fn record(&mut self, link: &mut Link) -> Result<Ended, Failure> {
        self.write_down().await?;
        let taken = std::mem::take(&mut self.waiting);
        Ok(self.acknowledge(link, &taken).await)
    }

    /// As long as there is time, and [`Self::take`] sees when that is up: the
    /// other side may send, and read nothing.
    async fn acknowledge(&self, link: &mut Link, taken: &[Inbound]) -> Ended {
        let until = self.end.into_iter().fold(self.source.session.deadline, Instant::min);
        timeout_at(until, acknowledge(link, taken)).await.unwrap_or(Ended::Done)
    }

    async fn write_down(&mut self) -> Result<(), Failure> {
        let messages = self.collector.after(self.recorded);
        if messages.is_empty() {
            return Ok(());
        }
        let marks: Vec<String> = self.waiting.iter().filter_map(|inbound| inbound.mark.clone()).collect();
        self.source.session.took(&json!({ "messages": messages, "marks": marks })).await?;
        self.recorded = self.collector.count();
        self.known.extend(marks);
        self.known.drain(..self.known.len().saturating_sub(MARKS_MAX));
        Ok(())
    }
}

async fn acknowledge(link: &mut Link, taken: &[Inbound]) -> Ended {
    for receipt in taken.iter().filter_map(|inbound| inbound.receipt) {
        match link.acknowledge(receipt).await {
            Ok(()) => {}
            Err(LinkError::Lost(detail)) => return Ended::Lost(detail),
            Err(LinkError::Refused(fault)) => return Ended::Lost(fault.detail.unwrap_or_default()),
        }
    }
    Ended::Done
}
