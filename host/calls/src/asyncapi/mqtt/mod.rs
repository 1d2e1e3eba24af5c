//! MQTT: one connection of one task to a broker.
//!
//! A subscription is a session that the broker keeps under the task's own name,
//! so what comes while no host is there waits for the next one. A message is
//! acknowledged when [`Mqtt::acknowledge`] says so, after it was recorded.

mod codec;

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use workflow::Digest;
use workflow::asyncapi::MESSAGES_BYTES_MAX;
use workflow::effect::{Fault, StandardError};

use super::link::LinkError;
use super::message::{Inbound, Outbound};
use super::wire::Wire;
use crate::connect::Stream;
use codec::{Packet, Publish, Writer};

pub(super) use codec::Version;

/// Largest packet that is taken: one message, and what is around it.
const PACKET_BYTES_MAX: usize = MESSAGES_BYTES_MAX + 64 * 1024;

/// How long a broker hears nothing before it may think that this side is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long the broker of version 5 keeps a session for the next host. In
/// version 3.1.1 that is the broker's to say.
const SESSION_SECONDS: u32 = 24 * 60 * 60;

/// Messages on their way that are not acknowledged yet. Brokers have limits of
/// their own, of which ten is the smallest in use.
const UNACKNOWLEDGED_MAX: u16 = 10;

/// Reasons of version 5.
const BAD_LOGIN: u8 = 0x86;
const NOT_AUTHORIZED: u8 = 0x87;

/// The only request for which an identifier is needed.
const ID: u16 = 1;

/// Who connects, and what for.
pub(super) struct Options<'a> {
    pub version: Version,
    pub client: &'a str,
    pub login: Option<(&'a str, &'a str)>,
    /// Whether the broker keeps a session under the client's name, or ends the one it has.
    pub keeps_session: bool,
}

pub(super) struct Mqtt {
    wire: Wire<Stream>,
    version: Version,
    ping_every: Duration,
    /// When the broker must have been told something again.
    ping_at: Instant,
    awaits_pong: bool,
}

impl Mqtt {
    /// # Errors
    ///
    /// The broker says no (`authentication`, `authorization`, `communication`), or is none.
    pub async fn connect(stream: Stream, options: Options<'_>) -> Result<Self, LinkError> {
        let Options { version, client, login, keeps_session } = options;
        let (level, properties) = match version {
            Version::V3 => (4, Writer::new(0)),
            Version::V5 => {
                let session = if keeps_session { SESSION_SECONDS } else { 0 };
                let packet = u32::try_from(PACKET_BYTES_MAX).unwrap_or(u32::MAX);
                let properties = Writer::new(0).bytes(&[0x11]).bytes(&session.to_be_bytes());
                let properties = properties.bytes(&[0x21]).u16(UNACKNOWLEDGED_MAX);
                (5, properties.bytes(&[0x27]).bytes(&packet.to_be_bytes()))
            }
        };
        let flags = if keeps_session { 0 } else { 0x02 } | if login.is_some() { 0xc0 } else { 0 };
        let too_long =
            |_| LinkError::Refused(StandardError::Configuration.fault("a name or password is too long for MQTT"));
        let mut packet = Writer::new(0x10)
            .binary(b"MQTT")
            .map_err(too_long)?
            .bytes(&[level, flags])
            .u16(u16::try_from(KEEP_ALIVE.as_secs()).unwrap_or(u16::MAX))
            .properties(version, properties)
            .binary(client.as_bytes())
            .map_err(too_long)?;
        if let Some((user, password)) = login {
            packet = packet.binary(user.as_bytes()).and_then(|it| it.binary(password.as_bytes())).map_err(too_long)?;
        }
        let ping_every = KEEP_ALIVE / 2;
        let mut mqtt = Self {
            wire: Wire::new(stream),
            version,
            ping_every,
            ping_at: Instant::now() + ping_every,
            awaits_pong: false,
        };
        mqtt.wire.send(&packet.finish()).await?;
        match mqtt.packet().await? {
            Packet::Connected { code: 0, keep_alive_seconds } => {
                if let Some(seconds) = keep_alive_seconds {
                    mqtt.ping_every =
                        Duration::from_secs(seconds.into()).min(KEEP_ALIVE).max(Duration::from_secs(2)) / 2;
                }
                Ok(mqtt)
            }
            // Who may not connect at all is not known.
            Packet::Connected { code: NOT_AUTHORIZED, .. } => Err(LinkError::Refused(refusal(version, BAD_LOGIN))),
            Packet::Connected { code, .. } => Err(LinkError::Refused(refusal(version, code))),
            other => Err(unexpected(&other)),
        }
    }

    /// Publishes, and waits for the broker's word that it has it. Of QoS 0 there
    /// is no such word: then the broker answers whether it still reads.
    pub async fn publish(&mut self, topic: &str, message: &Outbound, qos: u8, retain: bool) -> Result<(), LinkError> {
        let mut properties = Writer::new(0);
        let too_long =
            |_| LinkError::Refused(StandardError::Configuration.fault("a text of the message is too long for MQTT"));
        if self.version == Version::V5 {
            if let Some(content_type) = &message.content_type {
                properties = properties.bytes(&[0x03]).binary(content_type.as_bytes()).map_err(too_long)?;
            }
            for (name, value) in &message.headers {
                properties = properties
                    .bytes(&[0x26])
                    .binary(name.as_bytes())
                    .and_then(|it| it.binary(value.as_bytes()))
                    .map_err(too_long)?;
            }
        } else if let Some((name, _)) = message.headers.first() {
            let detail = format!("MQTT 3.1.1 has no headers, and the message has `{name}`; ask for `protocol: mqtt5`");
            return Err(LinkError::Refused(StandardError::Configuration.fault(detail)));
        }
        let packet = Writer::new(0x30 | (qos << 1) | u8::from(retain)).binary(topic.as_bytes()).map_err(too_long)?;
        let packet = if qos == 0 { packet } else { packet.u16(ID) };
        let packet = packet.properties(self.version, properties).bytes(&message.payload);
        self.wire.send(&packet.finish()).await?;
        if qos == 0 {
            self.wire.send(&Writer::new(0xc0).finish()).await?;
        }
        loop {
            match self.packet().await? {
                Packet::Pong if qos == 0 => return Ok(()),
                Packet::PubAck { id: ID, code } if qos == 1 && code < 0x80 => return Ok(()),
                Packet::PubRec { id: ID, code } if qos == 2 && code < 0x80 => {
                    self.wire.send(&Writer::new(0x62).u16(ID).finish()).await?;
                }
                Packet::PubComp { id: ID } if qos == 2 => return Ok(()),
                Packet::PubAck { code, .. } | Packet::PubRec { code, .. } if code >= 0x80 => {
                    return Err(LinkError::Refused(refusal(self.version, code)));
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    pub async fn subscribe(&mut self, filter: &str) -> Result<(), LinkError> {
        let too_long = |_| LinkError::Refused(StandardError::Configuration.fault("the topic is too long for MQTT"));
        let options = match self.version {
            Version::V3 => 1,
            // Retained messages come with the subscription, and not again with the next connection.
            Version::V5 => 1 | 0x10,
        };
        let packet = Writer::new(0x82).u16(ID).properties(self.version, Writer::new(0));
        let packet = packet.binary(filter.as_bytes()).map_err(too_long)?.bytes(&[options]);
        Ok(self.wire.send(&packet.finish()).await?)
    }

    /// The next message. Cancel-safe: none gets lost when this is dropped.
    pub async fn next(&mut self) -> Result<Inbound, LinkError> {
        loop {
            let packet = match timeout_at(self.ping_at, self.packet()).await {
                Ok(packet) => packet?,
                Err(_) if self.awaits_pong => {
                    return Err(LinkError::Lost("the broker did not answer whether it is there".to_owned()));
                }
                Err(_) => {
                    self.ping_at = Instant::now() + self.ping_every;
                    self.awaits_pong = true;
                    self.wire.send(&Writer::new(0xc0).finish()).await?;
                    continue;
                }
            };
            match packet {
                Packet::Publish(publish) => return Ok(inbound(publish)),
                Packet::Pong => self.awaits_pong = false,
                // From 0x80 on it is a refusal.
                Packet::SubAck { code, .. } if code < 0x80 => {}
                Packet::SubAck { code, .. } => {
                    let mut fault = refusal(self.version, code);
                    fault.detail = Some(format!("the broker refuses the subscription (0x{code:02x})"));
                    return Err(LinkError::Refused(fault));
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    pub async fn acknowledge(&mut self, receipt: u16) -> Result<(), LinkError> {
        Ok(self.wire.send(&Writer::new(0x40).u16(receipt).finish()).await?)
    }

    /// Says goodbye.
    pub async fn close(mut self) {
        let _ = self.wire.send(&Writer::new(0xe0).finish()).await;
    }

    async fn packet(&mut self) -> Result<Packet, LinkError> {
        let malformed = |error: codec::Malformed| {
            LinkError::Lost(format!("the broker sent a packet that is none of MQTT: {}", error.0))
        };
        loop {
            if let Some((start, first, length)) = codec::header(self.wire.pending()).map_err(malformed)? {
                if length > PACKET_BYTES_MAX {
                    let detail = format!("the broker sent a packet of {length} bytes; {PACKET_BYTES_MAX} are taken");
                    return Err(LinkError::Lost(detail));
                }
                if self.wire.pending().len() >= start + length {
                    let packet = self.wire.take(start + length);
                    return codec::packet(first, &packet[start..], self.version).map_err(malformed);
                }
            }
            self.wire.more().await?;
        }
    }
}

fn inbound(publish: Publish) -> Inbound {
    let Publish { again, id, payload, properties } = publish;
    // A broker gives an unacknowledged message again under its number.
    let mark = id.map(|id| format!("{id}-{}", &Digest::of(&payload).hex()[..16]));
    Inbound {
        payload,
        content_type: properties.content_type,
        headers: properties.user,
        correlation: properties.correlation.and_then(|bytes| String::from_utf8(bytes).ok()),
        mark,
        is_again: again,
        receipt: id,
    }
}

fn unexpected(packet: &Packet) -> LinkError {
    match packet {
        Packet::Disconnect { code } => LinkError::Lost(format!("the broker ended the connection (0x{code:02x})")),
        Packet::Connected { .. }
        | Packet::Publish(_)
        | Packet::PubAck { .. }
        | Packet::PubRec { .. }
        | Packet::PubComp { .. }
        | Packet::SubAck { .. }
        | Packet::Pong => LinkError::Lost("the broker sent a packet that nobody asked for".to_owned()),
    }
}

fn refusal(version: Version, code: u8) -> Fault {
    let (error, why) = match (version, code) {
        (Version::V3, 4) | (Version::V5, BAD_LOGIN | 0x8c) => {
            (StandardError::Authentication, "it does not know this user")
        }
        (Version::V3, 5) => (StandardError::Authentication, "it does not let this user in"),
        (Version::V5, NOT_AUTHORIZED) => (StandardError::Authorization, "it does not allow that"),
        (Version::V3, 1) | (Version::V5, 0x84) => {
            (StandardError::Communication, "it does not speak this version; ask for `mqtt` or `mqtt5`")
        }
        (Version::V3, 2) | (Version::V5, 0x85) => (StandardError::Communication, "it does not take the client's name"),
        (Version::V3, 3) | (Version::V5, 0x88 | 0x89) => (StandardError::Communication, "it is busy"),
        _ => (StandardError::Communication, "it does not say why"),
    };
    error.fault(format!("the broker refuses (0x{code:02x}): {why}"))
}
