//! What an AsyncAPI document of version 2 or 3 says about one operation: its
//! channel, its messages, and what the protocol's bindings ask for.
//!
//! The document may be written from either side, so whether it calls the
//! operation `send` or `receive` decides nothing here.

use serde_json::{Map, Value};
use workflow::asyncapi::Target;

use super::message::MessageFacts;
use crate::openapi::resolve;
use crate::session::{Failure, configuration};

/// Most messages that an operation may describe: each costs a look at the whole
/// document before one is published. Catalogues have a few dozen.
const DESCRIBED_MAX: usize = 64;

/// An operation, and the channel it is on.
pub(super) struct Operation<'d> {
    pub document: &'d Value,
    /// As the definition names it, for errors.
    pub name: String,
    /// With `{parameters}`.
    pub address: &'d str,
    pub channel: &'d Value,
    /// Version 3: the operation, if one was named. Version 2: `publish` or `subscribe` of the channel.
    operation: Option<&'d Value>,
    is_3: bool,
}

impl<'d> Operation<'d> {
    pub fn find(document: &'d Value, target: &'d Target, publishes: bool) -> Result<Self, Failure> {
        match document["asyncapi"].as_str() {
            Some(version) if version.starts_with("3.") => Self::of_3(document, target),
            Some(version) if version.starts_with("2.") => Self::of_2(document, target, publishes),
            _ => Err(configuration("the document is neither AsyncAPI 2 nor AsyncAPI 3")),
        }
    }

    fn of_3(document: &'d Value, target: &'d Target) -> Result<Self, Failure> {
        let (name, channel, operation) = match target {
            Target::Operation(name) => {
                let operation = member(document, "operations", name)?;
                (name, resolve(document, &operation["channel"])?, Some(operation))
            }
            Target::Channel(name) => {
                let mut channels = document["channels"].as_object().into_iter().flatten();
                let by_address = channels.find(|(_, channel)| channel["address"].as_str() == Some(name.as_str()));
                let channel = match by_address {
                    Some((_, channel)) if document["channels"].get(name).is_none() => resolve(document, channel)?,
                    Some(_) | None => member(document, "channels", name)?,
                };
                (name, channel, None)
            }
        };
        let address = channel["address"].as_str().ok_or_else(|| {
            configuration(format!("the document does not say at which address the channel of `{name}` is"))
        })?;
        Ok(Self { document, name: name.clone(), address, channel, operation, is_3: true })
    }

    fn of_2(document: &'d Value, target: &'d Target, publishes: bool) -> Result<Self, Failure> {
        // What clients publish is `publish` of the application, and so is what they subscribe to.
        let sides = if publishes { ["publish", "subscribe"] } else { ["subscribe", "publish"] };
        let channels = document["channels"].as_object().into_iter().flatten();
        let (name, found) = match target {
            Target::Channel(name) => (name, Some((name.as_str(), member(document, "channels", name)?))),
            Target::Operation(name) => {
                let mut of_id = channels.filter_map(|(address, channel)| {
                    let channel = resolve(document, channel).ok()?;
                    let known = sides.iter().any(|side| channel[side]["operationId"].as_str() == Some(name.as_str()));
                    known.then_some((address.as_str(), channel))
                });
                (name, of_id.next())
            }
        };
        let (address, channel) = found.ok_or_else(|| {
            configuration(format!("the document has no operation `{name}`; name its `channel`, as AsyncAPI 2 does"))
        })?;
        let named = |side: &&&str| match target {
            Target::Operation(name) => channel[side]["operationId"].as_str() == Some(name.as_str()),
            Target::Channel(_) => channel.get(side).is_some(),
        };
        let operation = sides.iter().find(named).map(|side| &channel[side]);
        Ok(Self { document, name: name.clone(), address, channel, operation, is_3: false })
    }

    /// Servers that the channel is on, by name; those of the document if it does not say.
    pub fn servers(&self) -> Result<Vec<(&'d str, &'d Value)>, Failure> {
        let all = self.document["servers"].as_object().into_iter().flatten();
        let named: Option<Vec<&str>> = self.channel["servers"].as_array().map(|servers| {
            let name = |server: &'d Value| match server.as_str() {
                Some(name) => Some(name),
                None => server["$ref"].as_str()?.rsplit('/').next(),
            };
            servers.iter().filter_map(name).collect()
        });
        let on = |name: &str| named.as_ref().is_none_or(|named| named.is_empty() || named.contains(&name));
        all.filter(|(name, _)| on(name))
            .map(|(name, server)| Ok((name.as_str(), resolve(self.document, server)?)))
            .collect()
    }

    /// What the messages of the operation are, each once; none if the document does not say.
    pub fn messages(&self) -> Result<Vec<MessageFacts<'d>>, Failure> {
        if self.is_3 {
            let of_operation = self.operation.and_then(|operation| operation["messages"].as_array());
            return match of_operation {
                Some(messages) => self.facts(messages),
                None => self.facts(self.channel["messages"].as_object().into_iter().flat_map(Map::values)),
            };
        }
        let Some(message) = self.operation.and_then(|operation| operation.get("message")) else {
            return Ok(Vec::new());
        };
        let message = resolve(self.document, message)?;
        match message["oneOf"].as_array() {
            Some(messages) => self.facts(messages),
            None => self.facts([message]),
        }
    }

    fn facts(&self, described: impl IntoIterator<Item = &'d Value>) -> Result<Vec<MessageFacts<'d>>, Failure> {
        let mut messages: Vec<&'d Value> = Vec::new();
        for message in described {
            let message = resolve(self.document, message)?;
            if messages.iter().any(|known| std::ptr::eq(*known, message)) {
                continue;
            }
            if messages.len() == DESCRIBED_MAX {
                let detail = format!(
                    "the document describes more than {DESCRIBED_MAX} messages for `{}`; name an operation with fewer",
                    self.name
                );
                return Err(configuration(detail));
            }
            messages.push(message);
        }
        let default_type = self.document["defaultContentType"].as_str();
        messages.into_iter().map(|message| MessageFacts::of(self.document, message, default_type)).collect()
    }

    /// A field of the operation's binding, else of the channel's.
    pub fn binding(&self, protocol: &str, field: &str) -> Option<&'d Value> {
        let of = |around: &'d Value| {
            let bindings = resolve(self.document, around.get("bindings")?).ok()?;
            resolve(self.document, bindings.get(protocol)?).ok()?.get(field)
        };
        self.operation.and_then(of).or_else(|| of(self.channel))
    }

    /// A parameter of the address.
    pub fn parameter(&self, name: &str) -> Result<&'d Value, Failure> {
        let parameter = self.channel["parameters"].get(name).ok_or_else(|| {
            configuration(format!("the address `{}` has the parameter `{name}`, which is not described", self.address))
        })?;
        resolve(self.document, parameter)
    }
}

fn member<'d>(document: &'d Value, kind: &str, name: &str) -> Result<&'d Value, Failure> {
    let members = document[kind].as_object();
    match members.and_then(|members| members.get(name)) {
        Some(found) => resolve(document, found),
        None => {
            let known: Vec<&str> = members.into_iter().flatten().map(|(name, _)| name.as_str()).take(20).collect();
            let one = kind.trim_end_matches('s');
            Err(configuration(format!("the document has no {one} `{name}`; it has {}", known.join(", "))))
        }
    }
}
