//! The log of the whole store, and what verification finds.

use serde_json::{Value, json};
use store::audit::{AuditProblem, Export, ExportError, ORIGIN, export, verify};
use store::{AuditLeaf, Checkpoint};

use crate::House;
use crate::fixtures::{RUNNING, append, attempt_completed, attempt_started, claim, new_instance, task_started};

crate::on_every_store!(
    an_untouched_log_verifies,
    every_edit_of_every_field_is_found,
    every_removal_is_found,
    every_insertion_is_found,
    every_swap_is_found,
    every_truncation_is_found,
    a_log_made_anew_is_found,
    a_changed_checkpoint_is_found,
    an_export_verifies_offline,
    every_changed_byte_of_an_export_is_found,
    an_empty_store_has_an_empty_log,
);

/// 30 leaves of four instances.
async fn log(house: &House) -> (Vec<AuditLeaf>, Checkpoint) {
    let leases = claim(&*house.store, "host-a", 0).await;
    for name in ["i-1", "i-2", "i-3", "i-4"] {
        house.store.start_instance(new_instance(name)).await.unwrap();
    }
    for revision in [1, 3, 5] {
        for name in ["i-1", "i-2", "i-3", "i-4"] {
            let events = match name {
                "i-1" => vec![attempt_started("a", revision as u32), attempt_completed("a", revision as u32)],
                _ => vec![task_started("a"), task_started("b")],
            };
            append(&*house.store, &leases, name, revision, events, RUNNING).await.unwrap();
        }
    }
    append(&*house.store, &leases, "i-2", 7, vec![task_started("c"), task_started("d")], RUNNING).await.unwrap();
    let leaves = house.store.audit(0, 100).await.unwrap();
    assert_eq!(leaves.len(), 30);
    (leaves, house.store.checkpoint().await.unwrap().unwrap())
}

fn problem(leaves: Vec<AuditLeaf>, checkpoint: &Checkpoint) -> Option<AuditProblem> {
    verify(leaves.into_iter(), Some(checkpoint), Some(&checkpoint.key)).err()
}

async fn an_untouched_log_verifies(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    let verified = verify(leaves.clone().into_iter(), Some(&checkpoint), Some(&checkpoint.key)).unwrap();
    assert_eq!((verified.leaves, &verified.hash), (30, &checkpoint.hash));
    assert_eq!(verified.signed_by, Some(checkpoint.key));
    assert_eq!(verify(leaves.clone().into_iter(), None, None).unwrap().signed_by, None);
    assert_eq!(house.store.audit(7, 2).await.unwrap(), leaves[7..9]);
    assert_eq!(house.store.audit(30, 2).await.unwrap(), []);
}

/// Every copy of a JSON value with one thing changed: each scalar, each key, one member more or less.
fn changed(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(members) => {
            let mut all = Vec::new();
            for (key, member) in members {
                for inner in changed(member) {
                    let mut copy = members.clone();
                    copy.insert(key.clone(), inner);
                    all.push(copy);
                }
                let mut without = members.clone();
                without.shift_remove(key);
                all.push(without.clone());
                without.insert(format!("{key}x"), member.clone());
                all.push(without);
            }
            let mut more = members.clone();
            more.insert("added".to_owned(), Value::Null);
            all.push(more);
            all.into_iter().map(Value::Object).collect()
        }
        Value::Array(items) => {
            let mut all = vec![[items.as_slice(), &[Value::Null]].concat()];
            for (index, item) in items.iter().enumerate() {
                for inner in changed(item) {
                    let mut copy = items.clone();
                    copy[index] = inner;
                    all.push(copy);
                }
                let mut without = items.clone();
                without.remove(index);
                all.push(without);
            }
            all.into_iter().map(Value::Array).collect()
        }
        Value::String(text) => vec![json!(format!("{text}x")), json!(text.to_uppercase() + " "), Value::Null],
        Value::Number(number) => vec![json!(number.as_f64().unwrap() + 0.5), json!(number.to_string())],
        Value::Bool(yes) => vec![json!(!yes)],
        Value::Null => vec![json!(0)],
    }
}

async fn every_edit_of_every_field_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    let mut edits = 0;
    let mut check = |index: usize, edit: &dyn Fn(&mut AuditLeaf)| {
        let mut copy = leaves.clone();
        edit(&mut copy[index]);
        let found = problem(copy, &checkpoint).unwrap_or_else(|| panic!("an edit of leaf {index} passes"));
        edits += 1;
        found
    };
    for (index, leaf) in leaves.iter().enumerate() {
        let edited = AuditProblem::Edited { index: index as u64 };
        for event in changed(&leaf.event) {
            assert_eq!(check(index, &|leaf| leaf.event = event.clone()), edited);
        }
        assert_eq!(check(index, &|leaf| leaf.instance = "i-9".parse().unwrap()), edited);
        assert_eq!(check(index, &|leaf| leaf.revision += 1), edited);
        assert_eq!(check(index, &|leaf| leaf.at += jiff::SignedDuration::from_nanos(1)), edited);
        assert_eq!(check(index, &|leaf| leaf.hash = "0".repeat(64)), edited);
        let found = index as u64 + 1;
        assert_eq!(check(index, &|leaf| leaf.index += 1), AuditProblem::Missing { index: index as u64, found });
    }
    assert!(edits > 500, "{edits} edits tried");
}

async fn every_removal_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    for index in 0..leaves.len() - 1 {
        let mut copy = leaves.clone();
        copy.remove(index);
        let expected = AuditProblem::Missing { index: index as u64, found: index as u64 + 1 };
        assert_eq!(problem(copy, &checkpoint), Some(expected));
    }
    // The last one is a truncation; and numbers made to fit do not help.
    for index in 0..leaves.len() - 1 {
        let mut copy = leaves.clone();
        copy.remove(index);
        copy[index..].iter_mut().for_each(|leaf| leaf.index -= 1);
        assert_eq!(problem(copy, &checkpoint), Some(AuditProblem::Edited { index: index as u64 }));
    }
}

async fn every_insertion_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    for index in 1..leaves.len() {
        let mut copy = leaves.clone();
        copy.insert(index, leaves[index - 1].clone());
        let expected = AuditProblem::Inserted { index: index as u64, found: index as u64 - 1 };
        assert_eq!(problem(copy, &checkpoint), Some(expected));
    }
    let mut longer = leaves.clone();
    let mut extra = AuditLeaf { index: 30, ..leaves[0].clone() };
    extra.hash = extra.hash_after(&leaves[29].hash);
    longer.push(extra);
    assert_eq!(problem(longer, &checkpoint), Some(AuditProblem::Unsigned { signed: 30 }));
}

async fn every_swap_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    for a in 0..leaves.len() {
        for b in a + 1..leaves.len() {
            let mut copy = leaves.clone();
            copy.swap(a, b);
            let expected = AuditProblem::Missing { index: a as u64, found: b as u64 };
            assert_eq!(problem(copy.clone(), &checkpoint), Some(expected));
            (copy[a].index, copy[b].index) = (a as u64, b as u64);
            assert_eq!(problem(copy, &checkpoint), Some(AuditProblem::Edited { index: a as u64 }));
        }
    }
}

async fn every_truncation_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    for length in 0..leaves.len() {
        let expected = AuditProblem::Truncated { found: length as u64, signed: 30 };
        assert_eq!(problem(leaves[..length].to_vec(), &checkpoint), Some(expected));
    }
}

async fn a_log_made_anew_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    for edited in 0..leaves.len() {
        let mut copy = leaves.clone();
        copy[edited].event = json!({ "type": "TaskSkipped", "path": "/do/0/a" });
        let mut previous = if edited == 0 { ORIGIN.to_owned() } else { copy[edited - 1].hash.clone() };
        for leaf in &mut copy[edited..] {
            leaf.hash = leaf.hash_after(&previous);
            previous.clone_from(&leaf.hash);
        }
        assert_eq!(problem(copy.clone(), &checkpoint), Some(AuditProblem::Replaced { index: 29 }));
        // Only the signature tells it: the chain alone is whole again.
        assert!(verify(copy.into_iter(), None, None).is_ok());
    }
}

async fn a_changed_checkpoint_is_found(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    let wrong = |checkpoint: Checkpoint, expected: Option<&str>| {
        verify(leaves.clone().into_iter(), Some(&checkpoint), expected).unwrap_err()
    };
    let shorter = Checkpoint { size: 29, hash: leaves[28].hash.clone(), ..checkpoint.clone() };
    assert_eq!(wrong(shorter, None), AuditProblem::WrongSignature);
    let signature = checkpoint.signature.replacen(|digit: char| digit != '0', "0", 1);
    assert_eq!(wrong(Checkpoint { signature, ..checkpoint.clone() }, None), AuditProblem::WrongSignature);
    assert_eq!(wrong(Checkpoint { key: "zz".to_owned(), ..checkpoint.clone() }, None), AuditProblem::WrongSignature);

    // Somebody else's key signs the same log well; only one who knows the key sees it.
    let other = store::audit::AuditKey::from_seed([9; 32]).checkpoint(30, &checkpoint.hash);
    assert!(verify(leaves.clone().into_iter(), Some(&other), None).is_ok());
    let found = wrong(other.clone(), Some(&checkpoint.key));
    assert_eq!(found, AuditProblem::WrongKey { expected: checkpoint.key.clone(), found: other.key });
    let found = verify(leaves.clone().into_iter(), None, Some(&checkpoint.key)).unwrap_err();
    assert_eq!(found, AuditProblem::NoCheckpoint { expected: checkpoint.key });
}

async fn exported(house: &House) -> Vec<u8> {
    let mut file = Vec::new();
    export(&*house.store, &mut file).await.unwrap();
    file
}

async fn an_export_verifies_offline(house: House) {
    let (leaves, checkpoint) = log(&house).await;
    let file = exported(&house).await;
    let read: Result<Vec<_>, _> = Export::read(file.as_slice()).unwrap().collect();
    assert_eq!(read.unwrap(), leaves);
    let verified = Export::read(file.as_slice()).unwrap().verify(Some(&checkpoint.key)).unwrap();
    assert_eq!(verified.leaves, 30);
    let lines: Vec<_> = file.split_inclusive(|byte| *byte == b'\n').collect();
    for missing in 1..lines.len() {
        let mut copy = lines.clone();
        copy.remove(missing);
        let refused = Export::read(copy.concat().as_slice()).unwrap().verify(None);
        assert!(matches!(refused, Err(ExportError::Problem(_))), "without line {missing}");
    }
    assert!(matches!(Export::read(&b"{}\n"[..]), Err(ExportError::NoHeader)));
    assert!(matches!(Export::read(&b""[..]), Err(ExportError::NoHeader)));
}

async fn every_changed_byte_of_an_export_is_found(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, "i-1", 1, vec![attempt_started("a", 1)], RUNNING).await.unwrap();
    let file = exported(&house).await;
    let key = house.store.checkpoint().await.unwrap().unwrap().key;
    let accepted = |bytes: &[u8]| Export::read(bytes).is_ok_and(|export| export.verify(Some(&key)).is_ok());
    assert!(accepted(&file));
    let header = file.iter().position(|byte| *byte == b'\n').unwrap();
    for index in 0..file.len() - 1 {
        let mut copy = file.clone();
        copy[index] ^= 1;
        assert!(!accepted(&copy), "byte {index}");
        // A space more changes no JSON value, and is found all the same.
        if index > header + 1 {
            let mut copy = file.clone();
            copy.insert(index, b' ');
            assert!(!accepted(&copy), "a space before byte {index}");
        }
    }
}

async fn an_empty_store_has_an_empty_log(house: House) {
    assert_eq!(house.store.checkpoint().await.unwrap(), None);
    assert_eq!(house.store.audit(0, 10).await.unwrap(), []);
    let verified = Export::read(exported(&house).await.as_slice()).unwrap().verify(None).unwrap();
    assert_eq!((verified.leaves, verified.hash.as_str()), (0, ORIGIN));
}
