//! The reviewer's view: rows are the policy, and what stands against it is named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use workflow::capability::{
    Approval, Date, EffectivePolicy, Grants, LockEntry, PluginManifest, PluginPolicy, PluginsLock, World, effective,
};
use workflow::definition::{self, Definition};
use workflow::event::{Event, Recorded};
use workflow::policy::{PolicyProblem, PolicySources, examine};
use workflow::review::{
    CommandReach, ComponentClass, ComponentFacts, DefinitionFacts, Denied, Facts, Place, PluginFacts, Report,
    SandboxReach, Side, StepDescription, UnreadDefinition, Usage, Verdict, difference, explain, report,
};
use workflow::{Actor, Command, CommandName, Digest, TaskPath, Timestamp};

const TODAY: Date = Date::constant(2026, 11, 25);

const DEFINITION: &str = "document:
  dsl: '1.0.3'
  namespace: n
  name: d
  version: '1.0.0'
  metadata:
    lightWorkflow:
      security:
        sandbox: { template: t }
do:
- build:
    call: maker
    metadata:
      lightWorkflow:
        grants:
          log: { lines-max: 5, bytes-max: 50 }
          sandbox:
            commands:
              - t/a
            commands-max: 2
- count:
    run: { shell: { command: wc, arguments: ['${ .file }'] } }
    metadata: { lightWorkflow: { egress: ['example.test:443'] } }
";

const MANIFEST: &str = "name = \"maker\"
version = \"1.0.0\"
world = \"build\"
summary = \"Makes\"
[asks.log]
reason = \"says what it does\"
lines-max = 10
bytes-max = 100
[asks.sandbox]
reason = \"makes\"
commands = [\"t/a\", \"t/b\"]
commands-max = 3
";

const LOCK: &str = "# Kept by hand.
format = 1

# The maker.
[[plugin]]
name = \"maker\"
version = \"1.0.0\"
digest = \"DIGEST\" # bytes of spring
reviewer = \"cli:alice\"
reviewed = \"2026-11-01\"
expires = \"2027-05-01\"

[plugin.grants.log]
lines-max = 10
bytes-max = 100

[plugin.grants.sandbox]
# t/b is for the nightly.
commands = [\"t/a\", \"t/b\"]
commands-max = 3

[[plugin]]
name = \"other\"
version = \"1.0.0\"
digest = \"DIGEST\"
reviewer = \"cli:bob\"
reviewed = \"2026-11-01\"
expires = \"2027-05-01\"
grants = {}
";

/// A host with one plugin and one definition, to be changed by a test.
struct House {
    plugin: PluginFacts,
    definition: Definition,
    ceiling: Option<Grants>,
    usage: Usage,
    unread: Vec<UnreadDefinition>,
}

fn lock() -> String {
    LOCK.replace("DIGEST", Digest::of(b"component").as_str())
}

fn house() -> House {
    house_of(DEFINITION)
}

fn house_of(text: &str) -> House {
    let lock = lock();
    let name = "maker".parse().unwrap();
    let entry = PluginsLock::parse(&lock).unwrap().plugins[&name].clone();
    let line = PluginsLock::line_of(&lock, &name).unwrap();
    House {
        plugin: PluginFacts {
            name,
            file: "maker.wasm".to_owned(),
            component: Ok(component(&["log.emit", "sandbox.exec"])),
            manifest: Some((
                Place { file: "plugin.toml".to_owned(), line: 1 },
                PluginManifest::parse(MANIFEST).unwrap(),
            )),
            approval: Some((Place { file: "plugins.lock".to_owned(), line }, entry)),
        },
        definition: definition::parse(text, "d.yaml").unwrap(),
        ceiling: None,
        usage: Usage::default(),
        unread: Vec::new(),
    }
}

fn component(functions: &[&str]) -> ComponentFacts {
    let (mut all, mut needs): (BTreeMap<String, BTreeSet<String>>, BTreeMap<String, BTreeSet<String>>) =
        Default::default();
    for name in functions {
        let (interface, function) = name.split_once('.').unwrap();
        all.entry(format!("lightapi:release/{interface}@0.1.0")).or_default().insert(function.to_owned());
        needs.entry(interface.to_owned()).or_default().insert((*name).to_owned());
    }
    ComponentFacts {
        digest: Digest::of(b"component"),
        size_bytes: 9,
        class: ComponentClass::ImportPure,
        smallest_world: Some(World::Build),
        functions: all,
        needs,
        problems: Vec::new(),
    }
}

fn sandbox() -> SandboxReach {
    SandboxReach {
        template: "t".parse().unwrap(),
        template_digest: Digest::of(b"t"),
        image: None,
        image_name: None,
        tools: BTreeMap::new(),
        memory_mib: 1,
        processes: 2,
        output_mib: 3,
        workspace_mib: 4,
        mounts: Vec::new(),
    }
}

fn command(name: &CommandName) -> Option<CommandReach> {
    (name.as_str() == "t/a" || name.as_str() == "t/b").then(|| CommandReach {
        command: name.clone(),
        summary: String::new(),
        argv: vec!["make".to_owned(), "{what}".to_owned()],
        parameters: [("what".to_owned(), "text /[a-z]+/, 9 bytes".to_owned())].into(),
        sandbox: sandbox(),
        mode: None,
        egress: ["example.test:443".to_owned()].into(),
        mounts: BTreeMap::new(),
        secrets: BTreeMap::new(),
        capture: Vec::new(),
        time_limit_seconds: 60,
    })
}

impl House {
    /// As the engine resolves it when an instance starts.
    fn policy(&self) -> (EffectivePolicy, Vec<PolicyProblem>) {
        let templates = [("t".parse().unwrap(), Digest::of(b"t"))].into();
        let answer = |name: &workflow::PluginName, grants: &Grants| {
            let (Some((_, manifest)), Ok(component)) = (&self.plugin.manifest, &self.plugin.component) else {
                return Err(vec!["there is none".to_owned()]);
            };
            let approval = Approval {
                manifest,
                lock: self.plugin.approval.as_ref().map(|(_, entry)| entry),
                digest: &component.digest,
                ceiling: self.ceiling.as_ref(),
                today: TODAY,
            };
            let texts = |problems: Vec<workflow::capability::GrantProblem>| {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            let grants = effective(&approval, grants).map_err(texts)?;
            Ok(PluginPolicy { name: name.clone(), digest: component.digest.clone(), grants })
        };
        let sources = PolicySources {
            approved_calls: &Default::default(),
            templates: &templates,
            providers: &["local"],
            plugin: &answer,
            workflow: &|_| Err("there is none".to_owned()),
            allow_auto_approval: false,
            echo: false,
        };
        examine(&self.definition, &sources)
    }

    fn with_facts<T>(&self, make: impl FnOnce(&Facts) -> T) -> T {
        let (policy, problems) = self.policy();
        let definitions = [DefinitionFacts {
            file: "d.yaml".to_owned(),
            definition: &self.definition,
            policy: &policy,
            problems: &problems,
        }];
        make(&Facts {
            today: TODAY,
            plugins: std::slice::from_ref(&self.plugin),
            definitions: &definitions,
            unread: &self.unread,
            commands: &command,
            sandboxes: &|_| Some(sandbox()),
            usage: Some(&self.usage),
        })
    }

    fn report(&self) -> Report {
        self.with_facts(report)
    }

    fn entry(&mut self) -> &mut LockEntry {
        &mut self.plugin.approval.as_mut().unwrap().1
    }

    /// `VERDICT place: message`.
    fn findings(&self) -> Vec<String> {
        let line = |finding: &workflow::review::Finding| {
            format!("{} {}: {}", finding.verdict.name(), finding.place, finding.message)
        };
        self.report().findings.iter().map(line).collect()
    }
}

#[test]
fn each_row_says_what_is_reached_through_what_and_where_it_is_granted() {
    let report = house().report();
    assert_eq!(report.findings, []);
    let rows: Vec<_> = report
        .tasks
        .iter()
        .flat_map(|task| task.reaches.iter().map(move |reach| (task, reach)))
        .map(|(task, reach)| format!("{} {} {} {}", task.task, reach.capability, reach.subject, reach.place))
        .collect();
    assert_eq!(rows, ["build log log d.yaml:16", "build sandbox t/a d.yaml:19", "count run wc d.yaml:22"]);
    let through = report.tasks[0].reaches[1].through.as_ref().unwrap();
    assert_eq!(through.argv, ["make", "{what}"]);
    assert_eq!(report.tasks[0].reaches[1].bound.as_deref(), Some("at most 2 commands an attempt"));
    let own = report.tasks[1].reaches[0].through.as_ref().unwrap();
    assert_eq!(own.argv, ["wc", "${ .file }"]);
    assert_eq!(own.egress, ["example.test:443".to_owned()].into());
}

#[test]
fn a_refused_task_reaches_nothing() {
    let mut house = house();
    house.plugin.approval = None;
    let report = house.report();
    assert!(report.has_errors());
    assert!(report.tasks[0].refused && report.tasks[0].reaches.is_empty(), "{:?}", report.tasks[0]);
    assert_eq!(report.tasks[1].reaches.len(), 1, "the other task is not refused");
}

#[test]
fn each_verdict_has_its_cause_and_its_place() {
    let changed = |change: fn(&mut House)| {
        let mut house = house();
        change(&mut house);
        house.findings()
    };
    type Change = fn(&mut House);
    let cases: [(Change, &str); 10] = [
        (|house| house.plugin.approval = None, "REFUSED plugin.toml:1: nobody approved it"),
        (
            |house| house.entry().digest = Digest::of(b"other"),
            "DRIFT plugins.lock:5: its bytes changed since the review",
        ),
        (|house| house.entry().version = "0.9.0".parse().unwrap(), "DRIFT plugins.lock:5: its version changed"),
        (|house| house.entry().expires = TODAY, "EXPIRED plugins.lock:5: its approval expired on 2026-11-25"),
        (
            |house| house.plugin.component = Ok(component(&["log.emit"])),
            "OVER-GRANT d.yaml:18: grants `sandbox`, and `maker` imports nothing that needs it",
        ),
        (
            |house| house.plugin.component = Ok(component(&["log.emit", "sandbox.exec", "secrets.acquire"])),
            "REFUSED plugin.toml:1: imports `secrets.acquire` and does not ask for `secrets`",
        ),
        (
            |house| house.ceiling = Some(Grants::default()),
            "REFUSED d.yaml:11: may not call plugin `maker`: the task grants `t/a`",
        ),
        (
            |house| {
                let problems = vec![(7, "unknown field `cidr`".to_owned())];
                house.unread.push(UnreadDefinition { file: "e.yaml".to_owned(), problems });
            },
            "UNENFORCED e.yaml:7: unknown field `cidr`",
        ),
        (
            |house| house.plugin.component.as_mut().unwrap().smallest_world = Some(World::Publish),
            "DRIFT plugin.toml:1: says that it is of world `build`, and its imports need `publish`",
        ),
        (
            |house| house.plugin.component = Err("the file is empty".to_owned()),
            "REFUSED plugin.toml:1: the file is empty",
        ),
    ];
    for (change, expected) in cases {
        let findings = changed(change);
        assert!(findings.iter().any(|finding| finding.starts_with(expected)), "expected `{expected}` in {findings:#?}");
    }
}

#[test]
fn a_command_that_no_template_has_is_granted_in_vain() {
    let mut house = house_of(&DEFINITION.replace("- t/a", "- t/z"));
    house.entry().grants.sandbox.as_mut().unwrap().commands.insert("t/z".parse().unwrap());
    house.plugin.manifest.as_mut().unwrap().1.asks.sandbox.as_mut().unwrap().commands.insert("t/z".parse().unwrap());
    assert_eq!(
        house.findings(),
        ["OVER-GRANT d.yaml:19: grants command `t/z`, which no sandbox template of this host has"]
    );
}

fn history(events: Vec<Event>) -> Vec<Recorded> {
    let numbered = events.into_iter().enumerate();
    numbered.map(|(at, event)| Recorded { revision: at as u64 + 1, at: Timestamp::UNIX_EPOCH, event }).collect()
}

fn ran(denied: bool) -> Vec<Recorded> {
    let path = TaskPath::from_text("/do/0/build");
    let started = Event::InstanceStarted {
        definition: Digest::of(b"d"),
        definition_name: "n/d:1.0.0".to_owned(),
        input: Value::Null,
        started_by: Actor::new("cli:alice").unwrap(),
        policy: Box::default(),
        parent: None,
    };
    let effect = workflow::Effect::Echo { input: Value::Null };
    let mut events = vec![started, Event::AttemptStarted { path: path.clone(), attempt: 1, effect: Box::new(effect) }];
    events.push(match denied {
        true => Event::HostCallCompleted {
            path,
            attempt: 1,
            sequence: 1,
            request: json!({ "capability": "sandbox", "subject": "t/b" }),
            answer: json!({ "denied": "no" }),
            fingerprint: None,
        },
        false => {
            Event::CommandStarted { path, attempt: 1, sequence: 1, command: Box::new(a_command()), fingerprint: None }
        }
    });
    history(events)
}

fn a_command() -> Command {
    serde_json::from_value(json!({ "template": "t", "commandName": "t/a", "mode": "per-task", "argv": ["make"],
        "secrets": { "TOKEN": "token" }, "timeLimitMs": 0 }))
    .unwrap()
}

#[test]
fn what_past_runs_used_is_counted_by_task_and_subject() {
    let mut house = house();
    for _ in 0..3 {
        house.usage.add(&ran(false));
    }
    house.usage.add(&ran(true));
    let report = house.report();
    assert_eq!(report.runs, Some(4));
    let counts: Vec<_> = report.tasks[0].reaches.iter().map(|reach| reach.used.map(|count| count.used)).collect();
    assert_eq!(counts, [None, Some(3)], "log lines are not recorded one by one");
    assert_eq!(house.usage.denials("n/d:1.0.0", "/do/0/build"), [("sandbox", "t/b", 1)]);
    assert_eq!(house.usage.count("n/d:1.0.0", "/do/0/build", "secrets", "token").used, 3);
}

#[test]
fn what_past_runs_asked_of_models_tools_and_origins_is_counted() {
    let mut house = house();
    for (call, subject, answer) in [
        ("ask-model", "default", json!({ "ok": {} })),
        ("call-tool", "docs/find", json!({ "unavailable": "later" })),
        ("fetch", "https://index.crates.io/se/rd/serde", json!({ "ok": {} })),
        ("put-artifact", "report.json", json!({ "ok": "artifact://i/t/1/report.json" })),
    ] {
        let mut events = ran(true);
        let Event::HostCallCompleted { request, answer: of, .. } = &mut events[2].event else { panic!("{events:?}") };
        (*request, *of) = (json!({ "call": call, "subject": subject, "parameters": null }), answer);
        house.usage.add(&events);
    }
    let used =
        |capability: &str, subject: &str| house.usage.count("n/d:1.0.0", "/do/0/build", capability, subject).used;
    assert_eq!(used("model", "default"), 1);
    assert_eq!(used("mcp", "docs/find"), 1);
    assert_eq!(used("http", "https://index.crates.io"), 1);
    assert_eq!(used("artifacts-write", "report.json"), 0, "these are not counted");
}

#[test]
fn a_grant_that_many_runs_never_used_is_an_over_grant() {
    let mut house = house();
    (0..4).for_each(|_| house.usage.add(&ran(true)));
    assert_eq!(house.findings(), Vec::<String>::new(), "four runs say little");
    house.usage.add(&ran(true));
    assert_eq!(
        house.findings(),
        ["OVER-GRANT d.yaml:19: never used `t/a` (sandbox) in 5 runs; remove it if none needs it"]
    );
}

#[test]
fn what_changed_since_the_approval_is_told_a_line_each() {
    let mut house = house();
    house.entry().imports = Some(["log.emit".to_owned(), "log.flush".to_owned()].into());
    house.entry().grants.sandbox.as_mut().unwrap().commands.remove(&"t/b".parse().unwrap());
    house.entry().grants.log.as_mut().unwrap().lines_max = 11;
    assert_eq!(
        house.report().plugins[0].changes,
        [
            "imports `sandbox.exec`, which the reviewer did not see",
            "no longer imports `log.flush`",
            "asks for `t/b` in `sandbox.commands`; approved: `t/a`",
            "no longer asks for `11` in `log.lines-max`, which is approved",
        ]
    );
}

#[test]
fn a_report_reads_back_as_it_was_written() {
    let report = house().report();
    let text = serde_json::to_string(&report).unwrap();
    let back: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(back, report);
    assert_eq!(report.schema, "light-workflow/plugin-report/1");
}

#[test]
fn a_table_and_a_page_tell_the_same_as_the_rows() {
    let mut house = house();
    (0..5).for_each(|_| house.usage.add(&ran(true)));
    let report = house.report();
    for text in [report.table(), report.markdown()] {
        for part in ["maker", "t/a", "OVER-GRANT", "wc", "example.test:443", "cli:alice", "d.yaml:19", "make {what}"] {
            assert!(text.contains(part), "expected `{part}` in: {text}");
        }
    }
}

/// What SARIF 2.1.0 says of the objects that a report uses: no other property, each of its type, what must be there is
/// there. Written for this test after the standard's sections 3.13 to 3.59.
fn sarif_schema() -> Value {
    let closed = |required: &[&str], properties: Value| json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties });
    let bag = json!({ "type": "object" });
    let level = json!({ "enum": ["none", "note", "warning", "error"] });
    let text = json!({ "type": "string", "minLength": 1 });
    let message =
        closed(&["text"], json!({ "text": text, "markdown": text, "id": text, "arguments": { "type": "array" } }));
    let configuration =
        closed(&[], json!({ "level": level, "enabled": { "type": "boolean" }, "rank": { "type": "number" } }));
    let rule = closed(
        &["id"],
        json!({ "id": text, "name": text, "shortDescription": message, "fullDescription": message, "help": message,
            "helpUri": { "type": "string", "format": "uri" }, "defaultConfiguration": configuration, "properties": bag }),
    );
    let driver = closed(
        &["name"],
        json!({ "name": text, "version": text, "semanticVersion": { "type": "string", "pattern": "^\\d+\\.\\d+\\.\\d+" },
            "informationUri": { "type": "string", "format": "uri" }, "properties": bag,
            "rules": { "type": "array", "uniqueItems": true, "items": rule } }),
    );
    let line = json!({ "type": "integer", "minimum": 1 });
    let region = closed(
        &[],
        json!({ "startLine": line, "startColumn": line, "endLine": line, "endColumn": line, "snippet": bag, "message": message }),
    );
    // RFC 3986: no character that would have to be encoded.
    let uri = json!({ "type": "string", "pattern": "^([A-Za-z0-9._~:/?#@!$&'()*+,;=-]|\\[|\\]|%[0-9A-F]{2})+$" });
    let artifact =
        closed(&["uri"], json!({ "uri": uri, "uriBaseId": text, "index": { "type": "integer", "minimum": -1 } }));
    let physical = closed(
        &["artifactLocation"],
        json!({ "artifactLocation": artifact, "region": region, "contextRegion": region }),
    );
    let location =
        closed(&[], json!({ "id": { "type": "integer" }, "physicalLocation": physical, "message": message }));
    let result = closed(
        &["message"],
        json!({ "ruleId": text, "ruleIndex": { "type": "integer", "minimum": -1 }, "level": level, "message": message,
            "kind": { "enum": ["notApplicable", "pass", "fail", "review", "open", "informational"] },
            "locations": { "type": "array", "items": location }, "properties": bag }),
    );
    let run = closed(
        &["tool"],
        json!({ "tool": closed(&["driver"], json!({ "driver": driver, "extensions": { "type": "array" } })),
            "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] }, "properties": bag,
            "results": { "type": "array", "items": result } }),
    );
    closed(
        &["version", "runs"],
        json!({ "$schema": { "type": "string", "format": "uri" }, "version": { "const": "2.1.0" },
            "runs": { "type": "array", "items": run } }),
    )
}

#[test]
fn sarif_is_what_the_standard_says_of_each_object() {
    let mut house = house();
    house.entry().expires = TODAY;
    house.plugin.component = Ok(component(&["log.emit", "sandbox.exec", "secrets.acquire"]));
    let report = house.report();
    let sarif = report.sarif();
    assert_eq!(workflow::engine::conforms(&sarif_schema(), &sarif, "the report"), Ok(()));
    // The schema is one that finds something.
    for (pointer, wrong) in [
        ("/runs/0/results/0/level", json!("fatal")),
        ("/runs/0/results/0/message", json!("text")),
        ("/runs/0/results/0/locations/0/physicalLocation/region/startLine", json!(0)),
        ("/runs/0/results/0/locations/0/physicalLocation/artifactLocation/uri", json!("a b")),
        ("/runs/0/tool/driver/rules/0", json!({ "id": "X", "title": "no such property" })),
        ("/version", json!("2.1")),
    ] {
        let mut changed = sarif.clone();
        *changed.pointer_mut(pointer).unwrap() = wrong;
        assert!(workflow::engine::conforms(&sarif_schema(), &changed, "the report").is_err(), "{pointer}");
    }

    let run = &sarif["runs"][0];
    let rules: Vec<_> = run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|rule| &rule["id"]).collect();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.findings.len());
    for result in results {
        let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[at], &result["ruleId"]);
    }
    for verdict in Verdict::ALL {
        assert!(rules.iter().any(|rule| *rule == verdict.name()), "{verdict:?}");
    }
}

#[test]
fn an_approval_changes_its_own_entry_and_nothing_else() {
    let before = lock();
    let mut entry = PluginsLock::parse(&before).unwrap().plugins[&"maker".parse().unwrap()].clone();
    entry.digest = Digest::of(b"new");
    entry.imports = Some(["log.emit".to_owned()].into());
    entry.grants.log = None;
    let after = PluginsLock::approve(&before, &entry).unwrap();
    let plugins = PluginsLock::parse(&after).unwrap().plugins;
    assert_eq!(plugins[&entry.name], entry);
    assert_eq!(plugins.len(), 2);
    for kept in ["# Kept by hand.", "# The maker.", "# bytes of spring", "# t/b is for the nightly.", "cli:bob"] {
        assert!(after.contains(kept), "`{kept}` is gone: {after}");
    }
    assert!(after.find("maker") < after.find("other"), "the order stays: {after}");
    assert_eq!(PluginsLock::line_of(&after, &entry.name), Some(5));
}

#[test]
fn a_first_approval_comes_after_all_others() {
    let before = lock();
    let maker = PluginsLock::parse(&before).unwrap().plugins[&"maker".parse().unwrap()].clone();
    let entry = LockEntry { name: "zebra".parse().unwrap(), ..maker };
    for text in [before.as_str(), "format = 1\n"] {
        let after = PluginsLock::approve(text, &entry).unwrap();
        assert!(after.starts_with(text.trim_end()), "{after}");
        assert_eq!(PluginsLock::parse(&after).unwrap().plugins[&entry.name], entry);
    }
    let error = PluginsLock::approve("format = 2\n", &entry).unwrap_err().to_string();
    assert_eq!(error, "format 2 of the lock is unknown; this host reads format 1");
}

#[test]
fn a_denial_is_read_from_its_path_and_from_every_text_that_a_host_writes() {
    let cases = [
        ("build/sandbox/t/b", Some("build"), "sandbox", "t/b"),
        ("build/log", Some("build"), "log", ""),
        ("sandbox `t/b`: the command is not in `sandbox.commands` of the task's grants", None, "sandbox", "t/b"),
        ("denied: sandbox-secret `t/b`: no", None, "sandbox", "t/b"),
        (
            "task `build` faulted: secrets `token`: the secret is not in `secrets.names`",
            Some("build"),
            "secrets",
            "token",
        ),
        (
            "d.yaml:11: task `build` may not call plugin `maker`: the task grants `t/c` in `sandbox.commands`, which was not approved; approved: `t/a`",
            Some("build"),
            "sandbox",
            "t/c",
        ),
        (
            "plugin `maker` imports `lightapi:release/artifacts-read` (read), which the task does not grant; add …",
            None,
            "artifacts-read",
            "",
        ),
        ("artifacts-read `artifact://i/t/1/x`: no entry covers it", None, "artifacts-read", "artifact://i/t/1/x"),
    ];
    for (text, task, capability, subject) in cases {
        let denied = Denied::parse(text).unwrap();
        let expected =
            Denied { task: task.map(str::to_owned), capability: capability.to_owned(), subject: subject.to_owned() };
        assert_eq!(denied, expected, "{text}");
    }
    for (text, said) in [
        ("", "names no denial"),
        ("something went wrong", "names no denial"),
        ("build/network/x", "`network` is no capability; there are `log`, `artifacts-read`"),
    ] {
        let error = Denied::parse(text).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_denial_is_answered_with_the_line_that_would_allow_it_and_what_else_it_allows() {
    let mut house = house();
    house.entry().grants.sandbox.as_mut().unwrap().commands.remove(&"t/b".parse().unwrap());
    let denied = Denied::parse("build/sandbox/t/b").unwrap();
    let ceiling = Grants::default();
    let place = Place { file: "light-workflow.toml".to_owned(), line: 3 };
    let answers = house.with_facts(|facts| explain(facts, Some((&place, &ceiling)), &denied));
    assert_eq!(answers.len(), 1);
    let keys: Vec<_> = answers[0]
        .keys
        .iter()
        .map(|key| format!("{} {} {}", key.key, key.place, key.write.as_deref().unwrap_or("allows")))
        .collect();
    assert_eq!(
        keys,
        [
            "task d.yaml:19 commands: [\"t/a\", \"t/b\"]",
            "approval plugins.lock:5 light-workflow plugin approve maker",
            "plugin.toml plugin.toml:1 allows",
            "ceiling light-workflow.toml:3 [policy.ceiling.sandbox] commands = [\"t/b\"]",
        ]
    );
    let consequences = answers[0].consequences.join("\n");
    for part in ["make {what}", "example.test:443", "the plugin chooses `what`: text /[a-z]+/"] {
        assert!(consequences.contains(part), "expected `{part}` in: {consequences}");
    }
}

/// The line that `explain` says to write does allow it, for every capability.
#[test]
fn the_line_that_is_named_does_allow_it() {
    let wanted = [("sandbox", "t/b"), ("artifacts-read", "artifact://i/build/1/x.log"), ("artifacts-write", "r.json")];
    for (capability, subject) in wanted {
        let denied =
            Denied { task: Some("build".to_owned()), capability: capability.to_owned(), subject: subject.to_owned() };
        let answers = house().with_facts(|facts| explain(facts, None, &denied));
        let write = answers[0].keys[0].write.clone().unwrap();
        let text = match capability {
            "sandbox" => DEFINITION.replace("commands:\n              - t/a", &write),
            _ => DEFINITION.replace("          log:", &format!("          {write}\n          log:")),
        };
        let again = house_of(&text).with_facts(|facts| explain(facts, None, &denied));
        assert!(again[0].keys[0].allows, "{write} does not allow {subject}: {text}");
    }
}

fn side(functions: &[&str], manifest: &str, schema: Value) -> Side {
    let description = StepDescription { input_schema: schema, output_schema: json!({}), idempotent: true };
    Side {
        component: component(functions),
        manifest: Some(PluginManifest::parse(manifest).unwrap()),
        description: Some(description),
    }
}

#[test]
fn a_difference_tells_apart_what_widens_and_what_does_not() {
    let old = side(&["log.emit", "sandbox.exec"], MANIFEST, json!({ "properties": { "a": { "type": "string" } } }));
    assert_eq!(difference(&old, &old), []);
    let manifest = MANIFEST
        .replace("\"1.0.0\"", "\"1.1.0\"")
        .replace("\"t/b\"", "\"t/c\"")
        .replace("lines-max = 10", "lines-max = 4");
    let new = side(&["sandbox.exec", "artifacts-write.put"], &manifest, json!({ "properties": { "b": {} } }));
    let lines: Vec<_> = difference(&old, &new)
        .iter()
        .map(|change| format!("{}{}: {}", if change.widens { "+" } else { "" }, change.what, change.text))
        .collect();
    assert_eq!(
        lines,
        [
            "+function: imports `artifacts-write.put`",
            "function: no longer imports `log.emit`",
            "version: 1.0.0 is 1.1.0 now",
            "+ask: `sandbox.commands` t/c (before: `t/a`, `t/b`)",
            "ask: no longer `log.lines-max` 10; now at most 4",
            "ask: no longer `sandbox.commands` t/b; now `t/a`, `t/c`",
            "input schema: `/properties/a` is gone",
            "input schema: `/properties/b` is {} now, and was not there",
        ]
    );
}
