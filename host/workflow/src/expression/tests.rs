//! What expressions can do, and what they cannot.

use serde_json::json;

use super::*;

fn evaluate(source: &str, input: Value) -> Value {
    Expression::compile(source).unwrap().evaluate(&input, &Scope::default()).unwrap()
}

fn fault(source: &str, input: Value) -> String {
    let fault = Expression::compile(source).unwrap().evaluate(&input, &Scope::default()).unwrap_err();
    assert_eq!(fault.kind, "https://serverlessworkflow.io/spec/1.0.0/errors/expression");
    assert_eq!(fault.status, 400);
    fault.detail.unwrap()
}

fn refusal(source: &str) -> String {
    Expression::compile(source).unwrap_err().to_string()
}

#[test]
fn results_are_those_of_jq() {
    for (source, input, output) in [
        (".a", json!(null), json!(null)),
        (".colors + [\"red\"]", json!(null), json!(["red"])),
        ("${ .colors + [\"red\"] }", json!({"colors": ["blue"]}), json!(["blue", "red"])),
        (r#""Hello \(.user.name)!""#, json!({"user": {"name": "Ann"}}), json!("Hello Ann!")),
        ("empty", json!(1), json!(null)),
        ("1, 2", json!(null), json!(1)),
        ("4 / 2", json!(null), json!(2)),
        ("7 / 2", json!(null), json!(3.5)),
        (".", json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_993_i64)),
        (".", json!(u64::MAX), json!(u64::MAX)),
        (". + 1", json!(41), json!(42)),
        ("nan", json!(null), json!(null)),
        ("[.[] | select(. > 1)]", json!([1, 2, 3]), json!([2, 3])),
        ("[range(0; 10; 3)]", json!(null), json!([0, 3, 6, 9])),
        ("[limit(3; repeat(1))]", json!(null), json!([null, 1, 1])),
        ("[recurse(if . < 2 then . + 1 else empty end)]", json!(0), json!([0, 1, 2])),
        ("[.,1] | until(.[0] < 1; [.[0] - 1, .[1] * 2]) | .[1]", json!(5), json!(32)),
        ("map(test(\"^v[0-9]\"))", json!(["v1", "x"]), json!([true, false])),
        ("@base64 \"\\(.)\"", json!("hi"), json!("aGk=")),
        (". as {a: $x} | $x", json!({"a": 7}), json!(7)),
        ("reduce .[] as $n (0; . + $n)", json!([1, 2, 3]), json!(6)),
        ("to_entries | map(.key) | join(\",\")", json!({"b": 1, "a": 2}), json!("b,a")),
        ("[path(getpath([\"a\", 0]))]", json!(null), json!([["a", 0]])),
        ("gmtime | mktime", json!(86400), json!(86400)),
    ] {
        assert_eq!(evaluate(source, input), output, "{source}");
    }
}

#[test]
fn variables_are_those_the_text_leaves_free() {
    let expression = Expression::compile(r#". as $own | "\($input.a) \($item) \($own)""#).unwrap();
    assert_eq!(expression.variables().collect::<Vec<_>>(), ["input", "item"]);
    let scope = Scope { variables: [("input".into(), json!({"a": 1})), ("item".into(), json!(2))].into(), now: None };
    assert_eq!(expression.evaluate(&json!(3), &scope).unwrap(), json!("1 2 3"));
    assert_eq!(fault("$nobody", json!(null)), "`$nobody`: variable `$nobody` is not known here");
}

#[test]
fn a_failing_filter_is_a_fault_with_its_text() {
    assert_eq!(fault(".a.b", json!({"a": 1})), "`.a.b`: cannot index 1 with \"b\"");
    assert_eq!(fault("error(\"no\")", json!(null)), "`error(\"no\")`: no");
}

#[test]
fn what_sees_more_than_its_input_is_refused() {
    for source in [
        "env",
        "$ENV",
        "input",
        "inputs",
        "debug",
        "debug(\"x\")",
        "stderr",
        "halt",
        "halt_error",
        "halt(1)",
        "localtime",
        "$secrets.token",
        "$__loc__",
        "def f: f; f",
        "import \"a\" as a; a::b",
        "include \"a\"; .",
    ] {
        let message = refusal(source);
        assert!(message.contains("not available"), "{source}: {message}");
    }
}

#[test]
fn what_is_no_jq_says_what_is_wrong() {
    assert_eq!(refusal("${ .a | }"), "`${ .a | }` is not a jq expression: expected term, found its end");
    assert_eq!(refusal("nosuch"), "`nosuch` is not a jq expression: undefined filter `nosuch/0`");
    assert_eq!(refusal(".a)"), "`.a)` is not a jq expression: expected token, found `)`");
}

#[test]
fn an_endless_filter_is_a_fault() {
    for source in ["[range(1e12)]", "[repeat(1)]", "[recurse(. + 1)]", "until(false; .)", "last(range(1e12))?"] {
        let why = fault(source, json!(0));
        assert!(why.contains("steps") || why.contains("bytes of memory"), "{source}: {why}");
    }
    assert!(fault("[range(50000) | \"xxxxxxxxxxxxxxxxxxxxxxxx\"]", json!(0)).contains("larger than"));
    assert!(fault("reduce range(200) as $i (null; [.])", json!(0)).contains("deeper"));
}

#[test]
fn only_whole_strings_in_the_definition_are_expressions() {
    let template = Template::compile(&json!({
        "a": "${ .x }", "b": ["${ .y + 1 }", "$ {.x}", "cost: ${ .x }"], "c": {"d": null}
    }))
    .unwrap();
    let input = json!({"x": "${ .secret }", "y": 1, "secret": "s"});
    assert_eq!(
        template.evaluate(&input, &Scope::default()).unwrap(),
        json!({"a": "${ .secret }", "b": [2, "$ {.x}", "cost: ${ .x }"], "c": {"d": null}})
    );
}

#[test]
fn an_expression_field_needs_no_braces() {
    let evaluate = |source: Value| {
        Dialect::default()
            .template_of_expression(&source)
            .unwrap()
            .evaluate(&json!({"x": 1}), &Scope::default())
            .unwrap()
    };
    assert_eq!(evaluate(json!(".x")), json!(1));
    assert_eq!(evaluate(json!("${ .x }")), json!(1));
    assert_eq!(evaluate(json!({"y": "${ .x }", "z": ".x"})), json!({"y": 1, "z": ".x"}));
}

#[test]
fn loose_mode_tries_every_text() {
    let loose = Dialect { language: Language::Jq, is_loose: true };
    let template = loose.template(&json!({
        "path": ".x", "enclosed": "${ .x }", "text": "no filter here", "sum": "1 + 1", "fails": ".x.y", "unknown": "$nobody",
        "list": [".x", true, 3]
    }));
    assert_eq!(
        template.unwrap().evaluate(&json!({"x": 7}), &Scope::default()).unwrap(),
        json!({
            "path": 7, "enclosed": 7, "text": "no filter here", "sum": 2, "fails": ".x.y", "unknown": "$nobody",
            "list": [7, true, 3]
        })
    );
    // What is enclosed was meant as an expression.
    assert!(loose.template(&json!("${ no filter here }")).is_err());
    assert!(loose.template(&json!("${ .x.y }")).unwrap().evaluate(&json!({"x": 7}), &Scope::default()).is_err());
}

#[test]
fn now_is_the_moment_that_is_handed_in() {
    let scope = Scope { now: Some("2026-11-25T12:00:00.5Z".parse().unwrap()), ..Scope::default() };
    let now = |source: &str| Expression::compile(source).unwrap().evaluate(&json!(null), &scope).unwrap();
    assert_eq!(now("now"), json!(1_795_608_000.5));
    assert_eq!(now("now | todate"), json!("2026-11-25T12:00:00Z"));
    assert_eq!(fault("now", json!(null)), "`now`: there is no `now` here");
}
