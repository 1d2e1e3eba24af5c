//! What curl and an HTTP status say of a server that gave no answer.
//!
//! A question may be asked again: what is transient here was not sent anywhere.

use light_workflow_sdk::{CommandResult, Status, StepError};

/// Exit codes for a name that does not resolve, a connection that is not made, a
/// time that ran out, a transfer that broke off.
///
/// Source: “Exit codes” in curl's manual.
const NO_ANSWER: [i32; 11] = [5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92];

/// Passes on that the server answered, whatever it said; `doing` opens the error's text.
pub fn expect_answer(result: &CommandResult, doing: &str) -> Result<(), StepError> {
    let transient = match result.status {
        Status::Failed => result.exit_code.is_some_and(|code| NO_ANSWER.contains(&code)),
        Status::TimedOut => true,
        Status::Succeeded | Status::Killed | Status::PolicyViolation => false,
    };
    if transient {
        return Err(StepError::Transient(format!("failed to {doing}: {}", result.last_line())));
    }
    result.expect_success(doing)
}

/// Whether a status is of this moment: another attempt may get another one.
pub fn may_change(status: &str) -> bool {
    status.starts_with('5') || matches!(status, "408" | "425" | "429")
}
