//! What is known of a release before anything runs.

use std::sync::Arc;

use serde_json::json;
use workflow::capability::{EffectivePolicy, Grants, PluginPolicy};
use workflow::forecast::{Forecast, forecast};
use workflow::policy::{PolicySources, resolve};
use workflow::{Digest, Effect, Timestamp, definition};

fn forecast_of(tasks: &str) -> Forecast {
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0',\n  metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ template: t }} }} }} }} }}\ndo:\n{tasks}"
    );
    let definition = Arc::new(definition::parse(&text, "d.yaml").unwrap_or_else(|problems| panic!("{problems:?}")));
    let templates = [("t".parse().unwrap(), Digest::of(b"t"))].into();
    let sources = PolicySources {
        approved_calls: &Default::default(),
        templates: &templates,
        providers: &["local"],
        plugin: &|name, _| Ok(PluginPolicy { name: name.clone(), digest: Digest::of(b"p"), grants: Grants::default() }),
        workflow: &|_| Err("there is none".to_owned()),
        allow_auto_approval: false,
        echo: false,
    };
    let policy: EffectivePolicy = resolve(&definition, &sources).unwrap();
    forecast(&definition, &json!({ "repos": ["a", "b"], "go": true }), &policy, Timestamp::UNIX_EPOCH)
}

/// `path input` of each known call.
fn known(forecast: &Forecast) -> Vec<String> {
    let line = |call: &workflow::forecast::KnownCall| {
        let Effect::Plugin { input, .. } = &call.effect else { panic!("{call:?}") };
        format!("{} {input}", call.path)
    };
    forecast.known.iter().map(line).collect()
}

#[test]
fn a_call_whose_input_comes_from_the_request_is_known_even_behind_others() {
    let forecast = forecast_of(
        "- keep: { set: { repos: '${ .repos }' }, export: { as: '${ . }' } }
- look: { call: maker, with: { what: look } }
- each: { for: { each: repo, in: '${ $context.repos }' }, do: [ { build: { call: maker, with: { repo: '${ $repo }' } } } ] }
",
    );
    assert_eq!(
        known(&forecast),
        [
            r#"/do/1/look {"what":"look"}"#,
            r#"/do/2/each[0]/do/0/build {"repo":"a"}"#,
            r#"/do/2/each[1]/do/0/build {"repo":"b"}"#,
        ]
    );
    assert_eq!(forecast.unknown, Vec::<String>::new());
}

#[test]
fn a_call_that_needs_what_another_one_gives_is_not_known() {
    let forecast = forecast_of(
        "- look: { call: maker, with: { what: look } }
- use: { call: maker, with: { found: '${ .found }' } }
- broken: { call: maker, with: { found: '${ .found | keys }' } }
- after: { call: maker, with: { fixed: 1 } }
",
    );
    assert_eq!(known(&forecast), [r#"/do/0/look {"what":"look"}"#]);
    assert_eq!(forecast.unknown, ["/do/1/use", "/do/2/broken", "/do/3/after"]);
}

#[test]
fn a_way_that_depends_on_what_is_not_known_is_not_foretold() {
    let forecast = forecast_of(
        "- look: { call: maker, with: { what: look } }
- choose:
    switch:
    - found: { when: '${ type == \"string\" }', then: use }
    - other: { then: end }
- use: { call: maker, with: { fixed: 1 } }
",
    );
    assert_eq!(forecast.unknown, ["/do/2/use"]);
}

#[test]
fn a_flow_that_goes_round_for_ever_is_left() {
    let forecast = forecast_of(
        "- look: { call: maker, with: { what: look } }
- rest: { wait: P1D }
- again: { if: '${ true }', switch: [ { done: { when: '${ false }', then: end } }, { more: { then: look } } ] }
",
    );
    assert_eq!(known(&forecast), [r#"/do/0/look {"what":"look"}"#]);
    let waiting = forecast_of(
        "- rest: { wait: P1D }\n- again: { switch: [ { done: { when: '${ false }', then: end } }, { more: { then: rest } } ] }\n",
    );
    assert_eq!(waiting.known.len(), 0);
}

#[test]
fn an_approval_and_a_timer_are_passed() {
    let forecast = forecast_of(
        "- ask: { ask: { prompt: 'Go?' } }
- rest: { wait: P1D }
- publish: { call: maker, with: { what: publish } }
",
    );
    assert_eq!(known(&forecast), [r#"/do/2/publish {"what":"publish"}"#]);
}
