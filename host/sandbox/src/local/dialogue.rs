//! One request to a server of MCP over its standard streams, inside its sandbox.
//!
//! The server is a child of this process and shares its user, so nothing said
//! here is more to be trusted than what the server says itself. When this
//! process ends the sandbox ends, and with it the server and whatever it started.
//!
//! Source: Model Context Protocol 2025-06-18, “stdio”: one message a line, and
//! nothing else on standard output.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workflow::command::{McpAnswer, McpDialogue, McpTrouble};

use super::wire::Spec;
use crate::launcher;

/// How long a server may tidy up after its input is closed.
const GOODBYE: Duration = Duration::from_millis(500);

/// What of a line that is no message is shown.
const SHOWN_BYTES: usize = 200;

/// Program, arguments and standard input of the command that asks a server.
pub fn of(dialogue: &McpDialogue, spec: &Spec) -> (Vec<String>, Option<String>) {
    let mut argv = spec.launch();
    argv.push(launcher::DIALOGUE.to_owned());
    argv.extend(spec.command.argv.iter().cloned());
    (argv, Some(serde_json::json!(dialogue).to_string()))
}

/// Arguments: the program of the server and its arguments. The dialogue comes on
/// standard input, and its answer goes to standard output.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let mut text = String::new();
    let dialogue = io::stdin().read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    let (Some(dialogue), Some(program)) = (dialogue, args.next()) else {
        eprintln!("light-workflow: a dialogue cannot be read");
        return ExitCode::FAILURE;
    };
    let answer = match hold(&dialogue, &program, args) {
        Ok(result) => McpAnswer::Result(result),
        Err(answer) => answer,
    };
    match serde_json::to_writer(io::stdout().lock(), &answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn hold(dialogue: &McpDialogue, program: &OsString, args: impl Iterator<Item = OsString>) -> Result<Value, McpAnswer> {
    let started = Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut server = started.map_err(|error| McpAnswer::Broken {
        why: McpTrouble::NotStarted,
        detail: format!("`{}` could not be started: {error}", program.to_string_lossy()),
        asked: false,
    })?;
    let (Some(input), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
        unreachable!("both streams were asked for");
    };
    let mut talk = Talk {
        input,
        lines: read_lines(output, dialogue.answer_bytes_max),
        deadline: Instant::now() + Duration::from_millis(dialogue.time_limit_ms),
        limits: (dialogue.time_limit_ms, dialogue.answer_bytes_max),
        asked: false,
        server,
    };
    let hello = json!({
        "protocolVersion": dialogue.protocol_version,
        "capabilities": {},
        "clientInfo": dialogue.client,
    });
    let greeted = talk.ask(1, "initialize", &hello)?;
    let spoken = &greeted["protocolVersion"];
    if *spoken != json!(dialogue.protocol_version) {
        let detail = format!("the server speaks {spoken}, and not {}", dialogue.protocol_version);
        return Err(talk.broken(McpTrouble::OtherVersion, detail));
    }
    talk.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))?;
    talk.asked = true;
    let result = talk.ask(2, &dialogue.method, &dialogue.parameters)?;
    talk.leave();
    Ok(result)
}

/// A conversation with a server that runs.
struct Talk {
    server: Child,
    input: ChildStdin,
    lines: Receiver<Line>,
    deadline: Instant,
    /// Milliseconds and bytes, for people.
    limits: (u64, u64),
    /// Whether the request itself may have been read.
    asked: bool,
}

enum Line {
    Text(String),
    /// It said more than it may.
    TooMuch,
    End,
}

impl Talk {
    fn ask(&mut self, id: u32, method: &str, parameters: &Value) -> Result<Value, McpAnswer> {
        self.say(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": parameters }))?;
        loop {
            let mut message = self.hear()?;
            match (message.get("method").is_some(), message.get("id")) {
                // It asks us something: we offer nothing but a sign of life.
                (true, Some(theirs)) => {
                    let answer = match message["method"].as_str() {
                        Some("ping") => json!({ "jsonrpc": "2.0", "id": theirs, "result": {} }),
                        Some(_) | None => json!({ "jsonrpc": "2.0", "id": theirs,
                            "error": { "code": -32601, "message": "this client offers nothing" } }),
                    };
                    self.say(&answer)?;
                }
                (false, Some(answered)) if *answered == json!(id) => {
                    if let Some(error) = message.get("error") {
                        return Err(McpAnswer::Refused {
                            code: error["code"].as_i64().unwrap_or_default(),
                            message: error["message"].as_str().unwrap_or_default().to_owned(),
                        });
                    }
                    return match message.get_mut("result") {
                        Some(result) => Ok(result.take()),
                        None => Err(self.broken(McpTrouble::Garbage, "its answer has no result".to_owned())),
                    };
                }
                // What it tells of its own accord, and late answers.
                (true, None) | (false, Some(_)) => {}
                (false, None) => {
                    return Err(self.broken(McpTrouble::Garbage, "it wrote JSON that is no message".to_owned()));
                }
            }
        }
    }

    fn say(&mut self, message: &Value) -> Result<(), McpAnswer> {
        let mut line = message.to_string();
        line.push('\n');
        match self.input.write_all(line.as_bytes()).and_then(|()| self.input.flush()) {
            Ok(()) => Ok(()),
            // It reads no more: mostly because it ended, and then it is asked why.
            Err(_) => Err(self.gone()),
        }
    }

    fn hear(&mut self) -> Result<Value, McpAnswer> {
        let (ms, bytes) = self.limits;
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.lines.recv_timeout(left) {
            Ok(Line::Text(text)) => match serde_json::from_str(&text) {
                Ok(message @ Value::Object(_)) => Ok(message),
                Ok(_) | Err(_) => {
                    let shown = &text[..text.floor_char_boundary(SHOWN_BYTES)];
                    Err(self.broken(McpTrouble::Garbage, format!("it wrote what is no message: {shown:?}")))
                }
            },
            Ok(Line::TooMuch) => {
                Err(self.broken(McpTrouble::Flood, format!("it wrote more than {bytes} bytes without an answer")))
            }
            Err(RecvTimeoutError::Timeout) => {
                Err(self.broken(McpTrouble::Silent, format!("it did not answer within {ms} ms")))
            }
            Ok(Line::End) | Err(RecvTimeoutError::Disconnected) => Err(self.gone()),
        }
    }

    fn gone(&mut self) -> McpAnswer {
        let ended = self.ended_within(GOODBYE);
        let detail = match ended {
            Some(status) => format!("it ended before it answered ({status})"),
            None => "it closed its streams before it answered".to_owned(),
        };
        self.broken(McpTrouble::Gone, detail)
    }

    fn broken(&self, why: McpTrouble, detail: String) -> McpAnswer {
        McpAnswer::Broken { why, detail, asked: self.asked }
    }

    /// Closes its input, which is how this protocol says goodbye.
    fn leave(self) {
        let Talk { mut server, input, .. } = self;
        drop(input);
        let limit = Instant::now() + GOODBYE;
        while Instant::now() < limit && matches!(server.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = server.kill();
        let _ = server.wait();
    }

    fn ended_within(&mut self, time: Duration) -> Option<std::process::ExitStatus> {
        let limit = Instant::now() + time;
        loop {
            match self.server.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < limit => thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

/// Reads lines until the end, or until there were too many bytes.
fn read_lines(output: impl Read + Send + 'static, bytes_max: u64) -> Receiver<Line> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        // One byte more than it may have tells the two apart.
        let mut reader = BufReader::new(output.take(bytes_max.saturating_add(1)));
        let mut left = bytes_max;
        loop {
            let mut line = Vec::new();
            let said = match reader.read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => Line::End,
                Ok(bytes) if bytes as u64 > left => Line::TooMuch,
                Ok(bytes) => {
                    left -= bytes as u64;
                    Line::Text(String::from_utf8_lossy(&line).trim_end().to_owned())
                }
            };
            if matches!(&said, Line::Text(text) if text.is_empty()) {
                continue;
            }
            let last = !matches!(said, Line::Text(_));
            if sender.send(said).is_err() || last {
                return;
            }
        }
    });
    lines
}
