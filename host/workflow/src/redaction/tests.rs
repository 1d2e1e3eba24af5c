use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use super::{RedactionError, Redactor, workload};

fn redactor(value: &str) -> Redactor {
    Redactor::new([("token", value)]).unwrap()
}

fn redacted(value: &str, text: &str) -> String {
    redactor(value).redact(text).into_string()
}

fn streamed(redactor: &Redactor, chunks: &[&[u8]]) -> String {
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for chunk in chunks {
        stream.push(chunk, &mut out);
    }
    stream.finish(&mut out);
    String::from_utf8(out).unwrap()
}

const TOKEN: &str = "cio1QzT&x'9_k\"Lm/2+w<v>";

#[test]
fn a_value_is_replaced_by_its_name() {
    assert_eq!(redacted(TOKEN, &format!("token={TOKEN};")), "token=[secret token];");
}

#[test]
fn the_encodings_of_common_tools_are_found() {
    for (encoding, text) in [
        ("curl --data-urlencode", "cio1QzT%26x%279_k%22Lm%2F2%2Bw%3Cv%3E"),
        ("lower percent", "cio1QzT%26x%279_k%22Lm%2f2%2bw%3cv%3e"),
        ("encodeURIComponent", "cio1QzT%26x'9_k%22Lm%2F2%2Bw%3Cv%3E"),
        ("JSON", r#"cio1QzT&x'9_k\"Lm/2+w<v>"#),
        ("JSON of PHP", r#"cio1QzT&x'9_k\"Lm\/2+w<v>"#),
        ("JSON of Go", r#"cio1QzT\u0026x'9_k\"Lm/2+w\u003cv\u003e"#),
        ("JSON in JSON", r#"cio1QzT&x'9_k\\\"Lm/2+w<v>"#),
        ("XML attribute", "cio1QzT&amp;x'9_k&quot;Lm/2+w&lt;v&gt;"),
        ("XML of Python", "cio1QzT&amp;x&#x27;9_k&quot;Lm/2+w&lt;v&gt;"),
        ("sh -x", r#"cio1QzT&x'\''9_k"Lm/2+w<v>"#),
        ("printf %q", r#"cio1QzT\&x\'9_k\"Lm/2+w\<v\>"#),
    ] {
        assert_eq!(redacted(TOKEN, &format!("<{text}>")), "<[secret token]>", "{encoding}");
    }
    assert_eq!(redacted(TOKEN, &hex::encode(TOKEN)), "[secret token]");
    assert_eq!(redacted(TOKEN, &hex::encode_upper(TOKEN)), "[secret token]");
}

#[test]
fn base64_is_found_at_each_place_in_a_longer_text() {
    for before in ["", "u", "us", "user:"] {
        for after in ["", "\n", "!!", "!!!"] {
            let text = STANDARD.encode(format!("{before}{TOKEN}{after}"));
            let clean = redacted(TOKEN, &text);
            assert!(clean.contains("[secret token]"), "{before:?} {after:?}: {clean}");
        }
    }
}

#[test]
fn base64_wrapped_over_lines_is_found() {
    let header = "x".repeat(40);
    let text = STANDARD.encode(format!("{header}{TOKEN} and more that fills the second line"));
    let (first, second) = text.split_at(76);
    let clean = redacted(TOKEN, &format!("{first}\n{second}\n"));
    assert!(clean.contains("[secret token]"), "{clean}");
}

#[test]
fn each_line_of_a_key_is_secret_and_its_frame_is_not() {
    let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ\nQ8gNAQ8gNAQ8gNAQ8g==\n-----END PRIVATE KEY-----\n";
    assert_eq!(redacted(key, "got Q8gNAQ8gNAQ8gNAQ8g=="), "got [secret token]");
    assert_eq!(redacted(key, &key.replace('\n', "\r\n")), "[secret token]\r\n");
    assert_eq!(redacted(key, "-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
}

#[test]
fn the_password_of_a_credential_is_secret_by_itself() {
    let credential = "releaser:q8Zt-41pLm";
    assert_eq!(redacted(credential, "password=q8Zt-41pLm"), "password=[secret token]");
    assert_eq!(redacted(credential, "user releaser:q8Zt-41pLm"), "user [secret token]");
    assert_eq!(redacted(credential, "releaser"), "releaser");
}

#[test]
fn the_longest_of_several_secrets_at_one_place_is_named() {
    let redactor = Redactor::new([("short", "abcdefgh"), ("long", "abcdefgh-ijkl")]).unwrap();
    assert_eq!(redactor.redact("abcdefgh-ijkl abcdefgh").as_str(), "[secret long] [secret short]");
    assert_eq!(streamed(&redactor, &[b"abcdefgh", b"-ij", b"kl abcdefgh"]), "[secret long] [secret short]");
}

#[test]
fn a_value_too_short_to_be_found_is_refused() {
    for value in ["", "1234567", "  1234567\n"] {
        let error = Redactor::new([("pin", value)]).unwrap_err();
        assert_eq!(error, RedactionError::TooShort { name: "pin".to_owned(), minimum: 8 });
    }
    assert_eq!(
        Redactor::new([("pin", "1234567")]).unwrap_err().to_string(),
        "secret `pin` has fewer than 8 bytes: it cannot be told from ordinary text"
    );
}

#[test]
fn json_is_redacted_in_keys_strings_and_numbers() {
    let redactor = Redactor::new([("pin", "1234567890"), ("token", TOKEN)]).unwrap();
    let clean = redactor.redact_json(&json!({ "a": [1234567890_u64, 12, true, null], TOKEN: format!("x{TOKEN}") }));
    assert_eq!(clean, json!({ "a": ["[secret pin]", 12, true, null], "[secret token]": "x[secret token]" }));
}

#[test]
fn a_line_without_a_beginning_of_a_secret_passes_at_once() {
    let mut stream = redactor("hunter2-hunter2").stream();
    let mut out = Vec::new();
    stream.push(b"compiling\nhunter", &mut out);
    assert_eq!(out, b"compiling\n");
    stream.push(b"s\n", &mut out);
    assert_eq!(out, b"compiling\nhunters\n");
}

#[test]
fn debug_output_shows_no_secret() {
    let redactor = redactor(TOKEN);
    let mut stream = redactor.stream();
    stream.push(&TOKEN.as_bytes()[..10], &mut Vec::new());
    assert_eq!(format!("{redactor:?} {stream:?}"), "Redactor(…) RedactionStream(…)");
}

#[test]
fn the_text_of_the_benchmark_has_no_secret() {
    let workload = workload(3, 100_000);
    assert_eq!(workload.run(8192), workload.text.len());
}

/// What a tool may print of `value`.
fn encode(value: &str, encoding: usize, before: &str, after: &str) -> String {
    let inside = |text: String| text[1..text.len() - 1].to_owned();
    let joined = format!("{before}{value}{after}");
    match encoding {
        0 => value.to_owned(),
        1 => hex::encode(value),
        2 => hex::encode_upper(value),
        3 => value.bytes().map(|b| format!("%{b:02X}")).collect(),
        4 => value.bytes().map(|b| format!("%{b:02x}")).collect(),
        5 => inside(json!(value).to_string()),
        6 => inside(json!(inside(json!(value).to_string())).to_string()),
        7 => value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        8 => value.replace('\'', r"'\''"),
        9 => STANDARD.encode(joined),
        10 => STANDARD_NO_PAD.encode(joined),
        11 => URL_SAFE.encode(joined),
        _ => URL_SAFE_NO_PAD.encode(joined),
    }
}

const ENCODINGS: usize = 13;

/// The part of the encoded text that shows the value whatever is beside it.
fn core(value: &str, encoding: usize, before: &str) -> String {
    let text = encode(value, encoding, before, "");
    if encoding < 9 {
        return text;
    }
    let start = (before.len() * 8).div_ceil(6);
    let end = (before.len() + value.len()) * 8 / 6;
    text[start..end].to_owned()
}

/// Values that no ordinary text contains: at least one character of each needs an escape somewhere.
fn secret() -> impl Strategy<Value = String> {
    "[!-~äß€]{3,40}[&<\"'%][!-~]{8,20}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_value_never_survives(
        value in secret(),
        encoding in 0..ENCODINGS,
        before in "[a-z ]{0,5}",
        after in "[a-z ]{0,5}",
        cuts in vec(0_usize..400, 0..12),
    ) {
        let redactor = redactor(&value);
        let text = format!("left {} right", encode(&value, encoding, &before, &after));
        let whole = redactor.redact(&text).into_string();
        prop_assert!(!whole.contains(&core(&value, encoding, &before)), "{whole}");
        prop_assert!(whole.starts_with("left ") && whole.ends_with(" right"), "{whole}");

        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        cuts.sort_unstable();
        let chunks: Vec<_> = cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
        prop_assert_eq!(streamed(&redactor, &chunks), whole);
    }

    #[test]
    fn ordinary_text_is_untouched(value in secret(), text in "[a-zA-Z0-9 .,:\n]{0,300}", cut in 0_usize..300) {
        let redactor = redactor(&value);
        prop_assert_eq!(redactor.redact(&text).into_string(), text.clone());
        let cut = cut.min(text.len());
        prop_assert_eq!(streamed(&redactor, &[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]), text);
    }
}
