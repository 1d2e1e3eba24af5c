//! What a component of the class wasi-baseline asks an operating system for.
//!
//! Such a component has WASI's interfaces and nothing behind them: a clock and
//! randomness of the attempt, no variable, argument, folder or input, and the
//! log to write to. Each of these is tried.

use workflow::Digest;
use workflow::capability::WasiBaselineGrant;

use crate::case::Case;
use crate::guest::{Guest, Import, of_world};
use crate::range::{HOSTILE, Range, all_grants};
use crate::record;

/// What these guests import of WASI, as its own WIT has it.
const WIT: &str = "
package wasi:clocks@0.2.6 {
    interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }
    interface monotonic-clock {
        use wasi:io/poll@0.2.6.{pollable};
        now: func() -> u64;
        subscribe-duration: func(when: u64) -> pollable;
    }
}
package wasi:random@0.2.6 {
    interface random { get-random-bytes: func(len: u64) -> list<u8>; get-random-u64: func() -> u64; }
}
package wasi:io@0.2.6 {
    interface poll { resource pollable { block: func(); } }
    interface error { resource error; }
    interface streams {
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource input-stream { blocking-read: func(len: u64) -> result<list<u8>, stream-error>; }
        resource output-stream { blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>; }
    }
}
package wasi:cli@0.2.6 {
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
        initial-cwd: func() -> option<string>;
    }
    interface stdin { use wasi:io/streams@0.2.6.{input-stream}; get-stdin: func() -> input-stream; }
    interface stdout { use wasi:io/streams@0.2.6.{output-stream}; get-stdout: func() -> output-stream; }
    interface stderr { use wasi:io/streams@0.2.6.{output-stream}; get-stderr: func() -> output-stream; }
    interface exit { exit: func(status: result); }
}
package wasi:filesystem@0.2.6 {
    interface types { resource descriptor; }
    interface preopens { use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>; }
}
";

/// A guest that imports `function` of `interface` as `$name`.
fn importing(functions: &[(&str, &str, &str, &str)]) -> Guest {
    let mut guest = Guest::new().packages(WIT);
    let mut world = String::new();
    for (interface, function, name, signature) in functions {
        let interface = format!("wasi:{interface}@0.2.6");
        guest = guest.raw_import(&format!("(import \"{interface}\" \"{function}\" (func ${name} {signature}))"));
        world.push_str(&format!("import {interface};"));
    }
    guest.world(&world)
}

const WALL: (&str, &str, &str, &str) = ("clocks/wall-clock", "now", "wall", "(param i32)");
const MONOTONIC: (&str, &str, &str, &str) = ("clocks/monotonic-clock", "now", "monotonic", "(result i64)");
const RANDOM: (&str, &str, &str, &str) = ("random/random", "get-random-u64", "random", "(result i64)");

pub(super) fn cases() -> Vec<Case> {
    let granted = |case: Case| case.with(|grants| grants.wasi_baseline = Some(WasiBaselineGrant {}));
    let mut cases = vec![
        Case::execute("wasi-ungranted", "a clock of WASI, and the task does not grant `wasi-baseline`", || {
            importing(&[WALL]).execute("(call $wall (i32.const 512)) (call $says (i32.const 0))")
        })
        .ends("not-granted: ")
        .ends("wasi:clocks/wall-clock@0.2.6"),
        Case::load("wasi-beyond-the-baseline", "sockets, names of hosts, requests and threads of WASI", || {
            of_world(&format!(
                "package attack:other;
                 world other {{
                     import wasi:sockets/udp@0.2.6; import wasi:sockets/ip-name-lookup@0.2.6;
                     import wasi:sockets/instance-network@0.2.6; import wasi:http/types@0.2.6;
                     import wasi:keyvalue/store@0.2.6;
                     export lightapi:release/step@{version};
                 }}
                 package wasi:sockets@0.2.6 {{
                     interface udp {{ bind: func(); }} interface ip-name-lookup {{ resolve: func(); }}
                     interface instance-network {{ instance-network: func(); }}
                 }}
                 package wasi:http@0.2.6 {{ interface types {{ send: func(); }} }}
                 package wasi:keyvalue@0.2.6 {{ interface store {{ open: func(); }} }}
                 package lightapi:release@{version} {{ interface step {{ describe: func(); plan: func(); execute: func(); }} }}",
                version = *crate::guest::VERSION
            ))
        })
        .ends("refused before compiling: ")
        .ends("wasi:sockets/udp@0.2.6")
        .ends("wasi:sockets/ip-name-lookup@0.2.6")
        .ends("wasi:sockets/instance-network@0.2.6")
        .ends("wasi:http/types@0.2.6")
        .ends("wasi:keyvalue/store@0.2.6"),
        Case::scene("wasi-random-after-a-restart", "after a restart it draws the same: the command does not run again", |range| {
            Box::pin(redrawn(range, true))
        })
        .ends("answered \"ok\""),
        Case::scene("wasi-random-of-another-attempt", "what it asks depends on randomness that is not that of its history", |range| {
            Box::pin(redrawn(range, false))
        })
        .ends("plugin-diverged: "),
    ];
    cases.extend(surroundings().into_iter().chain(streams()).map(granted));
    cases
}

fn surroundings() -> Vec<Case> {
    let empty_list = |name, tries, import: (&'static str, &'static str, &'static str, &'static str)| {
        Case::execute(name, tries, move || {
            importing(&[import]).execute(&format!(
                "(i64.store (i32.const 512) (i64.const -1))
                 (call ${} (i32.const 512))
                 (call $says (i32.ne (i32.load offset=4 (i32.const 512)) (i32.const 0)))",
                import.2
            ))
        })
        .ends("answered \"ok\"")
    };
    vec![
        // The attempt began in 1970, and each look moves the clock by a millisecond: nothing of the machine's time.
        Case::execute("wasi-clocks", "it asks both clocks for the machine's time", || {
            importing(&[WALL, MONOTONIC]).execute(
                "(call $wall (i32.const 512))
                 (call $says (i32.eqz (i32.and
                     (i64.eq (i64.load (i32.const 512)) (i64.const 0))
                     (i32.and
                         (i32.eq (i32.load offset=8 (i32.const 512)) (i32.const 1000000))
                         (i64.eq (call $monotonic) (i64.const 2000000))))))",
            )
        })
        .ends("answered \"ok\""),
        Case::execute("wasi-sleep", "it sleeps for a hundred years", || {
            importing(&[
                ("clocks/monotonic-clock", "subscribe-duration", "subscribe", "(param i64) (result i32)"),
                ("io/poll", "[method]pollable.block", "block", "(param i32)"),
            ])
            .execute("(call $block (call $subscribe (i64.const 3000000000000000000))) (call $says (i32.const 0))")
        })
        .ends("answered \"ok\""),
        Case::execute("wasi-random-without-end", "it asks for 2^63 random bytes", || {
            importing(&[("random/random", "get-random-bytes", "bytes", "(param i64 i32)")])
                .execute("(call $bytes (i64.const 0x7fffffffffffffff) (i32.const 512)) (call $says (i32.const 0))")
        })
        .ends("plugin-limit: ")
        .ends("bytes in one call"),
        empty_list(
            "wasi-environment",
            "it reads the environment of the host",
            ("cli/environment", "get-environment", "environment", "(param i32)"),
        ),
        empty_list(
            "wasi-arguments",
            "it reads the command line of the host",
            ("cli/environment", "get-arguments", "arguments", "(param i32)"),
        ),
        empty_list(
            "wasi-preopens",
            "it looks for folders that were opened for it",
            ("filesystem/preopens", "get-directories", "directories", "(param i32)"),
        ),
        Case::execute("wasi-working-directory", "it asks where it runs", || {
            importing(&[("cli/environment", "initial-cwd", "cwd", "(param i32)")]).execute(
                "(i32.store8 (i32.const 512) (i32.const 1)) (call $cwd (i32.const 512))
                 (call $says (i32.load8_u (i32.const 512)))",
            )
        })
        .ends("answered \"ok\""),
        Case::execute("wasi-forged-folder", "it uses a folder by a number, and was given none", || {
            importing(&[
                ("filesystem/preopens", "get-directories", "directories", "(param i32)"),
                ("filesystem/types", "[resource-drop]descriptor", "drop-folder", "(param i32)"),
            ])
            .execute("(call $directories (i32.const 512)) (call $drop-folder (i32.const 1)) (call $says (i32.const 0))")
        })
        .ends("plugin-trapped: "),
        Case::execute("wasi-exit", "it ends the process that it runs in", || {
            importing(&[("cli/exit", "exit", "exit", "(param i32)")])
                .execute("(call $exit (i32.const 0)) (call $says (i32.const 0))")
        })
        .ends("plugin-trapped: ")
        .ends("it called exit(0) instead of returning"),
    ]
}

fn streams() -> Vec<Case> {
    let flood = |name, tries, stream: &'static str| {
        Case::execute(name, tries, move || {
            let mut guest = importing(&[
                (stream, if stream == "cli/stdout" { "get-stdout" } else { "get-stderr" }, "stream", "(result i32)"),
                ("io/streams", "[method]output-stream.blocking-write-and-flush", "write", "(param i32 i32 i32 i32)"),
            ]);
            let line = guest.text(&"x".repeat(1_000));
            guest.execute(&format!(
                "(local.set $n (call $stream))
                 (loop $again (call $write (local.get $n) {line} (i32.const 512)) (br $again)) (unreachable)"
            ))
        })
        .ends("plugin-limit: ")
        .ends("it logged more than 65536 bytes, which is what `log.bytes-max` grants")
    };
    vec![
        Case::execute("wasi-stdin", "it reads what somebody types on the host", || {
            importing(&[
                ("cli/stdin", "get-stdin", "stdin", "(result i32)"),
                ("io/streams", "[method]input-stream.blocking-read", "read", "(param i32 i64 i32)"),
            ])
            // An error, and of its two kinds the one that says that the stream is at its end.
            .execute(
                "(call $read (call $stdin) (i64.const 100) (i32.const 512))
                 (call $says (i32.eqz (i32.and
                     (i32.load8_u (i32.const 512)) (i32.load8_u offset=4 (i32.const 512)))))",
            )
        })
        .ends("answered \"ok\""),
        flood("wasi-stdout-flood", "it writes to stdout for ever, without a line's end", "cli/stdout"),
        flood("wasi-stderr-flood", "it writes to stderr for ever, without a line's end", "cli/stderr"),
        Case::execute("wasi-handles", "it opens stdout for ever and closes none", || {
            importing(&[("cli/stdout", "get-stdout", "stream", "(result i32)")])
                .execute("(loop $again (drop (call $stream)) (br $again)) (unreachable)")
        })
        .ends("plugin-limit: ")
        .ends("handles at once"),
    ]
}

/// Asks for one command whose text is drawn: eight letters of a random number.
fn draws_and_asks() -> Vec<u8> {
    let mut guest = importing(&[RANDOM]);
    let note = guest.text("aaaaaaaa");
    let command = guest.text("attack/run");
    let parameters = guest.parameters(&[("note", crate::guest::Value::Text("aaaaaaaa".to_owned()))]);
    // The first text is not the parameter's own: the record of the list names the place of the latter.
    let record = parameters.0;
    let guest = guest.import(Import::Exec).execute(&format!(
        "(i64.store (i32.const 600) (call $random))
         (local.set $n (i32.load offset=16 (i32.const {record})))
         (loop $next
             (i32.store8 (i32.add (local.get $n) (local.get $i))
                 (i32.add (i32.const 97) (i32.rem_u (i32.load8_u (i32.add (i32.const 600) (local.get $i))) (i32.const 26))))
             (local.set $i (i32.add (local.get $i) (i32.const 1)))
             (br_if $next (i32.lt_u (local.get $i) (i32.const {}))))
         (call $exec {command} {parameters} (i32.const 512))
         (call $kind (i32.const 512) (i32.const 8))",
        note.1
    ));
    guest.component()
}

/// Runs it, and then again with the history of that run: as the same attempt, or as another one.
async fn redrawn(range: &Range, same: bool) -> Result<String, String> {
    let component = draws_and_asks();
    let path = range.write(&component)?;
    let digest = Digest::of(&component);
    let mut grants = all_grants();
    grants.wasi_baseline = Some(WasiBaselineGrant {});
    let run = |history, attempt| {
        range.execute_attempt(HOSTILE, &path, &digest, grants.clone(), serde_json::Value::Null, history, attempt)
    };
    let first = run(Vec::new(), range.next_attempt()).await?;
    let asked = record::lines(&first.events);
    if asked.first().is_none_or(|line| line.contains("aaaaaaaa")) {
        return Err(format!("it drew nothing: {asked:?}"));
    }
    let attempt = if same { first.attempt } else { range.next_attempt() };
    let again = run(first.events, attempt).await?;
    match record::lines(&again.events).as_slice() {
        [] => Ok(record::ending(&again)),
        lines => Err(format!("it went on: {lines:?}")),
    }
}
