//! `listen` and `emit`: what is consumed, in which order, and what comes of it.

mod support;

use std::sync::Arc;

use serde_json::{Value, json};
use support::{actor, definition, noon};
use workflow::capability::EffectivePolicy;
use workflow::engine::{self, Delivery, Incoming, Instance, Listener, Phase};
use workflow::event::Event;
use workflow::{CloudEvent, InstanceId, Recorded};

/// An instance that is offered events as a store would.
struct Listening {
    instance: Instance,
    history: Vec<Recorded>,
    sent: u32,
}

impl Listening {
    fn start(text: &str, input: Value) -> Self {
        let definition = definition(text);
        let policy = EffectivePolicy { echo: true, ..EffectivePolicy::default() };
        let id = InstanceId::new("l").unwrap();
        let (instance, history) = engine::start(&definition, id, input, actor("test"), policy, noon());
        Self { instance, history, sent: 0 }
    }

    fn event(&mut self, kind: &str, data: Value) -> CloudEvent {
        self.sent += 1;
        let id = self.sent.to_string();
        CloudEvent::new(json!({"specversion": "1.0", "id": id, "source": "/s", "type": kind, "data": data})).unwrap()
    }

    /// Offers an event to everybody who listens now.
    fn send(&mut self, kind: &str, data: Value) -> &mut Self {
        let event = self.event(kind, data);
        let offered = self.instance.listeners().into_iter();
        let offered = offered.filter(|listener| listener.types.is_empty() || listener.types.contains(&kind.to_owned()));
        let incoming = offered.map(|Listener { path, registered, .. }| {
            Incoming::Delivery(Delivery { path, registered, event: event.clone() })
        });
        let incoming = incoming.collect();
        self.history.extend(self.instance.take_in(incoming, noon()).unwrap());
        self.replays();
        self
    }

    /// Every prefix of the history folds into what was there then.
    fn replays(&self) {
        let definition: Arc<_> = self.instance.definition().clone();
        let again = Instance::fold(self.instance.id().clone(), definition, self.history.clone()).unwrap();
        assert_eq!(again, self.instance);
    }

    fn output(&self) -> Option<&Value> {
        self.instance.output()
    }
}

fn listen(to: &str) -> String {
    format!("do:\n- wait-for: {{ listen: {{ to: {to} }} }}\n")
}

#[test]
fn one_event_that_fits_ends_the_wait() {
    let mut waiting = Listening::start(&listen("{ one: { with: { type: a, data: '${ .n > 3 }' } } }"), json!({}));
    assert_eq!(waiting.instance.phase(), Phase::Waiting);
    assert_eq!(waiting.instance.listeners()[0].types, ["a"]);
    waiting.send("b", json!({"n": 9})).send("a", json!({"n": 1})).send("a", json!("no object"));
    assert_eq!(waiting.output(), None);
    waiting.send("a", json!({"n": 4}));
    assert_eq!(waiting.output(), Some(&json!([{"n": 4}])));
    assert!(waiting.instance.listeners().is_empty());
}

#[test]
fn attributes_are_compared_as_they_are_written() {
    for (with, fits) in [
        ("{ type: a, source: /s }", true),
        ("{ type: a, source: /other }", false),
        ("{ type: a, subject: x }", false),
        ("{ type: a, data: { n: 1 } }", true),
        ("{ type: a, data: { n: 2 } }", false),
        ("{ type: '${ startswith(\"a\") }' }", true),
        ("{ type: '${ \"a\" }' }", true),
        ("{ type: '${ \"b\" }' }", false),
        ("{ type: a, data: '${ .n == $input.n }' }", true),
        ("{ type: a, data: '${ .n == $context.n }' }", false),
        ("{ type: a, data: '${ error(\"broken\") }' }", false),
    ] {
        let mut waiting = Listening::start(&listen(&format!("{{ one: {{ with: {with} }} }}")), json!({"n": 1}));
        waiting.send("a", json!({"n": 1}));
        assert_eq!(waiting.output().is_some(), fits, "{with}");
    }
}

#[test]
fn all_waits_for_one_event_of_each_filter() {
    let mut waiting = Listening::start(&listen("{ all: [ { with: { type: a } }, { with: { type: b } } ] }"), json!({}));
    waiting.send("b", json!(1)).send("b", json!(2)).send("c", json!(3));
    assert_eq!(waiting.output(), None);
    waiting.send("a", json!(4));
    assert_eq!(waiting.output(), Some(&json!([1, 4])), "in the order of arrival");
}

#[test]
fn any_takes_the_first_and_without_filters_every_event() {
    let mut waiting = Listening::start(&listen("{ any: [ { with: { type: a } }, { with: { type: b } } ] }"), json!({}));
    waiting.send("c", json!(1)).send("b", json!(2));
    assert_eq!(waiting.output(), Some(&json!([2])));
    let mut waiting = Listening::start(&listen("{ any: [], until: '. | length > 2' }"), json!({}));
    assert!(waiting.instance.listeners()[0].types.is_empty());
    waiting.send("a", json!(1)).send("b", json!(2));
    assert_eq!(waiting.output(), None);
    waiting.send("c", json!(3));
    assert_eq!(waiting.output(), Some(&json!([1, 2, 3])));
}

#[test]
fn until_a_strategy_is_consumed_whose_events_are_not_given_out() {
    let to = "{ any: [ { with: { type: a } } ], until: { all: [ { with: { type: x } }, { with: { type: y } } ] } }";
    let mut waiting = Listening::start(&listen(to), json!({}));
    waiting.send("a", json!(1)).send("x", json!(2)).send("a", json!(3)).send("x", json!(4));
    assert_eq!(waiting.output(), None);
    waiting.send("y", json!(5));
    assert_eq!(waiting.output(), Some(&json!([1, 3])));
}

#[test]
fn an_until_that_fails_is_the_error_of_the_task() {
    let mut waiting = Listening::start(&listen("{ any: [], until: '.[0].a.b' }"), json!({}));
    waiting.send("a", json!("text"));
    let error = waiting.instance.error().unwrap();
    assert!(error.kind.ends_with("errors/expression"), "{error:?}");
    assert_eq!(error.instance.as_deref(), Some("/do/0/wait-for"));
}

#[test]
fn events_correlate_with_what_is_expected_or_with_the_first() {
    let expected =
        "{ one: { with: { type: a }, correlate: { order: { from: .data.order, expect: '${ $input.order }' } } } }";
    let mut waiting = Listening::start(&listen(expected), json!({"order": 7}));
    waiting.send("a", json!({"order": 6})).send("a", json!({})).send("a", json!({"order": 7}));
    assert_eq!(waiting.output(), Some(&json!([{"order": 7}])));
    let first = "{ all: [ { with: { type: a }, correlate: { order: { from: .data.order } } }, \
                 { with: { type: b }, correlate: { order: { from: .data.order } } } ] }";
    let mut waiting = Listening::start(&listen(first), json!({}));
    waiting.send("a", json!({"order": 1})).send("b", json!({"order": 2})).send("b", json!({"order": 1}));
    assert_eq!(waiting.output(), Some(&json!([{"order": 1}, {"order": 1}])));
}

#[test]
fn an_event_is_read_as_its_payload_its_envelope_or_raw() {
    for (read, expected) in [
        ("data", json!({"n": 1})),
        ("raw", json!({"n": 1})),
        ("envelope", json!({"specversion": "1.0", "id": "1", "source": "/s", "type": "a", "data": {"n": 1}})),
    ] {
        let text = format!("do:\n- w: {{ listen: {{ to: {{ one: {{ with: {{ type: a }} }} }}, read: {read} }} }}\n");
        let mut waiting = Listening::start(&text, json!({}));
        waiting.send("a", json!({"n": 1}));
        assert_eq!(waiting.output(), Some(&json!([expected])), "{read}");
    }
}

const FOREACH: &str = "
do:
- w:
    listen: { to: { any: [ { with: { type: a } } ], until: '. | length >= 3' } }
    foreach:
      item: event
      at: i
      do:
      - double: { set: { twice: '${ $event * 2 }', i: '${ $i }' } }
      output: { as: '${ .twice + $i }' }
      export: { as: '${ { sum: (($context.sum // 0) + $output) } }' }
    output: { as: '${ { each: ., sum: $context.sum } }' }
";

#[test]
fn tasks_run_for_each_event_in_its_order() {
    let mut waiting = Listening::start(FOREACH, json!({}));
    waiting.send("a", json!(10));
    let ended = waiting.history.iter().filter(|one| matches!(one.event, Event::IterationCompleted { .. })).count();
    assert_eq!(ended, 1, "an event is worked on when it comes");
    waiting.send("a", json!(20)).send("a", json!(30));
    assert_eq!(waiting.output(), Some(&json!({"each": [20, 41, 62], "sum": 123})));
}

#[test]
fn events_that_come_while_one_is_worked_on_wait_for_their_turn() {
    let text = FOREACH.replace("- double:", "- rest: { wait: PT1S, output: { as: '${ $event }' } }\n      - double:");
    let mut waiting = Listening::start(&text, json!({}));
    waiting.send("a", json!(1)).send("a", json!(2)).send("a", json!(3)).send("a", json!(4));
    let consumed = waiting.history.iter().filter(|one| matches!(one.event, Event::EventConsumed { .. })).count();
    assert_eq!(consumed, 3, "the fourth comes after the end");
    while let Some(wake) = waiting.instance.next_wake() {
        waiting.history.extend(waiting.instance.advance(Vec::new(), wake).unwrap());
    }
    waiting.replays();
    assert_eq!(waiting.output(), Some(&json!({"each": [2, 5, 8], "sum": 15})));
}

#[test]
fn a_listener_that_is_entered_again_gets_only_what_comes_after_that() {
    let text =
        "do:\n- each: { for: { in: '[1, 2]' }, do: [ { w: { listen: { to: { one: { with: { type: a } } } } } } ] }\n";
    let mut waiting = Listening::start(text, json!({}));
    let first = waiting.instance.listeners().remove(0);
    let deliver = |listener: &Listener, event: CloudEvent| {
        let Listener { path, registered, .. } = listener.clone();
        Incoming::Delivery(Delivery { path, registered, event })
    };
    // Both were on their way to the first wait: the second is for nobody.
    let (one, two) = (waiting.event("a", json!(1)), waiting.event("a", json!(2)));
    let incoming = vec![deliver(&first, one), deliver(&first, two)];
    waiting.history.extend(waiting.instance.take_in(incoming, noon()).unwrap());
    assert_eq!(waiting.output(), None);
    waiting.send("a", json!(3));
    assert_eq!(waiting.output(), Some(&json!([3])));
}

#[test]
fn a_listener_ends_with_the_timeout_of_its_task() {
    let text = "do:\n- w: { listen: { to: { one: { with: { type: a } } } }, timeout: { after: PT5S } }\n";
    let mut waiting = Listening::start(text, json!({}));
    let wake = waiting.instance.next_wake().unwrap();
    waiting.instance.advance(Vec::new(), wake).unwrap();
    assert!(waiting.instance.error().unwrap().kind.ends_with("errors/timeout"));
    assert!(waiting.instance.listeners().is_empty());
}

#[test]
fn an_emitted_event_is_a_fact_of_its_own_and_the_output() {
    let text = "do:\n- tell: { emit: { event: { with: { source: /me, type: told, data: { n: '${ .n }' } } } } }\n";
    let told = Listening::start(text, json!({"n": 5}));
    let emitted = told.history.iter().find_map(|one| match &one.event {
        Event::EventEmitted { event, .. } => Some(Value::from(event.clone())),
        _ => None,
    });
    assert_eq!(emitted.as_ref(), told.output());
    assert_eq!(emitted.unwrap()["data"], json!({"n": 5}));
    let wrong = Listening::start(&text.replace("source: /me", "source: /me, time: '${ \"noon\" }'"), json!({}));
    assert!(wrong.instance.error().unwrap().detail.as_ref().unwrap().contains("`time` is a point in time"));
}

#[test]
fn a_branch_hears_what_the_other_says_after_it_listens() {
    let text = "
do:
- both:
    fork:
      branches:
      - hear: { listen: { to: { one: { with: { type: told } } } } }
      - say: { emit: { event: { with: { source: /me, type: told, data: 1 } } } }
";
    let both = Listening::start(text, json!({}));
    let revision = |name: &str| both.history.iter().find(|one| one.event.name() == name).unwrap().revision;
    assert!(revision("ListenStarted") < revision("EventEmitted"), "it is the store's to deliver it then");
    assert_eq!(both.instance.listeners()[0].registered, revision("ListenStarted"));
}

#[test]
fn what_is_suspended_keeps_facts_and_starts_nothing() {
    let text = "do:\n- w: { listen: { to: { one: { with: { type: a } } } } }\n- rest: { wait: PT1S }\n";
    let mut waiting = Listening::start(text, json!({}));
    let by = || actor("cli:ann");
    let suspend = Event::InstanceSuspended { by: by(), reason: "look first".to_owned() };
    waiting.history.extend(waiting.instance.advance(vec![suspend.clone(), suspend], noon()).unwrap());
    assert_eq!(waiting.instance.phase(), Phase::Suspended);
    waiting.send("a", json!(1));
    assert_eq!(waiting.history.last().unwrap().event.name(), "EventConsumed");
    assert_eq!(waiting.instance.next_wake(), None);
    let resume = Event::InstanceResumed { by: by(), reason: "looked".to_owned() };
    waiting.history.extend(waiting.instance.advance(vec![resume.clone(), resume], noon()).unwrap());
    assert_eq!(waiting.history.last().unwrap().event.name(), "TimerStarted");
    waiting.replays();
}
