//! Why a host call gave no answer, and why a step has no output.

/// Why a host call gave no answer; the variants of `types.call-error`.
#[derive(Debug, Clone, PartialEq)]
pub enum CallError {
    /// Policy said no. Asking again gives the same answer.
    Denied(Denial),
    /// The call itself is wrong: a parameter that the command template does not take.
    Invalid(String),
    NotFound(String),
    /// Granted, but used up.
    Quota(String),
    /// Trouble on the host's side; the same call may work later.
    Unavailable(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Denial {
    /// The interface that was called: `sandbox`.
    pub capability: String,
    /// A command, a secret, an artifact.
    pub subject: String,
    /// What is missing and where it could be granted.
    pub reason: String,
}

/// Why a step has no output. The variant decides where the release goes next.
#[derive(Debug, Clone, PartialEq)]
pub enum StepError {
    /// The input does not fit the step: the definition's author mends it. Nothing was done.
    InvalidInput(String),
    /// The step cannot go on without what was denied.
    Denied(Denial),
    /// Worth another attempt, later: the definition's `retry` decides.
    Transient(String),
    /// A command ran and did not do what it should: this is diagnosed.
    Failed(Failure),
    /// Only a person can go on.
    NeedsHuman(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// One line.
    pub summary: String,
    /// None if the command did not end by itself.
    pub exit_code: Option<i32>,
    /// References of complete output, most telling first.
    pub logs: Vec<String>,
}

impl StepError {
    /// A failure without a command behind it.
    pub fn failed(summary: impl Into<String>) -> Self {
        StepError::Failed(Failure { summary: summary.into(), exit_code: None, logs: Vec::new() })
    }

    /// The variant's name in the WIT package: `needs-human`.
    pub fn kind(&self) -> &'static str {
        match self {
            StepError::InvalidInput(_) => "invalid-input",
            StepError::Denied(_) => "denied",
            StepError::Transient(_) => "transient",
            StepError::Failed(_) => "failed",
            StepError::NeedsHuman(_) => "needs-human",
        }
    }
}

/// Where a host call's trouble sends the release, for `?`.
impl From<CallError> for StepError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Denied(denial) => StepError::Denied(denial),
            CallError::Unavailable(detail) => StepError::Transient(detail),
            CallError::Invalid(detail) => StepError::InvalidInput(detail),
            CallError::NotFound(what) => StepError::failed(format!("not found: {what}")),
            CallError::Quota(detail) => StepError::NeedsHuman(format!("a limit of the task's grants: {detail}")),
        }
    }
}
