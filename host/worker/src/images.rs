//! Images: which one a name means, and how its bytes come here.
//!
//! Registries are asked by the host itself, and only for images that the
//! operator approved. What comes from one is used only if it has the digest
//! that it was asked for; what a name meant is settled when an instance starts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use calls::registry::{Access, Credentials, Registry, RegistryError};
use sandbox::image::{ImageError, ImageStore};
use workflow::distribution::{Descriptor, Reference};
use workflow::effect::{Fault, StandardError};
use workflow::image::{
    DEFAULT_REGISTRY, DocumentError, Found, ImageConfig, ImageIdentity, ImageManifest, MANIFEST_TYPES, PinnedImage,
    Platform, PullPolicy, TaskImage, read_config, read_manifest,
};
use workflow::{Digest, Origin, SecretName};

use crate::secrets::Secrets;

/// Of a manifest, an index or a configuration.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;

/// How often an image that another host fetches is looked at.
const POLL: Duration = Duration::from_millis(100);

/// Where the registry of names without one really is.
const DEFAULT_REGISTRY_HOST: &str = "registry-1.docker.io";

/// Where it sends everybody: for tokens, and for the bytes.
const DEFAULT_REGISTRY_ALSO: [&str; 2] = ["https://auth.docker.io", "https://production.cloudflare.docker.com"];

/// What the operator says of images.
#[derive(Debug, Clone, Default)]
pub struct ImageRules {
    /// `registry`, `registry/folder` or `registry/folder/name`: all below is approved.
    pub allow: BTreeSet<String>,
    /// By the host of a reference.
    pub registries: BTreeMap<String, RegistryRules>,
    /// `host:port` to the address that is called instead. It approves the registry.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// PEM file with authorities to trust beside those of the machine.
    pub ca: Option<PathBuf>,
}

/// How a registry is reached, and as whom.
#[derive(Debug, Clone, Default)]
pub struct RegistryRules {
    pub secret: Option<SecretName>,
    pub also: BTreeSet<Origin>,
    pub plain_http: Option<bool>,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum NoImage {
    #[error(
        "image `{0}` is not approved; the operator approves it, its folder or its registry with `[images] allow` or `--allow-image`"
    )]
    NotApproved(Reference),
    #[error("image `{0}` is not on this host, and `pullPolicy: never` lets nobody fetch it")]
    NotHere(Reference),
    #[error("image `{image}`: {detail}")]
    Configuration { image: Reference, detail: String },
    #[error("image `{image}`")]
    Registry {
        image: Reference,
        #[source]
        source: Box<RegistryError>,
    },
    #[error("image `{image}`")]
    Unreadable {
        image: Reference,
        #[source]
        source: Box<DocumentError>,
    },
    #[error("image `{image}`")]
    Store {
        image: Reference,
        #[source]
        source: Box<ImageError>,
    },
}

impl NoImage {
    /// As an error of the task that wanted it; nothing ran.
    pub fn fault(&self) -> Fault {
        let kind = match self {
            NoImage::NotApproved(_) => StandardError::Authorization,
            NoImage::Registry { .. } => StandardError::Communication,
            NoImage::Store { .. } => StandardError::Runtime,
            NoImage::NotHere(_) | NoImage::Configuration { .. } | NoImage::Unreadable { .. } => {
                StandardError::Configuration
            }
        };
        kind.fault(crate::act::chain(self))
    }
}

/// The images of a host and the way to more of them.
#[derive(Debug)]
pub struct Images {
    store: ImageStore,
    rules: ImageRules,
    secrets: Arc<Secrets>,
    platform: Platform,
}

/// A manifest and a configuration that belong together.
struct Documents {
    identity: ImageIdentity,
    manifest: ImageManifest,
    config: ImageConfig,
}

/// As a registry sent them, byte by byte.
struct Answer {
    documents: Documents,
    manifest: Vec<u8>,
    config: Vec<u8>,
}

impl From<Documents> for PinnedImage {
    fn from(documents: Documents) -> Self {
        let Documents { identity, config, manifest: _ } = documents;
        Self { image: identity, entrypoint: config.entrypoint, command: config.command }
    }
}

/// No image is approved, so there is none.
impl Default for Images {
    fn default() -> Self {
        Self::new(ImageStore::new(PathBuf::new(), (0, 0)), ImageRules::default(), Arc::default())
    }
}

impl Images {
    pub fn new(store: ImageStore, rules: ImageRules, secrets: Arc<Secrets>) -> Self {
        Self { store, rules, secrets, platform: Platform::of(std::env::consts::ARCH) }
    }

    /// Which image a task's image is: an instance that starts keeps the answer.
    /// Of its bytes only what it says of itself comes here.
    pub async fn pin(&self, image: &TaskImage) -> Result<PinnedImage, NoImage> {
        self.approved(&image.name)?;
        match self.pinned_here(image).await? {
            Some(pinned) => Ok(pinned),
            None => {
                let answer = self.look_up(&image.name).await?;
                self.keep(&image.name, &answer)?;
                Ok(answer.documents.into())
            }
        }
    }

    /// As [`Self::pin`], for those who only look: nothing is kept.
    pub async fn look(&self, image: &TaskImage) -> Result<PinnedImage, NoImage> {
        self.approved(&image.name)?;
        match self.pinned_here(image).await? {
            Some(pinned) => Ok(pinned),
            None => Ok(self.look_up(&image.name).await?.documents.into()),
        }
    }

    /// Without asking whether a name means something else by now, where the task lets us.
    async fn pinned_here(&self, image: &TaskImage) -> Result<Option<PinnedImage>, NoImage> {
        match (self.known(&image.name), image.pull) {
            (_, PullPolicy::Always) | (None, PullPolicy::IfNotPresent) => Ok(None),
            (None, PullPolicy::Never) => Err(NoImage::NotHere(image.name.clone())),
            (Some(identity), PullPolicy::IfNotPresent | PullPolicy::Never) => {
                Ok(Some(self.documents(&identity).await?.into()))
            }
        }
    }

    /// Brings an image here, unless it is. Several hosts fetch it once.
    pub async fn fetch(&self, image: &ImageIdentity) -> Result<(), NoImage> {
        self.approved(&image.reference)?;
        let failed = |source| NoImage::Store { image: image.reference.clone(), source: Box::new(source) };
        let incoming = loop {
            if self.store.unpacked(&image.id).is_some() {
                return Ok(());
            }
            match self.store.try_receive(&image.id).map_err(failed)? {
                Some(incoming) => break incoming,
                None => tokio::time::sleep(POLL).await,
            }
        };
        if self.store.unpacked(&image.id).is_some() {
            return Ok(());
        }
        let Documents { manifest, config, .. } = self.documents(image).await?;
        let size_bytes = manifest.layers.iter().map(|layer| layer.blob.size).fold(0, u64::saturating_add);
        let bytes_max = self.store.limits().packed_bytes;
        if size_bytes > bytes_max {
            let reason = format!("its layers have {size_bytes} bytes, and {bytes_max} are the most");
            return Err(failed(ImageError::Unfit { reason }));
        }
        let mut registry = None;
        for layer in &manifest.layers {
            if !self.store.has(&layer.blob.digest) {
                let registry = match &mut registry {
                    Some(registry) => registry,
                    none => none.insert(self.registry(&image.reference)?),
                };
                self.layer(registry, &image.reference, &layer.blob).await?;
            }
        }
        let (store, id) = (self.store.clone(), image.id.clone());
        let unpacking = tokio::task::spawn_blocking(move || store.unpack(&id, &config, &manifest.layers, &incoming));
        let unpacked = unpacking.await.map_err(|error| NoImage::Configuration {
            image: image.reference.clone(),
            detail: format!("it could not be unpacked: {error}"),
        })?;
        unpacked.map(drop).map_err(failed)
    }

    /// What a name is known to mean: a digest says it, or a registry said it
    /// once and the image is here.
    fn known(&self, name: &Reference) -> Option<ImageIdentity> {
        let identity = self.store.remembered(name)?;
        self.store.unpacked(&identity.id).map(|_| identity)
    }

    /// Asks the registry.
    async fn look_up(&self, name: &Reference) -> Result<Answer, NoImage> {
        let unreadable = |source| NoImage::Unreadable { image: name.clone(), source: Box::new(source) };
        let asked = |source| NoImage::Registry { image: name.clone(), source: Box::new(source) };
        let mut registry = self.registry(name)?;
        let mut text = registry.manifest_of(name.wanted(), MANIFEST_TYPES, DOCUMENT_BYTES_MAX).await.map_err(asked)?;
        let mut found = read_manifest(&text, &self.platform).map_err(unreadable)?;
        if let Found::Elsewhere(one) = &found {
            text =
                registry.manifest_of(one.digest.as_str(), MANIFEST_TYPES, DOCUMENT_BYTES_MAX).await.map_err(asked)?;
            found = read_manifest(&text, &self.platform).map_err(unreadable)?;
        }
        let Found::Image(manifest) = found else {
            return Err(unreadable(DocumentError::OtherKind("an index in an index".to_owned())));
        };
        let config = registry.blob(&manifest.config, DOCUMENT_BYTES_MAX).await.map_err(asked)?;
        let read = read_config(&config, manifest.layers.len(), &self.platform).map_err(unreadable)?;
        let identity = ImageIdentity { reference: name.pinned(Digest::of(&text)), id: manifest.config.digest.clone() };
        Ok(Answer { documents: Documents { identity, manifest, config: read }, manifest: text, config })
    }

    fn keep(&self, name: &Reference, answer: &Answer) -> Result<(), NoImage> {
        let keep = || {
            self.store.keep(&answer.manifest)?;
            self.store.keep(&answer.config)?;
            self.store.remember(name, &answer.documents.identity)
        };
        keep().map_err(|source| NoImage::Store { image: name.clone(), source: Box::new(source) })
    }

    /// What an image says of itself, from here or from where it was.
    async fn documents(&self, image: &ImageIdentity) -> Result<Documents, NoImage> {
        let failed = |source| NoImage::Store { image: image.reference.clone(), source: Box::new(source) };
        let manifest = match &image.reference.digest {
            Some(digest) => self.store.read(digest, DOCUMENT_BYTES_MAX).map_err(failed)?,
            None => None,
        };
        let config = self.store.read(&image.id, DOCUMENT_BYTES_MAX).map_err(failed)?;
        let (Some(manifest), Some(config)) = (manifest, config) else {
            let answer = self.look_up(&image.reference).await?;
            let found = &answer.documents.identity.id;
            if *found == image.id {
                self.keep(&image.reference, &answer)?;
                return Ok(answer.documents);
            }
            let detail = format!("its manifest names `{found}` and not `{}`", image.id);
            return Err(NoImage::Configuration { image: image.reference.clone(), detail });
        };
        let unreadable = |source| NoImage::Unreadable { image: image.reference.clone(), source: Box::new(source) };
        match read_manifest(&manifest, &self.platform).map_err(unreadable)? {
            Found::Image(manifest) if manifest.config.digest == image.id => {
                let config = read_config(&config, manifest.layers.len(), &self.platform).map_err(unreadable)?;
                Ok(Documents { identity: image.clone(), manifest, config })
            }
            Found::Image(_) | Found::Elsewhere(_) => Err(NoImage::Configuration {
                image: image.reference.clone(),
                detail: format!("its manifest does not name `{}`", image.id),
            }),
        }
    }

    async fn layer(&self, registry: &mut Registry, of: &Reference, blob: &Descriptor) -> Result<(), NoImage> {
        let failed = |source| NoImage::Store { image: of.clone(), source: Box::new(source) };
        let mut incoming = self.store.begin(&blob.digest).map_err(failed)?;
        let streamed = registry
            .stream_blob(blob, &mut |bytes| incoming.write(bytes).map_err(|error| crate::act::chain(&error)))
            .await;
        streamed.map_err(|source| NoImage::Registry { image: of.clone(), source: Box::new(source) })?;
        incoming.finish().map_err(failed)
    }

    /// Whether the operator approves an image now, whatever an instance was started with.
    fn approved(&self, image: &Reference) -> Result<(), NoImage> {
        let name = image.name();
        let below = |rule: &String| {
            name.strip_prefix(rule.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_approved = self.rules.allow.iter().any(below) || self.mapped(&image.registry).is_some();
        if is_approved { Ok(()) } else { Err(NoImage::NotApproved(image.clone())) }
    }

    /// The port at which a registry was mapped, and whether it is that of plain HTTP.
    fn mapped(&self, registry: &str) -> Option<Mapped> {
        let hosts = match registry {
            DEFAULT_REGISTRY => &[DEFAULT_REGISTRY, DEFAULT_REGISTRY_HOST][..],
            other => &[other],
        };
        hosts.iter().find_map(|host| {
            let is_mapped = |authority: &str| self.rules.resolve.contains_key(authority);
            let mapped = |plain_http| Mapped { host: (*host).to_owned(), plain_http };
            if is_mapped(host) {
                // It is written with a port, and that does not say what is spoken there.
                Some(mapped(None))
            } else if is_mapped(&format!("{host}:443")) {
                Some(mapped(Some(false)))
            } else if is_mapped(&format!("{host}:80")) {
                Some(mapped(Some(true)))
            } else {
                None
            }
        })
    }

    fn registry(&self, image: &Reference) -> Result<Registry, NoImage> {
        let wrong = |detail: String| NoImage::Configuration { image: image.clone(), detail };
        let said = self.rules.registries.get(&image.registry).cloned().unwrap_or_default();
        let credentials = match &said.secret {
            Some(name) => {
                let value = self.secrets.value(name).map_err(|error| wrong(crate::act::chain(&error)))?;
                Some(Credentials::of_secret(value.expose()))
            }
            None => None,
        };
        let mapped = self.mapped(&image.registry);
        let (mut place, mut also) = (image.clone(), said.also);
        if let Some(mapped) = &mapped {
            place.registry.clone_from(&mapped.host);
        } else if image.registry == DEFAULT_REGISTRY {
            DEFAULT_REGISTRY_HOST.clone_into(&mut place.registry);
            also.extend(DEFAULT_REGISTRY_ALSO.iter().filter_map(|origin| origin.parse().ok()));
        }
        let access = Access {
            plain_http: said.plain_http.or(mapped.and_then(|mapped| mapped.plain_http)),
            also,
            resolve: self.rules.resolve.clone(),
            ca: self.rules.ca.clone(),
            credentials,
        };
        Registry::new(&place, access, 0).map_err(|error| wrong(crate::act::chain(&error)))
    }
}

/// A registry that the operator says is elsewhere.
struct Mapped {
    host: String,
    /// None: as everywhere.
    plain_http: Option<bool>,
}

#[cfg(test)]
mod tests {
    use sandbox::local::SANDBOX_ID;

    use super::*;

    fn images(rules: ImageRules) -> Images {
        let store = ImageStore::new(PathBuf::from("/nowhere"), (SANDBOX_ID, SANDBOX_ID));
        Images::new(store, rules, Arc::default())
    }

    fn reference(text: &str) -> Reference {
        workflow::image::read_name(text).unwrap()
    }

    #[test]
    fn only_what_is_approved_is_fetched() {
        let rules = ImageRules {
            allow: ["docker.io/library/alpine", "ghcr.io/team", "r.example:5000"].map(str::to_owned).into(),
            resolve: ["mapped.example:443", "other.example:5000"]
                .map(|host| (host.to_owned(), "127.0.0.1:1".parse().unwrap()))
                .into(),
            ..ImageRules::default()
        };
        let images = images(rules);
        for (name, expected) in [
            ("alpine:3.20", true),
            ("alpine-evil", false),
            ("docker.io/library/alpine/more", true),
            ("ghcr.io/team/tool", true),
            ("ghcr.io/team2/tool", false),
            ("ghcr.io/tool", false),
            ("r.example:5000/a/b", true),
            ("r.example/a/b", false),
            ("mapped.example/a", true),
            ("other.example:5000/a", true),
            ("other.example/a", false),
        ] {
            assert_eq!(images.approved(&reference(name)).is_ok(), expected, "{name}");
        }
    }

    #[test]
    fn the_default_registry_can_be_mapped_under_each_of_its_names() {
        for (host, plain_http) in [
            ("docker.io:443", Some(false)),
            ("docker.io:80", Some(true)),
            ("registry-1.docker.io:443", Some(false)),
            ("registry-1.docker.io:80", Some(true)),
        ] {
            let resolve = [(host.to_owned(), "127.0.0.1:1".parse().unwrap())].into();
            let mapped = images(ImageRules { resolve, ..ImageRules::default() }).mapped(DEFAULT_REGISTRY).unwrap();
            assert_eq!((mapped.plain_http, host.starts_with(&mapped.host)), (plain_http, true), "{host}");
        }
        assert!(images(ImageRules::default()).mapped(DEFAULT_REGISTRY).is_none());
    }
}
