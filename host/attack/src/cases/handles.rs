//! Handles that were forged, dropped, dropped twice, or are of something else.

use crate::case::Case;
use crate::guest::{Guest, Import};

const BROKE: &str = "plugin-trapped: plugin `hostile` stopped: ";

/// A guest that holds one granted secret in `$i` before it does `then`.
fn holding(then: &str) -> Guest {
    let mut guest = Guest::new();
    let (name, command) = (guest.text("attack-token"), guest.text("attack/publish"));
    let then = then.replace("COMMAND", &command.to_string());
    guest.import(Import::Acquire).import(Import::Drop).import(Import::Name).import(Import::ExecWithSecrets).execute(
        &format!(
            "(call $acquire {name} (i32.const 512))
             (if (i32.load8_u (i32.const 512)) (then unreachable))
             (local.set $i (i32.load offset=4 (i32.const 512)))
             {then}
             (call $says (i32.const 0))"
        ),
    )
}

/// `exec-with-secrets` with `count` handles, each the one in `$i`.
fn exec_with(count: u32) -> String {
    let stores: String =
        (0..count).map(|n| format!("(i32.store offset={} (i32.const 700) (local.get $i))", 4 * n)).collect();
    format!(
        "{stores} (call $exec-with COMMAND (i32.const 0) (i32.const 0) (i32.const 700) (i32.const {count}) (i32.const 768))
         (if (i32.load8_u (i32.const 768)) (then unreachable))"
    )
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::execute("handle-honest", "a granted secret is used as it may be", || holding(&exec_with(1)))
            .ends("answered \"ok\"")
            .records("2 started attack/publish: true")
            .records("2 completed"),
        Case::execute("handle-forged", "a command with a handle that was never given out", || {
            holding(&format!("(local.set $i (i32.const 4711)) {}", exec_with(1)))
        })
        .ends(BROKE)
        .ends("unknown handle index 4711"),
        Case::execute("handle-forged-name", "the name behind a handle that was never given out", || {
            holding("(call $name (i32.const 99) (i32.const 768))")
        })
        .ends(BROKE)
        .ends("unknown handle index 99"),
        Case::execute("handle-zero", "the handle zero", || holding("(call $drop (i32.const 0))")).ends(BROKE),
        Case::execute("handle-largest", "the largest number for a handle", || holding("(call $drop (i32.const -1))"))
            .ends(BROKE),
        Case::execute("handle-dropped", "a secret is used after it was given back", || {
            holding(&format!("(call $drop (local.get $i)) {}", exec_with(1)))
        })
        .ends(BROKE)
        .ends("handle"),
        Case::execute("handle-dropped-twice", "a secret is given back twice", || {
            holding("(call $drop (local.get $i)) (call $drop (local.get $i))")
        })
        .ends(BROKE)
        .ends("handle"),
        Case::execute("handle-of-something-else", "a resource of its own is passed for a secret", || {
            holding("(call $name (call $new (i32.const 1)) (i32.const 768))")
                .world("export things: interface { resource thing { constructor(); } }")
                .raw_import("(import \"[export]things\" \"[resource-new]thing\" (func $new (param i32) (result i32)))")
                .item("(func (export \"things#[constructor]thing\") (result i32) (call $new (i32.const 7)))")
        })
        .ends(BROKE)
        .ends("handle"),
        Case::execute("handle-many-times", "one secret is passed a thousand times in one call", || {
            holding(
                "(loop (i32.store (i32.add (i32.const 65536) (i32.mul (local.get $n) (i32.const 4))) (local.get $i))
                   (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $n) (i32.const 1000))))
                 (call $exec-with COMMAND (i32.const 0) (i32.const 0) (i32.const 65536) (i32.const 1000) (i32.const 768))",
            )
            .memory("(memory (export \"memory\") 3)")
        })
        .ends("plugin-limit: ")
        .ends("handles at once"),
        Case::execute("handle-without-secret", "a command that needs a secret is asked for without one", || {
            holding(
                "(call $exec-with COMMAND (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 768))
                 (return (call $kind (i32.const 768) (i32.const 8)))",
            )
        })
        .ends("answered \"invalid\""),
        Case::execute("secret-through-the-other-door", "a command that needs a secret is asked for by plain `exec`", || {
            let mut guest = Guest::new();
            let command = guest.text("attack/publish");
            guest.import(Import::Exec).execute(&format!(
                "(call $exec {command} (i32.const 0) (i32.const 0) (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))"
            ))
        })
        .ends("answered \"invalid\""),
    ]
}
