//! No expression can take the host down: whatever compiles ends soon, with
//! little memory, as a result or as a fault.
//!
//! One test to a process, and that process counts what is allocated.

#![allow(unsafe_code)] // A global allocator cannot be had without.
#![allow(clippy::disallowed_methods, reason = "the time of an expression is what is bounded here")]

#[path = "support/random.rs"]
mod random;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use random::Random;
use serde_json::{Value, json};
use workflow::expression::{Dialect, Language, Scope};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn more(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: hands everything on to the system's allocator, and counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // As if both were there for a moment, which is how it may be.
        more(size);
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Above what is there before the evaluation.
const PEAK_BYTES_MAX: usize = 64 * 1024 * 1024;

/// For a busy machine and a debug build; a release build needs a tenth.
const TIME_MAX: Duration = Duration::from_secs(20);

/// How many evaluations took longest, and what they held.
#[derive(Default)]
struct Seen {
    ended: usize,
    faulted: usize,
    refused: usize,
    peak: (usize, String),
    time: (Duration, String),
}

impl Seen {
    fn evaluate(&mut self, source: &str, input: &Value) {
        self.evaluate_in(Language::Jq, source, input);
    }

    fn evaluate_in(&mut self, language: Language, source: &str, input: &Value) {
        let Ok(expression) = (Dialect { language, is_loose: false }).expression(source) else {
            self.refused += 1;
            return;
        };
        if std::env::var_os("LIMITS_TRACE").is_some() {
            eprintln!("{source}");
        }
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let began = Instant::now();
        match expression.evaluate(input, &Scope::default()) {
            Ok(_) => self.ended += 1,
            Err(fault) => {
                assert_eq!(fault.status, 400, "{source}: {fault:?}");
                assert!(!fault.detail.unwrap_or_default().contains("inside a filter of the library"), "{source}");
                self.faulted += 1;
            }
        }
        let (took, peak) = (began.elapsed(), PEAK.load(Ordering::Relaxed).saturating_sub(before));
        if std::env::var_os("LIMITS_SHOW").is_some() && (took > Duration::from_millis(300) || peak > 20 << 20) {
            println!("{took:?} {} MiB {source}", peak >> 20);
        }
        assert!(peak < PEAK_BYTES_MAX, "{} MiB: {source}", peak >> 20);
        assert!(took < TIME_MAX, "{took:?}: {source}");
        if peak > self.peak.0 {
            self.peak = (peak, source.to_owned());
        }
        if took > self.time.0 {
            self.time = (took, source.to_owned());
        }
    }
}

/// Programs that are known to have hurt, or that were thought up to.
const KNOWN: &[&str] = &[
    r#""a" * 1e11"#,
    r#""a" * 1e18 * 1e18"#,
    r#"[limit(30; repeat("aaaaaaaaaa"))] | add * 100000 | . * 100000"#,
    r#"reduce range(100) as $i ("a"; . + .)"#,
    "reduce range(100) as $i ([1]; . + .)",
    "reduce range(100) as $i ({}; {a: ., b: .})",
    "reduce range(100) as $i ([]; [., ., ., .]) | tojson",
    "reduce range(24) as $i ([]; [., .]) == reduce range(24) as $i ([]; [., .])",
    "reduce range(24) as $i ([]; [., .]) | [..] | length",
    "reduce range(24) as $i ([]; [., .]) | flatten",
    "reduce range(100000) as $i (null; [.])",
    "reduce range(100000) as $i (null; {a: .})",
    "reduce range(100) as $i (3; . * .)",
    "[range(1e12)]",
    "[range(0; 1; 0)]",
    "[.items[] as $a | .items[] as $b | .items[] as $c | .items[] as $d | 1] | length",
    "[.items[]? as $a | .items[]? as $b | .items[]? as $c | .items[]? | empty]",
    "(1,2) as $a | (1,2) as $b | (1,2) as $c | (1,2) as $d | (1,2) as $e | (1,2) as $f | (1,2) as $g | (1,2) as $h | (1,2) as $i | (1,2) as $j | (1,2) as $k | (1,2) as $l | (1,2) as $m | (1,2) as $n | (1,2) as $o | (1,2) as $p | (1,2) as $q | (1,2) as $r | (1,2) as $s | (1,2) as $t | (1,2) as $u | (1,2) as $v | (1,2) as $w | (1,2) as $x | (1,2) as $y | empty",
    "[repeat(.)]",
    "[repeat(., .)] | length",
    "[recurse(., .)] | length",
    "first(repeat(empty))",
    "[recurse(.items)] | length",
    "until(false; [.])",
    "until(false; .)",
    "try until(false; .) catch 1",
    "[while(true; . , .)]",
    "last(repeat(1))?",
    "[.items[] | tostring * 100]",
    "[.items[] | .id] | combinations(9)",
    "[[range(100)], [range(100)], [range(100)], [range(100)]] | [combinations] | length",
    "[range(100000)] | implode",
    "[range(50000) | 65] | implode | explode | implode | explode | length",
    ".text | explode | map([., ., ., .]) | flatten | length",
    ".text | @uri | @uri | @uri | @uri | @uri | @uri | @uri | length",
    ".text | @html | @html | @html | @base64 | @base64 | @base64 | @sh | @json | @json | @json",
    r#".text * 100 | ascii_upcase | ascii_downcase | test("(a|b|ab)*c")"#,
    r#".text * 10 | [match(""; "g")] | length"#,
    r#".text | [match("((((((((((a))))))))))*"; "g")] | length"#,
    r#".text * 20 | gsub("a"; "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")"#,
    r#".text * 20 | gsub(""; "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")"#,
    r#".text | test("(x+x+)+y")"#,
    r#".text | [splits("a*b|a")] | length"#,
    r#".text | test("\\w{100}{100}")"#,
    r#".text | test("(\\w{50}){50}x")"#,
    r#".text | test(.)"#,
    r#""\\w" * 2000 | . as $p | "a" | test($p; "i")"#,
    r#"("(" * 40) + "a" + (")" * 40) | . as $p | "a" * 10000 | [match($p; "g")] | length"#,
    r#".text / "" | length"#,
    r#".text * 20 / "" | length"#,
    ".text | [.[range(100000):]] | length",
    r#".text * 30 | indices("a") | length"#,
    r#".text * 30 | indices("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") | length"#,
    "[.items[] | .items = [range(1000)]] | length",
    ".items |= map(. * {a: {b: {c: .}}})",
    ".a[1e9] = 1",
    ".a[9007199254740993] = 1",
    ".a[-1] = 1",
    r#"setpath([range(100000) | "a"]; 1)"#,
    r#"setpath([range(100000) | 0]; 1)"#,
    r#"[range(100000) | "a"] as $p | getpath($p)"#,
    r#"[range(100000) | "a"] as $p | delpaths([$p])"#,
    "(reduce range(100000) as $i (.; .)) |= 1",
    "(reduce range(100000) as $i (.; .a)) |= 1",
    "path(reduce range(100000) as $i (.; .a)) | length",
    "[paths] | length",
    "[paths | paths | paths] | length",
    "[tostream] | length",
    "[limit(1e18; repeat(1))] | length",
    "[foreach range(1e6) as $i (0; ., . + 1)] | length",
    "[foreach range(1e6) as $i (0; . + $i; [., $i])] | length",
    "reduce range(1e6) as $i (0; ., .)",
    "[range(20000)] | map([range(20000)])",
    "[range(30000)] | sort_by(-., range(100))",
    "[range(30000)] | group_by(. % 7) | map(length)",
    "[range(300)] | sort_by([range(1000)])",
    "[range(20000) | [range(. % 10)]] | unique | length",
    "[range(200)] as $a | [$a[] as $i | [$a]] | map(. == [$a]) | all",
    "[range(2000)] - [range(2000)] | length",
    "[range(3000)] | . as $a | map(select(. as $i | $a | contains([$i]))) | length",
    r#"[limit(100000; repeat("[[[[[[[[[["))] | join("") | fromjson"#,
    r#"("[" * 100) + ("]" * 100) | fromjson"#,
    r#""[" + ("[]," * 100000) + "0]" | fromjson | length"#,
    r#""[" + ("{\"a\":1}," * 50000) + "0]" | fromjson | length"#,
    r#"("9" * 100000) | tonumber"#,
    r#"("9" * 100000) | fromjson"#,
    r#"("\u0000" * 1000000) | tojson | tojson | tojson | length"#,
    "[range(1000)] | map(tojson * 1000) | join(\",\") | length",
    "[.items[] | with_entries(.value |= [., ., .])] | tojson | length",
    r#"[range(100000)] | @csv | length"#,
    r#"[range(100000) | tostring] | @sh | length"#,
    r#".text | [scan("."; "g")] | group_by(.) | map(length)"#,
    "[range(1000)] | transpose?",
    "[range(500) | [range(500)]] | transpose | length",
    "walk([., .])",
    ".. |= [., .]",
    "[..] | map([..]) | map([..]) | length",
    "getpath([\"items\", 0, \"tags\"]) |= (reduce range(1e6) as $i (.; . + [$i]))",
    "limit(3; error)",
    "[limit(0; repeat(1))]",
    "[.items[] | .id] | [.[] as $x | .[] as $y | .[] as $z | select($x + $y + $z == 7)] | length",
    "$__loc__",
    "infinite | floor",
    "[nan] | sort | sort_by(.) | unique | min",
    "[nan, 1, nan, 0, nan] | sort, group_by(.), (. - [nan])",
    "infinite % 3, nan % 3, 5 % infinite, -9223372036854775808 % -1",
    "-9223372036854775808 | -. | length",
    "1e1000 | tostring | tonumber | floor",
    "[.[1e300]?, .[nan]?, .[infinite]?]",
    "[1,2,3] | .[nan:], .[:infinite], .[1e300:], .[-1e300:]",
    "[1,2,3] | .[-1:1] = [9], .[5:7] = [1]",
    "\"x\" | .[1e300:], .[-5:]",
    "1e18 | todate",
    "-1e18 | gmtime",
    "nan | todate",
    "[1e18, 1e18, 1, 1, 1, 1, 1, 1] | mktime",
    "\"x\" | strptime(\"%Y\")",
    "0 | strftime(\"%\" * 100000)",
    "0 | strftime(\"%999999999Y\")",
    "0 | strftime(\"%099999999Y %9999999999999999999Y\")",
    "[0.1] | implode",
    "[1114112] | implode",
    "[-1] | implode",
    "1 | ldexp(.; 1e18), scalb(1; 1e18), scalbln(1; 1e18), jn(1e9; 1e9), yn(1e9; 1e9)",
    "1e308 | exp10, exp2, tgamma, lgamma, frexp, modf, logb, significand, gamma, trunc, nearbyint",
    "nexttoward(1; 2), drem(10; 3), pow(2; 1e300), log2, ilogb",
    "splits(1)?",
    "ltrimstr(1), rtrimstr([])",
    "@base64d",
    "\"====\" | @base64d",
    "\"%%%zz\" | @urid",
    "limit(-1; 1)",
    "skip(1e18; repeat(1))",
    "label $f | repeat(1, break $f)",
    "[label $f | range(1e9) | if . > 10 then break $f else . end]",
    "input_line_number",
    "getpath(1)?, paths(1)",
    "splits(\"a\"; \"q\")",
    "ascii(1)",
    "tojson | fromjson == .",
];

fn world() -> Value {
    let items: Vec<Value> =
        (0..300).map(|id| json!({"id": id, "name": format!("item {id}"), "tags": ["a", "b", id % 7]})).collect();
    json!({"items": items, "text": "aaab abab xyz 0123456789 ".repeat(800), "n": 3, "nested": [[[1, [2]], 3], {"a": {"b": null}}]})
}

#[test]
fn no_program_takes_more_than_its_share() {
    let input = world();
    let mut seen = Seen::default();
    for source in KNOWN {
        seen.evaluate(source, &input);
    }
    let mut random = Random::new(4);
    for _ in 0..2_000 {
        let source = random::hostile(&mut random, 3);
        seen.evaluate(&source, &input);
    }
    println!("{} ended, {} faulted, {} refused", seen.ended, seen.faulted, seen.refused);
    println!("most memory: {} MiB by {}", seen.peak.0 >> 20, seen.peak.1);
    println!("longest: {:?} by {}", seen.time.0, seen.time.1);
    assert!(seen.ended > 300 && seen.faulted > 300, "the programs are neither all harmless nor all wrong");
    assert!(seen.refused < 300, "most of them compile");
}

/// CEL that is known to multiply, or that was thought up to.
const KNOWN_CEL: &[&str] = &[
    ".items.map(x, .items.map(y, .items.map(z, z)))",
    ".items.all(x, .items.all(y, .items.all(z, .items.all(w, w.id >= 0))))",
    ".items.map(a, .text + .text).join('')",
    "(.text + .text + .text + .text).split('').map(x, .text).join('')",
    ".text.replace('', .text)",
    ".text.replace('a', .text)",
    ".text.matches('(x+x+)+y')",
    ".text.matches('(\\\\w{50}){50}x')",
    ".text.split('').map(x, .text.indexOf(x))",
    "[[[[[[[[[[.items]]]]]]]]]] == [[[[[[[[[[.items]]]]]]]]]]",
    "string(.items).contains(string(.items))",
    "9223372036854775807 + 1",
    "-9223372036854775807 - 2",
    "-9223372036854775808 % -1",
    "-9223372036854775808 / -1",
    "int(1e300)",
    "uint(-1)",
    "1 / 0",
    "1 % 0",
];

#[test]
fn no_cel_takes_more_than_its_share() {
    let input = world();
    let mut seen = Seen::default();
    for source in KNOWN_CEL {
        seen.evaluate_in(Language::Cel, source, &input);
    }
    let mut random = Random::new(5);
    for number in 0..3_000 {
        let source = random::cel(&mut random, number % 4);
        seen.evaluate_in(Language::Cel, &source, &input);
    }
    println!("{} ended, {} faulted, {} refused", seen.ended, seen.faulted, seen.refused);
    println!("most memory: {} MiB by {}", seen.peak.0 >> 20, seen.peak.1);
    println!("longest: {:?} by {}", seen.time.0, seen.time.1);
    assert!(seen.ended > 500 && seen.faulted > 500, "the programs are neither all harmless nor all wrong");
    assert!(seen.refused < 800, "most of them compile");
}
