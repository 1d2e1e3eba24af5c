//! Definitions with the documents that they name: files below the folder of the
//! definition, and URLs that the operator's policy lets the host call.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use calls::{Interrupted, Side};
use workflow::calls::{Call, CallEndpoint, CallRequest, HttpCall, HttpOutput};
use workflow::definition::{self, Definition, Problem, Reading};
use workflow::documents::{DocumentName, Documents};
use workflow::{Digest, EffectClass, EffectOutcome, SecretName};

use crate::host::Parts;

/// How long a host waits for one document before it says that it is not there.
const FETCH_LIMIT_MS: u64 = 20_000;

/// Documents may name documents; after so many steps something is odd.
const ROUNDS_MAX: usize = 33;

/// How long a document that could not be fetched is not asked for again: folders
/// are read every few seconds, and a server that hangs would hold each reading up.
const FAILURE_KEPT: Duration = Duration::from_secs(60);

/// What this process fetched, by the text of the definition that wanted it: read
/// again, an unchanged definition stays the same one.
#[derive(Debug, Default)]
pub struct Fetched {
    texts: Mutex<BTreeMap<(Digest, DocumentName), String>>,
    /// What could not be fetched lately, whoever wanted it: when, and why.
    failures: Mutex<BTreeMap<DocumentName, (Instant, String)>>,
}

/// Reads a definition from its text; `path` is where that stands.
pub fn read(parts: &Parts, source: &str, path: &Path) -> Result<Definition, Vec<Problem>> {
    let shown = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let of = Digest::of(source.as_bytes());
    let mut documents = Documents::default();
    for _ in 0..ROUNDS_MAX {
        match definition::read(source, &shown, &documents) {
            Reading::Definition(definition) => return Ok(*definition),
            Reading::Refused(problems) => return Err(problems),
            Reading::Wanting(wanted) => {
                for name in wanted {
                    let text = match &name {
                        DocumentName::File(file) => below(folder, file),
                        DocumentName::Url(url) => parts.fetched.get_or(&of, &name, || fetch(parts, url)),
                    };
                    documents.keep(name, text);
                }
            }
        }
    }
    // Each round brings at least one document, and their number is bounded.
    definition::parse(source, &shown)
}

impl Fetched {
    fn get_or(
        &self,
        of: &Digest,
        name: &DocumentName,
        fetch: impl FnOnce() -> Result<String, String>,
    ) -> Result<String, String> {
        let key = (of.clone(), name.clone());
        if let Some(text) = locked(&self.texts).get(&key) {
            return Ok(text.clone());
        }
        if let Some(why) = self.failed_lately(name, Instant::now()) {
            return Err(why);
        }
        let fetched = fetch();
        match &fetched {
            Ok(text) => drop(locked(&self.texts).insert(key, text.clone())),
            Err(why) => drop(locked(&self.failures).insert(name.clone(), (Instant::now(), why.clone()))),
        }
        fetched
    }

    /// Why a document could not be fetched, until it is time to try again.
    fn failed_lately(&self, name: &DocumentName, now: Instant) -> Option<String> {
        let mut failures = locked(&self.failures);
        failures.retain(|_, (at, _)| now.duration_since(*at) < FAILURE_KEPT);
        failures.get(name).map(|(_, why)| why.clone())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file below the folder, links that lead out of it not counted.
fn below(folder: &Path, file: &str) -> Result<String, String> {
    let inside = folder.canonicalize().map_err(|error| error.to_string())?;
    let path = inside.join(file).canonicalize().map_err(|error| error.to_string())?;
    if !path.starts_with(&inside) {
        return Err("it leads out of the folder of the definition".to_owned());
    }
    let size = std::fs::metadata(&path).map_err(|error| error.to_string())?;
    if !size.is_file() || size.len() > Documents::BYTES_MAX as u64 {
        return Err(format!("it is no file of at most {} bytes", Documents::BYTES_MAX));
    }
    std::fs::read_to_string(&path).map_err(|error| error.to_string())
}

/// A document by its URL, on a thread of its own: definitions are read where nobody can wait.
fn fetch(parts: &Parts, url: &str) -> Result<String, String> {
    let call = Call {
        request: CallRequest::Http(Box::new(HttpCall {
            method: "GET".to_owned(),
            endpoint: CallEndpoint { uri: url.to_owned(), authentication: None },
            headers: Vec::new(),
            query: Vec::new(),
            body: None,
            output: HttpOutput::Raw,
            redirect: true,
        })),
        class: Some(EffectClass::Pure),
        time_limit_ms: FETCH_LIMIT_MS,
    };
    let perform = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(parts.client.perform(&call, parts.approved_calls(), &NoSecrets)).outcome
    };
    let outcome = std::thread::scope(|scope| scope.spawn(perform).join().ok().flatten());
    match outcome {
        Some(EffectOutcome::Output { output }) => {
            let bytes = output.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
            String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
        }
        Some(EffectOutcome::Faulted { error }) => Err(error.detail.unwrap_or(error.kind)),
        Some(EffectOutcome::Unknown { detail }) => Err(detail),
        Some(EffectOutcome::Command { .. }) | None => Err("it could not be fetched".to_owned()),
    }
}

/// Documents are for everybody: no credential of this host is sent for one.
struct NoSecrets;

#[async_trait]
impl Side for NoSecrets {
    async fn sending(&self) -> Result<(), Interrupted> {
        Ok(())
    }

    fn secret(&self, name: &SecretName) -> Result<String, String> {
        Err(format!("secret `{name}` is not for documents"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_could_not_be_fetched_is_asked_for_again_after_a_minute() {
        let fetched = Fetched::default();
        let name = DocumentName::Url("https://c.example/f.yaml".to_owned());
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let hangs = || Err("it hangs".to_owned());
        assert_eq!(fetched.get_or(&one, &name, hangs).unwrap_err(), "it hangs");
        for of in [&one, &other] {
            assert_eq!(fetched.get_or(of, &name, || panic!("asked again")).unwrap_err(), "it hangs");
        }
        assert_eq!(fetched.failed_lately(&name, Instant::now() + FAILURE_KEPT), None);
        assert_eq!(fetched.get_or(&one, &name, || Ok("text".to_owned())).unwrap(), "text");
        assert_eq!(fetched.get_or(&one, &name, || panic!("asked again")).unwrap(), "text");
    }

    #[test]
    fn a_file_is_read_only_from_below_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "s").unwrap();
        let folder = outside.path().join("definitions");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/a.json"), "{}").unwrap();
        std::fs::write(folder.join("large"), vec![b'x'; Documents::BYTES_MAX + 1]).unwrap();
        symlink("sub/a.json", folder.join("near")).unwrap();
        symlink("../secret", folder.join("far")).unwrap();
        assert_eq!(below(&folder, "sub/a.json").unwrap(), "{}");
        assert_eq!(below(&folder, "near").unwrap(), "{}");
        assert_eq!(below(&folder, "far").unwrap_err(), "it leads out of the folder of the definition");
        assert!(below(&folder, "sub").unwrap_err().contains("no file of at most"));
        assert!(below(&folder, "large").unwrap_err().contains("no file of at most"));
        assert!(below(&folder, "not-there").unwrap_err().contains("No such file"));
    }
}
