//! `call: asyncapi`: a message that is published, or messages that are taken
//! until a condition holds, with every expression evaluated that can be.
//!
//! Conditions of a subscription are about messages that are not there yet, so
//! they travel as text with the variables they name. They are part of the
//! intent, which the definition made: no message can become one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::calls::{Authentication, CallEndpoint};
use crate::effect::{Fault, StandardError};
use crate::expression::{Dialect, Expression, Language, Scope};
use crate::ids::Timestamp;

/// Most messages that one subscription takes: they become part of the history.
pub const MESSAGES_MAX: usize = 1_000;

/// Most bytes of them together, as JSON.
pub const MESSAGES_BYTES_MAX: usize = 1 << 20;

/// One call of an operation or a channel that a document describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncApiCall {
    /// As the document of an OpenAPI call.
    pub document: CallEndpoint,
    pub target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// None: that of the server. `protocol` is the kind of the call, in a history.
    #[serde(default, rename = "over", skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    pub exchange: Exchange,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Under which name a broker knows the task: the same after a crash and for
    /// a retry. 22 letters and digits, which every broker takes.
    pub client: String,
}

/// What of the document is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// Its key in a document of version 3, or the `operationId` of version 2.
    Operation(String),
    /// Its key; in version 3 also its address.
    Channel(String),
}

/// Which of the document's servers, and the variables of its address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    pub name: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// The protocols that this host speaks, each with TLS and without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    /// Version 3.1.1, unless the document's server says 5.
    Mqtt,
    Mqtt5,
    Nats,
    Ws,
}

impl Protocol {
    pub const ALL: [Protocol; 5] = [Protocol::Http, Protocol::Mqtt, Protocol::Mqtt5, Protocol::Nats, Protocol::Ws];

    /// The others of the specification.
    pub const REFUSED: [&str; 14] = [
        "amqp",
        "amqp1",
        "anypointmq",
        "googlepubsub",
        "ibmmq",
        "jms",
        "kafka",
        "mercure",
        "pulsar",
        "redis",
        "sns",
        "solace",
        "sqs",
        "stomp",
    ];

    /// As a definition names it.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Mqtt => "mqtt",
            Protocol::Mqtt5 => "mqtt5",
            Protocol::Nats => "nats",
            Protocol::Ws => "ws",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exchange {
    Publish(Message),
    Subscribe(Box<Subscription>),
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// `null`: an empty one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub payload: Value,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
}

/// Which messages are taken, and how many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// Over the message: `{ payload, headers, correlationId }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Condition>,
    pub consume: Consume,
    /// `consume.for`: what came until then is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<u64>,
}

/// When it is enough. Conditions are over the list of messages so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Consume {
    Amount(u64),
    /// Evaluated after each message.
    While(Condition),
    /// Evaluated before each message, so before the first one, too.
    Until(Condition),
}

/// An expression for later, with all that it may see.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    pub language: Language,
    pub text: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

struct Predicate {
    expression: Expression,
    scope: Scope,
}

impl Predicate {
    fn of(condition: &Condition) -> Result<Self, Fault> {
        let dialect = Dialect { language: condition.language, is_loose: false };
        let expression =
            dialect.expression(&condition.text).map_err(|error| StandardError::Expression.fault(error.to_string()))?;
        Ok(Self { expression, scope: Scope { variables: condition.variables.clone(), now: condition.now } })
    }

    fn holds(&self, value: &Value) -> Result<bool, Fault> {
        self.expression.holds(value, &self.scope)
    }

    /// The examples of the specification read the messages so far as a member
    /// of `$context` that nothing else makes.
    fn holds_of(&mut self, messages: &Value) -> Result<bool, Fault> {
        const CONSUMED: &str = "consumedMessages";
        if self.expression.source.contains(CONSUMED) {
            let context = self.scope.variables.entry("context".to_owned()).or_insert(Value::Null);
            if context.is_null() {
                *context = Value::Object(Map::new());
            }
            if let Value::Object(members) = context {
                members.insert(CONSUMED.to_owned(), messages.clone());
            }
        }
        self.holds(messages)
    }
}

enum End {
    Amount(u64),
    While(Predicate),
    Until(Predicate),
}

/// Takes messages until it is enough. The same messages in the same order give
/// the same, before and after a crash.
pub struct Collector {
    filter: Option<Predicate>,
    end: End,
    messages: Vec<Value>,
    bytes: usize,
    is_done: bool,
}

impl Collector {
    /// `taken`: what an earlier host has recorded.
    ///
    /// # Errors
    ///
    /// A fault of type `expression`: a condition fails.
    pub fn new(subscription: &Subscription, taken: Vec<Value>) -> Result<Self, Fault> {
        let filter = subscription.filter.as_ref().map(Predicate::of).transpose()?;
        let end = match &subscription.consume {
            Consume::Amount(amount) => End::Amount(*amount),
            Consume::While(condition) => End::While(Predicate::of(condition)?),
            Consume::Until(condition) => End::Until(Predicate::of(condition)?),
        };
        let bytes = taken.iter().map(size).sum();
        let mut collector = Self { filter, end, messages: taken, bytes, is_done: false };
        collector.settle()?;
        Ok(collector)
    }

    /// Whether nothing more is wanted.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// All messages that were taken, in the order in which they came.
    pub fn into_messages(self) -> Vec<Value> {
        self.messages
    }

    /// The messages after the first `count`.
    pub fn after(&self, count: usize) -> &[Value] {
        self.messages.get(count..).unwrap_or_default()
    }

    /// How many were taken.
    pub fn count(&self) -> usize {
        self.messages.len()
    }

    /// Looks at one message; false if the filter passes it by, or fails on it.
    ///
    /// # Errors
    ///
    /// `while` or `until` fails, or there would be more than a history holds.
    pub fn offer(&mut self, message: Value) -> Result<bool, Fault> {
        // As in `listen`: anybody who may publish must not be able to end the task.
        if let Some(filter) = &self.filter
            && !filter.holds(&message).unwrap_or(false)
        {
            return Ok(false);
        }
        self.bytes += size(&message);
        if self.messages.len() == MESSAGES_MAX || self.bytes > MESSAGES_BYTES_MAX {
            let detail = format!(
                "the subscription took more than {MESSAGES_MAX} messages, or {MESSAGES_BYTES_MAX} bytes of them; \
                 give it a `filter`, or a smaller `consume`"
            );
            return Err(StandardError::Runtime.fault(detail));
        }
        self.messages.push(message);
        self.settle()?;
        Ok(true)
    }

    fn settle(&mut self) -> Result<(), Fault> {
        self.is_done = match &mut self.end {
            End::Amount(amount) => self.messages.len() as u64 >= *amount,
            End::While(_) if self.messages.is_empty() => false,
            End::While(goes_on) => !lent(&mut self.messages, |messages| goes_on.holds_of(messages))?,
            End::Until(ends) => lent(&mut self.messages, |messages| ends.holds_of(messages))?,
        };
        Ok(())
    }
}

/// The list as one value, without a copy of it.
fn lent<T>(messages: &mut Vec<Value>, look: impl FnOnce(&Value) -> T) -> T {
    let list = Value::Array(std::mem::take(messages));
    let seen = look(&list);
    if let Value::Array(list) = list {
        *messages = list;
    }
    seen
}

fn size(message: &Value) -> usize {
    message.to_string().len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn condition(text: &str, context: Value) -> Condition {
        let variables = [("context".to_owned(), context)].into();
        Condition { language: Language::Jq, text: text.to_owned(), variables, now: None }
    }

    fn subscription(filter: Option<&str>, consume: Consume) -> Subscription {
        let filter = filter.map(|text| condition(text, json!({ "user": "ann" })));
        Subscription { filter, consume, time_ms: None }
    }

    /// How many of the numbers from 1 are taken, and of how many.
    fn taken(subscription: &Subscription) -> (Vec<u64>, u64) {
        let mut collector = Collector::new(subscription, Vec::new()).unwrap();
        let mut offered = 0;
        while !collector.is_done() && offered < 20 {
            offered += 1;
            collector.offer(json!({ "payload": offered, "correlationId": "ann" })).unwrap();
        }
        (collector.into_messages().iter().map(|message| message["payload"].as_u64().unwrap()).collect(), offered)
    }

    #[test]
    fn messages_are_taken_until_it_is_enough() {
        let context = || json!({ "limit": 2 });
        let cases = [
            (None, Consume::Amount(3), vec![1, 2, 3], 3),
            (Some(".payload % 2 == 0"), Consume::Amount(2), vec![2, 4], 4),
            (Some(".correlationId == $context.user and .payload > 4"), Consume::Amount(1), vec![5], 5),
            (None, Consume::While(condition("length < $context.limit", context())), vec![1, 2], 2),
            // After a message, so one is always taken.
            (None, Consume::While(condition("false", context())), vec![1], 1),
            (None, Consume::Until(condition("map(.payload) | add > 5", context())), vec![1, 2, 3], 3),
            // Before a message, so none may be taken.
            (None, Consume::Until(condition("true", context())), vec![], 0),
            // As the specification's examples have it.
            (None, Consume::Until(condition("($context.consumedMessages | length) == 2", json!(null))), vec![1, 2], 2),
            (
                None,
                Consume::While(condition("($context.consumedMessages | length) < 4", context())),
                vec![1, 2, 3, 4],
                4,
            ),
        ];
        for (filter, consume, expected, offered) in cases {
            let subscription = subscription(filter, consume);
            assert_eq!(taken(&subscription), (expected, offered), "{subscription:?}");
        }
    }

    #[test]
    fn what_was_recorded_before_a_crash_counts() {
        let subscription = subscription(None, Consume::Until(condition("length == 2", json!(null))));
        let mut collector = Collector::new(&subscription, vec![json!({ "payload": 1 })]).unwrap();
        assert!(!collector.is_done());
        collector.offer(json!({ "payload": 2 })).unwrap();
        assert!(collector.is_done());
        assert_eq!(collector.after(1), [json!({ "payload": 2 })]);
        assert!(Collector::new(&subscription, collector.into_messages()).unwrap().is_done());
    }

    #[test]
    fn more_than_a_history_holds_is_a_fault_and_so_is_a_condition_that_fails() {
        let endless = subscription(None, Consume::While(condition("true", json!(null))));
        let mut collector = Collector::new(&endless, Vec::new()).unwrap();
        let large = json!({ "payload": "x".repeat(MESSAGES_BYTES_MAX / 2) });
        collector.offer(large.clone()).unwrap();
        let fault = collector.offer(large).unwrap_err();
        assert!(fault.detail.unwrap().contains("bytes of them"));
        let mut collector = Collector::new(&endless, vec![json!(1); MESSAGES_MAX]).unwrap();
        assert!(collector.offer(json!(1)).is_err());
        let wrong = subscription(Some(".payload | keys"), Consume::Amount(1));
        let mut collector = Collector::new(&wrong, Vec::new()).unwrap();
        assert!(!collector.offer(json!({ "payload": 7 })).unwrap(), "a filter that fails on a message passes it by");
        let wrong = subscription(None, Consume::Until(condition("map(.payload | keys) | length > 0", json!(null))));
        let fault = Collector::new(&wrong, Vec::new()).unwrap().offer(json!({ "payload": 7 })).unwrap_err();
        assert_eq!(fault.kind, StandardError::Expression.kind());
    }
}
