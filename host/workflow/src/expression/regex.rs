//! Regular expressions that count their steps.
//!
//! The usual engines are linear in the text for one match, yet nobody can stop
//! them, and all matches of a text can be quadratic. This one is a plain
//! simulation of the automaton: every state it looks at is a step. The syntax is
//! that of the `regex` crate, with Unicode classes.

use std::rc::Rc;
use std::sync::Arc;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Class, Hir, HirKind, Look, Repetition};

use super::meter;

/// Longest pattern; a class of a few letters of it has hundreds of ranges.
const PATTERN_BYTES_MAX: usize = 4096;

/// Instructions of one automaton: `a{1000}{1000}` is refused, not built.
const PROGRAM_MAX: usize = 5_000;

/// Ranges of all its classes together.
const RANGES_MAX: usize = 200_000;

/// Each state may remember where each group is.
const GROUPS_MAX: usize = 50;

/// Deepest nesting of groups.
const NESTING_MAX: u32 = 60;

#[derive(Debug, Clone)]
enum Step {
    Character(char),
    /// Sorted ranges, both ends included.
    Class(Arc<[(char, char)]>),
    Look(Look),
    /// The first is preferred.
    Split(usize, usize),
    Goto(usize),
    Save(usize),
    Match,
}

/// jq's flags.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    pub global: bool,
    pub skip_empty: bool,
    ignore_case: bool,
    multi_line: bool,
    dot_matches_new_line: bool,
    swap_greed: bool,
    ignore_whitespace: bool,
}

impl Flags {
    /// # Errors
    ///
    /// The letter that is no flag.
    pub fn parse(text: &str) -> Result<Self, char> {
        let mut flags = Self::default();
        for letter in text.chars() {
            match letter {
                'g' => flags.global = true,
                'n' => flags.skip_empty = true,
                'i' => flags.ignore_case = true,
                's' => flags.dot_matches_new_line = true,
                'l' => flags.swap_greed = true,
                'x' => flags.ignore_whitespace = true,
                'm' => flags.multi_line = true,
                'p' => (flags.multi_line, flags.dot_matches_new_line) = (true, true),
                other => return Err(other),
            }
        }
        Ok(flags)
    }

    /// With `g`.
    pub fn everywhere(self) -> Self {
        Self { global: true, ..self }
    }
}

#[derive(Debug, Clone)]
pub struct Regex {
    steps: Vec<Step>,
    /// Name of each group, the whole match first.
    pub groups: Vec<Option<String>>,
}

/// Byte offsets of each group, the whole match first.
pub type Groups = Vec<Option<(usize, usize)>>;

impl Regex {
    /// # Errors
    ///
    /// Why the pattern is none.
    pub fn new(pattern: &str, flags: Flags) -> Result<Self, String> {
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"));
        }
        meter::steps(pattern.len());
        let hir = ParserBuilder::new()
            .case_insensitive(flags.ignore_case)
            .multi_line(flags.multi_line)
            .dot_matches_new_line(flags.dot_matches_new_line)
            .swap_greed(flags.swap_greed)
            .ignore_whitespace(flags.ignore_whitespace)
            .nest_limit(NESTING_MAX)
            .build()
            .parse(pattern)
            .map_err(|error| reason(&error))?;
        let mut compiler = Compiler { steps: Vec::new(), groups: vec![None], ranges_left: RANGES_MAX };
        compiler.push(Step::Save(0))?;
        compiler.compile(&hir)?;
        compiler.push(Step::Save(1))?;
        compiler.push(Step::Match)?;
        Ok(Self { steps: compiler.steps, groups: compiler.groups })
    }

    /// The leftmost match that begins at `from` or later, and its groups.
    pub fn find(&self, text: &str, from: usize) -> Option<Groups> {
        let mut machine = Machine::new(self, text);
        machine.find(from).then(|| machine.groups())
    }

    /// All matches that do not overlap, or the first.
    pub fn find_all(&self, text: &str, flags: Flags) -> Vec<Groups> {
        let mut found = Vec::new();
        let mut machine = Machine::new(self, text);
        let mut from = 0;
        while from <= text.len() && machine.find(from) {
            let groups = machine.groups();
            meter::steps(groups.len());
            let (start, end) = groups[0].unwrap_or((from, from));
            // After an empty match the next one begins a character later.
            let width = text[end..].chars().next().map_or(1, char::len_utf8);
            from = if end == start { end + width } else { end };
            if !(flags.skip_empty && start == end) {
                found.push(groups);
            }
            if !flags.global {
                break;
            }
        }
        found
    }
}

/// The last line of the parser's drawing says what is wrong.
fn reason(error: &regex_syntax::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

struct Compiler {
    steps: Vec<Step>,
    groups: Vec<Option<String>>,
    ranges_left: usize,
}

impl Compiler {
    fn class(&mut self, ranges: impl Iterator<Item = (char, char)>) -> Result<(), String> {
        let ranges: Arc<[_]> = ranges.collect();
        meter::steps(ranges.len() / 16);
        self.ranges_left = self.ranges_left.checked_sub(ranges.len()).ok_or("it is too large")?;
        self.push(Step::Class(ranges)).map(drop)
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        meter::steps(1);
        if self.steps.len() >= PROGRAM_MAX {
            return Err("it is too large".to_owned());
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn compile(&mut self, hir: &Hir) -> Result<(), String> {
        match hir.kind() {
            HirKind::Empty => Ok(()),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| "it is not about text".to_owned())?;
                text.chars().try_for_each(|character| self.push(Step::Character(character)).map(drop))
            }
            HirKind::Class(Class::Unicode(class)) => self.class(class.iter().map(|range| (range.start(), range.end()))),
            HirKind::Class(Class::Bytes(class)) => {
                self.class(class.iter().map(|range| (char::from(range.start()), char::from(range.end()))))
            }
            HirKind::Look(look) => self.push(Step::Look(*look)).map(drop),
            HirKind::Repetition(repetition) => self.repetition(repetition),
            HirKind::Capture(capture) => self.capture(capture),
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.compile(part)),
            HirKind::Alternation(parts) => self.alternation(parts),
        }
    }

    fn capture(&mut self, capture: &Capture) -> Result<(), String> {
        let index = capture.index as usize;
        if index >= GROUPS_MAX {
            return Err(format!("it has more than {GROUPS_MAX} groups"));
        }
        if self.groups.len() <= index {
            self.groups.resize(index + 1, None);
        }
        self.groups[index] = capture.name.as_deref().map(str::to_owned);
        self.push(Step::Save(2 * index))?;
        self.compile(&capture.sub)?;
        self.push(Step::Save(2 * index + 1)).map(drop)
    }

    fn alternation(&mut self, parts: &[Hir]) -> Result<(), String> {
        let mut ends = Vec::new();
        for (index, part) in parts.iter().enumerate() {
            if index + 1 == parts.len() {
                self.compile(part)?;
                break;
            }
            let split = self.push(Step::Split(0, 0))?;
            self.compile(part)?;
            ends.push(self.push(Step::Goto(0))?);
            self.steps[split] = Step::Split(split + 1, self.steps.len());
        }
        for end in ends {
            self.steps[end] = Step::Goto(self.steps.len());
        }
        Ok(())
    }

    fn repetition(&mut self, repetition: &Repetition) -> Result<(), String> {
        for _ in 0..repetition.min {
            self.compile(&repetition.sub)?;
        }
        let split = |go_on: usize, leave: usize| match repetition.greedy {
            true => Step::Split(go_on, leave),
            false => Step::Split(leave, go_on),
        };
        match repetition.max {
            None => {
                let start = self.push(Step::Split(0, 0))?;
                self.compile(&repetition.sub)?;
                self.push(Step::Goto(start))?;
                self.steps[start] = split(start + 1, self.steps.len());
            }
            Some(max) => {
                let mut splits = Vec::new();
                for _ in repetition.min..max {
                    splits.push(self.push(Step::Split(0, 0))?);
                    self.compile(&repetition.sub)?;
                }
                for at in splits {
                    self.steps[at] = split(at + 1, self.steps.len());
                }
            }
        }
        Ok(())
    }
}

type Slots = Rc<[Option<usize>]>;

/// States that wait for the next character, the preferred ones first.
struct Threads {
    waiting: Vec<(usize, Slots)>,
    seen: Vec<bool>,
}

impl Threads {
    fn of(states: usize) -> Self {
        Self { waiting: Vec::new(), seen: vec![false; states] }
    }

    fn clear(&mut self) {
        self.waiting.clear();
        self.seen.fill(false);
    }
}

struct Machine<'a> {
    regex: &'a Regex,
    text: &'a str,
    current: Threads,
    next: Threads,
    matched: Option<Slots>,
    /// What `follow` has still to look at.
    open: Vec<(usize, Slots)>,
}

impl<'a> Machine<'a> {
    fn new(regex: &'a Regex, text: &'a str) -> Self {
        let states = regex.steps.len();
        meter::steps(states / 16);
        Self { regex, text, current: Threads::of(states), next: Threads::of(states), matched: None, open: Vec::new() }
    }

    fn groups(&self) -> Groups {
        let slots = self.matched.as_deref().unwrap_or_default();
        slots.chunks(2).map(|pair| Some((pair[0]?, pair[1]?))).collect()
    }

    fn find(&mut self, from: usize) -> bool {
        self.matched = None;
        self.current.clear();
        let nothing: Slots = vec![None; 2 * self.regex.groups.len()].into();
        let mut at = from;
        loop {
            if self.matched.is_none() {
                follow(self.regex, self.text, &mut self.open, &mut self.current, at, 0, nothing.clone());
            }
            if self.current.waiting.is_empty() && self.matched.is_some() {
                break;
            }
            let character = self.text[at..].chars().next();
            let width = character.map_or(0, char::len_utf8);
            self.next.clear();
            meter::steps(1 + self.next.seen.len() / 64);
            for (state, slots) in std::mem::take(&mut self.current.waiting) {
                meter::steps(1);
                let goes_on = match (&self.regex.steps[state], character) {
                    (Step::Match, _) => {
                        self.matched = Some(slots);
                        // What is less preferred than this match does not count.
                        break;
                    }
                    (Step::Character(wanted), Some(character)) => *wanted == character,
                    (Step::Class(ranges), Some(character)) => within(ranges, character),
                    _ => false,
                };
                if goes_on {
                    follow(self.regex, self.text, &mut self.open, &mut self.next, at + width, state + 1, slots);
                }
            }
            std::mem::swap(&mut self.current, &mut self.next);
            if character.is_none() {
                break;
            }
            at += width;
        }
        self.matched.is_some()
    }
}

fn within(ranges: &[(char, char)], character: char) -> bool {
    let at = ranges.partition_point(|(_, end)| *end < character);
    ranges.get(at).is_some_and(|(start, _)| *start <= character)
}

/// Adds `state` and all that it leads to without reading a character.
fn follow(
    regex: &Regex,
    text: &str,
    open: &mut Vec<(usize, Slots)>,
    threads: &mut Threads,
    at: usize,
    state: usize,
    slots: Slots,
) {
    open.push((state, slots));
    while let Some((state, slots)) = open.pop() {
        if std::mem::replace(&mut threads.seen[state], true) {
            continue;
        }
        meter::steps(1);
        match &regex.steps[state] {
            Step::Character(_) | Step::Class(_) | Step::Match => threads.waiting.push((state, slots)),
            Step::Goto(to) => open.push((*to, slots)),
            Step::Split(first, second) => {
                open.push((*second, slots.clone()));
                open.push((*first, slots));
            }
            Step::Look(look) => {
                if holds(*look, text, at) {
                    open.push((state + 1, slots));
                }
            }
            Step::Save(slot) => {
                meter::steps(slots.len() / 8);
                let mut own: Vec<_> = slots.to_vec();
                if let Some(place) = own.get_mut(*slot) {
                    *place = Some(at);
                }
                open.push((state + 1, own.into()));
            }
        }
    }
}

fn holds(look: Look, text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at..].chars().next();
    let unicode = |character: Option<char>| character.is_some_and(|c| c == '_' || c.is_alphanumeric());
    let ascii = |character: Option<char>| character.is_some_and(|c| c == '_' || c.is_ascii_alphanumeric());
    match look {
        Look::Start => at == 0,
        Look::End => at == text.len(),
        Look::StartLF => before.is_none_or(|c| c == '\n'),
        Look::EndLF => after.is_none_or(|c| c == '\n'),
        Look::StartCRLF => before.is_none_or(|c| c == '\n' || (c == '\r' && after != Some('\n'))),
        Look::EndCRLF => after.is_none_or(|c| c == '\r' || (c == '\n' && before != Some('\r'))),
        Look::WordAscii => ascii(before) != ascii(after),
        Look::WordAsciiNegate => ascii(before) == ascii(after),
        Look::WordUnicode => unicode(before) != unicode(after),
        Look::WordUnicodeNegate => unicode(before) == unicode(after),
        Look::WordStartAscii => !ascii(before) && ascii(after),
        Look::WordEndAscii => ascii(before) && !ascii(after),
        Look::WordStartUnicode => !unicode(before) && unicode(after),
        Look::WordEndUnicode => unicode(before) && !unicode(after),
        Look::WordStartHalfAscii => !ascii(before),
        Look::WordEndHalfAscii => !ascii(after),
        Look::WordStartHalfUnicode => !unicode(before),
        Look::WordEndHalfUnicode => !unicode(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str, flags: &str, text: &str) -> Vec<Vec<Option<String>>> {
        let flags = Flags::parse(flags).unwrap();
        let regex = Regex::new(pattern, flags).unwrap();
        let found = regex.find_all(text, flags).into_iter();
        found
            .map(|groups| groups.into_iter().map(|group| group.map(|(from, to)| text[from..to].to_owned())).collect())
            .collect()
    }

    #[test]
    fn matches_are_leftmost_and_prefer_what_comes_first() {
        let some = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(all("a|ab", "", "xab"), [some(&["a"])]);
        assert_eq!(all("(a+)(b*?)", "g", "aab ab"), [some(&["aa", "aa", ""]), some(&["a", "a", ""])]);
        assert_eq!(all("(?<n>[0-9]+)\\.", "g", "1.22.x"), [some(&["1.", "1"]), some(&["22.", "22"])]);
        assert_eq!(all("(a)|b", "", "b"), [vec![Some("b".to_owned()), None]]);
        assert_eq!(all("", "g", "é"), [some(&[""]), some(&[""])]);
        assert_eq!(all("^.$", "gp", "a\nb"), [some(&["a"]), some(&["b"])]);
        assert_eq!(all("É", "i", "é"), [some(&["é"])]);
        assert_eq!(all("\\bfoo\\b", "", "a foo."), [some(&["foo"])]);
        assert_eq!(all("x{2,3}", "g", "xxxxx"), [some(&["xxx"]), some(&["xx"])]);
    }

    #[test]
    fn a_pattern_that_grows_too_large_is_refused() {
        assert_eq!(Regex::new("a{500}{500}", Flags::default()).unwrap_err(), "it is too large");
        assert!(Regex::new("(", Flags::default()).unwrap_err().contains("unclosed group"));
        assert!(Regex::new(&"(".repeat(1000), Flags::default()).is_err());
    }
}
