//! A provider that answers commands from a script, and the place where a host dies.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sandbox::{Captured, ExecError, ExecOutcome, ExecRequest, Provider};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};
use workflow::{CommandName, CommandStatus, Digest, EffectKey, InstanceId, Timestamp};

/// The moments at which a host can die, in order: the n-th one kills it.
#[derive(Debug, Default)]
pub struct Death {
    at: Option<u32>,
    moments: AtomicU32,
    struck: watch::Sender<bool>,
}

impl Death {
    pub fn never() -> Arc<Self> {
        Arc::default()
    }

    pub fn at(moment: u32) -> Arc<Self> {
        Arc::new(Self { at: Some(moment), ..Self::default() })
    }

    /// Nothing goes on after the moment of death: whoever comes here waits for ever.
    pub async fn moment(&self) {
        let moment = self.moments.fetch_add(1, Ordering::SeqCst) + 1;
        if self.at.is_some_and(|at| moment >= at) {
            self.struck.send_replace(true);
            std::future::pending::<()>().await;
        }
    }

    pub fn has_struck(&self) -> bool {
        *self.struck.borrow()
    }

    pub async fn strikes(&self) {
        // The sender lives as long as `self`.
        let _ = self.struck.subscribe().wait_for(|struck| *struck).await;
    }
}

/// What a command answers.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub stdout: String,
    pub exit_code: i32,
    /// Captured, with their path as content.
    pub files: Vec<String>,
}

/// Outlives the hosts: what was started under a key stays started.
pub struct Machine {
    folder: TempDir,
    answers: BTreeMap<CommandName, Answer>,
    started: Mutex<BTreeMap<EffectKey, (CommandName, u32)>>,
    killed: AtomicUsize,
    death: Mutex<Arc<Death>>,
    /// A command ends when it gets a permit.
    pub gate: Semaphore,
}

impl Machine {
    pub fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        let full = |name: &str| if name.contains('/') { name.to_owned() } else { format!("rust-release/{name}") };
        let name = |name: &str| CommandName::new(full(name)).expect("a command's name");
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            answers: answers.into_iter().map(|(command, answer)| (name(command), answer)).collect(),
            started: Mutex::default(),
            killed: AtomicUsize::new(0),
            death: Mutex::new(Death::never()),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }

    pub fn dies(&self, death: Arc<Death>) {
        *self.death.lock().expect("no test panics with it") = death;
    }

    /// Each command with the number of times that it was started.
    pub fn started(&self) -> Vec<(CommandName, u32)> {
        self.started.lock().expect("no test panics with it").values().cloned().collect()
    }

    /// How many commands were ended from outside.
    pub fn killed(&self) -> usize {
        self.killed.load(Ordering::SeqCst)
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(Digest::of(format!("{name}\0{content}").as_bytes()).hex());
        std::fs::write(&path, content).expect("the folder takes files");
        path
    }
}

#[async_trait]
impl Provider for Machine {
    async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError> {
        let death = self.death.lock().expect("no test panics with it").clone();
        death.moment().await;
        let name = request.command.command_name.clone().expect("a plugin names its commands");
        if !self.knows(&request.key).await {
            let mut started = self.started.lock().expect("no test panics with it");
            started.entry(request.key.clone()).or_insert((name.clone(), 0)).1 += 1;
        }
        death.moment().await;
        self.gate.acquire().await.expect("nobody closes it").forget();
        let answer = self.answers.get(&name).cloned().unwrap_or_default();
        let captured = |path: &String| Captured {
            path: path.clone(),
            file: self.file(path, path),
            size_bytes: path.len() as u64,
            digest: Digest::of(path.as_bytes()),
        };
        Ok(ExecOutcome {
            status: if answer.exit_code == 0 { CommandStatus::Succeeded } else { CommandStatus::Failed },
            exit_code: Some(answer.exit_code),
            summary: format!("exit code {}", answer.exit_code),
            started_at: Timestamp::UNIX_EPOCH,
            completed_at: Timestamp::UNIX_EPOCH,
            stdout: self.file("stdout", &answer.stdout),
            stderr: self.file("stderr", ""),
            stdout_excerpt: answer.stdout,
            stderr_excerpt: String::new(),
            captured: answer.files.iter().map(captured).collect(),
            changed_files: Vec::new(),
            sandbox_digest: Digest::of(b"sandbox"),
            egress: Vec::new(),
        })
    }

    async fn knows(&self, key: &EffectKey) -> bool {
        self.started.lock().expect("no test panics with it").contains_key(key)
    }

    async fn kill(&self, _key: &EffectKey) {
        self.killed.fetch_add(1, Ordering::SeqCst);
    }

    async fn discard(&self, _key: &EffectKey) {}

    async fn close_session(&self, _instance: &InstanceId) {}

    async fn sweep(&self, _keep: &[InstanceId]) -> Vec<String> {
        Vec::new()
    }
}
