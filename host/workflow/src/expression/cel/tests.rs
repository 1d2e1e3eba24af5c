//! CEL: what it gives, what it refuses, and that it ends.

use serde_json::{Value, json};

use super::super::{Dialect, Language, Scope};

const CEL: Dialect = Dialect { language: Language::Cel, is_loose: false };

fn scope() -> Scope {
    let variables = [
        ("input", json!({"version": "1.2.3", "n": 3, "ratio": 0.5, "tags": ["a", "b"], "none": null})),
        ("context", json!({"approval": {"value": "APPROVED"}})),
    ];
    Scope { variables: variables.map(|(name, value)| (name.to_owned(), value)).into(), now: None }
}

fn evaluate(source: &str) -> Value {
    let expression = CEL.expression(source).unwrap();
    expression.evaluate(&json!({"requestId": "r-1", "list": [1, 2, 3]}), &scope()).unwrap()
}

fn fault(source: &str) -> String {
    CEL.expression(source).unwrap().evaluate(&json!({}), &scope()).unwrap_err().detail.unwrap()
}

#[test]
fn results_are_those_of_the_language() {
    for (source, output) in [
        ("${ .requestId }", json!("r-1")),
        ("${{ .requestId }}", json!("r-1")),
        (".missing.deeper", json!(null)),
        ("context.approval.value == \"APPROVED\"", json!(true)),
        ("input.version.startsWith('1.') && input.n > 2", json!(true)),
        ("input.n + 1", json!(4)),
        ("7 / 2", json!(3)),
        ("-7 % 3", json!(-1)),
        ("7.0 / 2.0", json!(3.5)),
        ("double(input.n) * input.ratio", json!(1.5)),
        ("1 == 1.0", json!(true)),
        ("1 < 1.5", json!(true)),
        ("\"a\" + 'b' + r\"\\n\"", json!("ab\\n")),
        ("'''it's'''", json!("it's")),
        ("'\\u00e9\\x41\\101'", json!("éAA")),
        ("[1, 2] + [3]", json!([1, 2, 3])),
        ("{'a': 1, 'b': [true, null]}", json!({"a": 1, "b": [true, null]})),
        ("{'a': {'b': 2}}.a['b']", json!(2)),
        ("'a' in input.tags", json!(true)),
        ("'n' in input", json!(true)),
        ("input.n in [1, 2]", json!(false)),
        ("has(input.version) && !has(input.other)", json!(true)),
        ("size(input.tags) == 2 && 'é'.size() == 1", json!(true)),
        (".list.map(x, x * x)", json!([1, 4, 9])),
        (".list.map(x, x > 1, x * 10)", json!([20, 30])),
        (".list.filter(x, x != 2)", json!([1, 3])),
        (".list.all(x, x > 0)", json!(true)),
        (".list.exists(x, x == 3)", json!(true)),
        (".list.exists_one(x, x > 1)", json!(false)),
        (".list.exists(x, .list.exists(y, x + y == 6))", json!(true)),
        ("input.n > 2 ? 'many' : 'few'", json!("many")),
        ("input.nothing == 1 || true", json!(true)),
        ("false && input.nothing == 1", json!(false)),
        ("'v1.2'.matches('^v[0-9]+')", json!(true)),
        ("matches('x', 'y')", json!(false)),
        ("string(input.n) + string(true) + string(input.tags)", json!("3true[\"a\",\"b\"]")),
        ("int('42') + int(1.9)", json!(43)),
        ("type(1) + type('') + type([])", json!("intstringlist")),
        ("' A '.trim().lowerAscii()", json!("a")),
        ("'a,b'.split(',').join('-').replace('-', '+')", json!("a+b")),
        ("0x1F + 1", json!(32)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("1e3 // a comment", json!(1000)),
        (".", json!({"requestId": "r-1", "list": [1, 2, 3]})),
        ("!(1 > 2)", json!(true)),
    ] {
        assert_eq!(evaluate(source), output, "{source}");
    }
}

#[test]
fn what_fails_is_a_fault_with_its_reason() {
    for (source, why) in [
        ("input.other", "no such key: `other`"),
        ("input.tags[2]", "index 2 is out of range"),
        ("1 + 1.0", "convert one with"),
        ("1 / 0", "divided by zero"),
        ("9223372036854775807 + 1", "too large"),
        ("'a' < 1", "cannot compare"),
        ("1 ? 2 : 3", "a condition is true or false"),
        ("int('x')", "`int`: it does not take string (\"x\")"),
        ("'a'.matches('(')", "is not a regular expression"),
        ("input.n.all(x, true)", "cannot go over number (3)"),
    ] {
        let fault = fault(source);
        assert!(fault.contains(why), "{source}: {fault}");
    }
}

#[test]
fn what_is_no_cel_says_what_is_wrong() {
    for (source, why) in [
        ("", "expected a value, found its end"),
        ("a b", "expected its end, found `b`"),
        ("(1", "expected `)`, found its end"),
        ("'a", "does not end"),
        ("f(1)", "undefined function `f`"),
        ("size()", "takes other arguments"),
        ("has(1)", "`has` takes one member"),
        ("1 ; 2", "`;` has no meaning here"),
        ("b'x'", "bytes are not available"),
        ("secrets.token", "secrets are never in expressions"),
        ("for", "a word of the language"),
        ("99999999999999999999", "no number that fits"),
    ] {
        let error = CEL.expression(source).unwrap_err().to_string();
        assert!(error.contains(why), "{source}: {error}");
        assert!(error.contains("is not a CEL expression"), "{error}");
    }
    for source in ["(".repeat(100), "!".repeat(500), "1+".repeat(400), "a.".repeat(800), "1,".repeat(9000)] {
        assert!(CEL.expression(&source).is_err());
    }
}

#[test]
fn names_are_variables_unless_a_loop_binds_them() {
    let expression = CEL.expression("input.tags.exists(t, t == wanted) && t2 == context").unwrap();
    assert_eq!(expression.variables().collect::<Vec<_>>(), ["context", "input", "t2", "wanted"]);
}

#[test]
fn loops_over_loops_end() {
    let many = json!({"list": (0..2000).collect::<Vec<_>>(), "text": "a".repeat(100_000)});
    for source in [
        ".list.all(a, .list.all(b, .list.all(c, a + b + c >= 0)))",
        ".list.map(a, .list.map(b, .list))",
        ".list.map(a, .text + .text)",
        ".list.exists(a, .text.matches('(a|b|aa)*c'))",
        ".list.map(a, string(.list)).map(b, b + b).map(c, c + c)",
    ] {
        let fault = CEL.expression(source).unwrap().evaluate(&many, &Scope::default()).unwrap_err().detail.unwrap();
        assert!(["steps", "bytes"].iter().any(|what| fault.contains(what)), "{source}: {fault}");
    }
}
