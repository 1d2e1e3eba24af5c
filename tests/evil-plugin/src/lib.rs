//! A component that does what a plugin must not. Its input is a JSON string:
//! what to do, and after a space with what: `"exec rust-release/cargo-build"`.

#![cfg(target_arch = "wasm32")]

/// Generated from `wit/release.wit`: it passes pointers over the component's border.
#[allow(unsafe_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:evil;
            world everything {
                include lightapi:release/publish@0.1.1;
                include lightapi:release/probe@0.1.1;
                include lightapi:release/diagnose@0.1.1;
            }
        ",
        path: "../../wit",
        world: "test:evil/everything",
        generate_all,
    });
}

use bindings::exports::lightapi::release::step::{Description, Guest, PlannedCommand};
use bindings::lightapi::release::types::{CallError, Denial, Failure, StepError};
use bindings::lightapi::release::{
    artifacts_read, artifacts_write, http, log, mcp, model, sandbox, sandbox_secret, secrets,
};

struct Evil;

impl Guest for Evil {
    fn describe() -> Description {
        // What `describe` can reach shows in its summary.
        let reached = match sandbox::exec("rust-release/cargo-build", &[]) {
            Ok(_) => "reached a command".to_owned(),
            Err(error) => text(error),
        };
        Description {
            name: "evil".to_owned(),
            version: "0.1.0".to_owned(),
            summary: reached,
            input_schema: "{}".to_owned(),
            output_schema: "{}".to_owned(),
            idempotent: false,
        }
    }

    fn plan(_input: String) -> Result<Vec<PlannedCommand>, StepError> {
        log::emit(log::Level::Info, "planning", &[]);
        let why = match sandbox::exec("rust-release/cargo-build", &[]) {
            Ok(_) => "reached a command".to_owned(),
            Err(error) => text(error),
        };
        Ok(vec![PlannedCommand { command: "rust-release/cargo-build".to_owned(), parameters: "{}".to_owned(), why }])
    }

    fn execute(input: String) -> Result<String, StepError> {
        std::panic::set_hook(Box::new(|panic| log::emit(log::Level::Error, &panic.to_string(), &[])));
        let input = input.trim_matches('"');
        let (what, with) = input.split_once(' ').unwrap_or((input, ""));
        let said = match what {
            "say" => with.to_owned(),
            "spin" => spin(),
            "memory" => hoard(),
            "recurse" => recurse(with.len() as u64).to_string(),
            "panic" => panic!("{with}"),
            "divide" => (1 / with.len()).to_string(),
            "log" => log_lines(with.parse().unwrap_or(0)),
            "long-log" => log_line(with.parse().unwrap_or(0)),
            "ansi" => {
                log::emit(log::Level::Warn, "a\u{1b}[2Jb\nforged line", &[("k\n".to_owned(), "v\0".to_owned())]);
                String::new()
            }
            "calls" => calls(with.parse().unwrap_or(0)),
            "big-result" => "x".repeat(with.parse().unwrap_or(0)),
            "big-argument" => {
                answer(artifacts_write::put("report.json", "text/plain", &vec![0; with.parse().unwrap_or(0)]))
            }
            "not-json" => return Ok("{".to_owned()),
            "deep-result" => return Ok(nested(with)),
            "deep-argument" => answer(mcp::call_tool("issues", "search", &nested(with)).map(|answer| answer.content)),
            "exec" => answer(sandbox::exec(with, &[]).map(|result| result.summary)),
            "exec-artifact" => {
                let parameters = [("file".to_owned(), sandbox::Parameter::Artifact(with.to_owned()))];
                answer(sandbox::exec("rust-release/cargo-build", &parameters).map(|result| result.summary))
            }
            "exec-twice" => {
                let first = answer(sandbox::exec(with, &[]).map(|result| result.summary));
                let second = answer(sandbox::exec(with, &[]).map(|result| result.summary));
                format!("{first}, {second}")
            }
            "stat" => answer(artifacts_read::stat(with).map(|stat| stat.digest)),
            "read" => answer(artifacts_read::read(with, 0, u32::MAX).map(|bytes| bytes.len().to_string())),
            "put" => answer(artifacts_write::put(with, "text/plain", b"bytes")),
            "secret" => use_secret(with),
            "hold" => hold(with),
            "ask" => answer(ask(with, 500)),
            "ask-tokens" => answer(ask("default", with.parse().unwrap_or(0))),
            "ask-times" => times(with, || ask("default", 1)),
            "tool" => answer(tool(with)),
            "tool-times" => times(with, || tool("issues/search")),
            "fetch" => answer(fetch(with)),
            "fetch-times" => times(with, || fetch("https://index.test/")),
            "five" => five(),
            "invalid-input" => return Err(StepError::InvalidInput("wrong".to_owned())),
            "transient" => return Err(StepError::Transient("later".to_owned())),
            "needs-human" => return Err(StepError::NeedsHuman("look".to_owned())),
            "failed" => {
                let logs = vec!["artifact://i/t/1/stderr.log".to_owned(), "no reference".to_owned()];
                return Err(StepError::Failed(Failure { summary: "broke".to_owned(), exit_code: Some(7), logs }));
            }
            "denied" => {
                let text = |text: &str| text.to_owned();
                let denial = Denial { capability: text("sandbox"), subject: text("x"), reason: text("no") };
                return Err(StepError::Denied(denial));
            }
            other => return Err(StepError::InvalidInput(format!("unknown: {other}"))),
        };
        // For the texts here Rust's form of a string is JSON's.
        Ok(format!("{said:?}"))
    }
}

fn text(error: CallError) -> String {
    match error {
        CallError::Denied(denial) => format!("denied: {} {}: {}", denial.capability, denial.subject, denial.reason),
        CallError::Invalid(detail) => format!("invalid: {detail}"),
        CallError::NotFound(what) => format!("not found: {what}"),
        CallError::Quota(detail) => format!("quota: {detail}"),
        CallError::Unavailable(detail) => format!("unavailable: {detail}"),
    }
}

fn answer(result: Result<String, CallError>) -> String {
    result.unwrap_or_else(text)
}

fn spin() -> String {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn hoard() -> String {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(std::hint::black_box(vec![1; 1 << 20]));
    }
}

#[allow(unconditional_recursion)]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    recurse(depth + 1) + frame[(depth % 64) as usize]
}

fn log_lines(count: u32) -> String {
    for line in 0..count {
        log::emit(log::Level::Info, &format!("line {line}"), &[]);
    }
    count.to_string()
}

fn log_line(bytes: usize) -> String {
    log::emit(log::Level::Info, &"x".repeat(bytes), &[]);
    bytes.to_string()
}

fn calls(count: u32) -> String {
    for _ in 0..count {
        let _ = artifacts_read::stat("artifact://i/t/1/x");
    }
    count.to_string()
}

fn use_secret(name: &str) -> String {
    let secret = match secrets::acquire(name) {
        Ok(secret) => secret,
        Err(error) => return text(error),
    };
    let result = sandbox_secret::exec_with_secrets("rust-release/cargo-publish", &[], &[&secret]);
    format!("{}: {}", secret.name(), answer(result.map(|result| result.summary)))
}

fn hold(name: &str) -> String {
    let mut held = Vec::new();
    loop {
        match secrets::acquire(name) {
            Ok(secret) => held.push(secret),
            Err(error) => return text(error),
        }
    }
}

/// The name of a model and, after a space, evidence.
fn ask(with: &str, answer_tokens_max: u32) -> Result<String, CallError> {
    let (name, evidence) = with.split_once(' ').unwrap_or((with, ""));
    let answer = model::ask(&model::Question {
        model: name.to_owned(),
        prompt: "why?".to_owned(),
        evidence: evidence.split_whitespace().map(str::to_owned).collect(),
        answer_schema: "{\"type\":\"string\"}".to_owned(),
        answer_tokens_max,
    })?;
    Ok(format!("{} of {}", answer.value, answer.model))
}

fn tool(with: &str) -> Result<String, CallError> {
    let (server, tool) = with.split_once('/').unwrap_or((with, ""));
    Ok(mcp::call_tool(server, tool, "{\"query\":\"flaky\"}")?.content)
}

fn fetch(url: &str) -> Result<String, CallError> {
    let request = http::Request { method: http::Method::Get, url: url.to_owned(), headers: Vec::new() };
    http::fetch(&request).map(|response| format!("{} {}", response.status, response.body.len()))
}

/// Arrays in arrays.
fn nested(depth: &str) -> String {
    let depth = depth.parse().unwrap_or(0);
    format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
}

/// The last of so many answers.
fn times(count: &str, mut call: impl FnMut() -> Result<String, CallError>) -> String {
    (0..count.parse().unwrap_or(0)).map(|_| answer(call())).last().unwrap_or_default()
}

/// The workload of the benchmark: five host calls.
fn five() -> String {
    log::emit(log::Level::Info, "start", &[]);
    let ran = answer(sandbox::exec("rust-release/cargo-build", &[]).map(|result| result.summary));
    let size = artifacts_read::stat("artifact://i/t/1/x").map(|stat| stat.size_bytes).unwrap_or(0);
    let read = artifacts_read::read("artifact://i/t/1/x", 0, 16).map(|bytes| bytes.len()).unwrap_or(0);
    let put = answer(artifacts_write::put("report.json", "application/json", b"{}"));
    format!("{ran} {size} {read} {put}")
}

/// The generated exports take pointers.
#[allow(unsafe_code)]
mod exported {
    use super::Evil;
    super::bindings::export!(Evil with_types_in super::bindings);
}
