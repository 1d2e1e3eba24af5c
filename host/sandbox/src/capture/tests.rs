use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use workflow::Digest;
use workflow::redaction::Redactor;

use super::{Limits, Snapshot, collect, copy_in, is_plain_path, remove_tree, tree_size};

fn no_secrets() -> Redactor {
    Redactor::new([]).unwrap()
}

fn write(path: impl AsRef<Path>, text: &str) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn globs(globs: &[&str]) -> Vec<String> {
    globs.iter().map(|glob| (*glob).to_owned()).collect()
}

#[test]
fn only_regular_files_that_a_glob_names_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (work, spool) = (folder.path().join("work"), folder.path().join("spool"));
    write(work.join("out/a.crate"), "one");
    write(work.join("out/b.txt"), "two");
    write(work.join("out/deep/c.crate"), "three");
    write(folder.path().join("host-secret"), "of the host");
    symlink(folder.path().join("host-secret"), work.join("out/link.crate")).unwrap();
    symlink(folder.path(), work.join("linked")).unwrap();
    mknodat(CWD, work.join("out/fifo.crate"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    fs::write(work.join("out").join(OsStr::from_bytes(b"\xff.crate")), "odd").unwrap();
    write(work.join("out/new\nline.crate"), "odd");

    let wanted = globs(&["out/**/*.crate", "linked/host-secret", "../host-secret", "/etc/passwd"]);
    let (captured, left_out) = collect(&work, &wanted, &spool, &Limits::default(), &no_secrets()).unwrap();

    let kept: Vec<_> =
        captured.iter().map(|file| (file.path.as_str(), fs::read_to_string(&file.file).unwrap())).collect();
    assert_eq!(kept, [("out/a.crate", "one".to_owned()), ("out/deep/c.crate", "three".to_owned())]);
    assert_eq!(captured[0].digest, Digest::of(b"one"));
    assert_eq!(captured[0].size_bytes, 3);
    assert_eq!(left_out.len(), 4, "{left_out:#?}");
}

#[test]
fn a_file_is_kept_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (work, spool) = (folder.path().join("work"), folder.path().join("spool"));
    for name in ["a", "b", "c", "d"] {
        write(work.join(name), "12345");
    }
    write(work.join("e"), "123456789");
    let limits = Limits { files_max: 3, file_bytes_max: 8, total_bytes_max: 12 };
    let (captured, left_out) = collect(&work, &globs(&["*"]), &spool, &limits, &no_secrets()).unwrap();
    assert_eq!(captured.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(left_out.len(), 3);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 2);
}

#[test]
fn a_file_that_holds_a_secret_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let (work, spool) = (folder.path().join("work"), folder.path().join("spool"));
    write(work.join("clean"), "nothing");
    write(work.join("leak"), "token=hunter2-hunter2\n");
    let redactor = Redactor::new([("token", "hunter2-hunter2")]).unwrap();
    let (captured, left_out) = collect(&work, &globs(&["*"]), &spool, &Limits::default(), &redactor).unwrap();
    assert_eq!(captured.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["clean"]);
    assert_eq!(left_out, ["`leak` was left out: holds a secret"]);
    assert_eq!(fs::read_dir(&spool).unwrap().count(), 1);
}

#[test]
fn a_folder_that_becomes_a_link_meanwhile_leads_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (work, spool) = (folder.path().join("work"), folder.path().join("spool"));
    write(folder.path().join("outside/x"), "of the host");
    write(work.join("real/x"), "ours");
    symlink(folder.path().join("outside"), work.join("link")).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapping = {
        let (work, stop) = (work.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut swaps = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                // `flip` is the real folder and the link in turns.
                for source in ["real", "link"] {
                    fs::rename(work.join(source), work.join("flip")).unwrap();
                    fs::rename(work.join("flip"), work.join(source)).unwrap();
                    swaps += 1;
                }
            }
            swaps
        })
    };
    let mut kept = 0;
    for round in 0..300 {
        let into = spool.join(round.to_string());
        let (captured, _) = collect(&work, &globs(&["*/x"]), &into, &Limits::default(), &no_secrets()).unwrap();
        for file in captured {
            kept += 1;
            assert_eq!(fs::read_to_string(&file.file).unwrap(), "ours", "round {round} {}", file.path);
        }
    }
    stop.store(true, Ordering::Relaxed);
    assert!(swapping.join().unwrap() > 0 && kept > 0);
}

#[test]
fn changes_are_told_once_and_folders_stand_for_what_is_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path();
    for path in ["src/lib.rs", "src/gone.rs", ".git/HEAD", ".git/index", "same", "cache/x", "old/a", "again/a"] {
        write(work.join(path), "1");
    }
    write(work.join("cache/CACHEDIR.TAG"), "Signature");
    let before = Snapshot::take(work).unwrap();
    assert_eq!(Snapshot::take(work).unwrap().changed_since(&before), Vec::<String>::new());

    write(work.join("src/lib.rs"), "2");
    fs::remove_file(work.join("src/gone.rs")).unwrap();
    write(work.join(".git/index"), "2");
    write(work.join("target/debug/x"), "new");
    write(work.join("target/debug/y"), "new");
    write(work.join("cache/y"), "new");
    fs::remove_dir_all(work.join("old")).unwrap();
    fs::rename(work.join("again"), work.join("kept-inode")).unwrap();
    write(work.join("again/a"), "1");
    symlink("nowhere", work.join("link")).unwrap();
    let after = Snapshot::take(work).unwrap();

    let expected = [".git/", "again/", "cache/", "kept-inode/", "link", "old/", "src/gone.rs", "src/lib.rs", "target/"];
    assert_eq!(after.changed_since(&before), expected);
    assert!(tree_size(work).unwrap() > 0);
}

#[test]
fn a_change_with_a_forged_time_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Cargo.toml");
    write(&path, "honest");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    let before = Snapshot::take(folder.path()).unwrap();
    write(&path, "forged");
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(Snapshot::take(folder.path()).unwrap().changed_since(&before), ["Cargo.toml"]);
}

#[test]
fn an_input_replaces_a_link_and_never_follows_one() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("work");
    fs::create_dir(&work).unwrap();
    write(folder.path().join("stored"), "stored");
    write(folder.path().join("victim"), "untouched");
    symlink(folder.path().join("victim"), work.join("source.bundle")).unwrap();
    symlink(folder.path(), work.join("folder")).unwrap();
    let input = |path: &str| BTreeMap::from([(path.to_owned(), folder.path().join("stored"))]);

    copy_in(&input("source.bundle"), &work, None).unwrap();
    copy_in(&input("new/deep/file"), &work, None).unwrap();
    assert!(copy_in(&input("folder/victim"), &work, None).is_err());
    assert!(copy_in(&input("../victim"), &work, None).is_err());

    assert_eq!(fs::read_to_string(work.join("source.bundle")).unwrap(), "stored");
    assert!(fs::symlink_metadata(work.join("source.bundle")).unwrap().is_file());
    assert_eq!(fs::read_to_string(work.join("new/deep/file")).unwrap(), "stored");
    assert_eq!(fs::read_to_string(folder.path().join("victim")).unwrap(), "untouched");
}

#[test]
fn a_tree_of_any_depth_and_mode_is_removed_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    write(folder.path().join("beside/file"), "stays");
    fs::create_dir(&tree).unwrap();
    symlink(folder.path().join("beside"), tree.join("link")).unwrap();
    write(tree.join("closed/inside"), "x");
    fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    write(tree.join("moved-up-1"), "a name that removal uses itself");
    // Deeper than a path can name: 3,000 folders of two letters.
    let mut below = rustix::fs::open(&tree, rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..3000 {
        rustix::fs::mkdirat(&below, "dd", Mode::RWXU).unwrap();
        below = rustix::fs::openat(&below, "dd", rustix::fs::OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    drop(below);

    remove_tree(&tree).unwrap();
    remove_tree(&tree).unwrap();

    assert!(!tree.exists());
    assert_eq!(fs::read_to_string(folder.path().join("beside/file")).unwrap(), "stays");
}

#[test]
fn a_plain_path_stays_below_its_folder() {
    for path in ["", "/a", "a//b", "a/", "./a", "a/..", "..", "a\0"] {
        assert!(!is_plain_path(path), "{path:?}");
    }
    assert!(is_plain_path("a/b-c_d.e"));
}
