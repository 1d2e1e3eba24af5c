//! Which targets a sandbox may reach, and at which address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{SocketAddr, ToSocketAddrs};

use workflow::address::is_public;

/// The list of one sandbox.
#[derive(Debug)]
pub struct Policy {
    allow: BTreeSet<String>,
    resolve: BTreeMap<String, SocketAddr>,
}

/// Where to connect, or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allowed {
        target: Target,
        address: SocketAddr,
    },
    Refused {
        target: String,
        reason: String,
    },
    /// It is on the list, and its name leads nowhere at the moment.
    Unresolved {
        target: String,
        reason: String,
    },
}

/// A name and a port, in the form of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub host: String,
    pub port: u16,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// `host:port` with a lower-case name that is no address: what a list may hold.
pub fn is_target(text: &str) -> bool {
    parse(text, None).is_ok_and(|target| target.to_string() == text)
}

/// Reads `host:port` as it stands in a request. `default_port`: for `http://host/`.
pub fn parse(authority: &str, default_port: Option<u16>) -> Result<Target, String> {
    if authority.contains('@') {
        return Err("a user name before the host".to_owned());
    }
    if authority.starts_with('[') {
        return Err("an address instead of a name".to_owned());
    }
    let (host, port) = match (authority.rsplit_once(':'), default_port) {
        (Some((host, port)), _) => {
            let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
            let port = port.parse::<u16>().ok().filter(|port| digits && *port != 0);
            (host, port.ok_or("the port is no number from 1 to 65535")?)
        }
        (None, Some(port)) => (authority, port),
        (None, None) => return Err("no port".to_owned()),
    };
    let host = host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let is_label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err("the name is no host name".to_owned());
    }
    // `127.1`, `0x7f.1` and `2130706433` are addresses to a resolver: no top-level name is a number.
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        return Err("an address instead of a name".to_owned());
    }
    Ok(Target { host: host.to_owned(), port })
}

impl Policy {
    pub fn new(allow: Vec<String>, resolve: BTreeMap<String, SocketAddr>) -> Self {
        Self { allow: allow.into_iter().collect(), resolve }
    }

    /// Answers for a target as it stands in a request.
    pub fn decide(&self, authority: &str, default_port: Option<u16>) -> Answer {
        let target = match parse(authority, default_port) {
            Ok(target) => target,
            Err(reason) => return Answer::Refused { target: authority.to_owned(), reason },
        };
        let name = target.to_string();
        if !self.allow.contains(&name) {
            return Answer::Refused { target: name, reason: "not in the egress list of the command".to_owned() };
        }
        if let Some(address) = self.resolve.get(&name) {
            return Answer::Allowed { target, address: *address };
        }
        let found: Vec<SocketAddr> = match (target.host.as_str(), target.port).to_socket_addrs() {
            Ok(found) => found.collect(),
            Err(error) => return Answer::Unresolved { target: name, reason: format!("cannot be resolved: {error}") },
        };
        match found.iter().find(|address| is_public(address.ip())) {
            Some(address) => Answer::Allowed { target, address: *address },
            None => Answer::Refused {
                target: name,
                reason: "its name leads to no public address, and the operator has not mapped it".to_owned(),
            },
        }
    }
}
