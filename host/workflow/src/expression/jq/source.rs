//! How deep and how long the text of an expression may be.
//!
//! The library parses and compiles by calling itself, so a text is looked at
//! first. What is counted here is what makes it go deeper: brackets, strings
//! inside strings, and words and signs in a row.

/// Deepest nesting of brackets and of strings with expressions.
const NESTING_MAX: usize = 50;

/// Most words, signs and brackets; a pipe or a sum goes deeper with each of its parts.
const TOKENS_MAX: usize = 2_000;

/// # Errors
///
/// The text is nested too deep, or too long.
pub fn refuse_deep(source: &str) -> Result<(), String> {
    let mut open: Vec<char> = Vec::new();
    let mut tokens = 0;
    let mut in_word = false;
    let mut characters = source.chars().peekable();
    while let Some(character) = characters.next() {
        // Inside of a string only its end and `\(` count.
        if open.last() == Some(&'"') {
            match character {
                '"' => drop(open.pop()),
                '\\' if characters.next() == Some('(') => open.push('('),
                _ => {}
            }
            continue;
        }
        let is_word = character.is_alphanumeric() || character == '_';
        tokens += usize::from(!(character.is_whitespace() || is_word && in_word));
        in_word = is_word;
        match character {
            '(' | '[' | '{' | '"' => open.push(character),
            ')' | ']' | '}' => drop(open.pop()),
            '#' => drop(characters.by_ref().find(|character| *character == '\n')),
            _ => {}
        }
        if open.len() > NESTING_MAX {
            return Err(format!("it is nested deeper than {NESTING_MAX}"));
        }
        if tokens > TOKENS_MAX {
            return Err(format!(
                "it has more than {TOKENS_MAX} words and signs: put the data into `input` or a plugin"
            ));
        }
    }
    Ok(())
}
