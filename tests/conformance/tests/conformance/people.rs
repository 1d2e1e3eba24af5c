//! The people of a scenario: they see a question when `run` says that it waits,
//! and answer it with `task complete`.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::vocabulary::execution::Question;

/// Longest that one scenario may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers in their order, by task.
#[derive(Debug, Clone, Default)]
pub struct People(pub BTreeMap<String, VecDeque<String>>);

/// How a program ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl People {
    /// Lets `run` work to its end and answers what it asks; `program` makes a command of the same host.
    #[allow(clippy::disallowed_methods, reason = "the runtime is a program")]
    pub fn attend(&self, mut run: Command, folder: &Path, program: &dyn Fn() -> Command) -> (Ended, Vec<Question>) {
        let mut answers = self.0.clone();
        let (stdout, mut asked, mut questions) = (folder.join("stdout.json"), Vec::new(), Vec::new());
        run.stdout(File::create(&stdout).unwrap()).stderr(Stdio::piped());
        let mut child = run.spawn().unwrap();
        let lines = lines_of(child.stderr.take().unwrap());
        let (started, mut said) = (Instant::now(), String::new());
        loop {
            match lines.recv_timeout(PATIENCE.saturating_sub(started.elapsed())) {
                Ok(line) => {
                    said += &format!("{line}\n");
                    let Some(waiting) = Waiting::read(&line) else { continue };
                    if asked.contains(&waiting.id) {
                        continue;
                    }
                    asked.push(waiting.id.clone());
                    questions.extend(waiting.answered(&mut answers, program));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    child.kill().unwrap();
                    panic!("it did not end in {PATIENCE:?}: {said}");
                }
            }
        }
        let code = child.wait().unwrap().code();
        (Ended { code, stdout: std::fs::read_to_string(&stdout).unwrap(), stderr: said }, questions)
    }
}

/// The lines of a stream as they come.
pub fn lines_of(stream: impl std::io::Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        // Whoever listened may be gone: the stream is read to its end all the same.
        BufReader::new(stream).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    });
    lines
}

/// What `run` says when it waits for a person.
struct Waiting {
    id: String,
    subject: String,
    data: String,
}

impl Waiting {
    fn read(line: &str) -> Option<Self> {
        let after = |word: &str| Some(line.split_once(word)?.1.split([' ', ';']).next()?.to_owned());
        let _ = line.find("waiting for a person")?;
        let data = line.rsplit_once("--data ")?.1.trim().to_owned();
        Some(Self { id: after("task show ")?, subject: after("--subject ")?, data })
    }

    /// None: it went on without an answer before anybody saw it.
    #[allow(clippy::disallowed_methods, reason = "the runtime is a program")]
    fn answered(
        &self,
        answers: &mut BTreeMap<String, VecDeque<String>>,
        program: &dyn Fn() -> Command,
    ) -> Option<Question> {
        let task = |arguments: &[&str]| {
            program().args(["--data", &self.data, "task"]).args(arguments).output().expect("the program runs")
        };
        let shown = task(&["show", &self.id, "--format", "json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).ok()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let asked = &shown["question"];
        let mut question = Question {
            task: text(&shown["path"]).unwrap().rsplit('/').next().unwrap_or_default().to_owned(),
            prompt: text(&asked["prompt"]).unwrap(),
            assignees: [&asked["assignee"], &asked["role"]].into_iter().filter_map(text).collect(),
            options: asked["options"].as_array().unwrap().iter().filter_map(|option| text(&option["value"])).collect(),
            subject: asked["subject"].clone(),
            refused: Vec::new(),
        };
        while let Some(answer) = answers.get_mut(&question.task).and_then(VecDeque::pop_front) {
            let value = format!("--decision={answer}");
            let ended = task(&["complete", &self.id, &value, "--subject", &self.subject]);
            match ended.status.code() {
                Some(0) => break,
                Some(2) => question.refused.push(answer),
                code => panic!("{code:?}: {}", String::from_utf8_lossy(&ended.stderr)),
            }
        }
        Some(question)
    }
}
