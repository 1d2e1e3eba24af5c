//! Files that are no component, are damaged, or are made to cost the reader.

use std::fmt::Write as _;

use crate::case::Case;
use crate::guest::{Guest, component};
use crate::suite::honest;

const UNREAD: &str = "refused unread: ";
const UNCOMPILED: &str = "refused before compiling: plugin `hostile` ";

/// Text of `count` things, numbered.
fn repeated(count: usize, thing: impl Fn(usize) -> String) -> String {
    (0..count).fold(String::new(), |mut text, n| {
        text.write_str(&thing(n)).expect("a string takes any text");
        text
    })
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::load("file-empty", "a file of nothing", Vec::new).ends(UNCOMPILED).ends("the file is empty"),
        Case::load("file-text", "a script", || b"#!/bin/sh\nid\n".to_vec())
            .ends(UNCOMPILED)
            .ends("the file is not WebAssembly: it starts with `#!/bin/s`"),
        Case::load("file-elf", "a program of the machine", || b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec())
            .ends(UNCOMPILED)
            .ends("the file is not WebAssembly"),
        Case::load("file-core-module", "a core module", || component("(module)"))
            .ends(UNCOMPILED)
            .ends("the file is a core module, not a component"),
        Case::load("file-of-100-mb", "a file of 100 MB", || vec![0; 100_000_000])
            .ends(UNREAD)
            .ends("has 100000000 bytes"),
        Case::load("file-header-only", "the header of a component and nothing else", || honest()[..8].to_vec())
            .ends(UNCOMPILED)
            .ends("it exports no `lightapi:release/step`"),
        Case::load("file-of-a-later-format", "a component of a later format", || {
            let mut bytes = honest();
            bytes[4] = 0x7f;
            bytes
        })
        .ends(UNCOMPILED),
        Case::load("file-section-longer-than-file", "a section that says that it has 4 GiB", || {
            let mut bytes = honest()[..8].to_vec();
            bytes.extend([1, 0xff, 0xff, 0xff, 0xff, 0x0f]);
            bytes
        })
        .ends(UNCOMPILED)
        .ends("damaged or truncated"),
        Case::load("file-with-bytes-behind", "a component with a script behind it", || {
            let mut bytes = honest();
            bytes.extend(b"#!/bin/sh\nid\n");
            bytes
        })
        .ends(UNCOMPILED)
        .ends("damaged or truncated"),
        Case::load("file-two-components", "a component with another one behind it", || {
            let bytes = honest();
            [bytes.clone(), bytes].concat()
        })
        .ends(UNCOMPILED)
        .ends("damaged or truncated"),
    ];
    cases.extend(bombs());
    cases
}

/// A component whose only section is a component, and so on.
fn nested(depth: usize) -> Vec<u8> {
    let header = &honest()[..8];
    (0..depth).fold(header.to_vec(), |inner, _| {
        let mut outer = [header, &[4]].concat();
        let mut length = inner.len();
        while length >= 0x80 {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(inner);
        outer
    })
}

/// Small texts that are much to read, to check or to compile. Whether they are
/// loaded in the end is not the point: the host lives, and others are served.
fn bombs() -> Vec<Case> {
    vec![
        Case::load(
            "bomb-nested-types",
            "a type that nests 10^5 lists, which a reader would follow by calling itself",
            || {
                let types = repeated(100_000, |n| match n {
                    0 => "(type $t0 (list u8))".to_owned(),
                    n => format!("(type $t{n} (list $t{}))", n - 1),
                });
                component(&format!(
                    "(component {types} (type $f (func (param \"x\" $t99999))) (import \"f\" (func (type $f))))"
                ))
            },
        )
        .ends(UNCOMPILED),
        Case::load("bomb-wide-types", "a type that doubles in size with each of 40 lines", || {
            let types = repeated(40, |n| match n {
                0 => "(type $t0 (tuple u8 u8))".to_owned(),
                n => format!("(type $t{n} (tuple $t{before} $t{before}))", before = n - 1),
            });
            // The text is checked by the host, not by the one who made it.
            component(&format!(
                "(component {types} (type $f (func (param \"x\" $t39))) (import \"f\" (func (type $f))))"
            ))
        })
        .ends(UNCOMPILED),
        Case::load("bomb-nested-components", "components within components, 200 deep", || nested(200)).ends(UNCOMPILED),
        Case::load("bomb-imports", "20,000 imports, each of which a reader compares with the others", || {
            let imports = repeated(20_000, |n| format!("(import \"f{n}\" (func))"));
            component(&format!("(component {imports})"))
        })
        .ends(UNCOMPILED)
        .ends("imports, exports and types; this host reads at most 10000"),
        Case::load("bomb-functions", "10^4 functions", || {
            Guest::new().item(&repeated(10_000, |_| "(func)".to_owned())).component()
        }),
        Case::load("bomb-blocks", "10^4 blocks within each other", || {
            let (open, close) = ("(block ".repeat(10_000), ")".repeat(10_000));
            Guest::new().item(&format!("(func {open} {close})")).component()
        }),
        Case::load("bomb-one-function", "one function of 10^5 calculations that all matter", || {
            let body = repeated(100_000, |n| {
                format!("(local.set {} (i64.add (local.get {}) (local.get {})))", n % 97, (n * 31) % 97, (n * 57) % 97)
            });
            Guest::new().item(&format!("(func (local {}) {body})", "i64 ".repeat(97))).component()
        }),
        Case::load("bomb-locals", "a function with 50,000 variables", || {
            Guest::new().item(&format!("(func (local {}))", "i64 ".repeat(50_000))).component()
        }),
        Case::load("bomb-branches", "a branch to 10^5 places", || {
            let targets = "0 ".repeat(100_000);
            Guest::new().item(&format!("(func (param i32) (block (br_table {targets} 0 (local.get 0))))")).component()
        }),
        Case::load("bomb-instances", "100 instances of a module", || {
            let instances = repeated(100, |n| format!("(core instance $i{n} (instantiate $m))"));
            component(&format!("(component (core module $m (memory 1)) {instances})"))
        })
        .ends(UNCOMPILED),
    ]
}
