//! The runtime under test: `light-workflow` in a folder of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use web_stub::broker::Mosquitto;
use web_stub::{Asked, Reply, Web, images};

use crate::outside::Outside;
use crate::people::{Ended, People};
use crate::root;
use crate::serving::{Clock, Serving, scheduled};
use crate::vocabulary::execution::{Execution, Question, Runtime, Scheduled, Task};

/// The service that scenarios call, wherever it is.
const SERVICE: &str = "service.test:80";
/// The registry of the kit's images, wherever it is.
const REGISTRY: &str = "images.test:80";
/// What is due and has not come by now does not come.
const PATIENCE: Duration = Duration::from_secs(30);
/// `serve` looks every second at its schedules.
const LOOKED_TWICE: Duration = Duration::from_millis(2_500);

pub struct Program {
    /// Ends before its folder goes.
    serving: Option<Serving>,
    folder: TempDir,
    /// What the service answers, by method and path.
    answers: Arc<Mutex<BTreeMap<String, Reply>>>,
    /// Brokers by the host and port that scenarios know them by.
    brokers: Vec<(String, Mosquitto)>,
    /// Where the images of the kit are.
    registry: Option<Web>,
    /// None: `--yes` answers.
    people: Option<People>,
    clock: Clock,
}

impl Program {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let definitions = folder.path().join("definitions");
        fs::create_dir(&definitions).unwrap();
        let configuration = format!(
            "[policy]\nauto-approve = true\n[paths]\ndefinitions = {definitions:?}\ntemplates = {:?}\n",
            root().join("sandbox-templates")
        );
        fs::write(folder.path().join("light-workflow.toml"), configuration).unwrap();
        let clock = Clock::new(folder.path());
        Self {
            serving: None,
            folder,
            answers: Arc::default(),
            brokers: Vec::new(),
            registry: None,
            people: None,
            clock,
        }
    }

    /// The program in its folder.
    #[allow(clippy::disallowed_methods, reason = "the runtime is a program")]
    fn command(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(self.folder.path()).args(["--config", "light-workflow.toml"]).stdin(Stdio::null());
        command
    }

    /// Something short to its end, on the data that `serve` has.
    fn ask(&self, arguments: &[&str]) -> Output {
        self.command().args(["--data", "data"]).args(arguments).output().unwrap()
    }

    fn serve(&mut self) -> Result<(), String> {
        let mut serve = self.command();
        serve.args(["--data", "data", "serve", "--role", "worker", "--verbose"]);
        self.clock.give(&mut serve);
        self.serving = Some(Serving::start(serve)?);
        Ok(())
    }

    /// The service of this scenario, if it has one; it lives as long as this process.
    fn service(&self) -> Option<Web> {
        let answers = self.answers.clone();
        if answers.lock().unwrap().is_empty() {
            return None;
        }
        let answer = move |asked: &Asked| answers.lock().unwrap().get(&asked.line()).cloned();
        Some(Web::plain(move |asked| answer(asked).unwrap_or(Reply::status(404))))
    }

    /// What points the program at the services of a definition.
    fn reach(&self, definition: &str) -> Vec<String> {
        let mut arguments = Outside::known().reach(definition);
        let service = self.service();
        let service = service.iter().map(|web| format!("{SERVICE}={}", web.address()));
        let brokers = self.brokers.iter().map(|(authority, broker)| format!("{authority}={}", broker.address()));
        let registry = self.registry.iter().map(|web| format!("{REGISTRY}={}", web.address()));
        arguments.extend(service.chain(brokers).chain(registry).flat_map(|place| ["--http-resolve".to_owned(), place]));
        arguments
    }
}

impl Runtime for Program {
    fn document(&mut self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).map_err(|error| error.to_string())
    }

    fn secret(&mut self, name: &str, value: &str) -> Result<(), String> {
        let configuration = self.folder.path().join("light-workflow.toml");
        fs::write(self.folder.path().join(name), value).map_err(|error| error.to_string())?;
        let before = fs::read_to_string(&configuration).map_err(|error| error.to_string())?;
        fs::write(configuration, format!("{before}[secrets.{name}]\nfile = {name:?}\n"))
            .map_err(|error| error.to_string())
    }

    fn answer(&mut self, asked: &str, status: u16, body: String) -> Result<(), String> {
        let reply = Reply::new(status, &[("content-type", "application/json")], body);
        self.answers.lock().unwrap().insert(asked.to_owned(), reply);
        Ok(())
    }

    fn broker(&mut self, authority: &str) -> Result<(), String> {
        self.brokers.push((authority.to_owned(), Mosquitto::start("allow_anonymous true\n")));
        Ok(())
    }

    fn have_images(&mut self) -> Result<(), String> {
        let busybox = images::busybox(&std::env::current_exe().expect("a test knows its own path"));
        let say = json!({ "Entrypoint": ["/bin/echo", "-n", "said"], "Cmd": ["nothing"], "WorkingDir": "/srv",
            "Env": ["PATH=/bin", "FROM_IMAGE=yes"] });
        let plain = json!({ "Cmd": ["/bin/echo", "-n", "plain"] });
        let named = [("say", "1", say), ("plain", "latest", plain)]
            .map(|(name, tag, runs)| ((name.to_owned(), tag.to_owned()), images::image(&busybox, &runs)));
        let named = BTreeMap::from(named);
        self.registry = Some(Web::plain(move |asked| images::answer(&named, asked)));
        Ok(())
    }

    fn know(&mut self, definition: &str) -> Result<(), String> {
        let folder = self.folder.path().join("definitions");
        let count = fs::read_dir(&folder).unwrap().count();
        fs::write(folder.join(format!("known-{count}.yaml")), definition).map_err(|error| error.to_string())
    }

    fn execute(&mut self, definition: &str, input: &Value) -> Result<Execution, String> {
        let path = |name: &str| self.folder.path().join(name);
        fs::write(path("workflow.yaml"), definition).unwrap();
        fs::write(path("input.json"), input.to_string()).unwrap();
        let mut run = self.command();
        run.args(["--data", "data", "run", "workflow.yaml", "--input", "input.json", "--format", "json"]);
        run.args(self.reach(definition));
        let (ended, questions) = match &self.people {
            Some(people) => people.attend(run, self.folder.path(), &|| self.command()),
            None => (ended(run.arg("--yes").output().unwrap()), Vec::new()),
        };
        match ended.code {
            Some(0 | 1) => {}
            Some(2) => return Err(ended.stderr),
            code => panic!("the runtime ended with {code:?}: {}", ended.stderr),
        }
        let said = serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {}", ended.stderr));
        Ok(execution(&said, questions))
    }

    fn answer_question(&mut self, task: &str, answer: &str) -> Result<(), String> {
        let people = self.people.get_or_insert_default();
        people.0.entry(task.to_owned()).or_default().push_back(answer.to_owned());
        Ok(())
    }

    fn leave_questions(&mut self) -> Result<(), String> {
        self.people.get_or_insert_default();
        Ok(())
    }

    fn set_clock(&mut self, at: &str) -> Result<(), String> {
        self.clock.set(at)
    }

    fn schedule(&mut self, definition: &str) -> Result<(), String> {
        self.know(definition)?;
        self.serve()
    }

    fn start_again(&mut self, at: &str) -> Result<(), String> {
        self.serving = None;
        self.clock.set(at)?;
        self.serve()
    }

    fn publish(&mut self, event: &Value) -> Result<(), String> {
        fs::write(self.folder.path().join("event.json"), event.to_string()).unwrap();
        let sent = self.ask(&["event", "send", "event.json"]);
        match sent.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&sent.stderr).into_owned()),
        }
    }

    fn scheduled(&mut self, ended_min: usize) -> Vec<Scheduled> {
        let started = Instant::now();
        loop {
            let export = self.ask(&["audit", "export"]);
            assert!(export.status.success(), "{}", String::from_utf8_lossy(&export.stderr));
            let all = scheduled(&String::from_utf8(export.stdout).unwrap());
            let ended = all.iter().filter(|one| one.execution.is_some()).count();
            if ended >= ended_min || started.elapsed() > PATIENCE {
                return all;
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn let_schedules_work(&mut self) {
        thread::sleep(LOOKED_TWICE);
    }
}

fn ended(output: Output) -> Ended {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// How an instance ended, from what `run` prints.
fn execution(ended: &Value, questions: Vec<Question>) -> Execution {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let tasks = ended["tasks"].as_array().into_iter().flatten().map(|task| Task {
        name: text(&task["name"]),
        status: text(&task["status"]),
        output: task["output"].clone(),
        error: task["fault"].clone(),
    });
    Execution {
        status: text(&ended["status"]),
        output: ended["output"].clone(),
        error: ended["error"].clone(),
        tasks: tasks.filter(|task| task.status != "skipped").collect(),
        questions,
    }
}

/// The program of this build: this test is `<target>/debug/deps/conformance-…`.
fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.ancestors().nth(2).expect("a test lies two folders below its profile's").join("light-workflow");
    assert!(path.is_file(), "`{}` is not there; run `cargo build -p light-workflow`", path.display());
    path
}
