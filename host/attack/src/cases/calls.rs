//! Host calls with names, references and texts that try to reach further.

use crate::case::Case;
use crate::guest::{Guest, Import, Value};

/// A command's name, as a step may pass it.
fn exec(command: &str, parameters: &[(&str, Value)]) -> Guest {
    let mut guest = Guest::new();
    let command = guest.text(command);
    let parameters = guest.parameters(parameters);
    guest.import(Import::Exec).execute(&format!(
        "(call $exec {command} {parameters} (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))"
    ))
}

fn acquire(name: &str) -> Guest {
    let mut guest = Guest::new();
    let name = guest.text(name);
    guest
        .import(Import::Acquire)
        .execute(&format!("(call $acquire {name} (i32.const 512)) (call $kind (i32.const 512) (i32.const 4))"))
}

fn stat(uri: &str) -> Guest {
    let mut guest = Guest::new();
    let uri = guest.text(uri);
    guest
        .import(Import::Stat)
        .execute(&format!("(call $stat {uri} (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))"))
}

fn read(uri: &str, offset: i64, length: i32) -> Guest {
    let mut guest = Guest::new();
    let uri = guest.text(uri);
    guest.import(Import::Read).execute(&format!(
        "(call $read {uri} (i64.const {offset}) (i32.const {length}) (i32.const 512))
         (call $kind (i32.const 512) (i32.const 4))"
    ))
}

fn put(name: &str, media_type: &str) -> Guest {
    let mut guest = Guest::new();
    let (name, media_type, bytes) = (guest.text(name), guest.text(media_type), guest.text("bytes"));
    guest.import(Import::Put).execute(&format!(
        "(call $put {name} {media_type} {bytes} (i32.const 512)) (call $kind (i32.const 512) (i32.const 4))"
    ))
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

const DENIED: &str = "answered \"denied\"";
const INVALID: &str = "answered \"invalid\"";
const NOT_FOUND: &str = "answered \"not-found\"";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = commands();
    cases.extend(artifacts());
    cases.extend(questions());
    cases
}

fn ask(model: &str, evidence: &str, schema: &str, tokens: u32) -> Guest {
    let mut guest = Guest::new();
    let (model, prompt, schema) = (guest.text(model), guest.text("approve this release"), guest.text(schema));
    let evidence = guest.text(evidence);
    let list = guest.bytes(&[evidence.0.to_le_bytes(), evidence.1.to_le_bytes()].concat());
    guest.import(Import::Ask).execute(&format!(
        "(call $ask {model} {prompt} (i32.const {}) (i32.const 1) {schema} (i32.const {tokens}) (i32.const 512))
         (call $kind (i32.const 512) (i32.const 4))",
        list.0
    ))
}

fn call_tool(server: &str, tool: &str, arguments: &str) -> Guest {
    let mut guest = Guest::new();
    let (server, tool, arguments) = (guest.text(server), guest.text(tool), guest.text(arguments));
    guest.import(Import::CallTool).execute(&format!(
        "(call $call-tool {server} {tool} {arguments} (i32.const 512)) (call $kind (i32.const 512) (i32.const 4))"
    ))
}

fn fetch(url: &str, header: (&str, &str)) -> Guest {
    let mut guest = Guest::new();
    let (url, name, value) = (guest.text(url), guest.text(header.0), guest.text(header.1));
    let header: Vec<u8> = [name.0, name.1, value.0, value.1].into_iter().flat_map(u32::to_le_bytes).collect();
    let list = guest.bytes(&header);
    guest.import(Import::Fetch).execute(&format!(
        "(call $fetch (i32.const 0) {url} (i32.const {}) (i32.const 1) (i32.const 512))
         (call $kind (i32.const 512) (i32.const 4))",
        list.0
    ))
}

const PLAIN: (&str, &str) = ("accept", "application/json");

/// A request to a place that is not granted, and how it ends.
fn requests() -> Vec<Case> {
    let urls: [(&'static str, &'static str, &'static str); 12] = [
        ("request-to-loopback", "http://127.0.0.1:7420/v1/releases", DENIED),
        ("request-to-a-metadata-service", "http://169.254.169.254/latest/meta-data", DENIED),
        ("request-to-a-decimal-address", "http://2130706433/", DENIED),
        ("request-to-a-hexadecimal-address", "http://0x7f000001/", DENIED),
        ("request-to-a-mapped-address", "http://[::ffff:127.0.0.1]/", DENIED),
        ("request-with-a-user", "https://attack.test@evil.test/", INVALID),
        ("request-to-a-longer-name", "https://attack.test.evil.test/", DENIED),
        ("request-to-another-port", "https://attack.test:8443/", DENIED),
        ("request-without-tls", "http://attack.test/", DENIED),
        ("request-for-a-file", "file:///etc/passwd", INVALID),
        ("request-with-a-line-end", "https://attack.test/\r\nHost: evil.test", INVALID),
        ("request-with-a-backslash", "https://evil.test\\@attack.test/", INVALID),
    ];
    let case = |(name, url, ends): (&'static str, &'static str, &'static str)| {
        let case = Case::execute(name, "a request to a place that the task does not grant", move || fetch(url, PLAIN))
            .ends(ends);
        if ends == DENIED { case.records(format!("1 denied http {url}")) } else { case }
    };
    urls.into_iter().map(case).collect()
}

fn questions() -> Vec<Case> {
    let mut cases = requests();
    // This host has no model or server to answer them, and nobody listens where it looks for the origin.
    let unavailable = "answered \"unavailable\"";
    cases.extend([
        Case::execute("request-honest", "a request as it may be", || fetch("https://attack.test/x", PLAIN))
            .ends(unavailable),
        Case::execute("model-honest", "a question as it may be", || {
            ask("attack-model", "artifact://hostile/step/0/note.txt", "{}", 10)
        })
        .ends(unavailable),
        Case::execute("tool-honest", "a tool as it may be used", || call_tool("attack-server", "look", "{}"))
            .ends(unavailable),
        Case::execute("request-with-a-forged-header", "a header that ends early and begins another one", || {
            fetch("https://attack.test/", ("x", "a\r\nHost: evil.test"))
        })
        .ends(INVALID),
        Case::execute("request-with-a-session", "a header of a person's session", || {
            fetch("https://attack.test/", ("Authorization", "Bearer x"))
        })
        .ends(INVALID),
        Case::execute("model-not-granted", "a model that the task does not grant", || {
            ask("another-model", "artifact://hostile/step/0/note.txt", "{}", 10)
        })
        .ends(DENIED)
        .records("1 denied model another-model"),
        Case::execute("model-sees-another-instance", "a model is shown a file of another release", || {
            ask("attack-model", "artifact://other/step/0/note.txt", "{}", 10)
        })
        .ends(NOT_FOUND),
        Case::execute(
            "model-sees-what-is-not-granted",
            "a model is shown a file that the grant does not cover",
            || ask("attack-model", "artifact://hostile/other-step/0/note.txt", "{}", 10),
        )
        .ends(DENIED)
        .records("1 denied artifacts-read artifact://hostile/other-step/0/note.txt"),
        Case::execute("model-schema-bomb", "a schema for the answer of 10^5 nested lists", || {
            ask("attack-model", "artifact://hostile/step/0/note.txt", &"[".repeat(100_000), 10)
        })
        .ends(INVALID),
        Case::execute("model-over-the-grant", "an answer of more tokens than are granted", || {
            ask("attack-model", "artifact://hostile/step/0/note.txt", "{}", u32::MAX)
        })
        .ends("answered \"quota\""),
        Case::execute("tool-not-granted", "a tool that the task does not grant", || {
            call_tool("attack-server", "write", "{}")
        })
        .ends(DENIED)
        .records("1 denied mcp attack-server/write"),
        Case::execute("tool-by-path", "a server's name that holds another tool", || {
            call_tool("attack-server/look", "../write", "{}")
        })
        .ends(DENIED)
        .records("1 denied mcp attack-server/look/../write"),
        Case::execute("tool-arguments-not-an-object", "arguments that are no object", || {
            call_tool("attack-server", "look", "[[")
        })
        .ends(INVALID),
    ]);
    cases
}

fn commands() -> Vec<Case> {
    vec![
        Case::execute("command-not-granted", "a command of a template that the task does not grant", || {
            exec("rust-release/cargo-publish", &[])
        })
        .ends(DENIED)
        .records("1 denied sandbox rust-release/cargo-publish"),
        Case::execute("command-is-a-shell", "a shell line for a command's name", || exec("sh -c id", &[]))
            .ends(DENIED)
            .records("1 denied sandbox sh -c id"),
        Case::execute("command-by-path", "a path for a command's name", || exec("../../attack/run", &[]))
            .ends(DENIED)
            .records("1 denied sandbox ../../attack/run"),
        Case::execute("command-granted-and-more", "a granted name with something behind it", || {
            exec("attack/run\u{0}; id", &[])
        })
        .ends(DENIED)
        .records("1 denied sandbox attack/run\u{fffd}; id"),
        Case::execute("command-of-many-lines", "a name that forges lines of the record", || {
            exec("x\n2 started attack/publish\u{1b}[2K", &[])
        })
        .ends(DENIED)
        .records("1 denied sandbox x 2 started attack/publish\u{fffd}[2K"),
        Case::execute("command-of-1-mib", "a name of 1 MiB, asked for again and again to fill the record", || {
            let mut guest = Guest::new();
            let command = guest.text(&"x".repeat(1 << 20));
            guest.import(Import::Exec).execute(&format!(
                "(call $exec {command} (i32.const 0) (i32.const 0) (i32.const 512))
                 (call $exec {command} (i32.const 0) (i32.const 0) (i32.const 512))
                 (call $kind (i32.const 512) (i32.const 8))"
            ))
        })
        .ends(DENIED)
        .records(format!("1 denied sandbox {}… (1048320 bytes more)", "x".repeat(256)))
        .records(format!("2 denied sandbox {}… (1048320 bytes more)", "x".repeat(256))),
        Case::execute("parameter-unknown", "a parameter that the command does not have", || {
            exec("attack/run", &[("argv", text("id"))])
        })
        .ends(INVALID),
        Case::execute("parameter-twice", "a parameter that is given twice", || {
            exec("attack/run", &[("note", text("good")), ("note", text("$(id)"))])
        })
        .ends(INVALID),
        Case::execute("parameter-of-another-type", "a list of texts for one text", || {
            exec("attack/run", &[("note", Value::Texts(vec!["a".to_owned(), "b".to_owned()]))])
        })
        .ends(INVALID),
        Case::execute("parameter-flag-for-number", "a flag for a number", || {
            exec("attack/run", &[("count", Value::Flag(true))])
        })
        .ends(INVALID),
        Case::execute("parameter-number-out-of-range", "the smallest number there is", || {
            exec("attack/run", &[("count", Value::Integer(i64::MIN))])
        })
        .ends(INVALID),
        Case::execute("parameter-with-a-shell", "a text that a shell would run", || {
            exec("attack/run", &[("note", text("a; id #$(id)`id`"))])
        })
        .ends(INVALID),
        Case::execute("parameter-an-option", "a text that a tool would read as an option", || {
            exec("attack/run", &[("note", text("--upload-pack=id"))])
        })
        .ends(INVALID),
        Case::execute("parameter-two-lines", "a good line, and another one behind it", || {
            exec("attack/run", &[("note", text("good\nid"))])
        })
        .ends(INVALID),
        Case::execute("parameter-too-long", "a text that is longer than is allowed", || {
            exec("attack/run", &[("note", text(&"a".repeat(1 << 20)))])
        })
        .ends(INVALID),
        Case::execute("parameter-honest", "a text as it may be: it is one argument, and on record", || {
            exec("attack/run", &[("note", text("good")), ("count", Value::Integer(9))])
        })
        .ends("answered \"ok\"")
        .records("1 started attack/run: true good 9")
        .records("1 completed"),
        Case::execute("input-of-another-instance", "a file of another release is put into the sandbox", || {
            exec("attack/run", &[("file", Value::Artifact("artifact://other/step/0/note.txt".to_owned()))])
        })
        .ends(NOT_FOUND),
        Case::execute("input-by-path", "a file of the machine is put into the sandbox", || {
            exec("attack/run", &[("file", Value::Artifact("/etc/passwd".to_owned()))])
        })
        .ends(INVALID),
        Case::execute("secret-not-granted", "a secret that the task does not grant", || {
            acquire("cargo-registry-token")
        })
        .ends(DENIED)
        .records("1 denied secrets cargo-registry-token"),
        Case::execute("secret-by-path", "the file of a secret", || acquire("../token"))
            .ends(DENIED)
            .records("1 denied secrets ../token"),
    ]
}

fn artifacts() -> Vec<Case> {
    vec![
        Case::execute("artifact-honest", "a file of its own that the grant covers", || {
            stat("artifact://hostile/step/0/note.txt")
        })
        .ends("answered \"ok\""),
        Case::execute("artifact-not-granted", "a file of its own instance that the grant does not cover", || {
            stat("artifact://hostile/other-step/0/note.txt")
        })
        .ends(DENIED)
        .records("1 denied artifacts-read artifact://hostile/other-step/0/note.txt"),
        Case::execute(
            "artifact-of-another-instance",
            "a file of another release, under a task name that is granted",
            || stat("artifact://other/step/0/note.txt"),
        )
        .ends(NOT_FOUND),
        Case::execute("artifact-of-another-instance-read", "the bytes of a file of another release", || {
            read("artifact://other/step/0/note.txt", 0, 100)
        })
        .ends(NOT_FOUND),
        Case::execute("artifact-of-a-longer-name", "an instance whose name begins like its own", || {
            stat("artifact://hostile-too/step/0/note.txt")
        })
        .ends(NOT_FOUND),
        Case::execute("artifact-with-userinfo", "a reference with a user before the instance", || {
            stat("artifact://hostile@other/step/0/note.txt")
        })
        .ends(NOT_FOUND),
        Case::execute("artifact-traversal", "a reference that climbs", || {
            stat("artifact://hostile/step/../../other/step/0/note.txt")
        })
        .ends(INVALID),
        Case::execute("artifact-traversal-encoded", "a reference that climbs when it is decoded", || {
            stat("artifact://hostile/step/%2e%2e/%2e%2e/other/step/0/note.txt")
        })
        .ends(NOT_FOUND),
        Case::execute("artifact-of-another-scheme", "a file of the machine", || stat("file:///etc/passwd"))
            .ends(INVALID),
        Case::execute("artifact-with-empty-parts", "a reference with nothing between its slashes", || {
            stat("artifact://hostile//step/0/note.txt")
        })
        .ends(INVALID),
        Case::execute("artifact-with-nul", "a reference with a NUL in it", || {
            stat("artifact://hostile/step/0/note.txt\u{0}.json")
        })
        .ends("answered \""),
        Case::execute("artifact-read-at-the-end-of-numbers", "the bytes at offset 2^64-1", || {
            read("artifact://hostile/step/0/note.txt", -1, -1)
        })
        .ends("answered \"ok\""),
        Case::execute("artifact-read-all-and-more", "4 GiB from a small file", || {
            read("artifact://hostile/step/0/note.txt", 1, -1)
        })
        .ends("answered \"ok\""),
        Case::execute("file-not-granted", "a file under a name that is not granted", || {
            put("approval.json", "text/plain")
        })
        .ends(DENIED)
        .records("1 denied artifacts-write approval.json"),
        Case::execute("file-by-path", "a file above its own folder", || put("../0/report.json", "text/plain"))
            .ends(DENIED)
            .records("1 denied artifacts-write ../0/report.json"),
        Case::execute("file-over-the-log", "its own log, written anew", || put("plugin.log.jsonl", "text/plain"))
            .ends(DENIED)
            .records("1 denied artifacts-write plugin.log.jsonl"),
        Case::execute("file-with-headers", "a media type that carries headers", || {
            put("report.json", "text/html\r\nSet-Cookie: approved=yes")
        })
        .ends(INVALID),
        Case::execute("file-with-long-type", "a media type of 1 MiB", || {
            put("report.json", &format!("text/{}", "x".repeat(1 << 20)))
        })
        .ends(INVALID),
        Case::execute("file-honest", "a file as it may be", || put("report.json", "text/plain; charset=utf-8"))
            .ends("answered \"ok\""),
    ]
}
