//! Human tasks, decisions and messages.

use std::collections::BTreeSet;

use store::{Change, DecideError, HumanTask, InboxItem, Message, StoreError, human_task_id, rebuild_check, shard_of};
use workflow::approval::RefusedDecision;
use workflow::{Digest, Event, TaskPath};

use crate::House;
use crate::fixtures::{
    ALL_SHARDS, COMPLETED, RUNNING, WAITING, append, append_taking, at, claim, completed, decision, id, new_instance,
    path, question, question_asked,
};

crate::on_every_store!(
    a_question_becomes_an_open_human_task,
    a_decision_waits_for_the_owner_until_it_is_taken_up,
    a_decision_on_something_else_is_refused,
    only_the_first_decision_counts,
    two_decisions_at_once_are_one,
    an_answer_without_a_person_closes_the_task,
    a_question_that_is_asked_again_is_open_again,
    an_instance_that_ends_closes_its_tasks_and_takes_no_messages,
    a_task_that_ends_from_outside_closes_what_was_asked_inside_it,
    a_message_makes_an_instance_ready,
    tasks_are_listed_oldest_first,
);

const PROMPT: &str = "publish 1.2.3?";

/// An instance that waits for an answer at `approve`; gives its task.
async fn asking(house: &House, name: &str) -> HumanTask {
    let mut new = new_instance(name);
    new.release_id = Some(format!("release-of-{name}"));
    house.store.start_instance(new).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    append(&*house.store, &leases, name, 1, vec![question_asked("approve", PROMPT)], WAITING).await.unwrap();
    let task = house.store.human_task(&human_task_id(&id(name), &path("approve"))).await.unwrap();
    task.expect("the question is a human task")
}

async fn a_question_becomes_an_open_human_task(house: House) {
    let task = asking(&house, "i-1").await;
    assert_eq!((task.instance.as_str(), task.path.task_name(), task.asked_at), ("i-1", "approve", at(1)));
    assert_eq!(task.question, question(PROMPT));
    assert_eq!(task.release_id.as_deref(), Some("release-of-i-1"));
    assert!(task.is_open());
    assert_eq!(house.store.human_tasks(None, true).await.unwrap(), [task]);
    assert_eq!(house.store.human_tasks(Some(&id("i-2")), true).await.unwrap(), []);
    assert_eq!(house.store.human_task("no.such").await.unwrap(), None);
}

async fn a_decision_waits_for_the_owner_until_it_is_taken_up(house: House) {
    let task = asking(&house, "i-1").await;
    assert!(house.store.ready(&ALL_SHARDS, at(2)).await.unwrap().is_empty());
    house.store.decide(&task.id, decision(PROMPT, "approved")).await.unwrap();

    let told = Message::Decided { path: path("approve"), decision: decision(PROMPT, "approved") };
    for _ in 0..2 {
        let inbox = house.store.inbox(&id("i-1")).await.unwrap();
        assert_eq!(inbox.iter().map(|item| &item.message).collect::<Vec<_>>(), [&told]);
        assert_eq!(house.store.ready(&ALL_SHARDS, at(2)).await.unwrap(), [id("i-1")]);
    }
    assert_eq!(house.store.human_tasks(None, true).await.unwrap(), []);
    rebuild_check(&*house.store, None).await.unwrap();

    let leases = claim(&*house.store, "host-a", 3).await;
    let taken = house.store.inbox(&id("i-1")).await.unwrap().iter().map(|item| item.id).collect();
    let answered = Event::QuestionAnswered { path: path("approve"), decision: decision(PROMPT, "approved") };
    append_taking(&*house.store, &leases, "i-1", 2, vec![answered], WAITING, taken).await.unwrap();
    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap(), []);
    assert!(house.store.ready(&ALL_SHARDS, at(2)).await.unwrap().is_empty());
    let task = house.store.human_task(&task.id).await.unwrap().unwrap();
    assert_eq!((task.decision, task.closed_at), (Some(decision(PROMPT, "approved")), Some(at(2))));
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn a_decision_on_something_else_is_refused(house: House) {
    let task = asking(&house, "i-1").await;
    let stale = workflow::event::Decision { subject_digest: Digest::of(b"old"), ..decision(PROMPT, "approved") };
    let refused = house.store.decide(&task.id, stale).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(RefusedDecision::Stale { .. })));
    let refused = house.store.decide(&task.id, decision(PROMPT, "maybe")).await.unwrap_err();
    assert!(matches!(refused, DecideError::Refused(RefusedDecision::NotAnOption { .. })));
    let refused = house.store.decide("no.such", decision(PROMPT, "approved")).await.unwrap_err();
    assert!(matches!(refused, DecideError::Store(StoreError::NotFound { .. })));
    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap(), []);
    assert!(house.store.human_task(&task.id).await.unwrap().unwrap().is_open());
}

async fn only_the_first_decision_counts(house: House) {
    let task = asking(&house, "i-1").await;
    house.store.decide(&task.id, decision(PROMPT, "rejected")).await.unwrap();
    let refused = house.store.decide(&task.id, decision(PROMPT, "approved")).await.unwrap_err();
    assert!(matches!(&refused, DecideError::Decided { value, .. } if value == "rejected"), "{refused}");
    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap().len(), 1);
}

async fn two_decisions_at_once_are_one(house: House) {
    let task = asking(&house, "i-1").await;
    let other = house.another_host().await;
    let (a, b) = tokio::join!(
        house.store.decide(&task.id, decision(PROMPT, "approved")),
        other.decide(&task.id, decision(PROMPT, "rejected")),
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap().len(), 1);
}

async fn an_answer_without_a_person_closes_the_task(house: House) {
    let task = asking(&house, "i-1").await;
    let leases = claim(&*house.store, "host-a", 3).await;
    let by_default = workflow::event::Decision { comment: None, ..decision(PROMPT, "rejected") };
    let answered = Event::QuestionAnswered { path: path("approve"), decision: by_default.clone() };
    append(&*house.store, &leases, "i-1", 2, vec![answered], RUNNING).await.unwrap();
    let task = house.store.human_task(&task.id).await.unwrap().unwrap();
    assert_eq!(task.decision, Some(by_default));
    let late = house.store.decide(&task.id, decision(PROMPT, "approved")).await.unwrap_err();
    assert!(matches!(late, DecideError::Decided { .. }));
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn a_question_that_is_asked_again_is_open_again(house: House) {
    let task = asking(&house, "i-1").await;
    let leases = claim(&*house.store, "host-a", 3).await;
    let answered = Event::QuestionAnswered { path: path("approve"), decision: decision(PROMPT, "rejected") };
    let again = "publish 1.2.4?";
    append(&*house.store, &leases, "i-1", 2, vec![answered, question_asked("approve", again)], WAITING).await.unwrap();
    let now = house.store.human_task(&task.id).await.unwrap().unwrap();
    assert!(now.is_open());
    assert_eq!(now.question, question(again));
    let stale = house.store.decide(&task.id, decision(PROMPT, "approved")).await.unwrap_err();
    assert!(matches!(stale, DecideError::Refused(RefusedDecision::Stale { .. })));
    house.store.decide(&task.id, decision(again, "approved")).await.unwrap();
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn an_instance_that_ends_closes_its_tasks_and_takes_no_messages(house: House) {
    let task = asking(&house, "i-1").await;
    let cancel = || Message::Cancel { by: "cli:alice".parse().unwrap(), reason: "wrong version".to_owned() };
    house.store.send(&id("i-1"), cancel()).await.unwrap();
    let leases = claim(&*house.store, "host-a", 3).await;
    append(&*house.store, &leases, "i-1", 2, vec![completed()], COMPLETED).await.unwrap();

    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap(), []);
    assert_eq!(house.store.human_tasks(None, true).await.unwrap(), []);
    assert_eq!(house.store.human_task(&task.id).await.unwrap().unwrap().closed_at, Some(at(2)));
    let refused = house.store.send(&id("i-1"), cancel()).await.unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { .. }));
    let refused = house.store.decide(&task.id, decision(PROMPT, "approved")).await.unwrap_err();
    assert!(matches!(refused, DecideError::Store(StoreError::NotFound { .. })));
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn a_task_that_ends_from_outside_closes_what_was_asked_inside_it(house: House) {
    let ends: [fn(TaskPath) -> Event; 2] = [
        |path| Event::TaskCancelled { path },
        |path| Event::TaskFaulted { path, error: workflow::effect::StandardError::Timeout.fault("too late") },
    ];
    let leases = claim(&*house.store, "host-a", 3).await;
    for (number, end) in ends.into_iter().enumerate() {
        let instance = format!("i-{number}");
        house.store.start_instance(new_instance(&instance)).await.unwrap();
        let branch = path("race").child("fork/branches", 0, "person[1]");
        let asked = |path: &TaskPath| Event::QuestionAsked { path: path.clone(), question: Box::new(question(PROMPT)) };
        let inside = [branch.clone(), branch.child("do", 0, "ask"), branch.iteration(3).child("do", 0, "ask")];
        let beside = [path("race"), path("race").child("fork/branches", 0, "person[1]s"), path("race-2")];
        let questions: Vec<Event> = inside.iter().chain(&beside).map(asked).collect();
        let revision = 1 + questions.len() as u64;
        append(&*house.store, &leases, &instance, 1, questions, WAITING).await.unwrap();
        append(&*house.store, &leases, &instance, revision, vec![end(branch)], WAITING).await.unwrap();

        let open = house.store.human_tasks(None, true).await.unwrap();
        let open: BTreeSet<TaskPath> =
            open.into_iter().filter(|task| task.instance == id(&instance)).map(|task| task.path).collect();
        assert_eq!(open, BTreeSet::from(beside));
    }
    rebuild_check(&*house.store, None).await.unwrap();
}

async fn a_message_makes_an_instance_ready(house: House) {
    let mut waiting = new_instance("i-1");
    waiting.projection = WAITING;
    house.store.start_instance(waiting).await.unwrap();
    let mut changes = house.store.changes();
    let cancel = Message::Cancel { by: "cli:alice".parse().unwrap(), reason: "wrong version".to_owned() };
    house.store.send(&id("i-1"), cancel.clone()).await.unwrap();

    let shard = shard_of(&id("i-1"));
    assert_eq!(changes.recv().await.unwrap(), Change::Inbox { instance: id("i-1"), shard });
    assert_eq!(house.store.ready(&[shard], at(0)).await.unwrap(), [id("i-1")]);
    let expected = InboxItem { id: 1, instance: id("i-1"), message: cancel };
    assert_eq!(house.store.inbox(&id("i-1")).await.unwrap(), [expected]);
}

async fn tasks_are_listed_oldest_first(house: House) {
    house.store.start_instance(new_instance("i-1")).await.unwrap();
    let leases = claim(&*house.store, "host-a", 0).await;
    for (revision, task) in [(1, "zeta"), (2, "alpha"), (3, "middle")] {
        append(&*house.store, &leases, "i-1", revision, vec![question_asked(task, PROMPT)], WAITING).await.unwrap();
    }
    let tasks = house.store.human_tasks(Some(&id("i-1")), true).await.unwrap();
    assert_eq!(tasks.iter().map(|task| task.path.task_name()).collect::<Vec<_>>(), ["zeta", "alpha", "middle"]);
}
