//! The secrets of a release are nowhere but in the sandbox that needs them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::serve::{Serving, decide, open_task, start_release, wait_for_end};
use crate::world::{Host, RELEASE, Stage};

/// Finds secrets in every form in which they could leak.
struct Canary {
    forms: Vec<String>,
    search: AhoCorasick,
}

impl Canary {
    fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let forms: BTreeSet<String> = secrets.into_iter().flat_map(forms).collect();
        let forms: Vec<String> = forms.into_iter().collect();
        Self { search: AhoCorasick::new(&forms).unwrap(), forms }
    }

    #[track_caller]
    fn sings_not_in(&self, place: &str, bytes: &[u8]) {
        if let Some(found) = self.search.find(bytes) {
            panic!("{place} holds a secret, as `{}`", self.forms[found.pattern().as_usize()]);
        }
    }

    /// Every file below a folder; the number of them.
    #[track_caller]
    fn sings_not_below(&self, folder: &Path) -> usize {
        let mut files = 0;
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => files += self.sings_not_below(&path),
                Ok(kind) if kind.is_file() => {
                    // A file may go while a release runs.
                    self.sings_not_in(&path.display().to_string(), &fs::read(&path).unwrap_or_default());
                    files += 1;
                }
                Ok(_) | Err(_) => {}
            }
        }
        files
    }
}

/// Raw, hex, percent, and base64 wherever the value may begin in what is encoded.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = secret.bytes().map(|b| format!("%{b:02X}")).collect();
    let mut forms =
        vec![secret.to_owned(), hex::encode(secret), hex::encode_upper(secret), percent.to_lowercase(), percent];
    for shift in 0..3 {
        let shifted = ["x".repeat(shift).as_bytes(), secret.as_bytes()].concat();
        // Only the digits that are made of nothing but the secret.
        let (from, to) = ((8 * shift).div_ceil(6), 8 * shifted.len() / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(encoded[from..to].to_owned());
        }
    }
    forms
}

#[test]
fn the_canary_is_heard_in_each_form() {
    let canary = Canary::of(["demo_0123456789abcdef"]);
    for shift in 0..3 {
        let text = STANDARD_NO_PAD.encode(format!("{}demo_0123456789abcdef and more", "y".repeat(shift)));
        assert!(canary.search.is_match(&text), "{text}");
    }
    for text in ["token=demo_0123456789abcdef", "%64%65%6D%6F%5F%30%31%32%33%34%35%36%37%38%39%61%62%63%64%65%66"] {
        assert!(canary.search.is_match(text), "{text}");
    }
}

#[test]
fn no_secret_is_in_the_data_the_terminal_or_any_command_line_of_a_release() {
    let stage = Stage::unattended();
    let host = stage.host();
    let canary = Canary::of(stage.secrets().map(|(_, value)| value));
    let over = AtomicBool::new(false);
    let ran = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut looks = 0;
            while !over.load(Ordering::SeqCst) {
                for folder in ["sandbox/spool", "sandbox/tasks", "sandbox/locks"] {
                    canary.sings_not_below(&host.data.join(folder));
                }
                command_lines(&canary);
                looks += 1;
            }
            looks
        });
        let ran = host.start_release(&stage);
        over.store(true, Ordering::SeqCst);
        assert!(watch.join().expect("the watch saw no secret") > 10);
        ran.ended_with(0)
    });
    assert_eq!(stage.published(), Stage::all_crates(), "the token was used");
    assert_eq!(stage.pushes(), [200], "the password was used");

    canary.sings_not_in("standard output of the release", ran.stdout.as_bytes());
    canary.sings_not_in("standard error of the release", ran.stderr.as_bytes());
    let commands: [&[&str]; 8] = [
        &["release", "show", RELEASE],
        &["release", "show", RELEASE, "--format", "json"],
        &["release", "logs", RELEASE],
        &["release", "summary", RELEASE],
        &["release", "summary", RELEASE, "--format", "json"],
        &["task", "list", "--all", "--format", "json"],
        &["audit", "export"],
        &["--verbose", "release", "list", "--format", "json"],
    ];
    for arguments in commands {
        let ran = host.run(arguments).ended_with(0);
        assert!(!ran.stdout.is_empty(), "{arguments:?} prints something");
        canary.sings_not_in(&format!("{arguments:?}"), [ran.stdout, ran.stderr].concat().as_bytes());
    }
    let files = canary.sings_not_below(&host.data);
    assert!(files > 30, "{files} files");
}

#[test]
fn no_secret_is_in_the_memory_of_a_plugin_while_its_command_holds_one() {
    let stage = Stage::unattended();
    let host = stage.host();
    let canary = Canary::of(stage.secrets().map(|(_, value)| value));
    // What a component was told shows that a dump is one of its memory.
    let told = ["\"operation\":\"publish\"", "\"operation\":\"tag\""];
    let mut seen = [0; 2];
    let mut running = host.start_release_in_background(&stage);
    while !running.has_ended() {
        for dump in plugin_memories(running.id()) {
            canary.sings_not_in("the memory of a plugin", &dump);
            for (seen, told) in seen.iter_mut().zip(told) {
                *seen += usize::from(memchr::memmem::find(&dump, told.as_bytes()).is_some());
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(stage.published(), Stage::all_crates(), "the token was used");
    assert_eq!(stage.pushes(), [200], "the password was used");
    assert!(
        seen.iter().all(|seen| *seen > 0),
        "a plugin was looked at while it published, and while it tagged: {seen:?}"
    );
}

/// What the linear memories of a host's plugins hold now.
///
/// The engine lays the image of a memory, a file of its own or a part of the
/// compiled component, over the start of its slot; the rest of the slot follows.
fn plugin_memories(host: u32) -> Vec<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{host}/maps")).unwrap_or_default();
    let Ok(memory) = fs::File::open(format!("/proc/{host}/mem")) else { return Vec::new() };
    let mut dumps = Vec::new();
    let mut slot_end = None;
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').expect("a line of maps begins with a range");
        let (from, to) = range.split_once('-').expect("a range has two ends");
        let [from, to] = [from, to].map(|end| u64::from_str_radix(end, 16).expect("an address"));
        let is_image = rest.contains("wasm-memory-image") || rest.ends_with(".cwasm");
        if rest.starts_with("rw-p") && (is_image || slot_end == Some(from)) {
            let mut dump = vec![0; usize::try_from(to - from).unwrap()];
            // The slot may have been given back meanwhile.
            if memory.read_exact_at(&mut dump, from).is_ok() {
                dumps.push(dump);
            }
            slot_end = Some(to);
        }
    }
    dumps
}

/// Arguments of every process on this machine.
fn command_lines(canary: &Canary) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        canary.sings_not_in(&format!("the command line of process {:?}", entry.file_name()), &line);
    }
}

#[test]
fn no_secret_is_in_any_answer_of_the_api() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    let canary = Canary::of(stage.secrets().map(|(_, value)| value));
    let serving = Serving::start(&host, "all");
    let client = &serving.client;
    let id = start_release(client, &stage, "key", 201)["id"].as_str().unwrap().to_owned();
    decide(client, &open_task(client), "approved", 200);
    assert_eq!(wait_for_end(client, &id)["phase"], "completed");
    let list = client.get(&format!("/v1/releases/{id}/artifacts")).with_status(200).json();
    let uris = list["items"].as_array().unwrap().iter().map(|item| item["uri"].as_str().unwrap().to_owned());
    let artifacts = uris.map(|uri| format!("/v1/artifacts/{}", uri.strip_prefix("artifact://").unwrap()));
    let paths = ["", "/events", "/logs", "/artifacts"].map(|part| format!("/v1/releases/{id}{part}"));
    let others = ["/v1/releases", "/v1/human-tasks", "/v1/openapi.json"].map(str::to_owned);
    for path in paths.into_iter().chain(others).chain(artifacts) {
        let answer = client.get(&path).with_status(200);
        canary.sings_not_in(&path, &answer.body);
    }
    drop(serving);
    canary.sings_not_below(&host.data);
}

/// What a careless or hostile command does with the secret it was given.
const LEAK: &str = r#"document:
  dsl: '1.0.3'
  namespace: tests
  name: leak
  version: '0.1.0'
  metadata:
    lightWorkflow:
      security:
        sandbox: { mode: workflow-session, template: rust-release }
use:
  secrets: [cargo-registry-token]
do:
  - print-secret:
      run:
        script:
          language: python
          code: |
            import base64, os, sys
            secret = os.environ["CARGO_REGISTRY_TOKEN"].encode()
            assert open("/run/secrets/cargo-registry-token", "rb").read().strip() == secret
            print("raw", secret.decode(), flush=True)
            for shift in (b"", b"x", b"xy"):
                print("base64", base64.b64encode(shift + secret + b"tail").decode())
            print("hex", secret.hex(), secret.hex().upper())
            print("percent", "".join("%%%02X" % b for b in secret))
            print("err", secret.decode(), file=sys.stderr)
            for letter in secret.decode():
                sys.stdout.write(letter)
                sys.stdout.flush()
            print()
            open("kept.txt", "w").write("kept\n")
            open("leak.txt", "w").write("leak " + secret.decode() + "\n")
            print("token: " + base64.b64encode(secret).decode())
      metadata:
        lightWorkflow:
          security:
            sandbox: { mode: per-task, reason: tests }
            secrets: [cargo-registry-token]
          artifactPolicy: { capture: ["*.txt"] }
"#;

#[test]
fn a_variable_that_is_a_secret_holds_it_under_that_name_alone_and_leaves_as_little() {
    let stage = Stage::unattended();
    let host = stage.host();
    let canary = Canary::of(stage.secrets().map(|(_, value)| value));
    let chosen = LEAK
        .replace("      run:\n        script:\n", "      run:\n        script:\n          environment: { CHOSEN: '${ $secrets[\"cargo-registry-token\"] }', PLAIN: text }\n")
        .replace("os.environ[\"CARGO_REGISTRY_TOKEN\"]", "os.environ[\"CHOSEN\"]")
        .replace("            print(\"raw\"", "            assert \"CARGO_REGISTRY_TOKEN\" not in os.environ and os.environ[\"PLAIN\"] == \"text\"\n            print(\"raw\"")
        .replace("            sandbox: { mode: per-task, reason: tests }\n            secrets: [cargo-registry-token]\n", "            sandbox: { mode: per-task, reason: tests }\n");
    assert_eq!(chosen.matches("CHOSEN").count(), 2);
    assert_eq!(chosen.matches("secrets: [").count(), 1);
    let file = stage.write("chosen.yaml", &chosen);
    let check = host.run(&["check", file.to_str().unwrap()]).ended_with(0);
    assert!(check.stdout.contains("secrets  cargo-registry-token"), "{}", check.stdout);
    let ran = host.run(&["run", file.to_str().unwrap(), "--format", "json"]).ended_with(0);
    let ended: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let printed = ended["output"]["stdoutExcerpt"].as_str().unwrap();
    assert!(printed.starts_with("raw [secret cargo-registry-token]\n"), "{printed}");
    canary.sings_not_in("what `run` printed", [&ran.stdout[..], &ran.stderr].concat().as_bytes());
    let kept = fs::read_dir(host.data.join("runs")).unwrap().next().unwrap().unwrap().path();
    let history = Host { data: kept, ..stage.host() }.run(&["audit", "export"]).ended_with(0).stdout;
    assert!(history.contains(r#""CHOSEN":"cargo-registry-token""#), "{history}");
    canary.sings_not_in("the history", history.as_bytes());
    assert!(canary.sings_not_below(&host.data) > 5);
}

#[test]
fn a_command_that_prints_its_secret_leaves_the_name_of_it_and_nothing_more() {
    let stage = Stage::unattended();
    let host = stage.host();
    let canary = Canary::of(stage.secrets().map(|(_, value)| value));
    let file = stage.write("leak.yaml", LEAK);
    let ran = host.run(&["run", file.to_str().unwrap(), "--format", "json"]).ended_with(0);
    let ended: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let printed = ended["output"]["stdoutExcerpt"].as_str().unwrap();
    let name = "[secret cargo-registry-token]";
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], format!("raw {name}"));
    for (line, kind) in [(1, "base64"), (2, "base64"), (3, "base64"), (4, "hex"), (5, "percent")] {
        assert!(lines[line].starts_with(kind) && lines[line].contains(name), "{}", lines[line]);
    }
    assert_eq!(lines[6], name, "one letter at a time");
    assert_eq!(lines[7], format!("token: {name}"));
    assert_eq!(ended["output"]["stderrExcerpt"], format!("err {name}\n"));
    canary.sings_not_in("what `run` printed", [&ran.stdout[..], &ran.stderr].concat().as_bytes());
    assert!(canary.sings_not_below(&host.data) > 5);
    let kept = ended["output"]["artifacts"].to_string();
    assert!(kept.contains("kept.txt"), "{kept}");
    assert!(!kept.contains("leak.txt"), "a file that holds a secret is left out: {kept}");
    let text = host.run(&["run", file.to_str().unwrap()]).ended_with(0);
    canary.sings_not_in("what `run` printed as text", [text.stdout, text.stderr].concat().as_bytes());
}
