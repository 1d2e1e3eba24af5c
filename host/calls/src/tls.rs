//! Whom TLS trusts: the authorities of this machine, and those the operator adds.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Where distributions keep the authorities they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("failed to read the authorities in `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` holds no certificate in PEM", path.display())]
    Empty { path: PathBuf },
}

/// Read when the first `https` origin is called: parsing the machine's bundle takes milliseconds.
#[derive(Debug)]
pub struct Trust {
    added: Vec<CertificateDer<'static>>,
    /// As [`Speak`] has them.
    configs: OnceLock<[Arc<ClientConfig>; 4]>,
}

/// What the two sides may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speak {
    Http1Or2,
    Http2,
    /// What upgrades to a websocket.
    Http1,
    /// A protocol that is not negotiated.
    Other,
}

impl Trust {
    pub fn new(ca: Option<PathBuf>) -> Result<Self, TrustError> {
        let added = match ca {
            Some(path) => {
                let found = certificates(&path).map_err(|source| TrustError::Read { path: path.clone(), source })?;
                if found.is_empty() {
                    return Err(TrustError::Empty { path });
                }
                found
            }
            None => Vec::new(),
        };
        Ok(Self { added, configs: OnceLock::new() })
    }

    pub fn config(&self, speak: Speak) -> Arc<ClientConfig> {
        let [both, http2, http1, other] = self.configs.get_or_init(|| self.make());
        match speak {
            Speak::Http1Or2 => both.clone(),
            Speak::Http2 => http2.clone(),
            Speak::Http1 => http1.clone(),
            Speak::Other => other.clone(),
        }
    }

    fn make(&self) -> [Arc<ClientConfig>; 4] {
        let mut roots = RootCertStore::empty();
        let bundle = BUNDLES.iter().find_map(|path| certificates(Path::new(path)).ok());
        // A certificate that this library cannot read vouches for nobody.
        roots.add_parsable_certificates(bundle.into_iter().flatten().chain(self.added.iter().cloned()));
        let roots = Arc::new(roots);
        let spoken: [&[&[u8]]; 4] = [&[b"h2", b"http/1.1"], &[b"h2"], &[b"http/1.1"], &[]];
        spoken.map(|protocols| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
            let builder = builder.expect("the provider speaks TLS 1.2 and 1.3");
            let mut config = builder.with_root_certificates(roots.clone()).with_no_client_auth();
            config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        })
    }
}

fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path)?;
    Ok(CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect())
}
