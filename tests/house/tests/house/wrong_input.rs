//! Wrong input: exit code 2, a message with the place and the remedy, and nothing written.

use serde_json::{Value, json};

use crate::world::{Host, Running, Stage, eventually, root};

/// What is made wrong in a request.
type Change = fn(&mut Value);

/// A definition that is fine but for its one task.
fn with_task(task: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: tests, name: wrong, version: '0.1.0' }}\ndo:\n  - look: {task}\n")
}

#[test]
fn a_wrong_definition_is_refused_with_line_problem_and_remedy() {
    let stage = Stage::unattended();
    let host = stage.host();
    let cases = [
        ("{ set: { x: 1 }", "wrong.yaml:4:1: not YAML"),
        (
            "{ set: { x: 1 }, metadata: { lightWorkflow: { securty: {} } } }",
            "wrong.yaml:3:57: unknown field `securty` in `metadata.lightWorkflow`; did you mean `security`?",
        ),
        ("{ sett: { x: 1 } }", "wrong.yaml:3:"),
        ("{ set: { x: '${ .a | }' } }", "wrong.yaml:3:23: `set`: `${ .a | }` is not a jq expression"),
        (
            "{ set: { x: 1 }, then: look }",
            "wrong.yaml:3:34: task `look` leads back to `look`, and nothing on the way waits or leads out of it",
        ),
        (
            "{ call: cargoo, with: {} }",
            "wrong.yaml:3:11: task `look` may not call plugin `cargoo`: this host has no such plugin; it has `cargo`, `cargo-publish`, ",
        ),
        ("{ run: { shell: { command: 'true' } } }", "task `look` needs a sandbox template"),
        (
            "{ run: { shell: { command: 'true' } }, metadata: { lightWorkflow: { security: { sandbox: { template: rust-relase } } } } }",
            "task `look` names sandbox template `rust-relase`, which this host does not have; it has `container`, `java-release`, `rust-release`",
        ),
        (
            "{ run: { shell: { command: 'true' } }, metadata: { lightWorkflow: { egress: ['example.com:443'], security: { sandbox: { template: rust-release } } } } }",
            "task `look` wants egress to `example.com:443`, which is not in the `egress` of its template `rust-release`; there are `",
        ),
        (
            "{ run: { shell: { command: 'true' } }, metadata: { lightWorkflow: { security: { sandbox: { template: rust-release } }, onFailure: { call: diagnose } } } }",
            "task `diagnose` (`onFailure` of `look`) may not call plugin `diagnose`: plugin `diagnose` imports `lightapi:release/log` (emit), which the task does not grant; add `log: { lines-max: 100, bytes-max: 65536 }`",
        ),
    ];
    for (task, message) in cases {
        let file = stage.write("wrong.yaml", &with_task(task));
        let request = stage.written.request.to_str().unwrap();
        let file = file.to_str().unwrap();
        for arguments in [&["run", file][..], &["release", "start", request, "--yes", "--definition", file]] {
            let ran = host.run(arguments).ended_with(2).says(message);
            assert!(ran.stderr.starts_with("error: ") && ran.stdout.is_empty(), "{ran:?}");
            assert!(!host.data.exists(), "something was written: {task}");
        }
        // `check` finds the same, and says that what it checked is wrong.
        let checked = host.run(&["check", file]).ended_with(1);
        assert!(checked.stderr.contains("wrong.yaml:"), "{}", checked.stderr);
        assert!(!host.data.exists(), "something was written: {task}");
    }
}

#[test]
fn a_wrong_release_request_is_refused_with_line_problem_and_remedy() {
    let stage = Stage::unattended();
    let host = stage.host();
    let cases: [(Change, &str); 8] = [
        (|request| drop(request.as_object_mut().unwrap().remove("repos")), "`repos` is missing"),
        (|request| request["realeaseId"] = 1.into(), "unknown field `realeaseId`; did you mean `releaseId`?"),
        (
            |request| request["repos"][0]["version"] = "1.2".into(),
            "`repos[0].version`: `1.2` is not a semantic version",
        ),
        (
            |request| request["repos"][0]["url"] = "/home/me/demo".into(),
            "is a place on one machine; a release must be reproducible elsewhere",
        ),
        (
            |request| request["publishPolicy"]["maxRepairAttempts"] = "0".into(),
            "`publishPolicy.maxRepairAttempts` must be a whole number from 0 to 10, not text",
        ),
        (|request| request["releaseType"] = "rust".into(), "`releaseType`"),
        (|request| request["releaseId"] = "../x".into(), "`releaseId`: `../x` is not a name"),
        (|request| request["repos"] = json!([]), "`repos`"),
    ];
    for (change, message) in cases {
        let file = stage.request_with(change);
        host.run(&["release", "start", file.to_str().unwrap(), "--yes"])
            .ended_with(2)
            .says("changed-request.json:1:")
            .says(message);
        assert!(!host.data.exists(), "something was written: {message}");
    }
    let train = stage.request_with(|request| {
        request["releaseType"] = "java-train".into();
        request["runtimeFamilies"] = json!(["java"]);
    });
    for command in ["plan", "start"] {
        host.run(&["release", command, train.to_str().unwrap()]).ended_with(2).says("name one with --definition");
    }
    let broken = stage.write("broken.json", "{ \"releaseId\": \"x\",\n  ]");
    host.run(&["release", "start", broken.to_str().unwrap()]).ended_with(2).says("broken.json:2:");
    assert!(!host.data.exists(), "something was written");
}

/// A plugin says what it takes: nobody is asked, and nothing is built or sent, with a call that it would refuse.
#[test]
fn a_call_that_a_plugin_would_refuse_starts_nothing() {
    let stage = Stage::unattended();
    let written = std::fs::read_to_string(root().join("definitions/rust-products.yaml")).unwrap();
    let file = stage.write("wrong.yaml", &written.replace("message: ${", "massage: ${"));
    let (file, request) = (file.to_str().unwrap(), stage.written.request.to_str().unwrap());
    let expected = "`with.massage` is not known, for plugin `cargo-publish`; did you mean `message`?";
    for arguments in [&["run", file][..], &["release", "start", request, "--yes", "--definition", file]] {
        stage.host().run(arguments).ended_with(2).says("wrong.yaml:").says(expected);
        assert!(!stage.host().data.exists(), "nothing was written");
    }
}

#[test]
fn a_file_that_is_not_there_or_a_configuration_that_is_wrong_is_refused() {
    let stage = Stage::unattended();
    let request = stage.written.request.to_str().unwrap();
    let start = ["release", "start", request, "--yes"];
    let host = stage.host();
    host.run(&["release", "start", "nowhere.json"])
        .ended_with(2)
        .says("failed to read the release request `nowhere.json`");
    host.run(&["run", "nowhere.yaml"]).ended_with(2).says("failed to read the definition `nowhere.yaml`");
    host.run(&["check", "nowhere"]).ended_with(2).says("failed to read `nowhere`");
    host.run(&["audit", "verify", "nowhere.jsonl"]).ended_with(2).says("failed to open the export `nowhere.jsonl`");
    let no_export = stage.written.configuration.to_str().unwrap();
    host.run(&["audit", "verify", no_export]).ended_with(2).says("the file is not an audit export");
    host.run(&["release", "list"]).ended_with(2).says("there is no light-workflow data in");
    host.run(&["release", "strat"]).ended_with(2).says("similar subcommand exists: 'start'");

    let hello = root().join("definitions/examples/hello.yaml");
    let input = stage.write("input.json", "{ \"name\": ");
    host.run(&["run", hello.to_str().unwrap(), "--input", input.to_str().unwrap()])
        .ended_with(2)
        .says("input.json:1:10: not JSON: EOF while parsing a value");
    // Two names of one thing are no input either.
    let twice = stage.write("twice.json", "{ \"name\": \"a\",\n  \"name\": \"b\" }");
    host.run(&["run", hello.to_str().unwrap(), "--input", twice.to_str().unwrap()])
        .ended_with(2)
        .says("twice.json:2:3: `name` is given twice, first on line 1");

    let written = std::fs::read_to_string(&stage.written.configuration).unwrap();
    let cases = [
        ("[secrets".to_owned(), "operator.toml:1:9: unclosed table"),
        (
            "[secret]".to_owned(),
            "operator.toml:1:2: unknown field `secret`, expected one of `egress`, `calls`, `images`, `models`, `mcp`, `secrets`, `policy`, `plugins`, `registries`, `paths`",
        ),
        ("\n[egress.resolve]\n\"a:80\" = \"b\"".to_owned(), "operator.toml:3:10: invalid socket address"),
        (
            written.lines().filter(|line| !line.starts_with("git-credential")).collect::<Vec<_>>().join("\n"),
            "secret `git-credential` is not configured; add `git-credential = { file = \"…\" }` to [secrets]",
        ),
        (written.replace("/secrets/git-credential", "/secrets/gone"), "failed to read secret `git-credential` from"),
    ];
    for (text, message) in cases {
        let config = stage.write("operator.toml", &text);
        let host = Host { config, ..stage.host() };
        host.run(&start).ended_with(2).says(message);
        assert!(!host.data.exists(), "something was written: {message}");
    }
    let host = Host { config: stage.path("none.toml"), ..stage.host() };
    host.run(&start).ended_with(2).says("failed to read the configuration");
    assert!(!host.data.exists(), "something was written");
}

#[test]
fn a_yes_does_not_answer_where_a_person_is_demanded_and_only_a_right_decision_counts() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    let mut running = host.start_release_in_background(&stage);
    running.line_with("`--yes` may not answer this");
    running.line_with("waiting for a person: light-workflow task show");
    assert!(!running.has_ended(), "it waits");
    running.kill();
    assert_eq!(stage.published(), Vec::<String>::new());
    assert_eq!(host.phase().as_deref(), Some("waiting"));

    let task = host.json(&["task", "list", "--format", "json"])[0].clone();
    let (id, digest) = (task["id"].as_str().unwrap(), task["question"]["subjectDigest"].as_str().unwrap());
    let complete = |decision: &str, subject: &str| {
        host.run(&["task", "complete", id, "--decision", decision, "--subject", subject])
    };
    complete("approved", &format!("sha256:{}", "0".repeat(64))).ended_with(2).says("sha256:000000");
    complete("approved", "yes").ended_with(2).says("`yes` is not a valid digest");
    complete("perhaps", digest).ended_with(2).says("`perhaps`");
    complete("approved", digest).ended_with(0);
    complete("rejected", digest).ended_with(2).says("approved");
    host.run(&["task", "complete", "nothing", "--decision", "approved", "--subject", digest])
        .ended_with(2)
        .says("there is no human task `nothing`");

    // The decision is in the store; whoever works next acts on it.
    host.start_release(&stage).ended_with(0);
    assert_eq!(stage.published(), Stage::all_crates());
    let approvals = host.json(&["release", "summary", crate::world::RELEASE, "--format", "json"])["approvals"].clone();
    assert_eq!(approvals[0]["decision"]["decidedBy"], "cli:tester");
    assert_eq!(approvals[0]["decision"]["value"], "approved");
}

#[test]
fn a_rejected_release_publishes_nothing() {
    let stage = Stage::with_a_person();
    let host = stage.host();
    let mut running: Running = host.start_release_in_background(&stage);
    running.line_with("waiting for a person");
    let task = host.json(&["task", "list", "--format", "json"])[0].clone();
    let (id, digest) = (task["id"].as_str().unwrap(), task["question"]["subjectDigest"].as_str().unwrap());
    host.run(&["task", "complete", id, "--decision", "rejected", "--subject", digest]).ended_with(0);
    eventually("the end of the release", || running.has_ended().then_some(()));
    assert_eq!(host.phase().as_deref(), Some("faulted"));
    assert_eq!(stage.published(), Vec::<String>::new());
    assert_eq!(stage.tags(), Vec::<String>::new());
}

#[test]
fn a_definition_that_publishes_before_anybody_was_asked_starts_no_release() {
    let stage = Stage::unattended();
    let host = stage.host();
    let text = "document: { dsl: '1.0.3', namespace: tests, name: eager, version: '0.1.0' }
use: { secrets: [cargo-registry-token] }
do:
  - send:
      run: { shell: { command: 'true' } }
      metadata:
        lightWorkflow:
          security: { sandbox: { mode: per-task, template: rust-release, reason: tests }, secrets: [cargo-registry-token] }
";
    let file = stage.write("eager.yaml", text);
    let file = file.to_str().unwrap();
    let request = stage.written.request.to_str().unwrap();
    host.run(&["release", "start", request, "--yes", "--definition", file]).ended_with(2).says(
        "eager.yaml:5:7: task `send` holds secrets, and a path leads to it on which no `ask` was answered; put one before it",
    );
    assert!(!host.data.exists(), "something was written");
    host.run(&["check", file]).ended_with(0).says("task `send` may hold secrets before a person has been asked");
}

#[test]
fn a_request_that_the_definition_cannot_take_is_refused_and_recorded_nowhere() {
    let stage = Stage::unattended();
    let host = stage.host();
    let request = stage.request_with(|request| drop(request.as_object_mut().unwrap().remove("cargoRegistry")));
    host.run(&["release", "start", request.to_str().unwrap(), "--yes"])
        .ended_with(2)
        .says("changed-request.json:1:1: release/rust-products:")
        .says("does not take this request: \"cargoRegistry\" is a required property; complete the request");
    assert!(!host.data.exists(), "something was written");
}

#[test]
fn a_circle_of_tasks_ends_soon_with_what_to_do_and_writes_little() {
    let stage = Stage::unattended();
    let host = stage.host();
    let file = stage.write("circle.yaml", &with_task("{ if: '${ .never != 1 }', set: { x: 1 }, then: look }"));
    let file = file.to_str().unwrap();
    host.run(&["check", file])
        .ended_with(0)
        .says("circle.yaml:3:58: warning: task `look` leads back to `look`, and nothing on the way waits");
    host.run(&["run", file])
        .ended_with(1)
        .says("error: the flow turned back 1000 times without anything to wait for, the last time to `/do/0/look`");
}

#[test]
fn what_has_ended_is_not_cancelled_and_says_so_as_a_wrong_use() {
    let stage = Stage::unattended();
    let host = stage.host();
    let hello = root().join("definitions/examples/hello.yaml");
    let request = stage.written.request.to_str().unwrap();
    host.run(&["release", "start", request, "--yes", "--definition", hello.to_str().unwrap()]).ended_with(0);
    for command in ["cancel", "suspend", "resume"] {
        host.run(&["release", command, crate::world::RELEASE, "--reason", "late"])
            .ended_with(2)
            .says("has ended already: run ")
            .says(" is completed");
    }
}

#[test]
fn too_little_address_space_is_told_with_what_to_do() {
    let stage = Stage::unattended();
    let host = stage.host();
    let hello = root().join("definitions/examples/hello.yaml");
    for (arguments, code) in [(vec!["run", hello.to_str().unwrap()], 3), (vec!["doctor"], 3)] {
        let ran = host.run_within(8 << 30, &arguments).ended_with(code);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        assert!(said.contains("plugins need 131 GiB of address space"), "{said}");
        assert!(said.contains("ulimit -v unlimited"), "{said}");
    }
    host.run_within(200 << 30, &["run", hello.to_str().unwrap()]).ended_with(0);
}

/// The example of the page is one that this host takes, and what it may do is told whole.
#[test]
fn a_check_shows_all_that_a_task_may_do() {
    let stage = Stage::unattended();
    let page = std::fs::read_to_string(root().join("docs/dsl.md")).unwrap();
    let example = page.split("\n## Failures\n").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
    let example = example.trim_start_matches("yaml\n");
    let text = format!(
        "document: {{ dsl: '1.0.3', namespace: tests, name: page, version: '0.1.0', metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ template: rust-release }} }} }} }} }}\n\
         do:\n{example}{FETCH}"
    );
    let file = stage.write("page.yaml", &text);
    let ran = stage.host().run(&["check", file.to_str().unwrap()]).ended_with(0);
    for line in [
        "    log      (at most 100 lines and 65536 bytes)\n",
        "    reads    **\n",
        "    model    default (at most 1 questions and 1000 tokens of answers an attempt)\n",
        "    egress   crates.demo.test:80\n",
    ] {
        assert!(ran.stdout.contains(line), "{line}: {}", ran.stdout);
    }
}

const FETCH: &str = "- fetch:
    run: { shell: { command: 'true' } }
    metadata: { lightWorkflow: { egress: ['crates.demo.test:80'] } }
";
