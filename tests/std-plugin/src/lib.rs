//! Asks the standard library for all that an operating system gives. Its input
//! is a JSON string: what to ask, and after a space with what.

#![cfg(target_arch = "wasm32")]
// What a plugin does here is what the tests look at.
#![allow(clippy::disallowed_methods)]

/// Generated from `wit/release.wit`: it passes pointers over the component's border.
#[allow(unsafe_code, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "build" });
}

use std::collections::HashMap;
use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bindings::exports::lightapi::release::step::{Description, Guest, PlannedCommand};
use bindings::lightapi::release::types::StepError;
use bindings::lightapi::release::{log, sandbox};

struct Std;

impl Guest for Std {
    fn describe() -> Description {
        println!("nobody reads this");
        Description {
            name: "std".to_owned(),
            version: "0.1.0".to_owned(),
            summary: "Asks the standard library".to_owned(),
            input_schema: "true".to_owned(),
            output_schema: "true".to_owned(),
            idempotent: true,
        }
    }

    fn plan(_input: String) -> Result<Vec<PlannedCommand>, StepError> {
        Ok(Vec::new())
    }

    fn execute(input: String) -> Result<String, StepError> {
        let input = input.trim_matches('"');
        let (what, with) = input.split_once(' ').unwrap_or((input, ""));
        let said = match what {
            "clock" => format!("{} {}", since_1970().as_millis(), since_1970().as_millis()),
            "sleep" => slept(with.parse().unwrap_or(0)),
            "spin-until" => spun_until(with.parse().unwrap_or(0)),
            "command" => {
                let before = since_1970();
                let ran = sandbox::exec("rust-release/cargo-build", &[]);
                format!("{} {}", ran.is_ok(), (since_1970() - before).as_millis())
            }
            "random" => HashMap::from([("a", 1)]).hasher().random_number().to_string(),
            "order" => {
                let map: HashMap<u32, ()> = (0..32).map(|number| (number, ())).collect();
                map.keys().map(u32::to_string).collect::<Vec<_>>().join(" ")
            }
            "environment" => format!("{} variables, {} arguments", std::env::vars().count(), std::env::args().count()),
            "read-file" => answer(std::fs::read(with).map(|bytes| bytes.len().to_string())),
            "write-file" => answer(std::fs::write(with, "x").map(|()| "written".to_owned())),
            "list" => answer(std::fs::read_dir(with).map(|entries| entries.count().to_string())),
            "stdin" => {
                let mut text = String::new();
                answer(std::io::stdin().read_to_string(&mut text).map(|bytes| format!("{bytes} bytes")))
            }
            "print" => {
                print!("one ");
                log::emit(log::Level::Info, "between", &[]);
                println!("line");
                eprintln!("trouble");
                print!("no end");
                let _ = std::io::stdout().flush();
                String::new()
            }
            "flood" => {
                for _ in 0..with.parse().unwrap_or(0) {
                    println!("0123456789");
                }
                String::new()
            }
            "panic" => panic!("{with}"),
            "exit" => std::process::exit(with.parse().unwrap_or(0)),
            other => return Err(StepError::InvalidInput(format!("unknown: {other}"))),
        };
        // For the texts here Rust's form of a string is JSON's.
        Ok(format!("{said:?}"))
    }
}

trait RandomNumber {
    fn random_number(&self) -> u64;
}

impl<S: std::hash::BuildHasher> RandomNumber for S {
    /// The hash of nothing shows the keys that the hasher was made with.
    fn random_number(&self) -> u64 {
        self.hash_one(())
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn slept(seconds: u64) -> String {
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    format!("{} s", start.elapsed().as_secs())
}

fn spun_until(seconds: u64) -> String {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {}
    "it ended".to_owned()
}

fn answer(result: std::io::Result<String>) -> String {
    result.unwrap_or_else(|error| format!("error: {error}"))
}

/// The generated exports take pointers.
#[allow(unsafe_code)]
mod exported {
    use super::Std;
    super::bindings::export!(Std with_types_in super::bindings);
}
