//! The small languages inside of definitions, and what comes from outside, with
//! random damage: each is refused or means something, and never hurts the host.

#[path = "support/damage.rs"]
mod damage;

use damage::{Dice, damage};
use serde_json::Value;
use workflow::definition::{Cron, parse_duration};
use workflow::expression::{Dialect, Language, Scope};
use workflow::{CloudEvent, Timestamp};

/// How many of the damaged texts are read, and how many refused.
fn all(texts: &[&str], rounds: usize, seed: u64, mut read: impl FnMut(&str) -> bool) -> (usize, usize) {
    let mut dice = Dice::new(seed);
    let (mut good, mut bad) = (0, 0);
    for text in texts {
        for _ in 0..rounds {
            let damaged = damage(text, &mut dice);
            let counted = if read(&damaged) { &mut good } else { &mut bad };
            *counted += 1;
        }
    }
    (good, bad)
}

#[test]
fn a_damaged_cel_text_is_refused_or_ends() {
    const TEXTS: &[&str] = &[
        "context.approval.value == 'APPROVED' && size(.files) > 2",
        ".files.filter(f, f.endsWith('.jar')).map(f, f + '-' + string(.n))",
        "has(.a.b) ? {'k': [.a.b, 1.5e3, -2], \"l\": true} : null",
        "[1, 2, 3].exists_one(x, x % 2 == 0 || !(x in [4])) ? 'a\\n\\u00e9' : r'\\d+'",
        ".text.replace('a', 'b').split(',').join('').matches('^[a-z]+$')",
    ];
    let input = serde_json::json!({"files": ["a.jar", "b"], "n": 3, "a": {"b": 1}, "text": "a,b"});
    let (read, refused) = all(TEXTS, 1_500, 0xCE1, |text| {
        let dialect = Dialect { language: Language::Cel, is_loose: false };
        let Ok(expression) = dialect.expression(text) else { return false };
        // Over its budget it is a fault like another.
        let _ = expression.evaluate(&input, &Scope::default());
        true
    });
    assert!(read > 300 && refused > 3_000, "the damage is neither too small nor too great: {read} {refused}");
}

#[test]
fn a_damaged_cron_text_is_refused_or_comes_again() {
    const TEXTS: &[&str] =
        &["*/15 0-6,12 1,15 JAN-MAR,7 MON-FRI", "0 0 29 2 *", "59 23 31 12 7", "* * * * *", "5-50/7 */3 */2 * 0"];
    let start: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
    let (read, refused) = all(TEXTS, 3_000, 0xC50, |text| {
        let Ok(cron) = text.parse::<Cron>() else { return false };
        let next = cron.next_after(start).unwrap_or_else(|| panic!("`{text}` was accepted and never comes"));
        assert!(next > start, "{text}");
        true
    });
    assert!(read > 300 && refused > 3_000, "the damage is neither too small nor too great: {read} {refused}");
}

#[test]
fn a_damaged_duration_is_refused_or_is_bounded() {
    const TEXTS: &[&str] = &["P3DT4H5M6.789S", "PT0.02S", "P3650D", "PT1H", "P2W"];
    let longest = std::time::Duration::from_secs(3_650 * 86_400);
    let (read, refused) = all(TEXTS, 3_000, 0xD0A, |text| match parse_duration(text) {
        Ok(duration) => {
            assert!(duration <= longest, "{text}");
            true
        }
        Err(_) => false,
    });
    assert!(read > 300 && refused > 3_000, "the damage is neither too small nor too great: {read} {refused}");
}

#[test]
fn a_damaged_event_is_refused_or_keeps_what_names_it() {
    const TEXTS: &[&str] = &[
        r#"{"specversion":"1.0","id":"1","source":"/ci","type":"com.example.checked","time":"2026-11-24T12:00:00Z","data":{"ok":true}}"#,
        r#"{"specversion":"1.0","id":"é","source":"https://example.com/x","type":"t","datacontenttype":"text/plain","data_base64":"aGVsbG8=","extension":7}"#,
        r#"{"specversion":"1.0","id":"3","source":"urn:a","type":"t","subject":"s","dataschema":"https://example.com/s","data":[1,[2,[3]]]}"#,
    ];
    let (read, refused) = all(TEXTS, 3_000, 0xE7E, |text| {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return false };
        let Ok(event) = CloudEvent::new(value) else { return false };
        assert!(!event.id().is_empty() && !event.source().is_empty() && !event.kind().is_empty(), "{text}");
        let _ = (event.data(), event.raw_data());
        true
    });
    assert!(read > 300 && refused > 1_000, "the damage is neither too small nor too great: {read} {refused}");
}
