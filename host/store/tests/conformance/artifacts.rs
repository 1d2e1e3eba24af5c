//! Files by digest, under names.

use std::io::Write as _;

use store::{ArtifactBytes, NewArtifact, StoreError};
use workflow::Digest;

use crate::House;
use crate::fixtures::{id, new_instance};

crate::on_every_store!(
    an_artifact_can_be_read_back_whole_and_in_parts,
    the_same_bytes_again_are_a_success_and_others_are_not,
    a_file_is_stored_from_its_start,
    artifacts_are_listed_by_instance,
    an_artifact_of_no_instance_is_refused,
);

fn named(name: &str) -> NewArtifact {
    NewArtifact {
        uri: format!("artifact://i-1/{name}").parse().unwrap(),
        instance: id("i-1"),
        media_type: "text/plain".to_owned(),
    }
}

fn bytes(text: &str) -> ArtifactBytes {
    ArtifactBytes::Memory(text.as_bytes().to_vec())
}

async fn an_artifact_can_be_read_back_whole_and_in_parts(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let artifact = house.store.put_artifact(named("build/log"), bytes("0123456789")).await.unwrap();
    assert_eq!((artifact.digest.clone(), artifact.size_bytes), (Digest::of(b"0123456789"), 10));
    let row = house.store.artifact(&artifact.uri).await.unwrap().unwrap();
    assert_eq!((row.artifact, row.media_type.as_str()), (artifact.clone(), "text/plain"));
    for (offset, length, expected) in
        [(0, 10, "0123456789"), (0, 99, "0123456789"), (3, 4, "3456"), (8, 99, "89"), (10, 1, ""), (99, 9, "")]
    {
        let read = house.store.read_artifact(&artifact.uri, offset, length).await.unwrap();
        assert_eq!(read, expected.as_bytes(), "{offset} {length}");
    }
    let missing = house.store.read_artifact(&named("build/other").uri, 0, 1).await;
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    assert_eq!(house.store.artifact(&named("build/other").uri).await.unwrap(), None);
}

async fn the_same_bytes_again_are_a_success_and_others_are_not(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let first = house.store.put_artifact(named("build/log"), bytes("a")).await.unwrap();
    assert_eq!(house.store.put_artifact(named("build/log"), bytes("a")).await.unwrap(), first);
    let refused = house.store.put_artifact(named("build/log"), bytes("b")).await.unwrap_err();
    assert!(matches!(refused, StoreError::ArtifactDiffers { .. }), "{refused}");
    assert_eq!(house.store.read_artifact(&first.uri, 0, 9).await.unwrap(), b"a");
    let same_bytes = house.store.put_artifact(named("build/copy"), bytes("a")).await.unwrap();
    assert_eq!(same_bytes.digest, first.digest);
}

async fn a_file_is_stored_from_its_start(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![7; 700_000]).unwrap();
    let artifact = house.store.put_artifact(named("build/crate"), ArtifactBytes::File(file)).await.unwrap();
    assert_eq!((artifact.size_bytes, artifact.digest), (700_000, Digest::of(&vec![7; 700_000])));
    assert_eq!(house.store.read_artifact(&artifact.uri, 699_999, 9).await.unwrap(), [7]);
}

async fn artifacts_are_listed_by_instance(house: House) {
    for name in ["i-1", "i-2"] {
        house.store.start_instance(new_instance(name)).await.unwrap();
    }
    for name in ["b/two", "a/one"] {
        house.store.put_artifact(named(name), bytes(name)).await.unwrap();
    }
    let rows = house.store.artifacts(&id("i-1")).await.unwrap();
    let names: Vec<_> = rows.iter().map(|row| row.artifact.uri.as_str()).collect();
    assert_eq!(names, ["artifact://i-1/a/one", "artifact://i-1/b/two"]);
    assert_eq!(house.store.artifacts(&id("i-2")).await.unwrap(), []);
}

async fn an_artifact_of_no_instance_is_refused(house: House) {
    let refused = house.store.put_artifact(named("build/log"), bytes("a")).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }));
}
