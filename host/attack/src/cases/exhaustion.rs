//! Taking all there is of memory, tables, handles, stack, host calls and log.

use crate::case::Case;
use crate::guest::{Guest, Import, Value};

/// A loop around `body`, without end.
fn for_ever(body: &str) -> String {
    format!("(loop {body} (br 0)) unreachable")
}

/// A loop around `body`, with `$i` counting up to `times`.
fn times(times: u32, body: &str) -> String {
    format!(
        "(loop {body} (local.set $i (i32.add (local.get $i) (i32.const 1)))
         (br_if 0 (i32.lt_u (local.get $i) (i32.const {times}))))"
    )
}

pub(super) fn cases() -> Vec<Case> {
    let limit = "plugin-limit: plugin `hostile` was stopped: it ";
    vec![
        Case::execute("memory-grows", "memory is asked for without end", || {
            Guest::new().execute(&for_ever("(drop (memory.grow (i32.const 16)))"))
        })
        .ends(format!("{limit}asked for more than"))
        .ends("bytes of memory"),
        Case::execute("memory-at-once", "4 GiB of memory are asked for at once", || {
            Guest::new().execute("(drop (memory.grow (i32.const 65000))) (call $says (i32.const 0))")
        })
        .ends(format!("{limit}asked for more than")),
        Case::load("memory-too-large-to-start", "a memory that begins with 2 GiB", || {
            Guest::new().memory("(memory (export \"memory\") 32768)").component()
        })
        .ends("refused while compiling")
        .ends("exceeds the limit"),
        Case::load("memories-too-many", "more memories than an instance may have", || {
            Guest::new().item("(memory 1) (memory 1) (memory 1) (memory 1)").component()
        })
        .ends("refused while compiling")
        .ends("memories count of 5 exceeds"),
        Case::load("memory64", "a memory of 64-bit addresses", || Guest::new().item("(memory i64 1)").component())
            .ends("refused while compiling")
            .ends("memory64"),
        Case::execute("memory-fill", "one instruction fills all memory, again and again", || {
            Guest::new()
                .memory("(memory (export \"memory\") 900)")
                .execute(&for_ever("(memory.fill (i32.const 4096) (i32.const 1) (i32.const 58000000))"))
        })
        .ends(limit),
        Case::execute("table-grows", "a table is grown without end", || {
            Guest::new()
                .item("(table $t 1 funcref)")
                .execute(&for_ever("(drop (table.grow $t (ref.null func) (i32.const 1000)))"))
        })
        .ends(format!("{limit}asked for a table of more than")),
        Case::load("table-too-large-to-start", "a table that begins with ten million elements", || {
            Guest::new().item("(table $t 10000000 funcref)").component()
        })
        .ends("refused while compiling")
        .ends("exceeds the limit of 20000"),
        Case::execute("recursion", "a function calls itself without end", || {
            Guest::new()
                .item("(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))")
                .execute("(call $deeper (i32.const 0))")
        })
        .ends("plugin-trapped: plugin `hostile` stopped: its calls nested too deeply"),
        Case::execute("recursion-through-a-table", "two functions call each other through pointers", || {
            Guest::new()
                .item(
                    "(table $t 2 funcref) (elem (i32.const 0) $a $b)
                     (func $a (param i32) (result i32) (i32.add (i32.const 1) (call_indirect $t (param i32) (result i32) (local.get 0) (i32.const 1))))
                     (func $b (param i32) (result i32) (i32.add (i32.const 1) (call_indirect $t (param i32) (result i32) (local.get 0) (i32.const 0))))",
                )
                .execute("(call $a (i32.const 0))")
        })
        .ends("plugin-trapped: plugin `hostile` stopped: its calls nested too deeply"),
        Case::execute("host-calls", "host calls are made without end", || {
            Guest::new().import(Import::Stat).execute(&for_ever(&Import::Stat.empty_call()))
        })
        .ends(format!("{limit}made more than"))
        .ends("host calls"),
        Case::execute("commands", "commands are asked for without end: ten run, the others are refused", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/run");
            let call = format!("(call $exec {command} (i32.const 0) (i32.const 0) (i32.const 512))");
            guest.import(Import::Exec).execute(&format!(
                "{} (call $kind (i32.const 512) (i32.const 8))",
                times(40, &call)
            ))
        })
        .ends("answered \"quota\"")
        .records("1 started attack/run: true")
        .records("1 completed")
        .records("2 started attack/run: true")
        .records("2 completed")
        .records("3 started attack/run: true")
        .records("3 completed")
        .records("4 started attack/run: true")
        .records("4 completed")
        .records("5 started attack/run: true")
        .records("5 completed")
        .records("6 started attack/run: true")
        .records("6 completed")
        .records("7 started attack/run: true")
        .records("7 completed")
        .records("8 started attack/run: true")
        .records("8 completed")
        .records("9 started attack/run: true")
        .records("9 completed")
        .records("10 started attack/run: true")
        .records("10 completed"),
        Case::execute("log-lines", "the log is flooded with lines", || {
            let mut guest = Guest::new();
            let line = guest.text("flood");
            guest
                .import(Import::Emit)
                .execute(&for_ever(&format!("(call $emit (i32.const 1) {line} (i32.const 0) (i32.const 0))")))
        })
        .ends(format!("{limit}logged more than 100 lines, which is what `log.lines-max` grants")),
        Case::execute("log-bytes", "the log is flooded with long lines", || {
            Guest::new()
                .memory("(memory (export \"memory\") 200)")
                .import(Import::Emit)
                .execute(&for_ever(
                    "(memory.fill (i32.const 4096) (i32.const 120) (i32.const 8000000))
                     (call $emit (i32.const 1) (i32.const 4096) (i32.const 8000000) (i32.const 0) (i32.const 0))",
                ))
        })
        .ends(format!("{limit}logged more than 65536 bytes, which is what `log.bytes-max` grants")),
        Case::execute("log-fields-of-nothing", "a line with a hundred thousand empty fields, which weigh nothing", || {
            Guest::new()
                .memory("(memory (export \"memory\") 200)")
                .import(Import::Emit)
                .execute(&for_ever("(call $emit (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 1048576) (i32.const 100000))"))
        })
        .ends(limit),
        Case::describe("log-in-describe", "`describe` logs without end", || {
            let mut guest = Guest::new();
            let line = guest.text("flood");
            guest
                .import(Import::Emit)
                .describe(&for_ever(&format!("(call $emit (i32.const 1) {line} (i32.const 0) (i32.const 0))")))
        })
        .ends("plugin-limit: plugin `hostile` was stopped: it made more than"),
        Case::execute("handles", "secrets are taken and never given back", || {
            let mut guest = Guest::new();
            let name = guest.text("attack-token");
            guest.import(Import::Acquire).execute(&for_ever(&format!("(call $acquire {name} (i32.const 512))")))
        })
        .ends(format!("{limit}held more than"))
        .ends("handles at once"),
        Case::execute("own-resources", "resources of its own are made and never dropped", || {
            Guest::new()
                .world("export things: interface { resource thing { constructor(); } }")
                .raw_import("(import \"[export]things\" \"[resource-new]thing\" (func $new (param i32) (result i32)))")
                .item("(func (export \"things#[constructor]thing\") (result i32) (call $new (i32.const 7)))")
                .execute(&for_ever("(drop (call $new (i32.const 7)))"))
        })
        .ends(format!("{limit}held more than"))
        .ends("handles at once"),
        Case::execute("output-of-32-mib", "an output of 32 MiB", || {
            Guest::new()
                .memory("(memory (export \"memory\") 600)")
                .execute("(call $ok (i32.const 4096) (i32.const 33554432))")
        })
        .ends(format!("{limit}passed more than"))
        .ends("bytes in one call"),
        Case::execute("output-of-1-mib", "an output that is larger than is kept", || {
            Guest::new()
                .memory("(memory (export \"memory\") 40)")
                .execute("(call $ok (i32.const 4096) (i32.const 1048576))")
        })
        .ends("plugin-limit: plugin `hostile` was stopped: its output has 1048576 bytes of JSON"),
        Case::execute("argument-of-32-mib", "a file of 32 MiB passed in one call", || {
            let mut guest = Guest::new();
            let name = guest.text("report.json");
            guest.memory("(memory (export \"memory\") 600)").import(Import::Put).execute(&format!(
                "(call $put {name} {name} (i32.const 4096) (i32.const 33554432) (i32.const 512))
                 (call $kind (i32.const 512) (i32.const 4))"
            ))
        })
        .ends(format!("{limit}passed more than")),
        Case::execute("file-over-the-grant", "a file that is larger than the grant", || {
            let mut guest = Guest::new();
            let (name, media) = (guest.text("report.json"), guest.text("text/plain"));
            guest.memory("(memory (export \"memory\") 100)").import(Import::Put).execute(&format!(
                "(call $put {name} {media} (i32.const 4096) (i32.const 2000000) (i32.const 512))
                 (call $kind (i32.const 512) (i32.const 4))"
            ))
        })
        .ends("answered \"quota\""),
        Case::execute("a-hundred-thousand-parameters", "a command with 10^5 parameters", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/run");
            guest.memory("(memory (export \"memory\") 100)").import(Import::Exec).execute(&format!(
                "(call $exec {command} (i32.const 1048576) (i32.const 100000) (i32.const 512))
                 (call $kind (i32.const 512) (i32.const 8))"
            ))
        })
        .ends("answered \"invalid\""),
        Case::execute("a-hundred-thousand-texts", "a parameter with 10^5 texts", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/run");
            let parameters = guest.parameters(&[("notes", Value::Texts(vec!["a".to_owned(); 100_000]))]);
            guest.import(Import::Exec).execute(&format!(
                "(call $exec {command} {parameters} (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))"
            ))
        })
        .ends("answered \"invalid\""),
    ]
}
