//! A real registry, for one test.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// `cargo xtask setup` unpacks Debian's package here.
fn program() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_light-workflow")).ancestors().nth(2).expect("it lies in target/debug");
    let places = [target.join("tools/usr/bin/docker-registry"), PathBuf::from("/usr/bin/docker-registry")];
    places.into_iter().find(|place| place.is_file()).expect("there is no `docker-registry`; run `cargo xtask setup`")
}

pub struct Registry {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// Everybody may do everything.
    pub fn open() -> Self {
        Self::start(|_| String::new())
    }

    /// `more` writes files into a folder and gives what the configuration says beside the usual.
    pub fn start(more: impl FnOnce(&Path) -> String) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let more = more(folder.path());
        // A section of `more` that begins with two spaces is one of `http`.
        let config = format!(
            "version: 0.1\nlog: {{ level: error }}\nstorage: {{ filesystem: {{ rootdirectory: {} }} }}\nhttp:\n  addr: 127.0.0.1:{port}\n{more}",
            folder.path().join("storage").display()
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, config).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program())
            .arg("serve")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the registry starts");
        let mut registry = Self { child, folder, port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            let log = || fs::read_to_string(registry.folder.path().join("log")).unwrap_or_default();
            assert!(registry.child.try_wait().unwrap().is_none(), "the registry ended: {}", log());
            assert!(start.elapsed() < Duration::from_secs(60), "the registry does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Where it keeps the bytes of a digest.
    pub fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        let blobs = self.folder.path().join("storage/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }

    /// Leaves a manifest under a tag, as any client may.
    pub fn put_manifest(&self, repository: &str, tag: &str, manifest: &Value) {
        let body = manifest.to_string();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(
            stream,
            "PUT /v2/{repository}/manifests/{tag} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
             content-type: application/vnd.oci.image.manifest.v1+json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// A manifest as it is kept, found by what it is tagged with.
    pub fn manifest(&self, repository: &str, tag: &str) -> Value {
        let tags = self.folder.path().join("storage/docker/registry/v2/repositories").join(repository);
        let link = fs::read_to_string(tags.join("_manifests/tags").join(tag).join("current/link")).unwrap();
        serde_json::from_slice(&fs::read(self.blob(&link)).unwrap()).unwrap()
    }
}
