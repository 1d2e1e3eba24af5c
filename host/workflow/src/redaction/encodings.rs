//! The texts in which a secret's value can appear.
//!
//! Each encoder gives the form that common tools print; where tools differ
//! (which characters are escaped, case of hex digits) each form is given.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{GeneralPurpose, general_purpose::PAD};

use super::SECRET_BYTES_MIN;

/// Values up to this length are also found in base64 that is wrapped over
/// lines. The forms grow with the square of the length; longer values are
/// texts of several lines, and their lines are found one by one.
const WRAPPED_BYTES_MAX: usize = 300;

/// Line lengths of wrapped base64: `base64` and MIME, and PEM.
const WRAP_COLUMNS: [usize; 2] = [76, 64];

/// Every text to look for so that `value` is not shown. Each has at least
/// [`SECRET_BYTES_MIN`] bytes, as the value has.
pub(super) fn of_value(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::new();
    for piece in pieces(value) {
        add_forms(&piece, &mut forms);
    }
    debug_assert!(forms.iter().all(|form| form.len() >= SECRET_BYTES_MIN));
    forms
}

/// The value and the parts of it that are secret by themselves.
fn pieces(value: &str) -> BTreeSet<String> {
    let whole = value.trim();
    let mut pieces = BTreeSet::from([whole.to_owned()]);
    let lines: Vec<&str> = whole.lines().collect();
    if lines.len() > 1 {
        pieces.insert(lines.join("\n"));
        pieces.insert(lines.join("\r\n"));
        // The frame of a PEM file is public.
        let is_secret = |line: &&str| line.len() >= SECRET_BYTES_MIN && !line.starts_with("-----");
        pieces.extend(lines.iter().map(|line| line.trim()).filter(is_secret).map(str::to_owned));
    } else if let Some(password) = password(whole) {
        pieces.insert(password.to_owned());
    }
    pieces
}

/// The password of `user:password`: tools print it alone.
fn password(value: &str) -> Option<&str> {
    let (user, password) = value.split_once(':')?;
    let is_user = !user.is_empty() && !user.contains(|c: char| c.is_whitespace() || "/\"'".contains(c));
    (is_user && !password.starts_with("//") && password.len() >= SECRET_BYTES_MIN).then_some(password)
}

fn add_forms(piece: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let mut add = |text: String| {
        forms.insert(text.into_bytes());
    };
    add(piece.to_owned());
    add(hex::encode(piece));
    add(hex::encode_upper(piece));
    percent(piece, &mut add);
    json(piece, &mut add);
    xml(piece, &mut add);
    shell(piece, &mut add);
    base64(piece.as_bytes(), &STANDARD, &mut add);
    base64(piece.as_bytes(), &URL_SAFE, &mut add);
}

/// A value inside a longer text begins at one of three places of a group, and
/// shares its first and last character with its neighbours: those are left out,
/// except where the text ends with the value.
fn base64(value: &[u8], alphabet: &Alphabet, add: &mut impl FnMut(String)) {
    let engine = GeneralPurpose::new(alphabet, PAD);
    for shift in 0..3 {
        let shifted = [&[0; 2][..shift], value].concat();
        let padded = engine.encode(&shifted);
        let unpadded = padded.trim_end_matches('=');
        let start = [0, 2, 3][shift];
        let whole_groups_end = shifted.len() * 8 / 6;
        let middle = &padded[start..whole_groups_end];
        add(middle.to_owned());
        add(unpadded[start..].to_owned());
        add(padded[start..].to_owned());
        if value.len() <= WRAPPED_BYTES_MAX {
            wrapped(middle, add);
        }
    }
}

/// `text` with line breaks at every place where lines of the usual lengths could break it.
fn wrapped(text: &str, add: &mut impl FnMut(String)) {
    for columns in WRAP_COLUMNS {
        for first_line in 1..columns.min(text.len()) {
            for line_break in ["\n", "\r\n"] {
                let (head, mut rest) = text.split_at(first_line);
                let mut form = head.to_owned();
                while !rest.is_empty() {
                    let (line, next) = rest.split_at(columns.min(rest.len()));
                    form.push_str(line_break);
                    form.push_str(line);
                    rest = next;
                }
                add(form);
            }
        }
    }
}

fn percent(value: &str, add: &mut impl FnMut(String)) {
    // What stays as it is: nothing; RFC 3986 unreserved; a path; `encodeURIComponent`;
    // `encodeURI`; a form. Letters and digits stay in all but the first.
    let kept: [Option<&str>; 6] =
        [None, Some("-._~"), Some("-._~/"), Some("-._~!*'()"), Some("-._~!*'();,/?:@&=+$#"), Some("-._*")];
    for marks in kept {
        let keep = |b: u8| marks.is_some_and(|marks| b.is_ascii_alphanumeric() || marks.as_bytes().contains(&b));
        for upper in [true, false] {
            for plus_is_blank in [false, true] {
                let mut text = String::with_capacity(value.len() * 3);
                for byte in value.bytes() {
                    match byte {
                        b' ' if plus_is_blank => text.push('+'),
                        byte if keep(byte) => text.push(char::from(byte)),
                        byte if upper => push(&mut text, format_args!("%{byte:02X}")),
                        byte => push(&mut text, format_args!("%{byte:02x}")),
                    }
                }
                add(text);
            }
        }
    }
}

/// As a JSON string's inside, also once more escaped, for JSON inside JSON.
fn json(value: &str, add: &mut impl FnMut(String)) {
    let plain = serde_json::Value::from(value).to_string();
    let inside = &plain[1..plain.len() - 1];
    let twice = serde_json::Value::from(inside).to_string();
    add(twice[1..twice.len() - 1].to_owned());
    add(inside.replace('/', r"\/"));
    for upper in [true, false] {
        add(escape_characters(inside, upper, |c| !c.is_ascii()));
        add(escape_characters(inside, upper, |c| matches!(c, '<' | '>' | '&')));
        add(escape_characters(inside, upper, |c| matches!(c, '<' | '>' | '&' | '\'' | '+') || !c.is_ascii()));
    }
    add(inside.to_owned());
}

fn escape_characters(json: &str, upper: bool, chosen: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if !chosen(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            if upper {
                push(&mut text, format_args!("\\u{unit:04X}"));
            } else {
                push(&mut text, format_args!("\\u{unit:04x}"));
            }
        }
    }
    text
}

fn xml(value: &str, add: &mut impl FnMut(String)) {
    let basic = value.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for quote in ["\"", "&quot;", "&#34;", "&#x22;"] {
        for apostrophe in ["'", "&apos;", "&#39;", "&#x27;"] {
            let text = basic.replace('"', quote).replace('\'', apostrophe);
            for line_break in ["\n", "&#10;", "&#xA;", "&#xa;"] {
                add(text.replace('\n', line_break));
            }
        }
    }
}

fn shell(value: &str, add: &mut impl FnMut(String)) {
    add(value.replace('\'', r"'\''"));
    add(value.replace('\'', r#"'"'"'"#));
    // Inside double quotes.
    add(escape_with_backslash(value, |c| matches!(c, '"' | '$' | '`' | '\\')));
    add(escape_with_backslash(value, |c| matches!(c, '"' | '$' | '`' | '\\' | '!')));
    // Without quotes: `printf %q`, and those that escape every mark.
    add(escape_with_backslash(value, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=@%+,^~#".contains(c)));
    add(escape_with_backslash(value, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./:=@%+".contains(c)));
    add(escape_with_backslash(value, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"-_./".contains(c)));
    // `$'…'`
    let ansi = value.replace('\\', r"\\").replace('\'', r"\'");
    add(ansi.replace('\n', r"\n").replace('\r', r"\r").replace('\t', r"\t"));
}

fn escape_with_backslash(value: &str, chosen: impl Fn(char) -> bool) -> String {
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        if chosen(c) {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a String takes any text");
}
