//! What a command finds around itself, told by commands of a definition.

use serde_json::Value;

use crate::leftovers::nothing_is_left_of;
use crate::world::{Host, Running, Stage};

const HEAD: &str = "document:
  dsl: '1.0.3'
  namespace: tests
  name: sandboxes
  version: '0.1.0'
  metadata:
    lightWorkflow:
      security:
        sandbox: { mode: workflow-session, template: rust-release }
do:
";

/// Runs tasks of this definition and gives their exported outputs.
fn run(stage: &Stage, tasks: &str) -> Value {
    let file = stage.write("sandboxes.yaml", &format!("{HEAD}{tasks}"));
    let ran = stage.host().run(&["run", file.to_str().unwrap(), "--format", "json"]).ended_with(0);
    serde_json::from_str::<Value>(&ran.stdout).unwrap()["output"].clone()
}

/// The folder of the one run of a host.
fn run_of(host: Host) -> Host {
    let mut runs = std::fs::read_dir(host.data.join("runs")).unwrap();
    let data = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none(), "one run");
    Host { data, ..host }
}

#[test]
fn a_session_keeps_its_files_and_a_task_of_its_own_sees_none_of_them() {
    let stage = Stage::unattended();
    let tasks = r#"
  - write-file:
      run: { script: { language: sh, code: "mkdir sub && echo kept > sub/file && echo cached > $HOME/cache" } }
  - read-file:
      run: { script: { language: sh, code: "cat sub/file $HOME/cache" }, return: stdout }
      export: { as: "${ { session: . } }" }
  - look-from-outside:
      run: { script: { language: sh, code: "ls -A . $HOME; echo other > file" }, return: stdout }
      metadata:
        lightWorkflow:
          security: { sandbox: { mode: per-task, reason: tests } }
      export: { as: "${ . as $seen | $context + { task: $seen } }" }
  - look-again:
      run: { script: { language: sh, code: "ls" }, return: stdout }
      output: { as: "${ $context + { after: . } }" }
"#;
    let seen = run(&stage, tasks);
    assert_eq!(seen["session"], "kept\ncached\n");
    assert_eq!(
        seen["task"].as_str().unwrap().lines().filter(|line| !line.is_empty() && !line.ends_with(':')).count(),
        0,
        "{}",
        seen["task"]
    );
    assert_eq!(seen["after"], "sub\n", "what a task of its own writes stays there");
    nothing_is_left_of(&run_of(stage.host()));
}

#[test]
fn a_command_is_nobody_and_reaches_nothing() {
    let stage = Stage::unattended();
    // The registry of the stage listens on this machine; a name and an address of it are tried.
    let address = stage.demo.address.to_string();
    let tasks = format!(
        r#"
  - look:
      run:
        script:
          language: python
          arguments: ["{address}"]
          code: |
            import json, os, socket, sys, urllib.request
            host, port = sys.argv[1].split(":")
            def tried(act):
                try:
                    act()
                    return "worked"
                except Exception as error:
                    return type(error).__name__
            status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
            print(json.dumps({{
                "uid": [os.getuid(), os.geteuid()],
                "capabilities": [int(status[name], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")],
                "noNewPrivileges": status["NoNewPrivs"],
                "seccomp": status["Seccomp"],
                "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[-1] < 100,
                "devices": sorted(name for name in os.listdir("/sys/class/net")) if os.path.isdir("/sys/class/net") else ["lo"],
                "loopback": tried(lambda: socket.create_connection((host, int(port)), 2)),
                "address": tried(lambda: socket.create_connection(("192.0.2.1", 80), 2)),
                "name": tried(lambda: socket.getaddrinfo("crates.demo.test", 80)),
                "http": tried(lambda: urllib.request.urlopen("http://crates.demo.test/index/config.json", timeout=2)),
                "etc": tried(lambda: open("/etc/probe", "w")),
                "usr": tried(lambda: open("/usr/probe", "w")),
                "shadow": tried(lambda: open("/etc/shadow")),
                "root": tried(lambda: os.listdir("/root")),
                "secrets": os.listdir("/run/secrets") if os.path.isdir("/run/secrets") else [],
                "environment": sorted(name for name in os.environ if "TOKEN" in name or "CREDENTIAL" in name),
                "workspace": tried(lambda: open("probe", "w")),
            }}))
        return: stdout
      output: {{ as: "${{ fromjson }}" }}
"#
    );
    let seen = run(&stage, &tasks);
    println!("{seen:#}");
    assert!(seen["uid"].as_array().unwrap().iter().all(|uid| uid.as_u64().unwrap() >= 1000), "not root: {seen}");
    assert_eq!(seen["capabilities"], serde_json::json!([0, 0, 0, 0]));
    assert_eq!(seen["noNewPrivileges"], "1");
    assert_eq!(seen["seccomp"], "2", "a filter is in force");
    assert_eq!(seen["processes"], true, "it sees its own processes only");
    assert_eq!(seen["devices"], serde_json::json!(["lo"]));
    for place in ["loopback", "address", "name", "http", "etc", "usr", "shadow", "root"] {
        assert_ne!(seen[place], "worked", "{place}");
    }
    assert_eq!(seen["secrets"], serde_json::json!([]));
    assert_eq!(seen["environment"], serde_json::json!([]));
    assert_eq!(seen["workspace"], "worked");
}

#[test]
fn a_command_reaches_what_its_task_names_and_nothing_beside_it() {
    let stage = Stage::unattended();
    let tasks = r#"
  - fetch:
      run:
        script:
          language: sh
          code: "for host in crates.demo.test git.demo.test; do curl --silent --output answer --write-out '%{http_code} ' --max-time 10 http://$host/index/config.json || echo -n 'refused '; done"
        return: stdout
      metadata:
        lightWorkflow:
          egress: ["crates.demo.test:80"]
"#;
    let seen = run(&stage, tasks);
    let seen = seen.as_str().unwrap();
    assert!(seen.starts_with("200 "), "{seen}");
    assert!(!seen[4..].contains("200"), "a host that the task does not name: {seen}");
}

#[test]
fn a_command_that_fails_has_a_result_and_the_run_is_faulted() {
    let stage = Stage::unattended();
    let tasks = r#"
  - fail:
      run: { script: { language: sh, code: "echo out; echo err >&2; exit 7" } }
"#;
    let file = stage.write("sandboxes.yaml", &format!("{HEAD}{tasks}"));
    let ran = stage.host().run(&["run", file.to_str().unwrap(), "--format", "json"]).ended_with(1);
    let ended: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ended["status"], "faulted");
    assert!(ended["error"].to_string().contains("command-failed"), "{}", ended["error"]);
    assert_eq!(ended["tasks"][0]["name"], "fail");
    assert_eq!(ended["tasks"][0]["status"], "faulted");
}

#[test]
fn an_interrupted_run_stops_its_command_and_says_that_it_was_cancelled() {
    let stage = Stage::unattended();
    let tasks = r#"
  - sleep:
      run: { script: { language: sh, code: "sleep 600" } }
"#;
    let file = stage.write("sandboxes.yaml", &format!("{HEAD}{tasks}"));
    for signal in ["INT", "TERM"] {
        let host = Host { data: stage.path(signal), ..stage.host() };
        let mut running = Running::spawn(host.command(&["run", file.to_str().unwrap()]));
        running.line_with("sleep …");
        let run = run_of(host);
        running.signal(signal);
        running.line_with("interrupted: cancelling");
        assert_eq!(running.end(), Some(1), "{signal}");
        nothing_is_left_of(&run);
    }
}
