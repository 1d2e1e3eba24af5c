//! `run.container` by the program itself, with images from a real registry.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use web_stub::images::{Image, busybox};
use web_stub::{Asked, Reply, Web};

use crate::server::Registry;
use crate::world::{Host, root};

fn image(runs: Value) -> Image {
    web_stub::images::image(&busybox(&std::env::current_exe().unwrap()), &runs)
}

/// A registry with an image `tool:1` that prints what it is given.
fn registry() -> (Registry, Image) {
    let registry = Registry::open();
    let image = image(json!({
        "Entrypoint": ["/bin/echo", "entry"], "Cmd": ["by", "itself"], "Env": ["PATH=/bin", "FROM_IMAGE=yes"],
        "WorkingDir": "/srv",
    }));
    image.push(registry.port(), "tool", "1");
    (registry, image)
}

fn definition(tasks: &str) -> String {
    format!("document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0' }}\ndo:\n{tasks}\n")
}

/// A host on which images of this registry are approved.
fn host(registry: &str) -> Host {
    Host::new(&format!("[images]\nallow = [\"{registry}\"]\n"))
}

/// Runs a definition to its end; what the program says of it.
fn run(host: &Host, tasks: &str, more: &[&str]) -> Value {
    fs::write(host.path("d.yaml"), definition(tasks)).unwrap();
    let arguments = [&["run", "d.yaml", "--format", "json"], more].concat();
    let output = host.run(&arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn an_image_runs_as_its_author_and_the_definition_say() {
    let (registry, image) = registry();
    let host = host(&registry.host());
    let name = format!("{}/tool:1", registry.host());
    let cases = [
        ("", "entry by itself\n"),
        (", arguments: [with, 'these two']", "entry with these two\n"),
        (", command: pwd", "/srv\n"),
        (
            ", command: 'cat /etc/image; echo $FROM_IMAGE $1 $A', arguments: [x], environment: { A: '${ \"y\" }' }",
            "of the image\nyes x y\n",
        ),
        (", command: cat, stdin: '${ \"given\" }'", "given"),
        (", command: hostname, name: 'tool-1'", "tool-1\n"),
        (", command: 'id -u', lifetime: { cleanup: always }", "10001\n"),
        (", command: 'echo $HOME', lifetime: { cleanup: eventually, after: { minutes: 5 } }", "/home/runner\n"),
        (", command: 'ls /workspace', pullPolicy: always", ""),
        (", command: 'test ! -e /usr/bin/env; touch /x 2>/dev/null || echo closed', pullPolicy: never", "closed\n"),
    ];
    for (more, expected) in cases {
        let ended =
            run(&host, &format!("- t: {{ run: {{ container: {{ image: '{name}'{more} }}, return: stdout }} }}"), &[]);
        assert_eq!((&ended["status"], &ended["output"]), (&json!("completed"), &json!(expected)), "{more}: {ended}");
    }
    let ended = run(
        &host,
        &format!("- t: {{ run: {{ container: {{ image: '{name}', command: 'exit 3' }}, return: code }} }}"),
        &[],
    );
    assert_eq!(ended["output"], 3, "{ended}");
    let ended = run(&host, &format!("- t: {{ run: {{ container: {{ image: '{name}', command: 'no-such' }} }} }}"), &[]);
    assert!(ended["error"]["type"].as_str().unwrap().ends_with("command-failed"), "{ended}");
    let ended = run(&host, &format!("- t: {{ run: {{ container: {{ image: '{name}@{}' }} }} }}", image.digest()), &[]);
    assert_eq!(
        (&ended["output"]["sandboxDigest"], &ended["output"]["exitCode"]),
        (&json!(image.id), &json!(0)),
        "{ended}"
    );
}

#[test]
fn a_container_and_a_shell_share_the_session() {
    let (registry, _) = registry();
    let host = host(&registry.host());
    fs::write(
        host.path("light-workflow.toml"),
        format!(
            "[images]\nallow = [\"{}\"]\n[paths]\ntemplates = {:?}\n",
            registry.host(),
            root().join("sandbox-templates")
        ),
    )
    .unwrap();
    let tasks = format!(
        "- write: {{ run: {{ container: {{ image: '{}/tool:1', command: 'echo from an image > /workspace/note' }} }} }}\n\
         - read: {{ run: {{ shell: {{ command: cat, arguments: [note] }}, return: stdout }}, metadata: {{ lightWorkflow: {{ security: {{ sandbox: {{ template: rust-release }} }} }} }} }}",
        registry.host()
    );
    let ended = run(&host, &tasks, &[]);
    assert_eq!(ended["output"], "from an image\n", "{ended}");
}

#[test]
fn a_tag_is_settled_at_the_start_and_bytes_come_once() {
    let (registry, first) = registry();
    let host = host(&registry.host());
    let name = format!("{}/tool:1", registry.host());
    let task = |pull: &str| format!("- t: {{ run: {{ container: {{ image: '{name}', pullPolicy: {pull} }} }} }}");
    fs::write(host.path("d.yaml"), definition(&task("ifNotPresent"))).unwrap();
    // Whoever only looks keeps nothing.
    let checked = host.json(&["check", "d.yaml"]);
    let pinned = &checked[0]["policy"]["tasks"]["/do/0/t"]["image"]["pinned"]["image"];
    assert_eq!(pinned["reference"], format!("{}/tool@{}", registry.host(), first.digest()), "{checked}");
    assert_eq!(pinned["id"], first.id, "{checked}");
    assert!(host.does(&["check", "d.yaml"]).contains(&format!(
        "image    {}/tool@{} {}",
        registry.host(),
        first.digest(),
        first.id
    )));
    assert!(!host.path(".light-workflow/images").exists());

    let id_of = |ended: &Value| ended["output"]["sandboxDigest"].as_str().unwrap_or_default().to_owned();
    assert_eq!(id_of(&run(&host, &task("ifNotPresent"), &[])), first.id);
    let second = image(json!({ "Cmd": ["/bin/echo", "second"], "Env": ["PATH=/bin"] }));
    second.push(registry.port(), "tool", "1");
    assert_eq!(id_of(&run(&host, &task("ifNotPresent"), &[])), first.id);
    assert_eq!(id_of(&run(&host, &task("always"), &[])), second.id);
    assert_eq!(id_of(&run(&host, &task("ifNotPresent"), &[])), second.id);
    drop(registry);
    for pull in ["never", "ifNotPresent"] {
        assert_eq!(id_of(&run(&host, &task(pull), &[])), second.id, "{pull}");
    }
    host.fails(&["run", "d.yaml"], 0, &[]);
    fs::write(host.path("d.yaml"), definition(&task("always"))).unwrap();
    host.fails(&["run", "d.yaml"], 2, &["/do/0/t: image", "read the manifest `1`"]);
}

#[test]
fn what_is_not_approved_or_not_there_starts_nothing() {
    let (registry, _) = registry();
    let name = format!("{}/tool:1", registry.host());
    let task =
        |image: &str, more: &str| definition(&format!("- t: {{ run: {{ container: {{ image: '{image}'{more} }} }} }}"));
    for (allow, image, more, expected) in [
        (String::new(), name.clone(), "", "is not approved"),
        (format!("{}/too", registry.host()), name.clone(), "", "is not approved"),
        (registry.host(), name.clone(), ", pullPolicy: never", "is not on this host"),
        (registry.host(), format!("{}/tool:2", registry.host()), "", "the registry does not know it"),
        (
            registry.host(),
            format!("{}/tool@sha256:{}", registry.host(), "0".repeat(64)),
            "",
            "the registry does not know it",
        ),
    ] {
        let host = host(&registry.host());
        let allow = if allow.is_empty() { String::new() } else { format!("[images]\nallow = [\"{allow}\"]\n") };
        host.configure(&allow);
        fs::write(host.path("d.yaml"), task(&image, more)).unwrap();
        host.fails(&["run", "d.yaml"], 2, &["/do/0/t: image", expected]);
        let left = fs::read_dir(host.path(".light-workflow/runs")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "{image}");
        // The definition is none the worse for it.
        let output = host.run(&["check", "d.yaml"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("warning") && said.contains(expected), "{said}");
    }
    let host = Host::new("");
    fs::write(host.path("d.yaml"), task(&name, ", command: 'echo approved'")).unwrap();
    host.does(&["run", "d.yaml", "--allow-image", &registry.host()]);
    host.configure("[images]\nallow = [\"alpine\"]\n");
    host.fails(&["check", "d.yaml"], 2, &["`alpine` in [images] is no registry"]);
}

/// A registry that answers from memory, changed.
fn lying(image: Image, change: impl Fn(&str, Vec<u8>) -> Vec<u8> + Send + Sync + 'static) -> Web {
    Web::plain(move |asked: &Asked| {
        let last = asked.target.rsplit('/').next().unwrap_or_default().to_owned();
        let own = |bytes: Vec<u8>| Reply::new(200, &[], change(&last, bytes));
        if asked.target.contains("/manifests/") {
            return match last == image.digest() || last == "plain" {
                true => own(image.manifest.clone().into_bytes()),
                false => own(image.index().into_bytes()),
            };
        }
        image.blobs.get(&last).map_or(Reply::status(404), |bytes| own(bytes.clone()))
    })
}

#[test]
fn bytes_that_are_not_what_was_named_are_not_used() {
    let made = || image(json!({ "Cmd": ["/bin/echo", "ran"], "Env": ["PATH=/bin"] }));
    let of = made();
    let (id, layer, digest) = (of.id.clone(), of.layer.clone(), of.digest());
    let flip = |wanted: String| {
        move |name: &str, mut bytes: Vec<u8>| {
            if name == wanted {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
            }
            bytes
        }
    };
    let ended = |web: &Web, name: &str| {
        let host = host(&format!("127.0.0.1:{}", web.port()));
        fs::write(
            host.path("d.yaml"),
            definition(&format!(
                "- t: {{ run: {{ container: {{ image: '127.0.0.1:{}/tool:{name}' }}, return: stdout }} }}",
                web.port()
            )),
        )
        .unwrap();
        let output = host.run(&["run", "d.yaml", "--format", "json"]);
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let honest = lying(made(), |_, bytes| bytes);
    assert!(ended(&honest, "index").0.contains("ran\\n"));
    // Twice the same index, and each byte once.
    let asked = honest.lines();
    assert_eq!(asked.iter().filter(|line| line.contains(&layer)).count(), 1, "{asked:?}");

    let (out, said) = ended(&lying(made(), flip(digest)), "index");
    assert!(out.is_empty() && said.contains("the bytes have digest"), "{out}{said}");
    let (out, said) = ended(&lying(made(), flip(id)), "plain");
    assert!(out.is_empty() && said.contains("the bytes have digest"), "{out}{said}");
    let (out, _) = ended(&lying(made(), flip(layer.clone())), "plain");
    let fault: Value = serde_json::from_str(&out).unwrap();
    assert!(fault["error"]["detail"].as_str().unwrap().contains("have digest"), "{out}");
    assert_eq!(fault["status"], "faulted");
    let wanted = layer;
    let more = move |name: &str, bytes: Vec<u8>| if name == wanted { [bytes, vec![0; 512]].concat() } else { bytes };
    let (out, _) = ended(&lying(made(), more), "plain");
    assert!(out.contains("it has more than"), "{out}");
}

#[test]
fn a_name_without_a_registry_is_fetched_where_the_operator_says() {
    let (registry, image) = registry();
    image.push(registry.port(), "library/alpine", "latest");
    let host = Host::new("");
    let mapped = format!("docker.io:80=127.0.0.1:{}", registry.port());
    let ended =
        run(&host, "- t: { run: { container: { image: alpine }, return: stdout } }", &["--http-resolve", &mapped]);
    assert_eq!(ended["output"], "entry by itself\n", "{ended}");
}

/// The specification's own examples, from their files, with an image under the names that they use.
#[test]
fn the_official_examples_run() {
    let folder = root().join("../shared/data/sw-spec/examples");
    let registry = Registry::open();
    let image = image(json!({ "Cmd": ["/bin/echo", "Hello from an image"], "Env": ["PATH=/bin"] }));
    for name in ["hello-world", "alpine", "fake-image"] {
        image.push(registry.port(), &format!("library/{name}"), "latest");
    }
    let mapped = format!("docker.io:80=127.0.0.1:{}", registry.port());
    let host = Host::new("");
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("run-container") {
            continue;
        }
        let output = host.run(&["run", path.to_str().unwrap(), "--format", "json", "--http-resolve", &mapped]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let ended: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}: {said}"));
        assert_eq!(ended["status"], "completed", "{name}: {ended}");
        let printed = ended["output"]["stdoutExcerpt"].as_str().unwrap().to_owned();
        let expected = match name.contains("stdin") {
            true => "STDIN was: Hello World\nARGS are Foo Bar\n",
            false => "Hello from an image\n",
        };
        assert_eq!(printed, expected, "{name}");
        count += 1;
    }
    assert_eq!(count, 6);
}

const REQUEST: &str = r#"{ "releaseId": "demo-1.2.0", "releaseType": "rust-products", "runtimeFamilies": ["rust"],
  "repos": [{ "name": "demo", "url": "http://git.demo.test/demo.git", "ref": "main", "version": "1.2.0" }],
  "cargoRegistry": { "name": "demo", "index": "sparse+http://crates.demo.test/index/" },
  "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 0 } }"#;

fn start_release(host: &Host) -> Child {
    Command::new(env!("CARGO_BIN_EXE_light-workflow"))
        .current_dir(host.folder.path())
        .args(["release", "start", "request.json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Until a file of some session holds `text`.
fn wait_for(data: &Path, text: &str) {
    let limit = Instant::now() + Duration::from_secs(60);
    let there = || {
        let sessions = fs::read_dir(data.join("sandbox/sessions")).into_iter().flatten().flatten();
        sessions
            .map(|session| fs::read_to_string(session.path().join("workspace/log")).unwrap_or_default())
            .any(|log| log.contains(text))
    };
    while !there() {
        assert!(Instant::now() < limit, "no `{text}`");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_container_survives_its_host_and_runs_once() {
    let (registry, image) = registry();
    let host = host(&registry.host());
    fs::create_dir_all(host.path("definitions")).unwrap();
    let script = "echo began >> /workspace/log; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.3; echo line $i; done; cat /workspace/log";
    let tasks = format!(
        "- t: {{ run: {{ container: {{ image: '{}/tool:1', command: '{script}' }}, return: stdout }} }}",
        registry.host()
    );
    fs::write(host.path("definitions/rust-products.yaml"), definition(&tasks)).unwrap();
    fs::write(host.path("request.json"), REQUEST).unwrap();
    let mut first = start_release(&host);
    wait_for(&host.path(".light-workflow"), "began");
    first.kill().unwrap();
    first.wait().unwrap();
    // What was started needs no registry any more, and no approval.
    drop(registry);
    let ended = start_release(&host).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}");
    let exported = host.does(&["audit", "export"]);
    assert!(exported.contains("line 10\\nbegan\\n"), "{exported}");
    assert!(!exported.contains("began\\nbegan"), "{exported}");
    for recorded in [&image.id, &image.digest()] {
        assert!(exported.contains(recorded.as_str()), "{recorded} is not in {exported}");
    }
}
