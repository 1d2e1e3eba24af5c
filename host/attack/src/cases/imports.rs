//! Imports and exports that this host does not have, or that nobody granted.

use workflow::capability::Grants;

use crate::case::Case;
use crate::guest::{Guest, Import, component, of_world};

pub(super) fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Import::ALL.into_iter().map(without_grant).collect();
    cases.extend(unknown());
    cases.extend(other_worlds());
    cases
}

/// Every function, called as soon as the step starts, with every grant but its own.
fn without_grant(import: Import) -> Case {
    let name = match import {
        Import::Emit => "ungranted-log",
        Import::Stat => "ungranted-artifacts-stat",
        Import::Read => "ungranted-artifacts-read",
        Import::Put => "ungranted-artifacts-write",
        Import::Exec => "ungranted-sandbox",
        Import::Acquire => "ungranted-secrets",
        Import::Name => "ungranted-secret-name",
        Import::Drop | Import::ExecWithSecrets => "ungranted-sandbox-secret",
        Import::Ask => "ungranted-model",
        Import::CallTool => "ungranted-mcp",
        Import::Fetch => "ungranted-http",
    };
    let guest = move || {
        let call = import.empty_call();
        // The type of a secret comes with `secrets`, which a step needs to have one at all.
        let guest = if import == Import::ExecWithSecrets { Guest::new().import(Import::Acquire) } else { Guest::new() };
        guest.import(import).item(&format!("(func $start {call}) (start $start)"))
    };
    Case::execute(name, "a function is imported that the task does not grant", guest)
        .with(move |grants| revoke(import, grants))
        .ends("not-granted: plugin `hostile` imports `lightapi:release/")
        .ends(format!("`lightapi:release/{}` ({})", import.interface(), import.function()))
        .ends("which the task does not grant")
}

fn revoke(import: Import, grants: &mut Grants) {
    match import {
        Import::Emit => grants.log = None,
        Import::Stat | Import::Read => grants.artifacts_read = None,
        Import::Put => grants.artifacts_write = None,
        Import::Exec => grants.sandbox = None,
        Import::Acquire | Import::Name | Import::Drop | Import::ExecWithSecrets => grants.secrets = None,
        Import::Ask => grants.model = None,
        Import::CallTool => grants.mcp = None,
        Import::Fetch => grants.http = None,
    }
}

/// The WIT of a world `other` with these imports, beside a step of the offered version.
fn importing(imports: &str, packages: &str) -> Vec<u8> {
    of_world(&format!(
        "package attack:other;
         world other {{ {imports} export lightapi:release/step@{version}; }}
         package lightapi:release@{version} {{ interface step {{ describe: func(); plan: func(); execute: func(); }} }}
         {packages}",
        version = *crate::guest::VERSION
    ))
}

fn unknown() -> Vec<Case> {
    vec![
        Case::load("newer-version", "an interface in a version that is to come", || {
            importing(
                "import lightapi:release/sandbox@9.0.0;",
                "package lightapi:release@9.0.0 { interface sandbox { exec: func(); } }",
            )
        })
        .ends("refused before compiling: ")
        .ends("it needs `lightapi:release/sandbox` in version 9.0.0 (`exec`); this host offers version"),
        Case::load("unknown-interface", "an interface that no version of the package has", || {
            importing(
                "import lightapi:release/shell@9.0.0;",
                "package lightapi:release@9.0.0 { interface shell { run: func(line: string); } }",
            )
        })
        .ends("refused before compiling: ")
        .ends("`lightapi:release/shell@9.0.0` (`run`), which no version of the package has"),
        Case::load("unknown-package", "an interface of a package that this host does not have", || {
            importing("import acme:tools/run@1.0.0;", "package acme:tools@1.0.0 { interface run { go: func(); } }")
        })
        .ends("refused before compiling: ")
        .ends("`acme:tools/run@1.0.0` (`go`) of a package this host does not have"),
        Case::load("wasi-sockets", "sockets and requests of WASI", || {
            importing(
                "import wasi:sockets/tcp@0.2.6; import wasi:http/outgoing-handler@0.2.6;",
                "package wasi:sockets@0.2.6 { interface tcp { connect: func(); } }
                 package wasi:http@0.2.6 { interface outgoing-handler { handle: func(); } }",
            )
        })
        .ends("refused before compiling: ")
        .ends("wasi:sockets/tcp@0.2.6")
        .ends("wasi:http/outgoing-handler@0.2.6"),
        Case::load("function-of-no-interface", "a function imported by a bare name", || {
            of_world(&format!(
                "package attack:other;
                 world other {{ import system: func(line: string) -> s32; export lightapi:release/step@{version}; }}
                 package lightapi:release@{version} {{ interface step {{ describe: func(); plan: func(); execute: func(); }} }}",
                version = *crate::guest::VERSION
            ))
        })
        .ends("refused before compiling: ")
        .ends("system"),
        Case::load("import-of-code", "another module's code is imported", || {
            component("(component (import \"code\" (core module (export \"run\" (func)))))")
        })
        .ends("refused before compiling: "),
    ]
}

fn other_worlds() -> Vec<Case> {
    vec![
        Case::load("no-step", "a component of another world: it exports no step", || {
            of_world(
                "package attack:other;
                 world other { export wasi:http/incoming-handler@0.2.6; }
                 package wasi:http@0.2.6 { interface incoming-handler { handle: func(); } }",
            )
        })
        .ends("refused before compiling: ")
        .ends("it exports no `lightapi:release/step`"),
        Case::load("step-of-another-version", "a step of a version that is to come", || {
            of_world(
                "package attack:other;
                 world other { export lightapi:release/step@9.0.0; }
                 package lightapi:release@9.0.0 { interface step { describe: func(); } }",
            )
        })
        .ends("refused before compiling: ")
        .ends("a version this host cannot call"),
        Case::load("step-in-part", "a step without `plan`", || {
            of_world(&format!(
                "package attack:other;
                 world other {{ export lightapi:release/step@{version}; }}
                 package lightapi:release@{version} {{ interface step {{ describe: func(); execute: func(); }} }}",
                version = *crate::guest::VERSION
            ))
        })
        .ends("refused before compiling: ")
        .ends("lacks the function `plan`"),
        Case::load("step-of-other-types", "a step whose functions take and return something else", || {
            importing("", "")
        })
        .ends("refused before compiling: ")
        .ends("`execute` of `lightapi:release/step@")
        .ends("has other types than version"),
        Case::load("types-of-our-own-lie", "an interface of ours whose function takes something else", || {
            let version = crate::guest::VERSION.as_str();
            of_world(&format!(
                "package attack:other;
                 world other {{ import lightapi:release/secrets@{version}; export lightapi:release/step@{version}; }}
                 package lightapi:release@{version} {{
                     interface secrets {{ acquire: func(name: string) -> string; }}
                     interface step {{ describe: func(); plan: func(); execute: func(); }}
                 }}"
            ))
        })
        .ends("refused before compiling: ")
        .ends("`acquire` of `lightapi:release/secrets@")
        .ends("has other types than version"),
    ]
}
