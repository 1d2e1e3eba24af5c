use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use workflow::distribution::Descriptor;
use workflow::image::Packing;

use super::*;

/// A tar of lines like `file a/b: text`, `link x -> y`, `file 4755 x: text`.
fn tar_of(lines: &str) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for line in lines.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap();
        let (mode, rest) = match rest.split_once(' ') {
            Some((mode, rest)) if mode.len() == 4 && mode.bytes().all(|b| b.is_ascii_digit()) => {
                (u32::from_str_radix(mode, 8).unwrap(), rest)
            }
            _ => (0o755, rest),
        };
        let (name, text, target) = match (rest.split_once(": "), rest.split_once(" -> ")) {
            (Some((name, text)), _) => (name, text, ""),
            (None, Some((name, target))) => (name, "", target),
            (None, None) => (rest, "", ""),
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(match kind {
            "dir" => EntryType::Directory,
            "file" => EntryType::Regular,
            "link" => EntryType::Symlink,
            "hard" => EntryType::Link,
            "char" => EntryType::Char,
            "block" => EntryType::Block,
            "pipe" => EntryType::Fifo,
            "odd" => EntryType::new(b'Q'),
            other => panic!("{other}"),
        });
        header.set_mode(mode);
        header.set_mtime(1_000_000);
        header.set_size(text.len() as u64);
        // The crate would refuse to write what the crate must refuse to read.
        for (field, value) in [(0, name), (157, target)] {
            header.as_mut_bytes()[field..field + value.len()].copy_from_slice(value.as_bytes());
        }
        header.set_cksum();
        tar.append(&header, text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn layer(store: &ImageStore, bytes: &[u8], packing: Packing) -> Layer {
    let digest = store.keep(bytes).unwrap();
    let blob =
        Descriptor { media_type: String::new(), digest, size: bytes.len() as u64, annotations: BTreeMap::default() };
    Layer { blob, packing }
}

/// Limits that a test can reach.
const SMALL: ImageLimits =
    ImageLimits { packed_bytes: 1 << 20, unpacked_bytes: 64 << 10, entries: 20, path_bytes: 80, path_depth: 5 };

struct House {
    folder: TempDir,
    store: ImageStore,
}

impl House {
    fn new(limits: ImageLimits) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("outside"), "of the host").unwrap();
        let store = ImageStore { limits, ..ImageStore::new(folder.path().join("images"), (10_001, 10_001)) };
        Self { folder, store }
    }

    fn unpack(&self, tars: &[Vec<u8>]) -> Result<Unpacked, ImageError> {
        let layers: Vec<_> = tars.iter().map(|tar| layer(&self.store, &gzip(tar), Packing::Gzip)).collect();
        self.unpack_as(&layers, tars.iter().map(|tar| Digest::of(tar)).collect())
    }

    fn unpack_as(&self, layers: &[Layer], diff_ids: Vec<Digest>) -> Result<Unpacked, ImageError> {
        let config = ImageConfig {
            diff_ids,
            entrypoint: Vec::new(),
            command: Vec::new(),
            environment: Vec::new(),
            working_directory: "/srv/app".to_owned(),
        };
        let id = Digest::of(b"an image");
        let incoming = self.store.try_receive(&id)?.expect("nobody else is here");
        self.store.unpack(&id, &config, layers, &incoming)
    }

    /// What lies aside, and what became an image.
    fn left(&self) -> Vec<String> {
        let names = |kind: &str| std::fs::read_dir(self.folder.path().join("images").join(kind));
        let found = ["tmp", "roots"].into_iter().flat_map(|kind| names(kind).into_iter().flatten());
        found.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

/// Names that every root file system has after it was prepared.
const PREPARED: [&str; 15] = [
    "dev",
    "etc",
    "etc/group",
    "etc/hosts",
    "etc/ld.so.preload",
    "etc/passwd",
    "home",
    "home/runner",
    "proc",
    "run",
    "srv",
    "srv/app",
    "tmp",
    "var",
    "var/tmp",
];

/// One line for each entry below `root` that the image brought: `a/b: text`, `x -> y`, `a/`.
fn listing(root: &Path) -> Vec<String> {
    fn below(folder: &Path, root: &Path, lines: &mut Vec<String>) {
        let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let kind = path.symlink_metadata().unwrap();
            if kind.is_symlink() {
                lines.push(format!("{name} -> {}", std::fs::read_link(&path).unwrap().display()));
            } else if kind.is_dir() {
                if !PREPARED.contains(&name.as_str()) && name != "workspace" {
                    lines.push(format!("{name}/"));
                }
                below(&path, root, lines);
            } else if !PREPARED.contains(&name.as_str()) {
                lines.push(format!("{name}: {}", std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut lines = Vec::new();
    below(root, root, &mut lines);
    lines
}

#[test]
fn layers_become_the_tree_that_their_author_saw() {
    let cases: [(&str, &[&str], &str); 13] = [
        ("files and folders", &["dir a\nfile a/b: 1\nfile ./c: 2\nfile /d: 3"], "a/ a/b: 1 c: 2 d: 3"),
        ("a folder that nobody made", &["file a/b/c: 1"], "a/ a/b/ a/b/c: 1"),
        ("a file of a higher layer", &["file a: 1", "file a: 2"], "a: 2"),
        ("a folder keeps what is in it", &["dir a\nfile a/b: 1", "dir 0700 a\nfile a/c: 2"], "a/ a/b: 1 a/c: 2"),
        ("a file instead of a folder", &["dir a\nfile a/b: 1", "file a: 2"], "a: 2"),
        ("a folder instead of a link", &["link a -> b\ndir b", "dir a\nfile a/c: 1"], "a/ a/c: 1 b/"),
        ("a removed file", &["file a: 1\nfile b: 2", "file .wh.a: "], "b: 2"),
        ("a removed folder", &["dir a\nfile a/b: 1", "file .wh.a: "], ""),
        ("a layer never removes what it adds", &["file a: 1", "file a: 2\nfile .wh.a: "], "a: 2"),
        (
            "an opaque folder has only what its layer adds",
            &["dir a\nfile a/b: 1\ndir a/c\nfile a/c/d: 2", "dir a\nfile a/e: 3\nfile a/.wh..wh..opq: "],
            "a/ a/e: 3",
        ),
        ("whiteouts of nothing", &["file a: 1", "file x/.wh.y: \nfile .wh.z: \nfile .wh..wh.plnk: "], "a: 1"),
        ("a second name", &["file a: 1\nhard b -> a", "hard c -> b"], "a: 1 b: 1 c: 1"),
        (
            "through a link of the layer below",
            &["dir usr\nlink lib -> usr", "file lib/x: 1"],
            "lib -> usr usr/ usr/x: 1",
        ),
    ];
    for (what, layers, expected) in cases {
        let house = House::new(SMALL);
        let tars: Vec<_> = layers.iter().map(|layer| tar_of(layer)).collect();
        let unpacked = house.unpack(&tars).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(listing(&unpacked.root).join(" "), expected, "{what}");
    }
}

#[test]
fn no_layer_reaches_out_of_its_tree() {
    // Paths above the tree lead to the file `outside`.
    let cases: [(&str, &[&str], Result<&str, &str>); 14] = [
        ("a path upwards", &["file ../../../outside: x"], Err("leads out of its folder")),
        ("a path down and upwards", &["file a/../../../../outside: x"], Err("leads out of its folder")),
        ("a link upwards", &["link a -> ../../../..\nfile a/outside: x"], Ok("a -> ../../../.. outside: x")),
        ("a link from the root", &["link a -> /\nfile a/b: x"], Ok("a -> / b: x")),
        ("a link to the host's folders", &["link a -> /etc\ndir etc\nfile a/b: x"], Ok("a -> /etc etc/b: x")),
        ("a chain of links", &["link a -> b\nlink b -> ../..\nfile a/c: x"], Ok("a -> b b -> ../.. c: x")),
        ("a link in a circle", &["link a -> b\nlink b -> a\nfile a/c: x"], Err("Too many levels")),
        ("a link to nowhere", &["link a -> /not/there\nfile a/c: x"], Err("leads nowhere")),
        ("a magic link", &["link a -> /proc/self/root\nfile a/outside: x"], Err("leads nowhere")),
        ("a file instead of a link", &["link a -> /outside\nfile a: x"], Ok("a: x")),
        ("a hard link upwards", &["hard a -> ../../../outside"], Err("leads out of its folder")),
        ("a hard link through a link", &["link l -> ../../../..\nhard a -> l/outside"], Err("not there")),
        ("a hard link to a folder", &["dir d\nhard a -> d"], Err("no file")),
        ("a whiteout upwards", &["file a: 1", "file ../../../.wh.outside: "], Err("leads out of its folder")),
    ];
    for (what, layers, expected) in cases {
        let house = House::new(SMALL);
        let tars: Vec<_> = layers.iter().map(|layer| tar_of(layer)).collect();
        let unpacked = house.unpack(&tars);
        match (unpacked, expected) {
            (Ok(unpacked), Ok(expected)) => assert_eq!(listing(&unpacked.root).join(" "), expected, "{what}"),
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{what}: {error}");
                assert_eq!(house.left(), Vec::<String>::new(), "{what}");
            }
            (Ok(unpacked), Err(_)) => panic!("{what}: {:?}", listing(&unpacked.root)),
            (Err(error), Ok(_)) => panic!("{what}: {error}"),
        }
        let outside = std::fs::read_to_string(house.folder.path().join("outside")).unwrap();
        assert_eq!(outside, "of the host", "{what}");
    }
}

#[test]
fn what_gives_power_is_not_unpacked() {
    let house = House::new(SMALL);
    let first = tar_of(
        "file 4755 su: x\nfile 2755 group: x\ndir 7777 open\nfile 0000 closed: x\nchar null\nblock disk\npipe p\nfile under: 1",
    );
    let second = tar_of("char under");
    let unpacked = house.unpack(&[first, second]).unwrap();
    assert_eq!(unpacked.says.left_out, 4);
    assert_eq!(listing(&unpacked.root), ["closed: x", "group: x", "open/", "su: x"]);
    let owner = if rustix::process::geteuid().is_root() { 10_001 } else { rustix::process::geteuid().as_raw() };
    for (name, mode) in [("su", 0o755), ("group", 0o755), ("open", 0o777), ("closed", 0o400)] {
        let data = unpacked.root.join(name).metadata().unwrap();
        assert_eq!(data.permissions().mode() & 0o7777, mode, "{name}");
        assert_eq!(data.uid(), owner, "{name}");
    }
    assert_eq!(unpacked.root.join("su").metadata().unwrap().mtime(), 1_000_000);
}

#[test]
fn an_image_is_bounded() {
    let many = (0..21).map(|n| format!("file f{n}: \n")).collect::<String>();
    let large = format!("file a: {}", "x".repeat(65 << 10));
    // The same bytes in each layer; together too many.
    let half = format!("file a: {}", "x".repeat(40 << 10));
    let cases: [(&str, Vec<String>, &str); 6] = [
        ("files", vec![many], "more than 20 files"),
        ("bytes", vec![large], "more than 65536 bytes"),
        ("bytes of all layers", vec![half.clone(), half], "more than 65536 bytes"),
        ("depth", vec!["file a/b/c/d/e/f: x".to_owned()], "deeper than 5"),
        ("paths", vec![format!("file {}: x", "a".repeat(81))], "more than 80 bytes"),
        ("kinds", vec!["odd a".to_owned()], "of kind 'Q'"),
    ];
    for (what, layers, expected) in cases {
        let house = House::new(SMALL);
        let tars: Vec<_> = layers.iter().map(|layer| tar_of(layer)).collect();
        let error = house.unpack(&tars).unwrap_err().to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert_eq!(house.left(), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn a_name_without_an_end_is_not_read_into_memory() {
    let limits = ImageLimits { unpacked_bytes: 8 << 20, ..SMALL };
    for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader] {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(4 << 20);
        header.set_cksum();
        let mut tar = Builder::new(Vec::new());
        tar.append(&header, vec![b'a'; 4 << 20].as_slice()).unwrap();
        let error = House::new(limits).unpack(&[tar.into_inner().unwrap()]).unwrap_err().to_string();
        assert!(error.contains("more than 1048576 bytes of names"), "{kind:?}: {error}");
    }
}

#[test]
fn a_layer_that_is_not_what_the_image_names_is_not_unpacked() {
    let tar = tar_of("file a: 1");
    let (named, other) = (Digest::of(&tar), Digest::of(b"another"));
    let half = &gzip(&tar)[..20];
    let cases: [(&str, Vec<u8>, Packing, &Digest, &str); 4] = [
        ("another tar", gzip(&tar), Packing::Gzip, &other, "have digest"),
        ("half a file", half.to_vec(), Packing::Gzip, &named, "incomplete deflate stream"),
        ("no gzip", tar.clone(), Packing::Gzip, &named, "invalid gzip header"),
        ("gzip where none was said", gzip(&tar), Packing::Plain, &named, "have digest"),
    ];
    for (what, bytes, packing, diff_id, expected) in cases {
        let house = House::new(SMALL);
        let layers = [layer(&house.store, &bytes, packing)];
        let error = house.unpack_as(&layers, vec![diff_id.clone()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{what}: {error}");
        assert_eq!(house.left(), Vec::<String>::new(), "{what}");
    }
    // It is the layer that was wrong, and not the test.
    let house = House::new(SMALL);
    let layers = [layer(&house.store, &tar, Packing::Plain)];
    assert!(house.unpack_as(&layers, vec![named]).is_ok());
}

#[test]
fn every_root_has_what_a_sandbox_needs() {
    let house = House::new(SMALL);
    let tar = tar_of(
        "link tmp -> /var/tmp\nfile workspace: x\ndir etc\nlink etc/passwd -> /outside\nfile etc/group: root:x:0:",
    );
    let root = house.unpack(&[tar]).unwrap().root;
    for folder in ["proc", "dev", "run", "tmp", "var/tmp", "workspace", "home/runner", "srv/app"] {
        assert!(root.join(folder).symlink_metadata().unwrap().is_dir(), "{folder}");
    }
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    assert_eq!(read("etc/passwd"), "runner:x:10001:10001::/home/runner:/bin/sh\n");
    assert_eq!(read("etc/group"), "root:x:0:\nrunner:x:10001:\n");
    for (lines, expected) in [("link var -> /srv", "`/var` is no folder"), ("file home: x", "`/home` is no folder")] {
        let error = House::new(SMALL).unpack(&[tar_of(lines)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{lines}: {error}");
    }
}

#[test]
fn bytes_are_kept_under_their_digest_or_not_at_all() {
    let house = House::new(SMALL);
    let digest = Digest::of(b"right");
    let mut wrong = house.store.begin(&digest).unwrap();
    wrong.write(b"wrong").unwrap();
    assert!(matches!(wrong.finish(), Err(ImageError::Digest { .. })));
    drop(house.store.begin(&digest).unwrap());
    assert!(!house.store.has(&digest));
    assert_eq!(house.store.read(&digest, 10).unwrap(), None);
    assert_eq!(house.left(), Vec::<String>::new());
    assert_eq!(house.store.keep(b"right").unwrap(), digest);
    assert_eq!(house.store.read(&digest, 10).unwrap(), Some(b"right".to_vec()));
    assert!(house.store.read(&digest, 4).is_err());
    // What a disk made of it is not used.
    std::fs::write(house.folder.path().join("images/blobs").join(digest.hex()), "later").unwrap();
    assert!(matches!(house.store.read(&digest, 10), Err(ImageError::Digest { .. })));
    assert!(!house.store.has(&digest), "what has other bytes than its name says is fetched again");
}

#[test]
fn one_host_receives_an_image_and_what_the_dead_left_goes() {
    let house = House::new(SMALL);
    let id = Digest::of(b"an image");
    let held = house.store.try_receive(&id).unwrap();
    assert!(held.is_some());
    assert!(house.store.try_receive(&id).unwrap().is_none());
    drop(held);
    assert!(house.store.try_receive(&id).unwrap().is_some());
    let ours = house.store.begin(&id).unwrap();
    let tmp = house.folder.path().join("images/tmp");
    std::fs::create_dir(tmp.join(format!("{}-4194400-0", id.hex()))).unwrap();
    assert_eq!(house.store.sweep().len(), 1);
    assert_eq!(house.left().len(), 1);
    drop(ours);
}
