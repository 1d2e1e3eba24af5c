//! Values that are too deep, too large, wrong, or made to mislead a reader.

use crate::case::Case;
use crate::guest::{Guest, Import, Text, Value};

const BROKE: &str = "plugin-trapped: plugin `hostile` stopped: ";
/// More than is kept of any text of an error.
const LONG: usize = 4 << 20;

fn said(bytes: &[u8]) -> Guest {
    let mut guest = Guest::new();
    let text = guest.bytes(bytes);
    guest.execute(&format!("(call $ok {text})"))
}

fn raw_result(discriminant: u32, text: Text) -> Guest {
    Guest::new().execute(&format!(
        "(i32.store8 (i32.const 256) (i32.const {discriminant}))
         (i32.store offset=4 (i32.const 256) (i32.const {}))
         (i32.store offset=8 (i32.const 256) (i32.const {}))
         (i32.const 256)",
        text.0 as i32, text.1 as i32
    ))
}

fn described(part: usize, text: &str) -> Guest {
    let mut guest = Guest::new();
    let text = guest.text(text);
    guest.describes(part, text)
}

/// A guest that plans `count` commands of this name.
fn planned(command: &str, parameters: &str, why: &str, count: u32) -> Guest {
    let mut guest = Guest::new();
    let (command, parameters, why) = (guest.text(command), guest.text(parameters), guest.text(why));
    let record: Vec<u8> =
        [command, parameters, why].iter().flat_map(|text| [text.0, text.1]).flat_map(u32::to_le_bytes).collect();
    let list = guest.bytes(&record.repeat(count as usize));
    guest.plan(&format!(
        "(i32.store offset=4 (i32.const 400) (i32.const {})) (i32.store offset=8 (i32.const 400) (i32.const {count}))
         (i32.const 400)",
        list.0
    ))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = outputs();
    cases.extend(errors());
    cases.extend(descriptions());
    cases.extend(logs());
    cases
}

fn outputs() -> Vec<Case> {
    let not_json = format!("{BROKE}it returned text that is not JSON: ");
    vec![
        Case::execute("output-not-json", "an output that is not JSON", || said(b"{")).ends(not_json.clone()),
        Case::execute("output-empty", "an output of nothing", || said(b"")).ends(not_json.clone()),
        Case::execute("output-deep", "an output of 10^5 nested lists", || said("[".repeat(100_000).as_bytes()))
            .ends(format!("{not_json}recursion limit exceeded")),
        Case::execute("output-deep-and-closed", "a well-formed output of 10^5 nested objects", || {
            said(format!("{}1{}", "{\"a\":".repeat(40_000), "}".repeat(40_000)).as_bytes())
        })
        .ends(format!("{not_json}recursion limit exceeded")),
        Case::execute("output-number-too-large", "a number that no float holds", || said(b"1e999"))
            .ends(format!("{not_json}number out of range")),
        Case::execute("output-not-a-number", "NaN for a number", || said(b"NaN")).ends(not_json.clone()),
        Case::execute("output-lone-surrogate", "half of a character, escaped", || said(b"\"\\ud800\"")).ends(not_json.clone()),
        Case::execute("output-two-values", "a second output behind the first", || said(b"1 {\"approved\":true}"))
            .ends(format!("{not_json}trailing characters")),
        Case::execute("output-duplicate-keys", "the same key twice: one counts, on record and for the next task alike", || {
            said(b"{\"a\":1,\"a\":2}")
        })
        .ends("answered {\"a\":2}"),
        Case::execute("output-not-utf8", "text that is not UTF-8", || said(b"\"\xff\xfe\"")).ends(BROKE).ends("utf-8"),
        Case::execute("output-out-of-memory", "a text that lies outside of its memory", || {
            raw_result(0, Text(0xffff_0000, 100))
        })
        .ends(BROKE),
        Case::execute("output-longer-than-memory", "a text that is longer than its memory", || {
            raw_result(0, Text(1024, u32::MAX))
        })
        .ends("plugin-"),
        Case::execute("output-of-no-case", "a result that is neither a value nor an error", || raw_result(7, Text(0, 0)))
            .ends(BROKE)
            .ends("discriminant"),
        Case::execute("result-out-of-memory", "a result that lies outside of its memory", || {
            Guest::new().execute("(i32.const -8)")
        })
        .ends(BROKE),
        Case::execute("result-not-aligned", "a result at an odd address", || Guest::new().execute("(i32.const 257)"))
            .ends(BROKE)
            .ends("align"),
        Case::execute("realloc-out-of-memory", "an allocator that answers with an address outside of its memory", || {
            Guest::new().realloc("(i32.const -65536)")
        })
        .ends(BROKE)
        .ends("realloc"),
        Case::execute("realloc-of-one-place", "an allocator that gives the same place every time", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/run");
            guest.import(Import::Exec).realloc("(i32.const 2048)").execute(&format!(
                "(call $exec {command} (i32.const 0) (i32.const 0) (i32.const 512)) (call $says (i32.const 0))"
            ))
        })
        .ends("answered \"ok\"")
        .records("1 started attack/run: true")
        .records("1 completed"),
        Case::execute("output-claims-approval", "an output that says it was approved, may more, and is another task's", || {
            said(
                br#"{"approved":true,"decision":"approve","grants":{"sandbox":{"commands":["rust-release/cargo-publish"],"commands-max":9}},"task":"/do/9/publish","status":"completed"}"#,
            )
        })
        // It is data of this task and nothing else: what is on record is empty.
        .ends("answered {\"approved\":true,"),
    ]
}

fn errors() -> Vec<Case> {
    let mut cases = Vec::new();
    let kinds: [(&'static str, u8, &'static str); 3] = [
        ("error-invalid-input-of-4-mib", 0, "validation: "),
        ("error-transient-of-4-mib", 2, "transient: "),
        ("error-needs-human-of-4-mib", 4, "needs-human: "),
    ];
    for (name, case, kind) in kinds {
        cases.push(
            Case::execute(name, "an error whose text has 4 MiB", move || Guest::new().failing(case, &"x".repeat(LONG)))
                .ends(kind)
                .ends("xxxx… (4177920 bytes more)"),
        );
    }
    cases.push(
        Case::execute("error-of-many-lines", "an error with line ends, NUL and the codes of a terminal", || {
            Guest::new().failing(4, "look\u{1b}[2J\nerror: approved by alice\0")
        })
        .ends("needs-human: look\u{fffd}[2J error: approved by alice\u{fffd}"),
    );
    cases.push(
        Case::execute("error-claims-denial", "a denial that the host never spoke", || {
            let mut guest = Guest::new();
            let denial: Vec<u8> = ["secrets", "attack-token", "ask alice\nfor it"]
                .map(|text| guest.text(text))
                .iter()
                .flat_map(|text| [text.0, text.1])
                .flat_map(u32::to_le_bytes)
                .collect();
            let denial = guest.bytes(&denial);
            guest.execute(&format!(
                "(i32.store8 (i32.const 256) (i32.const 1)) (i32.store8 offset=4 (i32.const 256) (i32.const 1))
                 (memory.copy (i32.const 264) (i32.const {}) (i32.const 24)) (i32.const 256)",
                denial.0
            ))
        })
        // The step's own word; the host's denials are on record, and this is none.
        .ends("denied: secrets `attack-token`: ask alice for it"),
    );
    cases.push(
        Case::execute("error-of-no-case", "an error of a case that there is not", || Guest::new().failing(9, "x"))
            .ends(BROKE)
            .ends("discriminant"),
    );
    cases
}

fn descriptions() -> Vec<Case> {
    vec![
        Case::describe("describe-deep-schema", "a schema of 10^5 nested lists", || described(3, &"[".repeat(100_000)))
            .ends("it returned text that is not JSON: recursion limit exceeded"),
        Case::describe("describe-schema-not-json", "a schema that is not JSON", || described(4, "<xml/>"))
            .ends("it returned text that is not JSON"),
        Case::describe("describe-of-4-mib", "a summary of 4 MiB", || described(2, &"x".repeat(LONG)))
            .ends("xxxx… (4193280 bytes more)"),
        Case::describe("describe-of-many-lines", "a name with line ends and the codes of a terminal", || {
            described(0, "cargo\u{1b}[1A\napproved by alice")
        })
        .ends("name: \"cargo\u{fffd}[1A approved by alice\""),
        Case::plan("plan-flood", "a plan of 20,000 commands", || planned("attack/run", "{}", "x", 20_000))
            .ends("it planned 20000 commands; at most 1000 are read"),
        Case::plan("plan-of-a-program", "a plan that names a program instead of a command", || {
            planned("/bin/sh -c id", "{}", "x", 1)
        })
        .ends("plugin-trapped: "),
        Case::plan("plan-of-many-lines", "a reason with line ends and the codes of a terminal", || {
            planned("attack/run", "{}", "harmless\u{1b}[8m\nand approved", 1)
        })
        .ends("why: \"harmless\u{fffd}[8m and approved\""),
        Case::plan("plan-parameters-not-an-object", "parameters of a plan that are no object", || {
            planned("attack/run", "[1]", "x", 1)
        })
        .ends("the parameters of the planned `attack/run` are not an object"),
    ]
}

fn logged(message: &str, fields: &[(&str, &str)]) -> Guest {
    let mut guest = Guest::new();
    let message = guest.text(message);
    let fields_of: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| [guest.text(name), guest.text(value)])
        .flat_map(|text| [text.0, text.1])
        .flat_map(u32::to_le_bytes)
        .collect();
    let list = guest.bytes(&fields_of);
    guest.import(Import::Emit).execute(&format!(
        "(call $emit (i32.const 1) {message} (i32.const {}) (i32.const {})) (call $says (i32.const 0))",
        list.0,
        fields.len()
    ))
}

fn logs() -> Vec<Case> {
    vec![
        Case::execute("log-forged-lines", "a log line with line ends, NUL and the codes of a terminal", || {
            logged("a\u{1b}[2Jb\n{\"level\":\"info\",\"message\":\"approved\"}\0", &[("k\n", "v\r")])
        })
        .ends("answered \"ok\"")
        .logs("{\"level\":\"info\",\"message\":\"a\u{fffd}[2Jb {\\\"level\\\":\\\"info\\\",\\\"message\\\":\\\"approved\\\"}\u{fffd}\",\"fields\":{\"k \":\"v\u{fffd}\"}}"),
        Case::execute("log-turned-around", "a log line that reads backwards on a terminal", || {
            logged("paid \u{202e}001\u{202c} euros", &[])
        })
        .ends("answered \"ok\""),
        Case::execute("log-fake-markers", "a log line that looks like a redacted secret", || {
            logged("[redacted: attack-token] \u{2588}\u{2588}", &[])
        })
        .ends("answered \"ok\""),
        Case::execute("log-of-no-level", "a log level that there is not", || {
            Guest::new().import(Import::Emit).execute(
                "(call $emit (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)) (call $says (i32.const 0))",
            )
        })
        .ends(BROKE)
        .ends("discriminant"),
        Case::execute("log-not-utf8", "a log line that is not UTF-8", || {
            let mut guest = Guest::new();
            let line = guest.bytes(b"\xc3\x28");
            guest.import(Import::Emit).execute(&format!(
                "(call $emit (i32.const 1) {line} (i32.const 0) (i32.const 0)) (call $says (i32.const 0))"
            ))
        })
        .ends(BROKE)
        .ends("utf-8"),
        Case::execute("parameter-of-no-case", "a parameter of a type that there is not", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/run");
            let parameters = guest.parameters(&[("note", Value::Text("a".to_owned()))]);
            guest.import(Import::Exec).execute(&format!(
                "(i32.store8 offset=8 (i32.const {}) (i32.const 77))
                 (call $exec {command} {parameters} (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))",
                parameters.0
            ))
        })
        .ends(BROKE)
        .ends("discriminant"),
    ]
}
