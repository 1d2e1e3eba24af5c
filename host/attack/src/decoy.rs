//! Where the commands of the suite go: answered, counted, never run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sandbox::{ExecError, ExecOutcome, ExecRequest, Provider};
use tokio::sync::Semaphore;
use workflow::command::CommandStatus;
use workflow::{Digest, EffectKey, InstanceId, Timestamp};

/// A provider that says that every command succeeded. A hostile step that came
/// through to it is seen here, and does nothing to the reviewer's machine.
pub(crate) struct Decoy {
    stdout: PathBuf,
    stderr: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Keys of the commands that arrived, in order.
    arrived: Vec<EffectKey>,
    gates: BTreeMap<InstanceId, Gate>,
}

/// Commands of an instance wait until it is opened.
#[derive(Clone)]
pub(crate) struct Gate {
    /// A permit for each command that waits.
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Gate {
    /// Returns when a command of the instance has come to the gate.
    pub async fn reached(&self) {
        self.arrived.acquire().await.expect("no gate is closed for good").forget();
    }

    pub fn open(&self) {
        self.open.add_permits(1);
    }
}

impl Decoy {
    /// The files are what every command is said to have printed.
    pub fn new(stdout: PathBuf, stderr: PathBuf) -> Self {
        Self { stdout, stderr, state: Mutex::default() }
    }

    pub fn gate(&self, instance: &InstanceId) -> Gate {
        let gate = Gate { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) };
        self.state().gates.insert(instance.clone(), gate.clone());
        gate
    }

    /// Commands that arrived under an attempt of an instance.
    pub fn arrived(&self, instance: &InstanceId, attempt: u32) -> usize {
        let same = |key: &&EffectKey| key.instance == *instance && key.attempt == attempt;
        self.state().arrived.iter().filter(same).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Provider for Decoy {
    async fn exec(&self, request: ExecRequest) -> Result<ExecOutcome, ExecError> {
        let gate = {
            let mut state = self.state();
            state.arrived.push(request.key.clone());
            state.gates.get(&request.key.instance).cloned()
        };
        if let Some(gate) = gate {
            gate.arrived.add_permits(1);
            gate.open.acquire().await.expect("no gate is closed for good").forget();
        }
        Ok(ExecOutcome {
            status: CommandStatus::Succeeded,
            exit_code: Some(0),
            summary: "exit code 0".to_owned(),
            started_at: Timestamp::UNIX_EPOCH,
            completed_at: Timestamp::UNIX_EPOCH,
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            stdout_excerpt: "answered by the decoy\n".to_owned(),
            stderr_excerpt: String::new(),
            captured: Vec::new(),
            changed_files: Vec::new(),
            sandbox_digest: Digest::of(b"decoy"),
            egress: Vec::new(),
        })
    }

    async fn knows(&self, _: &EffectKey) -> bool {
        false
    }

    async fn kill(&self, _: &EffectKey) {}

    async fn discard(&self, _: &EffectKey) {}

    async fn close_session(&self, _: &InstanceId) {}

    async fn sweep(&self, _: &[InstanceId]) -> Vec<String> {
        Vec::new()
    }
}
