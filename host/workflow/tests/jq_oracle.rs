//! Our jq against Debian's: the same programs on the same data give the same.
//!
//! Needs the program `jq` (1.6 or later; `cargo xtask setup` installs it). One
//! process runs many programs.

#[path = "support/random.rs"]
mod random;

use std::io::Write;
use std::process::{Command, Stdio};

use random::Random;
use serde_json::{Value, json};
use workflow::expression::{Expression, Scope};

const PROGRAMS: usize = 6_000;
const PROGRAMS_AT_ONCE: usize = 200;
/// Outputs of one program that are looked at.
const OUTPUTS: usize = 12;

/// What jq 1.7 does and 1.6 does not, for 1.6 to learn before it is asked. We mean to
/// be as 1.7: so these are compared like all else, and not excused.
const LEARNED: &str = r#"
# An update that gives nothing deletes what it was given.
def _modify(paths; update):
  reduce path(paths) as $path ({value: ., gone: []};
    . as {$value, $gone}
    | [label $first | $value | getpath($path) | update | ., break $first]
    | if . == [] then {$value, gone: ($gone + [$path])}
      else .[0] as $new | {value: ($value | setpath($path; $new)), $gone} end)
  | .gone as $gone | .value | delpaths($gone);
def map_values(f): _modify(.[]; f);
def walk(f): def inner: if type == "object" then map_values(inner) elif type == "array" then map(inner) else . end | f; inner;
# Keys of entries may be numbers and `null`.
def from_entries: reduce .[] as $entry ({}; . + {
  ($entry | if .key == false then false else .key // .k // .name // .Name // .K // .Key end
    | if type == "string" then . else tojson end):
  ($entry | if has("value") then .value elif has("v") then .v else .Value end) });
def with_entries(f): to_entries | map(f) | from_entries;
# Texts are reversed, too.
def reverse: if type == "string" then explode | reverse | implode else [.[length - 1 - range(0; length)]] end;
# Indexes of texts count characters.
def indices($part): if type == "string" and ($part | type) == "string" and $part != ""
  then . as $text | [range(0; length - ($part | length) + 1) | select($text[.:. + ($part | length)] == $part)]
  elif . == null then null
  elif type == "array" and ($part | type) == "array" then .[$part]
  elif type == "array" then .[[$part]]
  elif type == "string" and $part == "" then null
  else .[$part] end;
def index($part): indices($part) | .[0];
def rindex($part): indices($part) | .[-1:][0];
# Less is left as it is in a URI.
def learned_uri: @uri | gsub("!"; "%21") | gsub("'"; "%27") | gsub("\\("; "%28") | gsub("\\)"; "%29") | gsub("\\*"; "%2A");
"#;

/// Tells a difference by the program, its input, our result and jq's.
type Tells = fn(&str, &Value, &Value, &Value) -> bool;

/// Why we mean to differ from jq 1.6. A difference that is none of these fails
/// the test.
const KNOWN: &[(&str, Tells)] = &[
    ("a left operand or a member that gives nothing ends it before the other side can fail", |p, _, ours, theirs| {
        theirs.is_null()
            && !ours.is_null()
            && [" - ", " * ", " / ", " % ", " + ", "=", "<", ">", "{a: ("].iter().any(|it| p.contains(it))
    }),
    ("the left operand is the outer loop", |p, _, ours, theirs| sorted(ours) == sorted(theirs) && p.contains(',')),
    ("`try` and `?` of 1.6 catch the `break` of `first`, `limit` and `label`, and what follows them", |p, _, _, _| {
        p.contains("try") || p.contains('?')
    }),
    ("an update of what is not there, which gives nothing, makes what is above it", |p, input, _, _| {
        input.is_null() && p.contains("|=")
    }),
    ("the key of a single item is not looked at", |p, _, ours, theirs| {
        theirs.is_null() && !ours.is_null() && p.contains("_by(")
    }),
];

fn sorted(value: &Value) -> Vec<String> {
    let mut texts: Vec<String> = value.as_array().into_iter().flatten().map(Value::to_string).collect();
    texts.sort();
    texts
}

fn inputs() -> Vec<Value> {
    vec![
        json!(null),
        json!({"a": 1, "b": [3, 1, 2], "c": {"a": "x,y", "b": null}}),
        json!([{"a": "b", "b": 2}, {"a": "a", "b": 1}, {"a": "b", "b": 0.5}]),
        json!("a,b <&'\"> é😀 10"),
        json!([[1, 2], [3], []]),
        json!(-2.5),
        json!([3, -1, "b", null, true, {"a": [1]}, "a"]),
    ]
}

#[test]
#[allow(clippy::disallowed_methods, reason = "the oracle is a program")]
fn random_programs_give_what_jq_gives() {
    let mut random = Random::new(16);
    let programs: Vec<String> = (0..PROGRAMS).map(|number| random::ordinary(&mut random, 1 + number % 4)).collect();
    let inputs = inputs();
    let (mut compared, mut excused, mut wrong) = (0, 0, Vec::new());
    for programs in programs.chunks(PROGRAMS_AT_ONCE) {
        let theirs = jq(programs, &inputs);
        for (place, program) in programs.iter().enumerate() {
            let source = format!("[limit({OUTPUTS}; {program})]");
            let expression = Expression::compile(&source).unwrap_or_else(|error| panic!("{error}"));
            for (input, theirs) in inputs.iter().zip(&theirs) {
                let theirs = &theirs[place];
                // The texts of errors are each its own.
                let ours = expression.evaluate(input, &Scope::default()).unwrap_or(Value::Null);
                compared += 1;
                if same(&ours, theirs) {
                    continue;
                }
                match KNOWN.iter().any(|(_, is_it)| is_it(program, input, &ours, theirs)) {
                    true => excused += 1,
                    false => wrong.push(format!("{program}\n    of {input}\n  jq:  {theirs}\n  our: {ours}")),
                }
            }
        }
    }
    println!("{compared} results compared, {excused} differences are known");
    assert!(excused * 150 < compared, "the known differences are few");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(40)].join("\n"));
}

/// For each input, what each program gives: `[outputs]`, or `null` for an error.
#[allow(clippy::disallowed_methods, reason = "the oracle is a program")]
fn jq(programs: &[String], inputs: &[Value]) -> Vec<Vec<Value>> {
    let each: Vec<String> =
        programs.iter().map(|program| format!("(try [limit({OUTPUTS}; {program})] catch null)")).collect();
    let source = std::env::temp_dir().join(format!("jq-oracle-{}.jq", std::process::id()));
    let each = each.join(",\n").replace("@uri", "learned_uri");
    std::fs::write(&source, format!("{LEARNED}[{each}]")).unwrap();
    let mut child = Command::new("jq")
        .args(["-c", "-f"])
        .arg(&source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program `jq` runs: `cargo xtask setup` installs it");
    let mut stdin = child.stdin.take().unwrap();
    inputs.iter().for_each(|input| writeln!(stdin, "{input}").unwrap());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    std::fs::remove_file(&source).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}", &errors[errors.len().saturating_sub(2000)..]);
    let results: Vec<Vec<Value>> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(results.len(), inputs.len());
    results
}

/// Numbers are the same when jq's digits do not tell them apart.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(ours), Value::Number(theirs)) => {
            let (ours, theirs) = (ours.as_f64().unwrap(), theirs.as_f64().unwrap());
            ours == theirs || (ours - theirs).abs() <= 1e-12 * theirs.abs()
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        // Also in the same order.
        (Value::Object(ours), Value::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().all(|(key, ours)| theirs.get(key).is_some_and(|theirs| same(ours, theirs)))
        }
        (ours, theirs) => ours == theirs,
    }
}
