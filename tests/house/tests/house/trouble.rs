//! A registry that cannot say what it has: it is asked again, and nothing is sent twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fixtures::{Asked, Outcome, Trouble, What};

use crate::crash::side_by_side;
use crate::world::{Host, Stage};

const TROUBLES: [Trouble; 3] = [Trouble::Status(503), Trouble::CutOff, Trouble::Status(429)];

/// A release whose retries do not wait for a real registry's seconds.
fn stage() -> (Stage, Host) {
    let stage = Stage::unattended();
    let definitions = crate::world::root().join("definitions");
    let text = std::fs::read_to_string(definitions.join("rust-products.yaml")).unwrap();
    let quick = text.replace("delay: PT2S", "delay: PT0.1S");
    assert_ne!(quick, text);
    let folder = stage.path("own-definitions");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("rust-products.yaml"), quick).unwrap();
    stage.configure(|text| {
        let changed = text.replace(&format!("definitions = {definitions:?}"), &format!("definitions = {folder:?}"));
        assert_ne!(changed, text);
        changed
    });
    let host = stage.host();
    (stage, host)
}

/// What reached the registry to change it; a refused one counts.
fn sends(stage: &Stage) -> Vec<String> {
    let log = stage.demo.registry().log();
    log.iter().map(|entry| format!("{} {}", entry.name, entry.version)).collect()
}

#[test]
fn a_registry_that_gives_no_answer_at_any_question_is_asked_again_and_nothing_is_sent_twice() {
    // The first question about each crate meets trouble, and the fifth; then the second and the sixth,
    // and so on: nobody asks for one more than eight times.
    let met = Mutex::new(Vec::new());
    side_by_side(4, |index| {
        let nth = index + 1;
        let (stage, host) = stage();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        stage.demo.registry().in_trouble(move |asked: &Asked| {
            let here = asked.what == What::Looks && [nth, nth + 4].contains(&asked.nth);
            here.then(|| TROUBLES[(counted.fetch_add(1, Ordering::SeqCst) + nth) % TROUBLES.len()])
        });
        host.start_release(&stage).ended_with(0);
        assert_eq!(stage.published(), Stage::all_crates(), "trouble at question {nth}");
        assert_eq!(stage.tags().len(), 1);
        met.lock().unwrap().push((nth, count.load(Ordering::SeqCst)));
    });
    let mut met = met.into_inner().unwrap();
    met.sort_unstable();
    println!("{met:?}");
    // Each of the three crates, and those that others need more often.
    assert!(met.iter().all(|(_, count)| *count >= 3) && met[0].1 > 3, "{met:?}");
}

#[test]
fn an_upload_whose_answer_is_lost_is_looked_up_and_not_sent_again() {
    for trouble in [Trouble::Status(503), Trouble::CutOff] {
        let (stage, host) = stage();
        stage.demo.registry().in_trouble(move |asked: &Asked| (asked.what == What::Uploaded).then_some(trouble));
        host.start_release(&stage).ended_with(0);
        assert_eq!(stage.published(), Stage::all_crates(), "{trouble:?}");
    }
}

#[test]
fn a_registry_that_stays_away_gets_nothing_and_the_release_goes_on_when_it_is_back() {
    let (stage, host) = stage();
    // The first crate is sent; then nobody can say anything of the second.
    stage.demo.registry().in_trouble(|asked: &Asked| {
        (asked.what == What::Looks && asked.path.ends_with("demo-release-notes")).then_some(Trouble::Status(503))
    });
    host.start_release(&stage).ended_with(1).says("503");
    assert_eq!(sends(&stage), Stage::all_crates()[..1]);
    stage.demo.registry().out_of_trouble();
    host.start_release(&stage).ended_with(0);
    assert_eq!(stage.published(), Stage::all_crates());
    assert!(stage.demo.registry().log().iter().all(|entry| entry.outcome == Outcome::Accepted));
}
