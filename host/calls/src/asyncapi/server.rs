//! Where the other side is, and at which address the channel: from the
//! document, the definition, and the message itself.

use serde_json::Value;
use workflow::asyncapi::{AsyncApiCall, Protocol};
use workflow::origin::{Origin, OriginScheme};

use super::document::Operation;
use super::message::Location;
use crate::session::{Failure, Session, configuration};

/// A server as this host speaks to it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub protocol: Protocol,
    pub origin: Origin,
    /// Before the channel's address, for HTTP and websockets; without a slash at its end.
    pub path: String,
}

/// What a document calls a protocol, and whether that is with TLS.
const SPOKEN: [(&str, Protocol, bool); 12] = [
    ("http", Protocol::Http, false),
    ("https", Protocol::Http, true),
    ("mqtt", Protocol::Mqtt, false),
    ("mqtts", Protocol::Mqtt, true),
    ("secure-mqtt", Protocol::Mqtt, true),
    ("mqtt5", Protocol::Mqtt5, false),
    ("secure-mqtt5", Protocol::Mqtt5, true),
    ("mqtts5", Protocol::Mqtt5, true),
    ("ws", Protocol::Ws, false),
    ("wss", Protocol::Ws, true),
    ("nats", Protocol::Nats, false),
    ("tls", Protocol::Nats, true),
];

fn spoken(name: &str) -> Option<(Protocol, bool)> {
    let name = name.to_ascii_lowercase();
    SPOKEN.into_iter().find(|(known, ..)| *known == name).map(|(_, protocol, secure)| (protocol, secure))
}

impl Place {
    pub fn choose(session: &Session<'_>, operation: &Operation<'_>, call: &AsyncApiCall) -> Result<Self, Failure> {
        let servers = operation.servers()?;
        let name = |(name, _): &(&str, &Value)| call.server.as_ref().is_none_or(|server| server.name == *name);
        let wanted: Vec<_> = servers.iter().filter(|server| name(server)).collect();
        if let (Some(server), true) = (&call.server, wanted.is_empty()) {
            let known: Vec<&str> = servers.iter().map(|(name, _)| *name).take(20).collect();
            let detail =
                format!("`{}` is on no server `{}`; it is on {}", operation.name, server.name, known.join(", "));
            return Err(configuration(detail));
        }
        let chosen = wanted.iter().find_map(|(_, server)| {
            let (protocol, secure) = spoken(server["protocol"].as_str()?)?;
            let is_5 = server["protocolVersion"].as_str().is_some_and(|version| version.starts_with('5'));
            let protocol = match (protocol, call.protocol) {
                (Protocol::Mqtt, Some(Protocol::Mqtt5)) => Protocol::Mqtt5,
                (Protocol::Mqtt, _) if is_5 => Protocol::Mqtt5,
                (protocol, _) => protocol,
            };
            let fits = match call.protocol {
                None => true,
                Some(Protocol::Mqtt) => matches!(protocol, Protocol::Mqtt | Protocol::Mqtt5),
                Some(wanted) => wanted == protocol,
            };
            fits.then_some((*server, protocol, secure))
        });
        let Some((server, protocol, secure)) = chosen else {
            let theirs: Vec<&str> = wanted.iter().filter_map(|(_, server)| server["protocol"].as_str()).collect();
            let ours = match call.protocol {
                Some(protocol) => format!("the definition asks for `{}`", protocol.name()),
                None => format!("this host speaks {}", Protocol::ALL.map(Protocol::name).join(", ")),
            };
            let detail = format!("the servers of `{}` speak {}; {ours}", operation.name, one_or_none(&theirs));
            return Err(configuration(detail));
        };
        let address = address_of(server, call)?;
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, address.as_str()),
        };
        let secure = scheme.and_then(spoken).map_or(secure, |(_, secure)| secure);
        let end = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let of = |scheme: OriginScheme| -> Result<Origin, Failure> {
            format!("{}://{authority}", scheme.name()).parse().map_err(|error| configuration(format!("{error}")))
        };
        let origin = match (protocol, secure) {
            (Protocol::Http, false) => of(OriginScheme::Http)?,
            (Protocol::Http, true) => of(OriginScheme::Https)?,
            (Protocol::Mqtt | Protocol::Mqtt5, false) => of(OriginScheme::Mqtt)?,
            (Protocol::Mqtt | Protocol::Mqtt5, true) => of(OriginScheme::Mqtts)?,
            (Protocol::Ws, false) => of(OriginScheme::Ws)?,
            (Protocol::Ws, true) => of(OriginScheme::Wss)?,
            (Protocol::Nats, true) => of(OriginScheme::Tls)?,
            // A document has no word for NATS with TLS: without it only where the operator approved just that.
            (Protocol::Nats, false) => {
                let (tls, plain) = (of(OriginScheme::Tls)?, of(OriginScheme::Nats)?);
                let approved = session.client.rules().approved();
                if !approved.contains(&tls) && approved.contains(&plain) { plain } else { tls }
            }
        };
        Ok(Self { protocol, origin, path: path.trim_end_matches('/').to_owned() })
    }
}

fn one_or_none(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// `url` of version 2, or `host` and `pathname` of version 3, with the variables filled in.
fn address_of(server: &Value, call: &AsyncApiCall) -> Result<String, Failure> {
    let text = match (server["host"].as_str(), server["url"].as_str()) {
        (Some(host), _) => format!("{host}{}", server["pathname"].as_str().unwrap_or_default()),
        (None, Some(url)) => url.to_owned(),
        (None, None) => return Err(configuration("the document does not say where its server is")),
    };
    let given = call.server.as_ref().map(|server| &server.variables);
    for name in given.into_iter().flat_map(|variables| variables.keys()) {
        if !text.contains(&format!("{{{name}}}")) {
            return Err(configuration(format!("the server's address `{text}` has no variable `{name}`")));
        }
    }
    filled(&text, |name| {
        let variable = &server["variables"][name];
        let value = given.and_then(|given| given.get(name)).map(String::as_str).or(variable["default"].as_str());
        let value = value.ok_or_else(|| {
            configuration(format!("the server's address `{text}` needs the variable `{name}` in `server.variables`"))
        })?;
        allowed(variable, name, value).map(|()| value.to_owned())
    })
}

/// The channel's address with its parameters: what the message holds, else the
/// default; of a subscription `any` where the document gives none.
pub(super) fn channel_address(
    operation: &Operation<'_>,
    message: Option<&Value>,
    any: Option<&str>,
    encode: fn(&str, &str) -> Result<String, Failure>,
) -> Result<String, Failure> {
    filled(operation.address, |name| {
        let parameter = operation.parameter(name)?;
        let found = match (parameter["location"].as_str(), message) {
            (Some(location), Some(message)) => Location::parse(location)?.find(message),
            (Some(_) | None, _) => None,
        };
        let default = parameter["default"].as_str().or(parameter["schema"]["default"].as_str());
        match found.or(default.map(str::to_owned)) {
            Some(value) => {
                allowed(parameter, name, &value)?;
                encode(name, &value)
            }
            None => any.map(str::to_owned).ok_or_else(|| {
                configuration(format!(
                    "the address `{}` needs `{name}`, which has neither a default nor a `location` that the message fills",
                    operation.address
                ))
            }),
        }
    })
}

fn allowed(description: &Value, name: &str, value: &str) -> Result<(), Failure> {
    match description["enum"].as_array() {
        Some(values) if !values.iter().any(|known| known == value) => Err(configuration(format!(
            "`{name}` may not be `{value}`: the document allows {}",
            Value::from(values.clone())
        ))),
        Some(_) | None => Ok(()),
    }
}

/// A text with `{name}` replaced.
fn filled(template: &str, value: impl Fn(&str) -> Result<String, Failure>) -> Result<String, Failure> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after
            .split_once('}')
            .ok_or_else(|| configuration(format!("`{template}` has a brace without its partner")))?;
        text.push_str(before);
        text.push_str(&value(name)?);
        rest = behind;
    }
    text.push_str(rest);
    Ok(text)
}
