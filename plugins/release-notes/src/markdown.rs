//! The notes as Markdown. Messages of commits are anybody's text: nothing of them
//! becomes markup, a link or a mention.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::Input;
use crate::commit::{Change, Section};

/// More than this of one message is no line of notes.
const TEXT_CHARACTERS_MAX: usize = 200;

pub fn notes(input: &Input, changes: &[(String, Change)]) -> String {
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| writeln!(text, "{args}").expect("a string takes text");
    let date = input.date.as_ref().map_or_else(String::new, |date| format!(" ({})", plain(date)));
    line(format_args!("## {} {}{date}", plain(&input.repository.name), plain(&input.version)));
    if let (Some(url), Some(previous)) = (compare(input), &input.previous) {
        line(format_args!("\nChanges since [{}]({url}).", plain(previous)));
    } else if let Some(previous) = &input.previous {
        line(format_args!("\nChanges since {}.", plain(previous)));
    }
    let breaking: Vec<_> = changes.iter().filter(|(_, change)| change.breaking.is_some()).collect();
    if !breaking.is_empty() {
        line(format_args!("\n### Breaking changes\n"));
        for (commit, change) in breaking {
            let broken = change.breaking.as_deref().unwrap_or_default();
            line(format_args!("- {}{} ({})", scope(change), plain(broken), short(commit)));
        }
    }
    for section in Section::ALL {
        let of_section: Vec<_> = changes.iter().filter(|(_, change)| change.section == section).collect();
        if of_section.is_empty() {
            continue;
        }
        line(format_args!("\n### {}\n", section.title()));
        for (commit, change) in of_section {
            line(format_args!("- {}{} ({})", scope(change), plain(&change.text), short(commit)));
        }
    }
    let closed: BTreeSet<u64> = changes.iter().flat_map(|(_, change)| change.closes.iter().copied()).collect();
    if !closed.is_empty() {
        let closed: Vec<_> = closed.iter().map(|number| format!("#{number}")).collect();
        line(format_args!("\n### Issues addressed\n\n{}", closed.join(", ")));
    }
    if changes.is_empty() {
        line(format_args!("\nNothing changed."));
    }
    text
}

fn scope(change: &Change) -> String {
    change.scope.as_ref().map_or_else(String::new, |scope| format!("**{}**: ", plain(scope)))
}

fn short(commit: &str) -> String {
    commit.chars().filter(char::is_ascii_hexdigit).take(8).collect()
}

/// Where GitHub compares two tags, for repositories that lie there.
fn compare(input: &Input) -> Option<String> {
    let path = input.repository.url.as_deref()?.strip_prefix("https://github.com/")?;
    let path = path.strip_suffix(".git").unwrap_or(path);
    let harmless = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./+".contains(&b));
    let (from, to) = (input.previous.as_deref()?, input.tag.as_deref()?);
    let all_harmless = [path, from, to].into_iter().all(harmless);
    all_harmless.then(|| format!("https://github.com/{path}/compare/{from}...{to}"))
}

/// One line of text in which nothing is markup.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.trim().chars().take(TEXT_CHARACTERS_MAX) {
        match letter {
            letter if letter.is_control() => plain.push(' '),
            // A mention would call somebody; a backslash does not stop it.
            '@' => plain.push_str("&#64;"),
            '&' => plain.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '!' => {
                plain.push('\\');
                plain.push(letter);
            }
            letter => plain.push(letter),
        }
    }
    // A bare address would become a link.
    plain.replace("://", "&#58;//")
}
