//! A Maven project goes the way of `java-products.yaml`, with a real Maven: from the remote to files that are public with
//! the bytes that were approved; and a test that fails is diagnosed.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use workflow::Digest;

use crate::world::{Host, Running, Stage, root};

/// One module with a test, and a manifest of its config profile. Debian's packages are the repository.
const PROJECT: &str = r#"
mkdir -p .mvn src/main/java/demo src/test/java/demo profiles
echo -Dmaven.repo.local=/usr/share/maven-repo > .mvn/maven.config
cat > pom.xml <<'END'
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>test.demo</groupId><artifactId>sum</artifactId><version>1.2.0</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId><version>4.x</version><scope>test</scope></dependency></dependencies>
</project>
END
echo 'package demo; public class Sum { public static int of(int a, int b) { return a + b; } }' > src/main/java/demo/Sum.java
echo "package demo; public class SumTest { @org.junit.Test public void adds() { org.junit.Assert.assertEquals($SUM, Sum.of(1, 2)); } }" > src/test/java/demo/SumTest.java
git init --quiet --initial-branch=main .
git config user.name t && git config user.email t@t.test
git add . && git commit --quiet -m 'feat: sums' && git tag v1.1.0
echo '# Sums' > README.md && git add . && git commit --quiet -m 'fix: say what it is'
git init --quiet --bare --initial-branch=main "$REMOTE"
git push --quiet "$REMOTE" main v1.1.0
"#;

/// A remote with the project; its one test expects `sum`.
fn project(stage: &Stage, sum: u32) {
    let folder = stage.path("java");
    fs::create_dir(&folder).unwrap();
    let mut command = Command::new("sh");
    command.args(["-euc", PROJECT]).current_dir(&folder).env("SUM", sum.to_string());
    assert!(command.env("REMOTE", stage.path("stage/git/java.git")).status().unwrap().success());
}

fn input(stage: &Stage) -> PathBuf {
    let release = json!({
        "releaseId": "sum-1.2.0", "releaseType": "java-train", "runtimeFamilies": ["java"],
        "repos": [{ "name": "sum", "url": "http://git.demo.test/java.git", "ref": "main", "version": "1.2.0" }],
        "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": false, "maxRepairAttempts": 0 },
    });
    let input = json!({ "release": release, "mavenRepository": "http://maven.demo.test/maven2", "offline": true });
    stage.write("input.json", &input.to_string())
}

/// A Maven repository: files below `folder`, and 404 for the rest.
fn serve(folder: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap();
            let head = String::from_utf8_lossy(&head[..count]);
            let path = head.split_whitespace().nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
            let (status, body) = match fs::read(folder.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    port
}

/// The question that is open now, and a host that can answer it.
fn question(stage: &Stage, running: &mut Running) -> (Host, Value) {
    let line = running.line_with("waiting for a person");
    let data = line.rsplit("--data ").next().unwrap().trim();
    let host = Host { data: stage.path("").join(data), ..stage.host() };
    let open = host.json(&["task", "list", "--format", "json"]);
    (host, open[0].clone())
}

fn answer(host: &Host, task: &Value, value: &str) {
    let [id, digest] = [&task["id"], &task["question"]["subjectDigest"]].map(|text| text.as_str().unwrap());
    host.run(&["task", "complete", id, "--decision", value, "--subject", digest]).ended_with(0);
}

/// The stored bytes of this digest, wherever the host keeps them.
fn stored(folder: &Path, digest: &str) -> Option<Vec<u8>> {
    let entries = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path());
    entries.into_iter().find_map(|path| match path.is_dir() {
        true => stored(&path, digest),
        false => fs::read(&path).ok().filter(|bytes| Digest::of(bytes).as_str() == digest),
    })
}

#[test]
#[ignore = "needs Debian's packages of Maven and its plugins; `cargo xtask test --all` installs them and runs it"]
fn a_maven_project_is_built_approved_and_compared_with_what_is_public() {
    let stage = Stage::with_a_person();
    project(&stage, 3);
    let repository = stage.path("maven");
    let port = serve(repository.clone());
    stage.configure(|text| {
        text.replace(
            "[egress.resolve]\n",
            &format!("[egress.resolve]\n\"maven.demo.test:80\" = \"127.0.0.1:{port}\"\n"),
        )
    });
    let definition = root().join("definitions/java-products.yaml");
    let command =
        stage.host().command(&["run", definition.to_str().unwrap(), "--input", input(&stage).to_str().unwrap()]);
    let mut running = Running::spawn(command);

    // Each of these takes Maven a minute on a busy machine.
    for task in ["compile …", "test …", "package …", "write-note …"] {
        running.line_with(task);
    }
    let (host, approval) = question(&stage, &mut running);
    let plan = &approval["question"]["subject"];
    let [file] = &plan["files"].as_array().unwrap()[..] else { panic!("{plan}") };
    assert_eq!((&file["artifact"], &file["version"]), (&"sum".into(), &"1.2.0".into()));
    assert_eq!(plan["notes"][0]["callsFor"], "patch", "what is new since v1.1.0 is a fix");
    answer(&host, &approval, "approved");

    let (host, by_hand) = question(&stage, &mut running);
    let bytes = stored(&host.data, file["digest"].as_str().unwrap()).expect("the file is kept");
    let folder = repository.join("maven2/test/demo/sum/1.2.0");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("sum-1.2.0.jar"), bytes).unwrap();
    answer(&host, &by_hand, "confirmed");
    assert_eq!(running.end(), Some(0));
}

#[test]
#[ignore = "needs Debian's packages of Maven and its plugins; `cargo xtask test --all` installs them and runs it"]
fn a_test_that_fails_ends_the_release_with_a_diagnosis_before_anybody_is_asked() {
    let stage = Stage::with_a_person();
    project(&stage, 4);
    let definition = root().join("definitions/java-products.yaml");
    let ran = stage.host().run(&["run", definition.to_str().unwrap(), "--input", input(&stage).to_str().unwrap()]);
    ran.ended_with(1).says("test failure in demo.SumTest: adds").says("test-failure").says("evidence: ");
}
