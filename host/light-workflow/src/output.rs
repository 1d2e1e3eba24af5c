//! What people and programs read: failures, exit codes, plain text from hostile places.

use std::fmt;

use workflow::effect::Fault;

/// Exit codes: a stable surface.
pub const DONE: u8 = 0;
/// The release or workflow failed, or what was checked is wrong.
pub const FAILED: u8 = 1;
/// Bad arguments or bad input; nothing was written.
pub const USED_WRONGLY: u8 = 2;
/// The host could not do it.
pub const HOST_FAILED: u8 = 3;

/// Why a command ended without doing what was asked.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    /// One problem a line: what was being done, what is wrong, where, what to do.
    pub lines: Vec<String>,
}

impl Failure {
    pub fn used_wrongly(message: impl fmt::Display) -> Self {
        Self { code: USED_WRONGLY, lines: vec![message.to_string()] }
    }

    pub fn wrong_input<T: fmt::Display>(problems: impl IntoIterator<Item = T>) -> Self {
        Self { code: USED_WRONGLY, lines: problems.into_iter().map(|problem| problem.to_string()).collect() }
    }

    pub fn failed(message: impl fmt::Display) -> Self {
        Self { code: FAILED, lines: vec![message.to_string()] }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}error: {line}")?;
        }
        Ok(())
    }
}

/// Whatever else goes wrong is the host's: the whole chain on one line.
impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: HOST_FAILED, lines: vec![format!("{:#}", error.into())] }
    }
}

/// Like `println!`, but a reader that went away (`| head`) ends the program quietly.
macro_rules! outln {
    ($($part:tt)*) => {
        $crate::output::write_out(format_args!("{}\n", format_args!($($part)*)))
    };
}
pub(crate) use outln;

/// Like `eprintln!`, but a reader that went away changes nothing: a release goes on unseen.
macro_rules! errln {
    ($($part:tt)*) => {
        $crate::output::write_err(format_args!("{}\n", format_args!($($part)*)))
    };
}
pub(crate) use errln;

pub fn write_err(text: fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = std::io::stderr().write_fmt(text);
}

pub fn write_out(text: fmt::Arguments<'_>) {
    use std::io::Write;
    if let Err(error) = std::io::stdout().write_fmt(text) {
        let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
        std::process::exit(if gone { DONE } else { HOST_FAILED }.into());
    }
}

/// Text that came from a command or a plugin, safe for a terminal: control
/// characters other than line ends and tabs are shown, not obeyed.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => plain.push(c),
            c if c.is_control() || turns_text_around(c) => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

/// As [`plain`], where one line is meant: line ends and tabs are shown, too.
pub fn one_line(text: &str) -> String {
    plain(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Characters that make a line read otherwise than it is written.
fn turns_text_around(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An error of a workflow as a sentence: what is wrong, where, and of which kind.
pub fn fault_text(error: &Fault) -> String {
    let kind = error.kind.rsplit('/').next().unwrap_or(&error.kind);
    let what = error.detail.as_deref().or(error.title.as_deref()).unwrap_or(kind);
    match &error.instance {
        Some(place) => format!("{what} ({kind}, status {}, at {place})", error.status),
        None => format!("{what} ({kind}, status {})", error.status),
    }
}

/// `1 file`, `2 files`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `` `a`, `b` ``, or that there is none.
pub fn listed<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The host's own log: quiet unless asked, and never on standard output.
pub fn log_to_stderr(verbose: bool) {
    use std::io::IsTerminal as _;

    use tracing_subscriber::EnvFilter;

    let default = if verbose { "info,light_workflow=debug,worker=debug" } else { "warn" };
    let filter = EnvFilter::try_from_env("LIGHT_WORKFLOW_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_does_not_obey_a_log() {
        assert_eq!(plain("a\u{1b}[2Jb\tc\n"), "a\\u{1b}[2Jb\tc\n");
        assert_eq!(plain("yes\u{202e}on"), "yes\\u{202e}on");
        assert_eq!(one_line("a\u{1b}\r\nb\tc"), "a\\u{1b}\\r\\nb\\tc");
    }
}
