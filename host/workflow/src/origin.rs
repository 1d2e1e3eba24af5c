//! Scheme, host and port: what an operator approves for the host's own calls.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `https://api.example.com`, `http://ci.internal:8080`, `https://[2001:db8::1]:8443`.
///
/// One spelling for each: lower case, no trailing dot, no default port. A host
/// that is an address is written as one; `127.1` and `0x7f000001` are refused
/// rather than read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin {
    scheme: OriginScheme,
    /// IPv6 addresses are in brackets.
    host: String,
    port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OriginScheme {
    Http,
    Https,
    Ws,
    Wss,
    Mqtt,
    Mqtts,
    Nats,
    /// NATS with TLS.
    Tls,
}

impl OriginScheme {
    pub const ALL: [OriginScheme; 8] = [
        OriginScheme::Http,
        OriginScheme::Https,
        OriginScheme::Ws,
        OriginScheme::Wss,
        OriginScheme::Mqtt,
        OriginScheme::Mqtts,
        OriginScheme::Nats,
        OriginScheme::Tls,
    ];

    /// What a URI of a request begins with.
    pub const WEB: [OriginScheme; 2] = [OriginScheme::Http, OriginScheme::Https];

    pub fn name(self) -> &'static str {
        match self {
            OriginScheme::Http => "http",
            OriginScheme::Https => "https",
            OriginScheme::Ws => "ws",
            OriginScheme::Wss => "wss",
            OriginScheme::Mqtt => "mqtt",
            OriginScheme::Mqtts => "mqtts",
            OriginScheme::Nats => "nats",
            OriginScheme::Tls => "tls",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            OriginScheme::Http | OriginScheme::Ws => 80,
            OriginScheme::Https | OriginScheme::Wss => 443,
            OriginScheme::Mqtt => 1883,
            OriginScheme::Mqtts => 8883,
            OriginScheme::Nats | OriginScheme::Tls => 4222,
        }
    }
}

/// Why a text is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no origin like `https://api.example.com` or `http://127.0.0.1:8080`: {reason}")]
pub struct OriginError {
    text: String,
    reason: &'static str,
}

impl Origin {
    /// # Errors
    ///
    /// A host that is neither a name in ASCII nor an address in its usual form.
    pub fn new(scheme: OriginScheme, host: &str, port: u16) -> Result<Self, OriginError> {
        match canonical_host(host) {
            Ok(host) if port != 0 => Ok(Self { scheme, host, port }),
            Ok(_) => Err(OriginError { text: format!("{host}:0"), reason: "there is no port 0" }),
            Err(reason) => Err(OriginError { text: host.to_owned(), reason }),
        }
    }

    pub fn scheme(&self) -> OriginScheme {
        self.scheme
    }

    /// As it stands in a URI: an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `host:port`, with the default port too.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The address, if the host is one and no name.
    pub fn address(&self) -> Option<IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bare.unwrap_or(&self.host).parse().ok()
    }
}

/// The origin at the beginning of a URI, and what follows it.
///
/// # Errors
///
/// Another scheme than `http` and `https`, a user name before the host, or no host.
pub fn split_uri(uri: &str) -> Result<(Origin, &str), OriginError> {
    split(uri, &OriginScheme::WEB, "its scheme is neither `http` nor `https`")
}

/// As [`split_uri`], of every scheme that an operator can approve.
fn split_any(uri: &str) -> Result<(Origin, &str), OriginError> {
    let otherwise = "its scheme is none of `http`, `https`, `ws`, `wss`, `mqtt`, `mqtts`, `nats` and `tls`";
    split(uri, &OriginScheme::ALL, otherwise)
}

fn split<'u>(
    uri: &'u str,
    schemes: &[OriginScheme],
    otherwise: &'static str,
) -> Result<(Origin, &'u str), OriginError> {
    let wrong = |reason| OriginError { text: uri.to_owned(), reason };
    let (scheme, rest) = uri.split_once("://").ok_or_else(|| wrong("it has no scheme"))?;
    let known = schemes.iter().find(|known| known.name().eq_ignore_ascii_case(scheme));
    let scheme = *known.ok_or_else(|| wrong(otherwise))?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(wrong("a user name stands before its host; write `authentication`"));
    }
    let (host, port) = split_authority(authority).map_err(wrong)?;
    let port = port.unwrap_or(scheme.default_port());
    Ok((Origin::new(scheme, host, port).map_err(|error| wrong(error.reason))?, path))
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let digits = |port: &&str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port {
        Some(port) => {
            let number = Some(port).filter(digits).and_then(|port| port.parse().ok());
            Ok((host, Some(number.filter(|port| *port != 0).ok_or("its port is no number from 1 to 65535")?)))
        }
        None => Ok((host, None)),
    }
}

fn canonical_host(host: &str) -> Result<String, &'static str> {
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|address| address.parse::<Ipv6Addr>().ok());
        return address.map(|address| format!("[{address}]")).ok_or("its host is no IPv6 address");
    }
    let lower = host.to_ascii_lowercase();
    let host = lower.strip_suffix('.').unwrap_or(&lower);
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok(address.to_string());
    }
    let fits = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if host.len() > 253 || !host.split('.').all(fits) {
        return Err("its host is no name in ASCII");
    }
    // To a resolver `127.1`, `0x7f.1` and `2130706433` are addresses: no top-level name is a number.
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        return Err("its host is an address in an unusual form");
    }
    Ok(host.to_owned())
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        match split_any(text)? {
            (origin, "" | "/") => Ok(origin),
            _ => Err(OriginError { text: text.to_owned(), reason: "something follows the host and the port" }),
        }
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if self.port == self.scheme.default_port() { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_one_spelling() {
        let cases = [
            ("https://api.example.com", "https://api.example.com"),
            ("HTTPS://API.Example.COM.:443/", "https://api.example.com"),
            ("http://ci.internal:8080", "http://ci.internal:8080"),
            ("http://127.0.0.1:80", "http://127.0.0.1"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("https://[2001:DB8:0:0::1]", "https://[2001:db8::1]"),
            ("mqtt://Broker.example:1883", "mqtt://broker.example"),
            ("mqtts://broker.example:1883", "mqtts://broker.example:1883"),
            ("wss://chat.example:443/", "wss://chat.example"),
            ("tls://nats.example", "tls://nats.example"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_origin() {
        let cases = [
            "api.example.com",
            "ftp://example.com",
            "https://",
            "https://user@example.com",
            "https://example.com/path",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:+80",
            "https://127.1",
            "https://0x7f.0.0.1",
            "https://2130706433",
            "https://0177.0.0.1",
            "https://exa mple.com",
            "https://exämple.com",
            "https://a..b",
            "https://[::1",
            "https://[::1]x",
            "https://example.com\\@evil.com",
        ];
        for text in cases {
            assert!(text.parse::<Origin>().is_err(), "{text} is {:?}", text.parse::<Origin>());
        }
    }
}
