//! Roles that the host's own binary takes when it is started again.
//!
//! | first argument | who starts it | what it does |
//! | --- | --- | --- |
//! | `sandbox-supervisor` | the host | owns one command: sandbox, output, deadline, outcome |
//! | `sandbox-init` | bubblewrap, as process 1 inside | reaps, forwards egress, starts the command |
//! | `sandbox-enter` | init | gives up every privilege and becomes the command |
//! | `sandbox-dialogue` | enter, as the command | starts a server of MCP, asks it one thing, writes down what it said |

use std::ffi::OsString;
use std::process::ExitCode;

use crate::local;

pub(crate) const SUPERVISOR: &str = "sandbox-supervisor";
pub(crate) const INIT: &str = "sandbox-init";
pub(crate) const ENTER: &str = "sandbox-enter";
pub(crate) const DIALOGUE: &str = "sandbox-dialogue";

/// Plays the role that the first argument names; `None` if it names none, and
/// then the program goes on as itself.
///
/// Call it first in `main`, before any thread exists: `args` is the whole
/// command line with the program's name.
pub fn run_if_requested(args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut args = args.skip(1);
    match args.next()?.to_str()? {
        SUPERVISOR => Some(local::supervisor::main()),
        INIT => Some(local::init::main()),
        ENTER => Some(local::enter::main(args)),
        DIALOGUE => Some(local::dialogue::main(args)),
        _ => None,
    }
}
