//! Code that never ends, in every place where a component's code runs.

use crate::case::Case;
use crate::guest::{Guest, Import};

const LOOP: &str = "(loop (br 0)) unreachable";
const FUEL: &str = "was stopped: it used up its";

/// A world that exports a resource of its own beside the step.
const THINGS: &str = "export things: interface { resource thing { constructor(); } }";

/// A guest that makes and drops a resource of its own, whose destructor is `body`.
fn with_destructor(body: &str) -> Guest {
    Guest::new()
        .world(THINGS)
        .raw_import("(import \"[export]things\" \"[resource-new]thing\" (func $new (param i32) (result i32)))")
        .raw_import("(import \"[export]things\" \"[resource-drop]thing\" (func $drop-own (param i32)))")
        .item(&format!(
            "(func (export \"things#[constructor]thing\") (result i32) (call $new (i32.const 7)))
             (func (export \"things#[dtor]thing\") (param i32) {body})"
        ))
        .execute("(call $drop-own (call $new (i32.const 7))) (call $says (i32.const 0))")
}

fn post_return(function: &str, body: &str) -> String {
    format!(
        "(func (export \"cabi_post_lightapi:release/step@{}#{function}\") (param i32) {body})",
        *crate::guest::VERSION
    )
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::execute("loop-in-execute", "`execute` never ends", || Guest::new().execute(LOOP))
            .ends("plugin-limit: ")
            .ends(FUEL),
        Case::describe("loop-in-describe", "`describe` never ends", || Guest::new().describe(LOOP)).ends(FUEL),
        Case::plan("loop-in-plan", "`plan` never ends", || Guest::new().plan(LOOP)).ends(FUEL),
        Case::execute("loop-in-start", "the start function never ends, before any export is called", || {
            Guest::new().item(&format!("(func $start {LOOP}) (start $start)"))
        })
        .ends("plugin-limit: ")
        .ends(FUEL),
        Case::describe(
            "loop-in-start-of-describe",
            "the start function never ends when only `describe` is asked",
            || Guest::new().item(&format!("(func $start {LOOP}) (start $start)")),
        )
        .ends(FUEL),
        Case::execute("loop-in-realloc", "the allocator never returns when the host passes the input", || {
            Guest::new().realloc(LOOP)
        })
        .ends("plugin-limit: ")
        .ends(FUEL),
        Case::execute("loop-in-post-return", "the clean-up after `execute` never ends", || {
            Guest::new().item(&post_return("execute", LOOP))
        })
        .ends("plugin-limit: ")
        .ends(FUEL),
        Case::describe("loop-in-post-return-of-describe", "the clean-up after `describe` never ends", || {
            Guest::new().item(&post_return("describe", LOOP))
        })
        .ends(FUEL),
        Case::execute("loop-in-destructor", "the destructor of its own resource never ends", || with_destructor(LOOP))
            .ends("plugin-limit: ")
            .ends(FUEL),
        Case::execute("trap-in-destructor", "the destructor of its own resource traps", || {
            with_destructor("unreachable")
        })
        .ends("plugin-trapped: plugin `hostile` stopped: it panicked or aborted"),
        Case::execute("trap-in-start", "the start function traps", || {
            Guest::new().item("(func $start unreachable) (start $start)")
        })
        .ends("plugin-trapped: plugin `hostile` stopped: it panicked or aborted"),
        Case::execute("trap-in-post-return", "the clean-up after `execute` traps: its output does not count", || {
            Guest::new().item(&post_return("execute", "unreachable"))
        })
        .ends("plugin-trapped: plugin `hostile` stopped: it panicked or aborted"),
        Case::execute("host-call-in-start", "the start function asks for a command before it is called", || {
            let call = Import::Exec.empty_call();
            Guest::new().import(Import::Exec).item(&format!("(func $start {call}) (start $start)"))
        })
        .ends("plugin-trapped: "),
        Case::execute(
            "host-call-in-post-return",
            "the clean-up asks for a command after the step has answered",
            || Guest::new().import(Import::Exec).item(&post_return("execute", &Import::Exec.empty_call())),
        )
        .ends("plugin-trapped: plugin `hostile` stopped: cannot leave component instance"),
        Case::execute(
            "host-call-in-realloc",
            "the allocator asks for a command while the host passes the input",
            || Guest::new().import(Import::Exec).realloc(&format!("{} (i32.const 65520)", Import::Exec.empty_call())),
        )
        .ends("plugin-trapped: plugin `hostile` stopped: cannot leave component instance"),
    ]
}
