//! Stored bytes on disk.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use store::{ArtifactBytes, NewArtifact, SqliteStore, Store as _, StoreError};
use workflow::{ArtifactUri, Digest};

use crate::fixtures::{id, new_instance};
use crate::opening::open;

async fn with_artifact(dir: &std::path::Path) -> (SqliteStore, ArtifactUri, PathBuf) {
    let store = open(dir).await;
    store.start_instance(new_instance("i-1")).await.unwrap();
    let (uri, path) = put(&store, "log").await;
    (store, uri, path)
}

async fn put(store: &SqliteStore, name: &str) -> (ArtifactUri, PathBuf) {
    let uri: ArtifactUri = format!("artifact://i-1/build/{name}").parse().unwrap();
    let new = NewArtifact { uri: uri.clone(), instance: id("i-1"), media_type: "text/plain".to_owned() };
    let artifact = store.put_artifact(new, ArtifactBytes::Memory(b"all of it".to_vec())).await.unwrap();
    (uri, store.artifact_path(&artifact.digest).unwrap())
}

#[tokio::test]
async fn bytes_lie_under_their_digest_and_no_draft_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (store, uri, path) = with_artifact(dir.path()).await;
    let hex = Digest::of(b"all of it").hex().to_owned();
    assert_eq!(path, dir.path().join("artifacts/sha256").join(&hex[..2]).join(&hex));
    assert_eq!(std::fs::read(&path).unwrap(), b"all of it");
    assert_eq!(std::fs::read_dir(dir.path().join("artifacts/drafts")).unwrap().count(), 0);
    store.verify_artifact(&uri).await.unwrap();
}

#[tokio::test]
async fn changed_bytes_are_noticed_when_the_whole_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, uri, path) = with_artifact(dir.path()).await;
    std::fs::write(&path, b"ALL of it").unwrap();
    assert!(matches!(store.read_artifact(&uri, 0, 100).await, Err(StoreError::Corrupt { .. })));
    assert!(matches!(store.verify_artifact(&uri).await, Err(StoreError::Corrupt { .. })));
    std::fs::write(&path, b"all").unwrap();
    assert!(store.read_artifact(&uri, 0, 100).await.is_err());
    // Storing the same bytes again heals them.
    put(&store, "log").await;
    store.verify_artifact(&uri).await.unwrap();
}

#[tokio::test]
async fn a_link_in_place_of_a_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (store, uri, path) = with_artifact(dir.path()).await;
    let secret = dir.path().join("elsewhere");
    std::fs::write(&secret, b"all of it").unwrap();
    std::fs::remove_file(&path).unwrap();
    symlink(&secret, &path).unwrap();
    assert!(matches!(store.read_artifact(&uri, 0, 4).await, Err(StoreError::Database { .. })));

    // Nor is a linked folder, and nothing is written through it.
    let folder = path.parent().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_dir(folder).unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), folder).unwrap();
    let new = NewArtifact { uri: uri.clone(), instance: id("i-1"), media_type: "text/plain".to_owned() };
    let refused = store.put_artifact(new, ArtifactBytes::Memory(b"all of it".to_vec())).await;
    assert!(matches!(refused, Err(StoreError::Database { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_folder_is_no_artifact() {
    let dir = tempfile::tempdir().unwrap();
    let (store, uri, _) = with_artifact(dir.path()).await;
    let new = NewArtifact { uri, instance: id("i-1"), media_type: "text/plain".to_owned() };
    let folder = std::fs::File::open(dir.path()).unwrap();
    let refused = store.put_artifact(new, ArtifactBytes::File(folder)).await;
    assert!(matches!(refused, Err(StoreError::Database { .. })));
    assert_eq!(std::fs::read_dir(dir.path().join("artifacts/drafts")).unwrap().count(), 0);
}
