//! The export of the audit log.

use crate::house::House;

#[tokio::test]
async fn the_export_is_what_the_verifier_reads() {
    let house = House::new();
    let empty = house.get("/v1/audit").await;
    assert_eq!(empty.header("content-type"), "application/jsonl");
    let empty = empty.text().await;
    let verified = store::audit::Export::read(empty.as_bytes()).unwrap().verify(None).unwrap();
    assert_eq!(verified.leaves, 0);

    for name in ["r1", "r2", "r3"] {
        let id = house.start(name).await;
        house.work(&id).await;
    }
    let text = house.get("/v1/audit").await.text().await;
    let verified = store::audit::Export::read(text.as_bytes()).unwrap().verify(None).unwrap();
    assert_eq!(verified.leaves as usize, text.lines().count() - 1);
    assert!(verified.signed_by.is_some());
    let mut same = Vec::new();
    store::audit::export(house.store.as_ref(), &mut same).await.unwrap();
    assert_eq!(text.as_bytes(), same);

    let edited = text.replacen("token:local", "token:other", 1);
    store::audit::Export::read(edited.as_bytes()).unwrap().verify(None).unwrap_err();
}
