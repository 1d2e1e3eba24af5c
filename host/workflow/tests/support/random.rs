//! Seeded random programs.
#![allow(dead_code)] // Each test uses some of them.

/// Small, fast, and the same everywhere.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

/// jq that multiplies, repeats and nests; `deep` bounds its own nesting.
pub fn hostile(random: &mut Random, deep: usize) -> String {
    const ENDS: &[&str] = &[
        ".",
        ".items",
        ".text",
        ".items[]",
        ".items[].id",
        "[range(1000)]",
        "range(1e9)",
        "range(100)",
        "\"a\"",
        "1e9",
        "1e18",
        "..",
        "[..]",
        "{}",
        "[]",
        "null",
        "repeat(.)",
        "repeat(1)",
        "recurse",
        "$x",
        "length",
        "tojson",
        "tostring",
        "explode",
        "implode",
        "add",
        "keys",
        "to_entries",
        "flatten",
        "sort",
        "unique",
        "reverse",
        "paths",
        "tostream",
        "@base64",
        "@uri",
        "@html",
        "@sh",
        "@csv",
        "@json",
        "ascii_upcase",
        "fromjson",
        "transpose",
        "combinations",
        "min",
        "max",
        "any",
        "all",
        "first",
        "last",
        ".[]",
        ".[]?",
        ".[0]",
        ".[1:]",
        ".[:-1]",
        "not",
        "floor",
        "sqrt",
        "type",
        "trim",
        "values",
        "nulls",
        "error",
        "tonumber",
        "todate",
        "gmtime",
        "ltrimstr(\"a\")",
        "splits(\"a\")",
        "empty",
        "infinite",
        "nan",
        "abs",
        "toarray",
    ];
    let end = |random: &mut Random| random.pick(ENDS).to_owned();
    if deep == 0 {
        return end(random);
    }
    let f = |random: &mut Random| hostile(random, deep - 1);
    match random.below(40) {
        0..=5 => format!("{} | {}", f(random), f(random)),
        6 => format!("({}), ({})", f(random), f(random)),
        7 => format!("({}) + ({})", f(random), f(random)),
        8 => format!("({}) * ({})", f(random), f(random)),
        9 => format!("({}) {} ({})", f(random), random.pick(&["-", "/", "%", "==", "<", "//", "and", "or"]), f(random)),
        10 => format!("[{}]", f(random)),
        11 => format!("{{a: ({}), b: ({})}}", f(random), f(random)),
        12 => format!("reduce ({}) as $x (.; {})", f(random), f(random)),
        13 => format!("reduce range({}) as $x (.; {})", random.pick(&["10", "100", "100000", "1e9"]), f(random)),
        14 => format!("reduce range({}) as $x ({}; . + .)", random.pick(&["10", "30", "100"]), f(random)),
        15 => format!("reduce range({}) as $x ({}; [., .])", random.pick(&["10", "30", "100"]), f(random)),
        16 => format!("[foreach ({}) as $x (.; {}; {})]", f(random), f(random), f(random)),
        17 => format!("map({})", f(random)),
        18 => format!("[limit({}; {})]", random.pick(&["3", "1000", "1e9"]), f(random)),
        19 => format!("({}) as $x | {}", f(random), f(random)),
        20 => format!("try ({}) catch ({})", f(random), f(random)),
        21 => format!("({})?", f(random)),
        22 => format!("if {} then {} else {} end", f(random), f(random), f(random)),
        23 => format!(
            "({}) |= ({})",
            random.pick(&[".items", ".text", "..", ".[]?", ".items[]", ".a.b", ".x[3]"]),
            f(random)
        ),
        24 => format!(
            "({}) = ({})",
            random.pick(&[".items", ".text", ".[]?", ".items[]", ".a.b", ".x[99999]"]),
            f(random)
        ),
        25 => format!("[recurse({})]", f(random)),
        26 => format!("until({}; {})", f(random), f(random)),
        27 => format!("[while({}; {})]", f(random), f(random)),
        28 => format!("sort_by({})", f(random)),
        29 => format!("group_by({})", f(random)),
        30 => format!("[.. | {}]", f(random)),
        31 => format!(
            "[tostring | match({}; \"g\")]",
            random.pick(&["\"\"", "\"a*\"", "\"(a|b)*c\"", "\"\\\\w+\"", "\".\"", "tostring"])
        ),
        32 => format!(
            "tostring | gsub({}; {})",
            random.pick(&["\"\"", "\"a\"", "\"(?<x>.)\""]),
            random.pick(&["\"bb\"", ".x", "\"\\(.)\\(.)\""])
        ),
        33 => format!("\"\\({})\\({})\"", f(random), f(random)),
        34 => format!("setpath([{}]; {})", f(random), f(random)),
        35 => format!("[path({})]", f(random)),
        36 => format!("del({})", random.pick(&[".items[]", "..", ".[]?", ".items[1:]", ".text"])),
        37 => format!("with_entries({})?", f(random)),
        38 => format!("walk({})", f(random)),
        _ => end(random),
    }
}

/// jq that ends soon and that jq 1.6 knows; `deep` bounds its nesting.
pub fn ordinary(random: &mut Random, deep: usize) -> String {
    const ENDS: &[&str] = &[
        ".",
        ".",
        ".a",
        ".b",
        ".c.a",
        ".a.b",
        ".[0]",
        ".[-1]",
        ".[]",
        ".[1:]",
        ".[:2]",
        ".[-2:]",
        ".[\"a\"]",
        "..",
        "1",
        "(-2)",
        "0.5",
        "3",
        "\"x\"",
        "\"a,b\"",
        "\"a\"",
        "null",
        "true",
        "false",
        "[]",
        "{}",
        "[1, 2, 3]",
        "[3, 1, 2]",
        "{a: 1}",
        "{\"b\": [1, {a: 2}]}",
        "range(3)",
        "length",
        "keys",
        "add",
        "sort",
        "unique",
        "reverse",
        "not",
        "type",
        "tostring",
        "tojson",
        "tonumber",
        "ascii_downcase",
        "ascii_upcase",
        "floor",
        "sqrt",
        "to_entries",
        "flatten",
        "min",
        "max",
        "any",
        "all",
        "first",
        "last",
        "values",
        "nulls",
        "strings",
        "numbers",
        "arrays",
        "objects",
        "booleans",
        "scalars",
        "iterables",
        "explode",
        "transpose",
        "@text",
        "@json",
        "@html",
        "@uri",
        "@csv",
        "@tsv",
        "@sh",
        "@base64",
        "[paths]",
        "[leaf_paths]",
        "[tostream]",
        "empty",
        "fabs",
        "keys_unsorted",
        "utf8bytelength",
        "recurse",
        "error(\"e\")",
        "map(.)",
        "from_entries",
        "[.[]?]",
        "split(\",\")",
        "ltrimstr(\"a\")",
        "rtrimstr(\"b\")",
        "startswith(\"a\")",
        "join(\",\")",
        "test(\"[ab]\")",
        "[scan(\"[a-c]\")]",
        "[match(\"(a)|(?<n>b)\"; \"g\")]",
        "gsub(\",\"; \"-\")",
        "sub(\"(?<x>[a-z])\"; \"<\\(.x)>\")",
        "[splits(\", *\")]",
        "capture(\"(?<y>[0-9]+)\")",
        "indices(\"a\")",
        "index(\",\")",
        "rindex(\",\")",
        "has(\"a\")",
        "has(0)",
        "contains(\"a\")",
        "inside(\"a,b,c\")",
        "tojson | fromjson",
        "ascii_downcase",
        "getpath([\"a\", \"b\"])",
        "(floor | todate)",
        "(explode | implode)",
    ];
    if deep == 0 {
        return random.pick(ENDS).to_owned();
    }
    let f = |random: &mut Random| ordinary(random, deep - 1);
    match random.below(46) {
        0..=7 => format!("({} | {})", f(random), f(random)),
        8 => format!("({}, {})", f(random), f(random)),
        9..=11 => {
            let operator = random.pick(&["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "//", "and", "or"]);
            format!("({} {operator} {})", f(random), f(random))
        }
        12 => format!("[{}]", f(random)),
        13 => format!("{{a: ({}), (\"k\", \"l\"): ({})}}", f(random), f(random)),
        14 => format!("map({})", f(random)),
        15 => format!("[.[] | select({})]", f(random)),
        16 => format!("(reduce ({}) as $v (null; . + $v))", f(random)),
        17 => "(reduce .[] as $v (0; [., $v] | length))".to_owned(),
        18 => format!("[foreach ({}) as $v (0; . + 1; [., $v])]", f(random)),
        19 => format!("(try ({}) catch {})", f(random), "\"caught\""),
        20 => format!("(if {} then {} else {} end)", f(random), f(random), f(random)),
        21 => format!("sort_by({})", f(random)),
        22 => format!("group_by({})", f(random)),
        23 => format!("(min_by({0}), max_by({0}), unique_by({0}))", f(random)),
        24 => format!("with_entries(.value |= {})", f(random)),
        25 => format!("map_values({})", f(random)),
        26 => format!(
            "[path({})]",
            random.pick(&[
                ".a",
                ".[]",
                "..",
                ".[0]",
                ".b[1:]",
                ".[] | .a",
                "first(.[])",
                ".a, .b",
                "getpath([\"a\", 0])",
                ".a // .b"
            ])
        ),
        27 => format!(
            "del({})",
            random.pick(&[
                ".a",
                ".[0]",
                ".[0, 1]",
                ".[1:]",
                ".[]",
                ".b[0]",
                ".. | select(. == 1)",
                ".[-1]",
                ".[] | .a"
            ])
        ),
        28 => format!("({} |= {})", random.pick(&[".a", ".[0]", ".[]", ".b[1]", ".[1:]", ".c.a", ".[-1]"]), f(random)),
        29 => format!(
            "({} {} {})",
            random.pick(&[".a", ".[0]", ".[]", ".b[1]", ".c.a", ".x.y[2]"]),
            random.pick(&["=", "+=", "-=", "*=", "//="]),
            f(random)
        ),
        30 => format!("[limit({}; {})]", random.pick(&["1", "2", "5"]), f(random)),
        31 => format!("first({})", f(random)),
        32 => format!("\"<\\({})>\"", f(random)),
        33 => format!("(({}) as $v | [$v, {}])", f(random), f(random)),
        34 => format!("(. as [$p, $q] | [$p, $q, {}])", f(random)),
        35 => format!("(. as {{a: $p, b: $q}} | [$p, $q, {}])", f(random)),
        36 => format!("setpath({}; {})", random.pick(&["[\"a\"]", "[0, \"b\"]", "[]", "[\"c\", \"a\"]"]), f(random)),
        37 => format!("delpaths({})", random.pick(&["[[\"a\"]]", "[[0], [1]]", "[]", "[[\"b\", 0], [\"c\"]]"])),
        38 => format!(
            "walk({})",
            random.pick(&[
                "if type == \"number\" then . + 1 else . end",
                ".",
                "if type == \"array\" then sort else . end"
            ])
        ),
        39 => {
            format!("[recurse(if type == \"number\" and . < 3 and . >= 0 then . + 1 else empty end) | {}]", f(random))
        }
        41 => format!("(label $out | {}, break $out, 9)", f(random)),
        42 => format!("[{} | tojson]", f(random)),
        43 => format!("(-({}))", f(random)),
        44 => format!("(any({0}; . == 1), all({0}; . != null))", f(random)),
        _ => format!("([{}] | length, add, sort, unique)", f(random)),
    }
}

/// CEL that multiplies, repeats and nests; `deep` bounds its own nesting.
pub fn cel(random: &mut Random, deep: usize) -> String {
    const ENDS: &[&str] = &[
        ".items",
        ".text",
        ".n",
        ".nested",
        ".missing.more",
        "x",
        "1",
        "0",
        "-1",
        "9223372036854775807",
        "1.5",
        "1e300",
        "'a'",
        "''",
        "r'\\'",
        "true",
        "null",
        "[]",
        "{}",
        "[1, 2, 3]",
        "{'a': 1}",
        ".items[0].tags",
        ".items[1e9]",
    ];
    if deep == 0 {
        return random.pick(ENDS).to_owned();
    }
    let a = cel(random, deep - 1);
    let b = cel(random, deep - 1);
    let shallow = random.below(deep);
    let c = cel(random, shallow);
    match random.below(16) {
        0 => format!("({a} + {b})"),
        1 => format!(
            "({a} {} {b})",
            random.pick(&["-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"])
        ),
        2 => format!("({a} ? {b} : {c})"),
        3 => format!("{a}.map(x, {b})"),
        4 => format!("{a}.map(x, {b}, {c})"),
        5 => format!("{a}.filter(x, {b})"),
        6 => format!("{a}.{}(x, {b})", random.pick(&["all", "exists", "exists_one"])),
        7 => format!("{a}[{b}]"),
        8 => format!("{{'k': {a}, 'l': {b}}}"),
        9 => format!("[{a}, {b}, {c}]"),
        10 => {
            format!("{}({a})", random.pick(&["size", "string", "int", "uint", "double", "bool", "type", "dyn", "has"]))
        }
        11 => format!(
            "{a}.{}({b})",
            random.pick(&["matches", "contains", "startsWith", "endsWith", "indexOf", "split", "join"])
        ),
        12 => format!("{a}.replace({b}, {c})"),
        13 => format!("{a}.split({b}).join({c})"),
        14 => format!("!{a}"),
        _ => format!("-{a}"),
    }
}
