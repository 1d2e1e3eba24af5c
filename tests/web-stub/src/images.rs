//! Images for tests: what they are made of, and how a registry gives them out.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Asked, Reply};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An image as a registry keeps it.
pub struct Image {
    /// By digest.
    pub blobs: BTreeMap<String, Vec<u8>>,
    pub manifest: String,
    /// The digest of its configuration.
    pub id: String,
    /// The digest of its only layer.
    pub layer: String,
}

/// Debian's `busybox-static`: a whole system in one file. `test` is a test's own program, in `<target>/debug/deps`.
pub fn busybox(test: &Path) -> Vec<u8> {
    let target = test.ancestors().nth(3).expect("a test lies three folders below the target folder");
    let places = [target.join("tools/bin/busybox"), "/bin/busybox".into()];
    places.iter().find_map(|place| std::fs::read(place).ok()).expect("there is no `busybox`; run `cargo xtask setup`")
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// One file or link of a tar.
fn entry(tar: &mut Vec<u8>, name: &str, mode: u32, content: &[u8], target: &str) {
    let mut head = [0_u8; 512];
    let mut field = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, name);
    field(100, &format!("{mode:07o}"));
    field(108, "0000000");
    field(116, "0000000");
    field(124, &format!("{:011o}", content.len()));
    field(136, "00000000000");
    field(148, "        ");
    field(156, if target.is_empty() { "0" } else { "2" });
    field(157, target);
    field(257, "ustar\u{0}00");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&head);
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// An image of busybox; `runs` is the `config` of its configuration.
pub fn image(busybox: &[u8], runs: &Value) -> Image {
    let mut tar = Vec::new();
    entry(&mut tar, "bin/busybox", 0o755, busybox, "");
    for name in ["sh", "cat", "echo", "env", "id", "sleep", "pwd", "hostname", "printf", "test", "touch", "ls"] {
        entry(&mut tar, &format!("bin/{name}"), 0o777, b"", "busybox");
    }
    entry(&mut tar, "etc/image", 0o644, b"of the image\n", "");
    tar.resize(tar.len() + 1024, 0);
    let layer = digest(&tar);
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }, "os": "linux", "config": runs,
        "rootfs": { "type": "layers", "diff_ids": [layer] },
    })
    .to_string()
    .into_bytes();
    let id = digest(&config);
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": { "mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len() },
        "layers": [{ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": tar.len() }],
    });
    let blobs = [(id.clone(), config), (layer.clone(), tar)].into();
    Image { blobs, manifest: manifest.to_string(), id, layer }
}

impl Image {
    pub fn digest(&self) -> String {
        digest(self.manifest.as_bytes())
    }

    /// An index in which this image is the one for this machine.
    pub fn index(&self) -> String {
        let other = json!({ "mediaType": MANIFEST, "digest": digest(b"other"), "size": 5,
            "platform": { "os": "linux", "architecture": "s390x" } });
        let own = json!({ "mediaType": MANIFEST, "digest": self.digest(), "size": self.manifest.len(),
            "platform": { "os": "linux", "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" } } });
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [other, own] }).to_string()
    }

    /// Pushes it to a registry on this machine under a tag.
    pub fn push(&self, port: u16, repository: &str, tag: &str) {
        for (digest, bytes) in &self.blobs {
            let begun = send(port, "POST", &format!("/v2/{repository}/blobs/uploads/"), "", &[]);
            let place = begun.lines().find_map(|line| line.strip_prefix("Location: ")).expect("a place").to_owned();
            let place = place.split_once(&format!(":{port}")).map_or(place.clone(), |(_, path)| path.to_owned());
            let sent = send(port, "PUT", &format!("{place}&digest={digest}"), "application/octet-stream", bytes);
            assert!(sent.starts_with("HTTP/1.1 201"), "{sent}");
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let sent = send(port, "PUT", &path, MANIFEST, self.manifest.as_bytes());
        assert!(sent.starts_with("HTTP/1.1 201"), "{sent}");
    }
}

/// What a registry answers that has these images, by repository and tag.
pub fn answer(images: &BTreeMap<(String, String), Image>, asked: &Asked) -> Reply {
    let found = |found: Option<&[u8]>| found.map_or(Reply::status(404), |bytes| Reply::new(200, &[], bytes));
    let Some((repository, rest)) = asked.target.strip_prefix("/v2/").and_then(|rest| rest.rsplit_once('/')) else {
        return Reply::status(404);
    };
    let own = |repository: &str| {
        let repository = repository.to_owned();
        images.iter().filter(move |((name, _), _)| *name == repository)
    };
    if let Some(repository) = repository.strip_suffix("/manifests") {
        let named = own(repository).find(|((_, tag), image)| tag == rest || image.digest() == rest);
        return found(named.map(|(_, image)| image.manifest.as_bytes()));
    }
    let repository = repository.strip_suffix("/blobs").unwrap_or(repository);
    found(own(repository).find_map(|(_, image)| image.blobs.get(rest)).map(Vec::as_slice))
}

/// A plain request; gives the answer as it came.
fn send(port: u16, method: &str, path: &str, kind: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
