//! `call: asyncapi`: what is read, what is intended, and what is done with the messages.

mod support;

use serde_json::{Value, json};
use support::{Run, definition, fault};
use workflow::asyncapi::{AsyncApiCall, Collector, Exchange, Target};
use workflow::calls::CallRequest;
use workflow::definition::parse;
use workflow::effect::{Effect, EffectClass, StandardError};
use workflow::engine::Instance;

const DOCUMENT: &str = "document: { endpoint: https://a.example/async.yaml }";

fn task(with: &str) -> String {
    format!("do: [{{ t: {{ call: asyncapi, with: {{ {DOCUMENT}, {with} }} }} }}]")
}

fn intended(run: &Run) -> (AsyncApiCall, EffectClass) {
    let open = run.instance.open_attempts().next().expect("the call is open");
    let Effect::Call { call, class } = open.effect else { panic!("{:?}", open.effect) };
    // As a history gives it back.
    let text = serde_json::to_string(call).unwrap();
    let read: workflow::calls::Call = serde_json::from_str(&text).unwrap();
    assert_eq!(read, **call);
    match read.request {
        CallRequest::AsyncApi(call) => (*call, *class),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_wrong_with_a_call_is_said_at_its_place() {
    let head = "document: { dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }\n";
    let subscription = |inner: &str| task(&format!("operation: o, subscription: {{ {inner} }}"));
    let cases = [
        (task("operation: o"), "must have one of `message` and `subscription`"),
        (task("message: { payload: {} }"), "must have one of `operation` and `channel`"),
        (task("operation: o, channel: c, message: {}"), "must have one of `operation` and `channel`"),
        (task("operation: o, message: {}, subscription: { consume: { amount: 1 } }"), "`message` and `subscription`"),
        (task("operation: o, message: { payload: 7 }"), "must be a mapping or an expression"),
        (task("operation: o, message: { body: {} }"), "`body`"),
        (task("operation: o, message: {}, protocol: kafka"), "`protocol: kafka` is refused"),
        (task("operation: o, message: {}, protocol: pigeon"), "pigeon"),
        (task("operation: o, message: {}, server: { variables: {} }"), "`with.server.name` is missing"),
        (subscription("filter: true"), "`with.subscription.consume` is missing"),
        (subscription("consume: {}"), "must have one of `amount`, `while` and `until`"),
        (subscription("consume: { amount: 1, until: 'true' }"), "must have one of `amount`, `while` and `until`"),
        (subscription("consume: { amount: 0 }"), "`with.subscription.consume.amount`"),
        (subscription("consume: { amount: 1001 }"), "`with.subscription.consume.amount`"),
        (subscription("consume: { amount: 1, for: soon }"), "`with.subscription.consume.for`"),
        (subscription("consume: { until: '$item' }"), "there is no variable `$item` here"),
        (
            subscription("consume: { amount: 1 }, foreach: { item: x, at: x, do: [{ a: { set: { n: 1 } } }] }"),
            "are both `x`",
        ),
        (
            subscription("consume: { amount: 1 }, foreach: { do: [{ a: { set: '${ $other }' } }] }"),
            "there is no variable `$other` here",
        ),
    ];
    for (text, expected) in cases {
        let problems = parse(&format!("{head}{text}"), "d.yaml").unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(said.iter().all(|said| said.starts_with("d.yaml:2:")), "{said:?}");
        assert!(said.iter().any(|said| said.contains(expected)), "{expected}: {said:?}");
    }
}

#[test]
fn a_message_is_evaluated_before_it_is_intended() {
    let with = "operation: '${ .what }', server: { name: staging, variables: { port: 1883 } }, protocol: mqtt5, \
                message: { payload: { pet: '${ .id }' }, headers: { trace: '${ $workflow.id }' } }";
    let run = Run::start(&definition(&task(with)), json!({ "what": "adopt", "id": 7 }));
    let (call, class) = intended(&run);
    assert_eq!((call.target, class), (Target::Operation("adopt".to_owned()), EffectClass::Reconcilable));
    let server = call.server.unwrap();
    assert_eq!((server.name.as_str(), server.variables["port"].as_str()), ("staging", "1883"));
    let Exchange::Publish(message) = call.exchange else { panic!("it publishes") };
    assert_eq!(message.payload, json!({ "pet": 7 }));
    assert_eq!(message.headers["trace"], json!(run.instance.id().as_str()));
    let wrong = Run::start(&definition(&task("operation: o, message: { headers: '${ 7 }' }")), json!({}));
    assert!(fault(wrong.instance.error().unwrap()).contains("`message.headers` must be a mapping"));
}

#[test]
fn each_task_has_a_name_of_its_own_for_brokers() {
    let subscribe = "call: asyncapi, with: { document: { endpoint: 'https://a.example' }, channel: c, \
                     subscription: { consume: { amount: 1 } } }";
    let text =
        format!("do: [{{ f: {{ fork: {{ branches: [{{ a: {{ {subscribe} }} }}, {{ b: {{ {subscribe} }} }}] }} }} }}]");
    let run = Run::start(&definition(&text), json!({}));
    let names: Vec<String> = run
        .instance
        .open_attempts()
        .map(|open| match open.effect {
            Effect::Call { call, .. } => match &call.request {
                CallRequest::AsyncApi(call) => call.client.clone(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1]);
    assert!(names.iter().all(|name| name.len() == 22 && name.bytes().all(|b| b.is_ascii_alphanumeric())), "{names:?}");
}

#[test]
fn conditions_travel_with_what_they_name_and_nothing_else() {
    let text = "do:
- note: { set: { user: ann, private: x }, export: { as: . } }
- take:
    call: asyncapi
    with:
      document: { endpoint: https://a.example/async.yaml }
      channel: chat
      subscription:
        filter: ${ .correlationId == $context.user }
        consume: { until: '${ length == 2 and $task.name == \"take\" }', for: PT5S }
";
    let (call, class) = intended(&Run::start(&definition(text), json!({})));
    assert_eq!(class, EffectClass::Pure);
    let Exchange::Subscribe(subscription) = call.exchange else { panic!("it subscribes") };
    let names = |condition: &workflow::asyncapi::Condition| condition.variables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(subscription.filter.as_ref().unwrap()), ["context"]);
    assert_eq!(subscription.time_ms, Some(5_000));
    let mut collector = Collector::new(&subscription, Vec::new()).unwrap();
    for (from, taken) in [("bob", false), ("ann", true), ("ann", true)] {
        assert!(!collector.is_done());
        assert_eq!(collector.offer(json!({ "payload": 1, "correlationId": from })), Ok(taken));
    }
    assert!(collector.is_done());
}

#[test]
fn the_messages_of_a_subscription_go_through_foreach_one_after_the_other() {
    let text = "do:
- take:
    call: asyncapi
    with:
      document: { endpoint: https://a.example/async.yaml }
      channel: builds
      subscription:
        consume: { amount: 2 }
        foreach:
          item: build
          at: number
          do:
          - look: { set: { name: '${ $build.payload.name }', n: '${ $number }' } }
          - mark: { call: http, with: { method: post, endpoint: 'https://a.example/', body: '${ . }' } }
          output: { as: .ok }
          export: { as: '{ seen: (($context.seen // []) + [$output]) }' }
    output: { as: '{ all: . }' }
- tell: { set: '${ $context + . }' }
";
    let mut run = Run::start(&definition(text), json!({}));
    let messages = json!([{ "payload": { "name": "a" } }, { "payload": { "name": "b" } }]);
    run.output(messages);
    for (name, n) in [("a", 0), ("b", 1)] {
        let open = run.instance.open_attempts().next().unwrap_or_else(|| panic!("{}", run.lines()));
        assert_eq!(open.path.as_str(), format!("/do/0/take[{n}]/with/subscription/foreach/do/1/mark"));
        let Effect::Call { call, .. } = open.effect else { panic!("{:?}", open.effect) };
        let CallRequest::Http(http) = &call.request else { panic!("{call:?}") };
        assert_eq!(http.body, Some(json!({ "name": name, "n": n })));
        run.output(json!({ "ok": name }));
        // A host that starts now finds the same.
        let definition = run.instance.definition().clone();
        let again = Instance::fold(run.instance.id().clone(), definition, run.history.clone()).unwrap();
        assert_eq!(again, run.instance);
    }
    assert_eq!(run.instance.output(), Some(&json!({ "seen": ["a", "b"], "all": ["a", "b"] })));
}

#[test]
fn nothing_taken_is_an_empty_list_and_a_fault_skips_foreach() {
    let text = task(
        "channel: c, subscription: { consume: { until: '${ true }' }, foreach: { do: [{ a: { set: { n: 1 } } }] } }",
    );
    let mut run = Run::start(&definition(&text), json!({}));
    run.output(json!([]));
    assert_eq!(run.instance.output(), Some(&json!([])));
    let mut run = Run::start(&definition(&text), json!({}));
    let error = StandardError::Communication.fault("gone");
    run.complete(workflow::EffectOutcome::Faulted { error });
    assert!(fault(run.instance.error().unwrap()).starts_with("communication 500 at /do/0/t"));
    let plain = task("channel: c, subscription: { consume: { amount: 1 } }");
    let mut run = Run::start(&definition(&plain), json!({}));
    run.output(json!([{ "payload": 1 }]));
    assert_eq!(run.instance.output(), Some(&Value::from(vec![json!({ "payload": 1 })])));
}
