//! `call: asyncapi`: the intent to publish a message, or to take messages.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::outbound::Place;
use crate::asyncapi::{AsyncApiCall, Condition, Consume, Exchange, Message, Server, Subscription, Target};
use crate::definition::asyncapi::{
    AsyncApiOutbound, ConsumeOutbound, ExchangeOutbound, ServerOutbound, SubscriptionOutbound, TargetOutbound,
};
use crate::effect::Fault;
use crate::engine::data_flow::Running;
use crate::expression::{Expression, Variables as _};
use crate::ids::Digest;

/// Hexadecimal digits of a client's name, behind `lw`: MQTT promises that 23
/// characters are taken by every broker.
const CLIENT_DIGITS: usize = 20;

impl Place<'_> {
    pub fn asyncapi(&self, asyncapi: &AsyncApiOutbound) -> Result<AsyncApiCall, Fault> {
        Ok(AsyncApiCall {
            document: self.endpoint(&asyncapi.document)?,
            target: match &asyncapi.target {
                TargetOutbound::Operation(operation) => Target::Operation(self.text(operation, "operation")?),
                TargetOutbound::Channel(channel) => Target::Channel(self.text(channel, "channel")?),
            },
            server: asyncapi.server.as_ref().map(|server| self.server_of(server)).transpose()?,
            protocol: asyncapi.protocol,
            exchange: match &asyncapi.exchange {
                ExchangeOutbound::Publish { payload, headers } => Exchange::Publish(Message {
                    payload: match payload {
                        Some(payload) => payload.evaluate(self.input, &self.scope)?,
                        None => Value::Null,
                    },
                    headers: match headers {
                        Some(headers) => self.mapping(headers, "message.headers")?,
                        None => Map::new(),
                    },
                }),
                ExchangeOutbound::Subscribe(subscription) => {
                    Exchange::Subscribe(Box::new(self.subscription(subscription)))
                }
            },
            authentication: asyncapi.authentication.as_ref().map(|policy| self.authentication(policy)).transpose()?,
            client: client(self.running),
        })
    }

    fn server_of(&self, server: &ServerOutbound) -> Result<Server, Fault> {
        let variables = self.pairs(server.variables.as_ref(), "server.variables")?;
        Ok(Server { name: self.text(&server.name, "server.name")?, variables: BTreeMap::from_iter(variables) })
    }

    fn subscription(&self, subscription: &SubscriptionOutbound) -> Subscription {
        Subscription {
            filter: subscription.filter.as_ref().map(|filter| self.condition(filter)),
            consume: match &subscription.consume {
                ConsumeOutbound::Amount(amount) => Consume::Amount(*amount),
                ConsumeOutbound::While(condition) => Consume::While(self.condition(condition)),
                ConsumeOutbound::Until(condition) => Consume::Until(self.condition(condition)),
            },
            time_ms: subscription.time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// What the expression may see, and nothing of what it does not name.
    fn condition(&self, expression: &Expression) -> Condition {
        let value = |name: &str| Some((name.to_owned(), self.scope.variable(name)?.into_owned()));
        Condition {
            language: expression.language(),
            text: expression.source.clone(),
            variables: expression.variables().filter_map(value).collect(),
            now: self.scope.now(),
        }
    }
}

/// The same for each attempt at this task, another for every other task.
fn client(running: Running<'_>) -> String {
    let name = format!("{} {}", running.instance.id(), running.path);
    format!("lw{}", &Digest::of(name.as_bytes()).hex()[..CLIENT_DIGITS])
}
