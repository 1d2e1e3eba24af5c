//! A definition is compiled once a process, by its digest, and is the same from the store.

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use store::{Alongside, MemoryStore, NewInstance, Store};
use worker::{Definitions, projection};
use workflow::capability::EffectivePolicy;
use workflow::definition::{self, Definition, Reading};
use workflow::documents::Documents;
use workflow::engine;
use workflow::{Actor, Digest, InstanceId};

/// Two hundred tasks with an expression each, and a function from a document.
fn large() -> Definition {
    let tasks: String =
        (0..200).map(|n| format!("- t{n}: {{ set: {{ n: '${{ [.list[]? | {n} + .] | add }}' }} }}\n")).collect();
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: n, name: large, version: '1.0.0' }}\ndo:\n{tasks}- last: {{ call: ./last.yaml }}\n"
    );
    let mut documents = Documents::default();
    let Reading::Wanting(wanted) = definition::read(&text, "large.yaml", &documents) else { panic!("it wants one") };
    wanted.into_iter().for_each(|name| documents.keep(name, Ok("set: { last: true }".to_owned())));
    match definition::read(&text, "large.yaml", &documents) {
        Reading::Definition(definition) => *definition,
        other => panic!("{other:?}"),
    }
}

async fn started(definition: &Arc<Definition>) -> MemoryStore {
    let store = MemoryStore::new();
    let id = InstanceId::new("i").unwrap();
    let now = "2026-06-07T18:00:00Z".parse().unwrap();
    let by = Actor::new("test").unwrap();
    let (instance, events) = engine::start(definition, id.clone(), json!({}), by, EffectivePolicy::default(), now);
    let new = NewInstance {
        id,
        idempotency_key: None,
        request_digest: Digest::of(b"request"),
        release_id: None,
        definition: definition.digest.clone(),
        definition_name: definition.full_name(),
        definition_source: definition.source.clone(),
        definitions: Vec::new(),
        parent: None,
        events,
        projection: projection(&instance),
        listeners: Vec::new(),
        also: Alongside::default(),
    };
    store.start_instance(new).await.unwrap();
    store
}

#[tokio::test]
async fn a_definition_is_compiled_once_and_needs_its_documents_never_again() {
    let definition = Arc::new(large());
    let store = started(&definition).await;
    // Another host: it has the store and nothing else.
    let definitions = Definitions::default();
    let began = Instant::now();
    let first = definitions.get(&store, &definition.digest).await.unwrap();
    let compiled = began.elapsed();
    let began = Instant::now();
    let again = definitions.get(&store, &definition.digest).await.unwrap();
    let found = began.elapsed();
    println!("200 expressions: {compiled:?} the first time, {found:?} after that");
    assert!(Arc::ptr_eq(&first, &again), "it is the same one, not read again");
    assert_eq!((&first.digest, &first.documents), (&definition.digest, &definition.documents));
    assert_eq!(first.documents.keys().collect::<Vec<_>>(), ["last.yaml"]);
}
