//! Which origins may be reached, and at which addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use workflow::address::is_public;
use workflow::origin::{Origin, OriginScheme};

/// The operator's word. Empty: nothing may be called.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Origins in the public Internet; one that is written as an address may be anywhere.
    pub allow: BTreeSet<Origin>,
    /// Origins whose names may lead to private and loopback addresses.
    pub internal: BTreeSet<Origin>,
    /// `host:port` to the address that is connected to instead. Naming one approves it.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// Folder whose files may be read as documents (`file://…`); none: no file.
    pub files: Option<PathBuf>,
}

/// Why nothing was connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("`{0}` is not approved; the operator approves it with `[calls] allow` or `--allow-call`")]
    NotApproved(Origin),
    #[error(
        "`{0}` leads to no public address; the operator names what may be private in `[calls] internal` or `[calls.resolve]`"
    )]
    Private(Origin),
}

impl Rules {
    /// All that may be called.
    pub fn approved(&self) -> BTreeSet<Origin> {
        let mapped = self
            .resolve
            .keys()
            .flat_map(|authority| OriginScheme::ALL.map(|scheme| format!("{}://{authority}", scheme.name()).parse()));
        self.allow.iter().chain(&self.internal).cloned().chain(mapped.flatten()).collect()
    }

    /// Where to connect for an origin that `approved` holds, too.
    pub(crate) fn place(&self, origin: &Origin, approved: &BTreeSet<Origin>) -> Result<Place, Refused> {
        let mapped = self.resolve.get(&origin.authority()).copied();
        let internal = self.internal.contains(origin);
        let known = mapped.is_some() || internal || self.allow.contains(origin);
        if !known || !approved.contains(origin) {
            return Err(Refused::NotApproved(origin.clone()));
        }
        Ok(match mapped {
            Some(address) => Place::Address(address),
            None => match origin.address() {
                // Whoever wrote the address down named it.
                Some(ip) => Place::Address(SocketAddr::new(ip, origin.port())),
                None => Place::Name { internal },
            },
        })
    }

    /// The first address that may be connected to.
    pub(crate) fn choose(origin: &Origin, internal: bool, found: &[SocketAddr]) -> Result<SocketAddr, Refused> {
        let fits = |address: &&SocketAddr| is_public(address.ip()) || (internal && is_internal(address.ip()));
        found.iter().find(fits).copied().ok_or_else(|| Refused::Private(origin.clone()))
    }
}

/// Where an origin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Address(SocketAddr),
    /// To be resolved. `internal`: it may lead to a private address.
    Name {
        internal: bool,
    },
}

/// What an operator can mean by an internal host: never nobody, and never everybody.
fn is_internal(ip: std::net::IpAddr) -> bool {
    let ip = ip.to_canonical();
    !ip.is_unspecified() && !ip.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    fn rules() -> Rules {
        Rules {
            allow: [origin("https://api.example"), origin("http://127.0.0.1:9000")].into(),
            internal: [origin("https://nexus.corp:8443")].into(),
            resolve: [("pets.example:443".to_owned(), "127.0.0.1:18443".parse().unwrap())].into(),
            files: None,
        }
    }

    #[test]
    fn only_what_is_approved_has_a_place() {
        let rules = rules();
        let approved = rules.approved();
        let place = |text: &str| rules.place(&origin(text), &approved);
        assert_eq!(place("https://api.example"), Ok(Place::Name { internal: false }));
        assert_eq!(place("https://nexus.corp:8443"), Ok(Place::Name { internal: true }));
        assert_eq!(place("https://pets.example"), Ok(Place::Address("127.0.0.1:18443".parse().unwrap())));
        assert_eq!(place("http://127.0.0.1:9000"), Ok(Place::Address("127.0.0.1:9000".parse().unwrap())));
        for text in [
            "http://api.example",
            "https://api.example:8443",
            "https://pets.example:444",
            "http://127.0.0.1",
            "https://other.example",
        ] {
            assert_eq!(place(text), Err(Refused::NotApproved(origin(text))), "{text}");
        }
    }

    #[test]
    fn what_an_instance_was_not_started_with_it_never_gets() {
        let only = [origin("https://api.example")].into();
        let other = origin("https://nexus.corp:8443");
        assert_eq!(rules().place(&other, &only), Err(Refused::NotApproved(other)));
        let withdrawn = Rules::default();
        assert!(withdrawn.place(&origin("https://api.example"), &only).is_err());
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_unless_it_is_named_as_internal() {
        let name = origin("https://api.example");
        let private = [
            "127.0.0.1",
            "127.8.8.8",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
        ];
        for ip in private {
            let address = SocketAddr::new(ip.parse().unwrap(), 443);
            assert_eq!(Rules::choose(&name, false, &[address]), Err(Refused::Private(name.clone())), "{ip}");
        }
        let loopback: SocketAddr = "127.0.0.1:443".parse().unwrap();
        let public: SocketAddr = "93.184.216.34:443".parse().unwrap();
        assert_eq!(Rules::choose(&name, true, &[loopback]), Ok(loopback));
        assert_eq!(Rules::choose(&name, false, &[loopback, public]), Ok(public));
        for nobody in ["0.0.0.0:443", "224.0.0.1:443", "[::]:443", "[::ffff:0.0.0.0]:443"] {
            assert!(Rules::choose(&name, true, &[nobody.parse().unwrap()]).is_err(), "{nobody}");
        }
    }
}
