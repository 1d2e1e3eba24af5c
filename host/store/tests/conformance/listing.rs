//! Lists of instances, newest first.

use store::{InstanceFilter, NewInstance, Phase};

use crate::House;
use crate::fixtures::{COMPLETED, id, new_instance};

crate::on_every_store!(instances_come_newest_first_in_pages, instances_can_be_filtered);

async fn names(house: &House, filter: InstanceFilter) -> Vec<String> {
    let rows = house.store.instances(filter).await.unwrap();
    rows.into_iter().map(|row| String::from(row.id)).collect()
}

async fn instances_come_newest_first_in_pages(house: House) {
    // Ids that do not sort in the order of creation.
    for name in ["e", "a", "d", "b", "c"] {
        house.store.start_instance(new_instance(name)).await.unwrap();
    }
    let page = |before: Option<&str>| InstanceFilter { limit: 2, before: before.map(id), ..InstanceFilter::default() };
    assert_eq!(names(&house, page(None)).await, ["c", "b"]);
    assert_eq!(names(&house, page(Some("b"))).await, ["d", "a"]);
    assert_eq!(names(&house, page(Some("a"))).await, ["e"]);
    assert!(names(&house, page(Some("e"))).await.is_empty());
    assert!(names(&house, page(Some("unknown"))).await.is_empty());
    assert_eq!(names(&house, InstanceFilter::default()).await.len(), 5);
}

async fn instances_can_be_filtered(house: House) {
    let release = |name: &str| NewInstance { release_id: Some(format!("r-{name}")), ..new_instance(name) };
    let ended = |new: NewInstance| NewInstance { projection: COMPLETED, ..new };
    for new in [new_instance("a"), release("b"), ended(release("c")), ended(new_instance("d"))] {
        house.store.start_instance(new).await.unwrap();
    }
    let filter = InstanceFilter::default;
    assert_eq!(names(&house, InstanceFilter { releases_only: true, ..filter() }).await, ["c", "b"]);
    assert_eq!(names(&house, InstanceFilter { phase: Some(Phase::Completed), ..filter() }).await, ["d", "c"]);
    assert_eq!(names(&house, InstanceFilter { release_id: Some("r-b".to_owned()), ..filter() }).await, ["b"]);
}
