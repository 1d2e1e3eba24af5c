//! One call from its first request to its outcome: its time, its policy, the
//! credentials it used, and whether something was sent that must not be sent twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;
use workflow::effect::{EffectClass, Fault, StandardError};
use workflow::redaction::SECRET_BYTES_MIN;
use workflow::{EffectOutcome, Origin, SecretName};

use crate::Client;

/// What a call needs of the host around it.
#[async_trait]
pub trait Side: Send + Sync {
    /// A request that must not be sent twice is about to be sent. Returns when
    /// that is recorded.
    async fn sending(&self) -> Result<(), Interrupted>;

    /// The value of a secret, or why it is not there.
    fn secret(&self, name: &SecretName) -> Result<String, String>;

    /// What a subscription took in this attempt so far: recorded by
    /// [`Self::took`], of an earlier host too.
    fn taken(&self) -> Vec<Value> {
        Vec::new()
    }

    /// A subscription took these messages. Returns when that is recorded,
    /// without any secret and without `used`; what is not recorded stays with
    /// the other side. Whoever never subscribes needs none of this.
    async fn took(&self, messages: &Value, used: &[(String, String)]) -> Result<(), Unrecorded> {
        let _ = (messages, used);
        Err(Unrecorded::Refused("nothing is recorded here".to_owned()))
    }
}

/// Why messages were not recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecorded {
    /// The host stops.
    Interrupted,
    Refused(String),
}

/// The host stops: there is no outcome to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// What came of a call, with secrets still in it.
#[derive(Debug)]
pub struct Performed {
    /// None: the host stops.
    pub outcome: Option<EffectOutcome>,
    /// Name and value of each credential it used, beside whole secrets: what to
    /// redact the outcome of.
    pub used: Vec<(String, String)>,
}

/// Why a call gives no output.
#[derive(Debug)]
pub(crate) enum Failure {
    Fault(Fault),
    /// Sent, and no answer came.
    Unknown(String),
    Interrupted,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Failure::Fault(fault)
    }
}

pub(crate) fn configuration(detail: impl Into<String>) -> Failure {
    StandardError::Configuration.fault(detail).into()
}

pub(crate) fn communication(detail: impl Into<String>) -> Failure {
    StandardError::Communication.fault(detail).into()
}

pub(crate) fn authentication(detail: impl Into<String>) -> Failure {
    StandardError::Authentication.fault(detail).into()
}

pub(crate) struct Session<'a> {
    pub client: &'a Client,
    pub approved: &'a BTreeSet<Origin>,
    pub deadline: Instant,
    limit: Duration,
    side: &'a dyn Side,
    declared: Option<EffectClass>,
    announced: AtomicBool,
    used: Mutex<Vec<(String, String)>>,
}

impl<'a> Session<'a> {
    pub fn new(
        client: &'a Client,
        approved: &'a BTreeSet<Origin>,
        side: &'a dyn Side,
        limit: Duration,
        declared: Option<EffectClass>,
    ) -> Self {
        Self {
            client,
            approved,
            deadline: Instant::now() + limit,
            limit,
            side,
            declared,
            announced: AtomicBool::new(false),
            used: Mutex::default(),
        }
    }

    /// What may be done when the answer to a request gets lost: as the
    /// definition says, or else as its method promises.
    pub fn class(&self, promised: EffectClass) -> EffectClass {
        self.declared.unwrap_or(promised)
    }

    /// Before a request of this class is sent.
    pub async fn announce(&self, class: EffectClass) -> Result<(), Failure> {
        match class {
            EffectClass::Pure | EffectClass::Idempotent => Ok(()),
            EffectClass::Reconcilable | EffectClass::Manual => {
                if self.announced.swap(true, Ordering::AcqRel) {
                    return Ok(());
                }
                self.side.sending().await.map_err(|Interrupted| Failure::Interrupted)
            }
        }
    }

    pub fn taken(&self) -> Vec<Value> {
        self.side.taken()
    }

    /// Returns when it is on disk.
    pub async fn took(&self, messages: &Value) -> Result<(), Failure> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.side.took(messages, &used).await {
            Ok(()) => Ok(()),
            Err(Unrecorded::Interrupted) => Err(Failure::Interrupted),
            Err(Unrecorded::Refused(why)) => Err(configuration(why)),
        }
    }

    pub fn timed_out(&self) -> Fault {
        StandardError::Timeout.fault(format!("the call took longer than {} ms", self.limit.as_millis()))
    }

    pub fn secret(&self, name: &SecretName) -> Result<String, Failure> {
        self.side.secret(name).map_err(configuration)
    }

    /// Notes a credential that goes out, so that it is redacted from what comes back.
    pub fn use_credential(&self, name: impl Into<String>, value: &str) -> Result<(), Failure> {
        let name = name.into();
        if value.trim().len() < SECRET_BYTES_MIN {
            let detail =
                format!("`{name}` has fewer than {SECRET_BYTES_MIN} bytes: it could not be told from ordinary text");
            return Err(configuration(detail));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).push((name, value.to_owned()));
        Ok(())
    }

    pub fn performed(self, ended: Result<Value, Failure>) -> Performed {
        let outcome = match ended {
            Ok(output) => Some(EffectOutcome::Output { output }),
            Err(Failure::Fault(error)) => Some(EffectOutcome::Faulted { error }),
            Err(Failure::Unknown(detail)) => Some(EffectOutcome::Unknown { detail }),
            Err(Failure::Interrupted) => None,
        };
        Performed { outcome, used: self.used.into_inner().unwrap_or_else(PoisonError::into_inner) }
    }
}
