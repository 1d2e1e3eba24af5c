//! The runtime under test: `light-workflow run` in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tempfile::TempDir;
use web_stub::broker::Mosquitto;
use web_stub::{Asked, Reply, Web};

use crate::root;

/// How one execution ended.
pub struct Execution {
    pub status: String,
    pub output: Value,
    pub error: Value,
    /// In the order they started; what was skipped is not among them.
    pub tasks: Vec<Task>,
}

pub struct Task {
    pub name: String,
    pub status: String,
    pub error: Value,
}

pub struct Runtime {
    folder: TempDir,
    /// What the service answers, by method and path.
    answers: Arc<Mutex<BTreeMap<String, Reply>>>,
    /// Brokers by the host and port that scenarios know them by.
    brokers: Mutex<Vec<(String, Mosquitto)>>,
}

/// The service that scenarios call, wherever it is.
const SERVICE: &str = "service.test:80";

impl Runtime {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let definitions = folder.path().join("definitions");
        fs::create_dir(&definitions).unwrap();
        let configuration = format!(
            "[policy]\nauto-approve = true\n[paths]\ndefinitions = {definitions:?}\ntemplates = {:?}\n",
            root().join("sandbox-templates")
        );
        fs::write(folder.path().join("light-workflow.toml"), configuration).unwrap();
        Self { folder, answers: Arc::default(), brokers: Mutex::default() }
    }

    /// Puts a document beside the definition.
    pub fn document(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Makes `http://service.test` answer `GET /path` like this.
    pub fn answer(&self, asked: &str, status: u16, body: String) {
        let reply = Reply::new(status, &[("content-type", "application/json")], body);
        self.answers.lock().unwrap().insert(asked.to_owned(), reply);
    }

    /// Starts a broker that everybody may use.
    pub fn broker(&self, authority: &str) {
        self.brokers.lock().unwrap().push((authority.to_owned(), Mosquitto::start("allow_anonymous true\n")));
    }

    /// Makes a definition known that others may run.
    pub fn know(&self, definition: &str) {
        let folder = self.folder.path().join("definitions");
        let count = fs::read_dir(&folder).unwrap().count();
        fs::write(folder.join(format!("known-{count}.yaml")), definition).unwrap();
    }

    /// None: it was refused before anything ran; with what was said of it.
    #[allow(clippy::disallowed_methods, reason = "the runtime is a program")]
    pub fn execute(&self, definition: &str, input: &Value) -> Result<Execution, String> {
        let path = |name: &str| self.folder.path().join(name);
        fs::write(path("workflow.yaml"), definition).unwrap();
        fs::write(path("input.json"), input.to_string()).unwrap();
        let has_service = !self.answers.lock().unwrap().is_empty();
        let answers = self.answers.clone();
        let answer = move |asked: &Asked| answers.lock().unwrap().get(&asked.line()).cloned();
        let service = has_service.then(|| Web::plain(move |asked| answer(asked).unwrap_or(Reply::status(404))));
        let service = service.iter().map(|web| format!("{SERVICE}={}", web.address()));
        let brokers = self.brokers.lock().unwrap();
        let brokers = brokers.iter().map(|(authority, broker)| format!("{authority}={}", broker.address()));
        let resolve = service.chain(brokers).flat_map(|place| ["--http-resolve".to_owned(), place]);
        let output = Command::new(program())
            .current_dir(self.folder.path())
            .args(["--config", "light-workflow.toml", "--data", "data", "run", "workflow.yaml"])
            .args(["--input", "input.json", "--format", "json", "--yes"])
            .args(resolve)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0 | 1) => {}
            Some(2) => return Err(said),
            code => panic!("the runtime ended with {code:?}: {said}"),
        }
        let ended: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let tasks = ended["tasks"].as_array().into_iter().flatten().map(|task| Task {
            name: text(&task["name"]),
            status: text(&task["status"]),
            error: task["error"].clone(),
        });
        Ok(Execution {
            status: text(&ended["status"]),
            output: ended["output"].clone(),
            error: ended["error"].clone(),
            tasks: tasks.filter(|task| task.status != "skipped").collect(),
        })
    }
}

/// The program of this build: this test is `<target>/debug/deps/conformance-…`.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.ancestors().nth(2).expect("a test lies two folders below its profile's").join("light-workflow");
    assert!(path.is_file(), "`{}` is not there; run `cargo build -p light-workflow`", path.display());
    path
}
