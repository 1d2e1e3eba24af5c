//! The words and signs of a CEL text.

/// Most of them in one expression: what it may be nested by.
const TOKENS_MAX: usize = 1_000;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    Name(String),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Sign(&'static str),
}

/// The longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

/// # Errors
///
/// What cannot begin a word or a sign, and texts that do not end.
pub fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut found = Vec::new();
    let mut rest = source.trim_start();
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("//") {
            rest = comment.find('\n').map_or("", |end| &comment[end..]).trim_start();
            continue;
        }
        let (token, after) = token(rest)?;
        found.push(token);
        if found.len() > TOKENS_MAX {
            return Err(format!(
                "it has more than {TOKENS_MAX} words and signs: put the data into `input` or a plugin"
            ));
        }
        rest = after.trim_start();
    }
    Ok(found)
}

fn token(rest: &str) -> Result<(Token, &str), String> {
    let first = rest.chars().next().unwrap_or_default();
    let digits = rest.strip_prefix('.').unwrap_or(rest);
    if digits.starts_with(|c: char| c.is_ascii_digit()) {
        return number(rest);
    }
    let quotes = rest.trim_start_matches(['r', 'R', 'b', 'B']);
    if quotes.starts_with(['"', '\'']) && rest.len() - quotes.len() <= 1 {
        return match rest.len() - quotes.len() {
            0 => text(quotes, false),
            _ if first.eq_ignore_ascii_case(&'r') => text(quotes, true),
            _ => Err("bytes are not available: JSON has none".to_owned()),
        };
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        return Ok((Token::Name(rest[..end].to_owned()), &rest[end..]));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), &rest[sign.len()..])),
        None => Err(format!("`{first}` has no meaning here")),
    }
}

fn number(rest: &str) -> Result<(Token, &str), String> {
    let wrong = |text: &str| format!("`{text}` is no number that fits");
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let (digits, after) = hex.split_at(end);
        return match after.strip_prefix(['u', 'U']) {
            Some(after) => u64::from_str_radix(digits, 16).map(|number| (Token::Uint(number), after)),
            None => i64::from_str_radix(digits, 16).map(|number| (Token::Int(number), after)),
        }
        .map_err(|_| wrong(digits));
    }
    let mut end = 0;
    let mut is_double = false;
    let bytes = rest.as_bytes();
    while let Some(byte) = bytes.get(end) {
        let next = bytes.get(end + 1).copied().unwrap_or_default();
        match byte {
            b'0'..=b'9' => end += 1,
            b'.' if !is_double && next.is_ascii_digit() => {
                is_double = true;
                end += 1;
            }
            b'e' | b'E' if next.is_ascii_digit() => {
                is_double = true;
                end += 2;
            }
            b'e' | b'E' if matches!(next, b'+' | b'-') && bytes.get(end + 2).is_some_and(u8::is_ascii_digit) => {
                is_double = true;
                end += 3;
            }
            _ => break,
        }
    }
    let (digits, after) = rest.split_at(end);
    if is_double {
        return digits.parse().map(|number| (Token::Double(number), after)).map_err(|_| wrong(digits));
    }
    match after.strip_prefix(['u', 'U']) {
        Some(after) => digits.parse().map(|number| (Token::Uint(number), after)).map_err(|_| wrong(digits)),
        // The smallest number has no positive: `-9223372036854775808`.
        None => match digits.parse::<u64>() {
            Ok(number) => Ok((i64::try_from(number).map_or(Token::Uint(number), Token::Int), after)),
            Err(_) => Err(wrong(digits)),
        },
    }
}

fn text(quotes: &str, raw: bool) -> Result<(Token, &str), String> {
    let open = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|open| quotes.starts_with(open)).unwrap_or("\"");
    let mut value = String::new();
    let mut rest = &quotes[open.len()..];
    loop {
        if let Some(after) = rest.strip_prefix(open) {
            return Ok((Token::Text(value), after));
        }
        let mut characters = rest.chars();
        match characters.next() {
            None => return Err("a text in it does not end".to_owned()),
            Some('\n') if open.len() == 1 => return Err("a text in it does not end on its line".to_owned()),
            Some('\\') if !raw => {
                let (character, after) = escape(characters.as_str())?;
                value.push(character);
                rest = after;
            }
            Some(character) => {
                value.push(character);
                rest = characters.as_str();
            }
        }
    }
}

fn escape(rest: &str) -> Result<(char, &str), String> {
    let mut characters = rest.chars();
    let letter = characters.next().unwrap_or_default();
    let simple = match letter {
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'a' => Some('\u{7}'),
        'b' => Some('\u{8}'),
        'f' => Some('\u{c}'),
        'v' => Some('\u{b}'),
        '\\' | '"' | '\'' | '`' | '?' => Some(letter),
        _ => None,
    };
    if let Some(character) = simple {
        return Ok((character, characters.as_str()));
    }
    let (length, from, radix) = match letter {
        'x' | 'X' => (2, 1, 16),
        'u' => (4, 1, 16),
        'U' => (8, 1, 16),
        '0'..='3' => (3, 0, 8),
        _ => return Err(format!("`\\{letter}` has no meaning in a text")),
    };
    let digits = rest.get(from..from + length).unwrap_or_default();
    let code = u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
    code.map(|character| (character, &rest[from + length..]))
        .ok_or_else(|| format!("`\\{letter}{digits}` is no character"))
}
