//! The filters of jq that are ours: those that look into values, and those
//! whose cost the library would not count.

use std::rc::Rc;

use jaq_core::native::{Filter, Fun, bome, run, v};
use jaq_core::{Cv, RunPtr, ValR, ValXs};

use super::Machine;
use super::value::failure;
use crate::expression::meter;
use crate::expression::regex::{Flags, Groups, Regex};
use crate::expression::value::{Array, Kind, Object, Val};

type C<'a> = Cv<'a, Machine>;

pub fn natives() -> impl Iterator<Item = Fun<Machine>> {
    filters().into_iter().map(run::<Machine>)
}

fn filters() -> Vec<Filter<RunPtr<Machine>>> {
    vec![
        ("now", v(0), |cv| {
            let now = cv.0.data().now;
            bome(now.map(|now| Kind::Float(now).held()).ok_or_else(|| failure("there is no `now` here")))
        }),
        ("nan", v(0), |_| just(Kind::Float(f64::NAN))),
        ("infinite", v(0), |_| just(Kind::Float(f64::INFINITY))),
        ("isnan", v(0), |cv| just(Kind::Bool(cv.1.kind.as_f64().is_some_and(f64::is_nan)))),
        ("type", v(0), |cv| just(Kind::text(cv.1.kind.type_name()))),
        ("length", v(0), |cv| bome(length(&cv.1.kind))),
        ("sort", v(0), |cv| bome(changed(cv.1, "sorted", Array::sort))),
        ("reverse", v(0), |cv| bome(reversed(cv.1))),
        ("implode", v(0), |cv| bome(implode(&cv.1.kind))),
        ("tojson", v(0), |cv| just(Kind::text(cv.1.kind.to_json_text()))),
        ("fromjson", v(0), |cv| bome(from_json(&cv.1.kind))),
        ("tonumber", v(0), |cv| bome(to_number(cv.1))),
        ("contains", v(1), |cv| two(cv, contains)),
        ("has", v(1), |cv| two(cv, has)),
        ("indices", v(1), |cv| two(cv, indices)),
        ("ltrimstr", v(1), |cv| two(cv, |text, part| Ok(trimmed(text, part, |text, part| text.strip_prefix(part))))),
        ("rtrimstr", v(1), |cv| two(cv, |text, part| Ok(trimmed(text, part, |text, part| text.strip_suffix(part))))),
        ("bsearch", v(1), |cv| two(cv, bsearch)),
        ("flatten", v(1), |cv| two(cv, flatten)),
        ("delpaths", v(1), |cv| two(cv, delete_paths)),
        ("test_", v(2), |cv| regex(cv, is_match)),
        ("match_", v(2), |cv| regex(cv, matches)),
        ("split_", v(2), |cv| regex(cv, split_matches_away)),
        ("pieces_", v(2), |cv| regex(cv, pieces)),
    ]
}

fn just<'a>(kind: Kind) -> ValXs<'a, Val> {
    bome(Ok(kind.held()))
}

/// A filter of its input and one argument.
fn two<'a>(mut cv: C<'a>, filter: fn(&Kind, &Kind) -> Result<Kind, String>) -> ValXs<'a, Val> {
    let argument = cv.0.pop_var();
    bome(filter(&cv.1.kind, &argument.kind).map(Kind::held).map_err(failure))
}

fn length(kind: &Kind) -> ValR<Val> {
    let length = match kind {
        Kind::Null => 0,
        Kind::Text(text) => {
            meter::text_steps(text.as_str().len());
            text.as_str().chars().count()
        }
        Kind::Array(array) => array.items().len(),
        Kind::Object(object) => object.members().len(),
        Kind::Int(number) => return Ok(Kind::integer(i128::from(*number).abs()).held()),
        Kind::Uint(number) => return Ok(Kind::Uint(*number).held()),
        Kind::Float(number) => return Ok(Kind::Float(number.abs()).held()),
        Kind::Bool(flag) => return Err(failure(format_args!("boolean ({flag}) has no length"))),
    };
    Ok(Val::from(length))
}

fn changed(val: Val, done: &str, change: impl FnOnce(&mut Array)) -> ValR<Val> {
    match val.kind {
        Kind::Array(mut array) => {
            change(Rc::make_mut(&mut array));
            Ok(Kind::Array(array).held())
        }
        other => Err(failure(format_args!("{} ({other}) cannot be {done}, as it is not an array", other.type_name()))),
    }
}

fn reversed(val: Val) -> ValR<Val> {
    match &val.kind {
        Kind::Text(text) => Ok(Kind::text(text.as_str().chars().rev().collect::<String>()).held()),
        Kind::Null => Ok(Kind::Array(Rc::new(Array::with_room(0))).held()),
        _ => changed(val, "reversed", Array::reverse),
    }
}

fn implode(kind: &Kind) -> ValR<Val> {
    let Kind::Array(array) = kind else { return Err(failure("implode wants an array of code points")) };
    meter::steps(array.items().len() / 4);
    let character = |item: &Kind| item.as_f64().and_then(|code| char::from_u32(code as u32));
    let text: Option<String> = array.items().iter().map(character).collect();
    text.map(|text| Kind::text(text).held()).ok_or_else(|| failure("implode wants an array of code points"))
}

fn from_json(kind: &Kind) -> ValR<Val> {
    let Some(text) = kind.as_text() else {
        return Err(failure(format_args!("{} ({kind}) cannot be parsed as JSON", kind.type_name())));
    };
    meter::text_steps(text.len());
    if text.trim() == "nan" {
        return Ok(Kind::Float(f64::NAN).held());
    }
    match serde_json::from_str::<Kind>(text) {
        Ok(value) => Ok(value.held()),
        Err(error) => Err(failure(format_args!("{kind} is not JSON: {error}"))),
    }
}

fn to_number(val: Val) -> ValR<Val> {
    match &val.kind {
        Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => Ok(val),
        Kind::Text(text) => {
            let text = text.as_str();
            let is_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'))
                && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E'));
            let number = if is_number { <Val as jaq_core::ValT>::from_num(text) } else { Err(failure("")) };
            number.map_err(|_| failure(format_args!("{} cannot be parsed as a number", val.kind)))
        }
        other => Err(failure(format_args!("{} ({other}) cannot be parsed as a number", other.type_name()))),
    }
}

/// Whether each part of `part` is found in `whole`.
fn contains(whole: &Kind, part: &Kind) -> Result<Kind, String> {
    fn holds(whole: &Kind, part: &Kind) -> bool {
        meter::steps(1);
        match (whole, part) {
            (Kind::Text(whole), Kind::Text(part)) => {
                meter::text_steps(whole.as_str().len());
                whole.as_str().contains(part.as_str())
            }
            (Kind::Array(whole), Kind::Array(part)) => {
                part.items().iter().all(|part| whole.items().iter().any(|whole| holds(whole, part)))
            }
            (Kind::Object(whole), Kind::Object(part)) => part
                .members()
                .iter()
                .all(|(key, part)| whole.members().get(key).is_some_and(|whole| holds(whole, part))),
            _ => whole == part,
        }
    }
    if whole.type_name() != part.type_name() {
        return Err(format!(
            "{} ({whole}) and {} ({part}) cannot have their containment checked",
            whole.type_name(),
            part.type_name()
        ));
    }
    Ok(Kind::Bool(holds(whole, part)))
}

fn has(whole: &Kind, key: &Kind) -> Result<Kind, String> {
    match (whole, key) {
        (Kind::Null, _) => Ok(Kind::Bool(false)),
        (Kind::Object(object), Kind::Text(key)) => Ok(Kind::Bool(object.members().contains_key(key.as_str()))),
        (Kind::Array(array), Kind::Int(index)) => {
            Ok(Kind::Bool(usize::try_from(*index).is_ok_and(|index| index < array.items().len())))
        }
        (Kind::Array(array), Kind::Float(index)) => {
            Ok(Kind::Bool(*index >= 0.0 && (*index as usize) < array.items().len()))
        }
        _ => Err(format!("cannot check whether {} has a {} key", whole.type_name(), key.type_name())),
    }
}

fn indices(whole: &Kind, part: &Kind) -> Result<Kind, String> {
    match (whole, part) {
        (Kind::Null, _) => Ok(Kind::Null),
        (Kind::Object(object), Kind::Text(key)) => {
            Ok(object.members().get(key.as_str()).cloned().unwrap_or(Kind::Null))
        }
        (Kind::Text(whole), Kind::Text(part)) => Ok(indices_of_text(whole.as_str(), part.as_str())),
        (Kind::Array(whole), Kind::Array(part)) => Ok(indices_of_items(whole, part)),
        (Kind::Array(whole), part) => {
            let found = whole.items().iter().enumerate().filter(|(_, item)| *item == part);
            Ok(array(found.map(|(index, _)| Kind::Int(index as i64))))
        }
        _ => Err(format!("cannot find a {} in a {}", part.type_name(), whole.type_name())),
    }
}

/// In characters; matches may overlap.
fn indices_of_text(whole: &str, part: &str) -> Kind {
    meter::text_steps(whole.len());
    let mut found = Array::with_room(0);
    if part.is_empty() {
        return Kind::Null;
    }
    let first = part.chars().next().map_or(1, char::len_utf8);
    let (mut from, mut characters, mut counted) = (0, 0_i64, 0);
    while let Some(at) = whole[from..].find(part) {
        let at = from + at;
        meter::text_steps(part.len() + 32);
        characters += whole[counted..at].chars().count() as i64;
        counted = at;
        found.push(Kind::Int(characters));
        from = at + first;
    }
    Kind::Array(Rc::new(found))
}

/// Where `part` is a run of items in `whole`.
pub fn indices_of_items(whole: &Array, part: &Array) -> Kind {
    if part.items().is_empty() {
        return Kind::Null;
    }
    let found = whole.items().windows(part.items().len()).enumerate();
    let found = found.filter(|(_, run)| run.iter().zip(part.items()).all(|(item, wanted)| item == wanted));
    array(found.map(|(index, _)| Kind::Int(index as i64)))
}

fn array(items: impl Iterator<Item = Kind>) -> Kind {
    Kind::Array(Rc::new(items.collect()))
}

fn trimmed(text: &Kind, part: &Kind, trim: for<'a> fn(&'a str, &str) -> Option<&'a str>) -> Kind {
    match (text.as_text(), part.as_text()) {
        (Some(whole), Some(part)) => trim(whole, part).map_or_else(|| text.clone(), Kind::text),
        _ => text.clone(),
    }
}

fn bsearch(whole: &Kind, wanted: &Kind) -> Result<Kind, String> {
    let Kind::Array(array) = whole else { return Err(format!("{} cannot be searched", whole.type_name())) };
    Ok(Kind::Int(match array.items().binary_search(wanted) {
        Ok(at) => at as i64,
        Err(at) => -1 - at as i64,
    }))
}

fn flatten(whole: &Kind, depth: &Kind) -> Result<Kind, String> {
    fn add(items: &[Kind], depth: f64, flat: &mut Array) {
        for item in items {
            match item {
                Kind::Array(inner) if depth > 0.0 => {
                    meter::steps(1);
                    add(inner.items(), depth - 1.0, flat);
                }
                other => flat.push(other.clone()),
            }
        }
    }
    let mut flat = Array::with_room(0);
    match (whole, depth.as_f64()) {
        (_, None) => return Err("the depth of `flatten` is a number".to_owned()),
        (_, Some(depth)) if depth < 0.0 => return Err("flatten depth must not be negative".to_owned()),
        (Kind::Array(array), Some(depth)) => add(array.items(), depth, &mut flat),
        (Kind::Object(object), Some(depth)) => {
            let items: Vec<Kind> = object.members().values().cloned().collect();
            add(&items, depth, &mut flat);
        }
        (other, _) => return Err(format!("cannot iterate over {other}")),
    }
    Ok(Kind::Array(Rc::new(flat)))
}

/// The last paths first, so that the others still lead where they did.
fn delete_paths(whole: &Kind, paths: &Kind) -> Result<Kind, String> {
    let Kind::Array(paths) = paths else { return Err("paths must be an array".to_owned()) };
    let mut sorted: Vec<&Kind> = paths.items().iter().collect();
    sorted.sort();
    sorted.iter().rev().try_fold(whole.clone(), |whole, path| match path {
        Kind::Array(path) => delete_path(whole, path.items()),
        _ => Err("a path must be an array".to_owned()),
    })
}

fn delete_path(whole: Kind, path: &[Kind]) -> Result<Kind, String> {
    let Some((first, rest)) = path.split_first() else { return Ok(Kind::Null) };
    let no = |whole: &Kind| Err(format!("cannot delete {first} of {}", whole.type_name()));
    match (whole, first) {
        (Kind::Null, _) => Ok(Kind::Null),
        (Kind::Object(mut object), Kind::Text(key)) => {
            let own = Rc::make_mut(&mut object);
            if rest.is_empty() {
                own.remove(key.as_str());
            } else if let Some(inner) = own.take(key.as_str()) {
                let inner = delete_path(inner, rest)?;
                own.put(key.as_str(), inner);
            }
            Ok(Kind::Object(object))
        }
        (Kind::Array(mut array), Kind::Int(_) | Kind::Float(_)) => {
            let length = array.items().len() as f64;
            let index = first.as_f64().unwrap_or_default().floor();
            let index = if index < 0.0 { index + length } else { index };
            if (0.0..length).contains(&index) {
                let own = Rc::make_mut(&mut array);
                if rest.is_empty() {
                    own.remove(index as usize);
                } else {
                    let inner = delete_path(own.take(index as usize), rest)?;
                    own.put(index as usize, inner);
                }
            }
            Ok(Kind::Array(array))
        }
        (Kind::Array(array), Kind::Object(slice)) if rest.is_empty() => {
            let bound = |name: &str| slice.members().get(name).and_then(Kind::as_f64);
            let length = array.items().len();
            let place = |bound: f64| (if bound < 0.0 { bound + length as f64 } else { bound }).max(0.0) as usize;
            let from = bound("start").map_or(0, place).min(length);
            let to = bound("end").map_or(length, place).clamp(from, length);
            let kept = array.items()[..from].iter().chain(&array.items()[to..]);
            Ok(Kind::Array(Rc::new(kept.cloned().collect())))
        }
        (whole, _) => no(&whole),
    }
}

/// `text / by`: every character of its own when `by` is empty.
pub fn split(text: &str, by: &str) -> Kind {
    meter::text_steps(text.len());
    match (text.is_empty(), by.is_empty()) {
        (true, _) => array(std::iter::empty()),
        (false, true) => array(text.chars().map(Kind::text)),
        (false, false) => array(text.split(by).map(Kind::text)),
    }
}

type OnMatches = fn(&str, &Regex, Flags) -> Kind;

/// A filter of a text, a pattern and flags.
fn regex<'a>(mut cv: C<'a>, filter: OnMatches) -> ValXs<'a, Val> {
    let (flags, pattern) = (cv.0.pop_var(), cv.0.pop_var());
    bome(with_regex(&cv.1.kind, &pattern.kind, &flags.kind, filter).map(Kind::held).map_err(failure))
}

fn with_regex(text: &Kind, pattern: &Kind, flags: &Kind, filter: OnMatches) -> Result<Kind, String> {
    let flags = match flags {
        Kind::Null => Flags::default(),
        Kind::Text(flags) => Flags::parse(flags.as_str())
            .map_err(|letter| format!("`{letter}` is not a flag of a regular expression"))?,
        other => return Err(format!("the flags of a regular expression are text, not {}", other.type_name())),
    };
    let Some(whole) = text.as_text() else {
        return Err(format!("{} ({text}) cannot be matched, as it is not a string", text.type_name()));
    };
    let Some(pattern) = pattern.as_text() else {
        return Err(format!("{} ({pattern}) cannot be matched, as it is not a string", pattern.type_name()));
    };
    let regex = Regex::new(pattern, flags)
        .map_err(|why| format!("`{}` is not a regular expression: {why}", crate::expression::excerpt(pattern, 80)))?;
    Ok(filter(whole, &regex, flags))
}

fn is_match(text: &str, regex: &Regex, _: Flags) -> Kind {
    Kind::Bool(regex.find(text, 0).is_some())
}

/// As `match` gives them.
fn matches(text: &str, regex: &Regex, flags: Flags) -> Kind {
    let mut characters = Characters { text, bytes: 0, count: 0 };
    array(regex.find_all(text, flags).iter().map(|groups| match_object(regex, &mut characters, groups)))
}

/// What is between the matches.
fn split_matches_away(text: &str, regex: &Regex, flags: Flags) -> Kind {
    let found = regex.find_all(text, flags.everywhere());
    let mut from = 0;
    let mut parts: Array = Array::with_room(0);
    for (start, end) in found.iter().filter_map(|groups| groups[0]) {
        parts.push(Kind::text(&text[from..start]));
        from = end;
    }
    parts.push(Kind::text(&text[from..]));
    Kind::Array(Rc::new(parts))
}

/// What is between the matches as text, and the matches as objects.
fn pieces(text: &str, regex: &Regex, flags: Flags) -> Kind {
    let mut characters = Characters { text, bytes: 0, count: 0 };
    let mut from = 0;
    let mut parts = Array::with_room(0);
    for groups in regex.find_all(text, flags) {
        let Some((start, end)) = groups[0] else { continue };
        parts.push(Kind::text(&text[from..start]));
        parts.push(match_object(regex, &mut characters, &groups));
        from = end;
    }
    parts.push(Kind::text(&text[from..]));
    Kind::Array(Rc::new(parts))
}

/// From byte offsets to those in characters; asked from left to right it is fast.
struct Characters<'a> {
    text: &'a str,
    bytes: usize,
    count: usize,
}

impl Characters<'_> {
    fn at(&mut self, bytes: usize) -> usize {
        if bytes < self.bytes {
            (self.bytes, self.count) = (0, 0);
        }
        meter::text_steps(bytes - self.bytes);
        self.count += self.text[self.bytes..bytes].chars().count();
        self.bytes = bytes;
        self.count
    }
}

fn match_object(regex: &Regex, characters: &mut Characters<'_>, groups: &Groups) -> Kind {
    let start = groups[0].map_or(0, |(start, _)| characters.at(start));
    let mut whole = group_object(characters, groups[0], Some(start));
    let captures = groups.iter().zip(&regex.groups).skip(1).map(|(group, name)| {
        // Groups lie inside the match, in no order: count from its beginning.
        let mut inner = Characters { text: characters.text, bytes: characters.bytes, count: characters.count };
        let start = group.map(|(start, _)| inner.at(start));
        let mut object = group_object(characters, *group, start);
        object.insert("name".into(), name.as_ref().map_or(Kind::Null, |name| Kind::text(name.as_str())));
        Kind::Object(Rc::new(object))
    });
    let captures: Array = captures.collect();
    whole.insert("captures".into(), Kind::Array(Rc::new(captures)));
    Kind::Object(Rc::new(whole))
}

fn group_object(characters: &Characters<'_>, group: Option<(usize, usize)>, start: Option<usize>) -> Object {
    let text = group.map(|(from, to)| &characters.text[from..to]);
    let mut object = Object::new();
    object.insert("offset".into(), start.map_or(Kind::Int(-1), |start| Kind::Int(start as i64)));
    object.insert("length".into(), Kind::Int(text.map_or(0, |text| text.chars().count()) as i64));
    object.insert("string".into(), text.map_or(Kind::Null, Kind::text));
    object
}
