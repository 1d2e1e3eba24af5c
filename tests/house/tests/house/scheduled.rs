//! What `serve` starts by itself, and what people stop and let go on over HTTP.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use web_stub::{Reply, Web};

use crate::history::{leaves, no_effect_happened_twice};
use crate::leftovers::nothing_is_left_of;
use crate::serve::{Serving, wait_for_end};
use crate::world::{Host, RELEASE, Running, Stage, eventually, root};

/// A host whose folder of definitions is this.
fn with_definitions(stage: &Stage, definitions: &[(&str, &str)]) -> Host {
    let folder = stage.path("definitions");
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in definitions {
        fs::write(folder.join(name), text).unwrap();
    }
    let theirs = format!("definitions = {:?}", root().join("definitions"));
    stage.configure(|text| text.replace(&theirs, &format!("definitions = {folder:?}")));
    stage.host()
}

/// Every instance of a definition: id and input.
fn started(host: &Host, name: &str) -> Vec<(String, Value)> {
    let leaves = leaves(host);
    let of_name = |leaf: &&Value| {
        leaf["event"]["type"] == "InstanceStarted"
            && leaf["event"]["definitionName"].as_str().is_some_and(|full| full.contains(&format!("/{name}:")))
    };
    let read = |leaf: &Value| (leaf["instance"].as_str().unwrap().to_owned(), leaf["event"]["input"].clone());
    leaves.iter().filter(of_name).map(read).collect()
}

const TICKING: &str = "document: { dsl: '1.0.3', namespace: tests, name: ticking, version: '1.0.0' }
schedule: { every: { seconds: 1 } }
do: [{ tick: { set: { ticked: true } } }]
";
const FOLLOWING: &str = "document: { dsl: '1.0.3', namespace: tests, name: following, version: '1.0.0' }
schedule: { after: { milliseconds: 700 } }
do: [{ pause: { wait: { milliseconds: 300 } } }]
";
const PUSHED: &str = "document: { dsl: '1.0.3', namespace: tests, name: pushed, version: '1.0.0' }
schedule: { on: { one: { with: { type: com.example.pushed, data: '${ .branch == \"main\" }' } } } }
do: [{ note: { set: { commit: '${ .[0].data.commit }' } } }]
";

#[test]
fn what_is_due_is_started_once_by_whoever_serves() {
    let stage = Stage::unattended();
    let definitions = [("ticking.yaml", TICKING), ("following.yaml", FOLLOWING), ("pushed.yaml", PUSHED)];
    let host = with_definitions(&stage, &definitions);
    let event = |id: &str, branch: &str| {
        let event = json!({"specversion": "1.0", "id": id, "source": "/git", "type": "com.example.pushed",
            "data": {"branch": branch, "commit": id}});
        stage.write("event.json", &event.to_string()).display().to_string()
    };
    let serving = Serving::start(&host, "all");
    eventually("two ticks", || (started(&host, "ticking").len() >= 2).then_some(()));
    for (id, branch) in [("c1", "main"), ("c2", "side"), ("c3", "main")] {
        host.run(&["event", "send", &event(id, branch)]).ended_with(0);
    }
    eventually("both pushes", || (started(&host, "pushed").len() >= 2).then_some(()));
    serving.kill();
    let ticks = started(&host, "ticking").len();

    // What was missed is made up for by one; what was started is not started again.
    thread::sleep(Duration::from_secs(3));
    let serving = Serving::start(&host, "all");
    eventually("a tick more", || (started(&host, "ticking").len() > ticks).then_some(()));
    host.run(&["event", "send", &event("c1", "main")]).ended_with(0);
    eventually("a third that follows", || (started(&host, "following").len() >= 3).then_some(()));
    serving.kill();

    for name in ["ticking", "following", "pushed"] {
        let ids: Vec<String> = started(&host, name).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name}: {ids:?}");
    }
    let commits: Vec<Value> =
        started(&host, "pushed").into_iter().map(|(_, input)| input[0]["data"]["commit"].clone()).collect();
    assert_eq!(commits, ["c1", "c3"]);
    // One that follows begins when the one before has ended.
    let following: Vec<String> = started(&host, "following").into_iter().map(|(id, _)| id).collect();
    let mut open = 0;
    for leaf in leaves(&host) {
        match leaf["event"]["type"].as_str() {
            _ if !following.iter().any(|id| leaf["instance"] == **id) => {}
            Some("InstanceStarted") => open += 1,
            Some("InstanceCompleted") => open -= 1,
            _ => {}
        }
        assert!(open <= 1, "two at once");
    }
    host.run(&["audit", "verify"]).ended_with(0);
}

const SLOW: &str = "document:
  dsl: '1.0.3'
  namespace: tests
  name: slow
  version: '1.0.0'
  metadata: { lightWorkflow: { security: { sandbox: { mode: workflow-session, template: rust-release } } } }
do:
- each:
    for: { each: number, in: '[range(12)]' }
    do:
    - write: { run: { script: { language: sh, code: 'echo $1 >> lines', arguments: ['${ $number | tostring }'] } } }
    - pause: { wait: { milliseconds: 100 } }
- count: { run: { script: { language: sh, code: 'tr -d \"\\\\n\" < lines' }, return: stdout } }
";

#[test]
fn a_release_that_is_suspended_over_http_does_nothing_until_it_is_resumed() {
    let stage = Stage::unattended();
    let host = stage.host();
    let definition = stage.write("slow.yaml", SLOW).display().to_string();
    let request = stage.written.request.display().to_string();
    host.run(&["release", "start", &request, "--definition", &definition, "--detach"]).ended_with(0);
    let serving = Serving::start(&host, "all");
    let client = &serving.client;
    let path = |tail: &str| format!("/v1/releases/{RELEASE}{tail}");
    let commands = || {
        let leaves = leaves(&host);
        leaves.iter().filter(|leaf| leaf["event"]["type"] == "AttemptStarted").count()
    };
    eventually("a few commands", || (commands() >= 3).then_some(()));
    client.post(&path("/suspend"), &[], r#"{"reason": "the network is down"}"#).with_status(202);
    let phase = || client.get(&path("")).with_status(200).json()["phase"].as_str().unwrap().to_owned();
    eventually("it is suspended", || (phase() == "suspended").then_some(()));
    // What ran may still end; then nothing more comes.
    thread::sleep(Duration::from_millis(500));
    let before = leaves(&host).len();
    thread::sleep(Duration::from_secs(1));
    assert_eq!(leaves(&host).len(), before, "nothing happens");
    assert!(commands() < 13, "it was in the middle");
    client.post(&path("/resume"), &[], r#"{"reason": "it is back"}"#).with_status(202);
    let id = client.get(&path("")).with_status(200).json()["id"].as_str().unwrap().to_owned();
    let ended = wait_for_end(client, &id);
    assert_eq!(ended["phase"], "completed", "{ended}");
    let summary = host.json(&["release", "summary", RELEASE, "--format", "json"]);
    assert_eq!(summary["output"], "01234567891011");
    no_effect_happened_twice(&crate::history::events(&host));
    let told: Vec<Value> = leaves(&host)
        .into_iter()
        .map(|leaf| leaf["event"].clone())
        .filter(|event| matches!(event["type"].as_str(), Some("InstanceSuspended" | "InstanceResumed")))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!((&told[0]["reason"], &told[0]["by"]), (&json!("the network is down"), &json!("token:local")));
    eventually("the session is closed", || {
        fs::read_dir(host.data.join("sandbox/sessions")).unwrap().next().is_none().then_some(())
    });
    drop(serving);
    nothing_is_left_of(&host);
}

/// A server of documents that lets nobody go before it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn pass(&self) {
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

const PARENT: &str = "document: { dsl: '1.0.3', namespace: tests, name: parent, version: '1.0.0' }
schedule: { every: { seconds: 1 } }
do: [{ ask-child: { run: { workflow: { namespace: tests, name: child, version: '1.0.0' } } } }]
";
const CHILD: &str = "document: { dsl: '1.0.3', namespace: tests, name: child, version: '1.0.0' }
do: [{ note: { call: 'http://documents.test/note.yaml', with: { n: 1 } } }]
";

/// Fetching is slow work of a blocking kind: the API, and the end of the host, do not wait for it.
#[test]
fn documents_that_are_slow_to_come_hold_up_nobody() {
    let gate = Arc::new(Gate::default());
    let inside = gate.clone();
    let documents = Web::plain(move |_| {
        inside.pass();
        Reply::new(200, &[("content-type", "application/yaml")], "set: { noted: '${ .n }' }\n")
    });
    let stage = Stage::unattended();
    stage.configure(|text| format!("{text}\n[calls.resolve]\n\"documents.test:80\" = \"{}\"\n", documents.address()));
    let host = with_definitions(&stage, &[("parent.yaml", PARENT), ("child.yaml", CHILD)]);

    let serving = Serving::start(&host, "all");
    eventually("a document is asked for", || (!documents.asked().is_empty()).then_some(()));
    for _ in 0..20 {
        serving.client.get("/v1/releases").with_status(200);
    }
    assert!(started(&host, "parent").is_empty(), "nothing can have started without its documents");
    gate.open();
    // The parent's start reads the folder again, in the middle of the runtime.
    let ended = |name: &str| {
        let ids: BTreeSet<String> = started(&host, name).into_iter().map(|(id, _)| id).collect();
        let is_end = |leaf: &&Value| {
            leaf["event"]["type"] == "InstanceCompleted" && ids.contains(leaf["instance"].as_str().unwrap())
        };
        leaves(&host).iter().find(is_end).map(|leaf| leaf["event"]["output"].clone())
    };
    assert_eq!(eventually("the end of one", || ended("parent")), json!({ "noted": 1 }));
    serving.kill();
}

#[test]
fn a_definition_that_cannot_be_read_is_told_once_for_each_change() {
    let stage = Stage::unattended();
    let broken = TICKING.replace("set:", "sett:");
    let host = with_definitions(&stage, &[("broken.yaml", &broken), ("ticking.yaml", TICKING)]);
    let mut serving = Running::spawn(host.command(&["serve", "--role", "worker"]));
    let said = serving.line_with("broken.yaml:3:");
    assert!(said.contains("ERROR") && said.contains("no schedule of it goes on"), "{said}");
    fs::write(stage.path("definitions").join("ticking.yaml"), "document: [\n").unwrap();
    let said = serving.line_with("ticking.yaml:");
    assert!(said.contains("ERROR"), "{said}");
    assert!(!serving.seen().iter().any(|line| line.contains("broken.yaml")), "{:?}", serving.seen());
}
