//! The functions of CEL, and of its extension for strings.

use std::ops::RangeInclusive;
use std::rc::Rc;

use crate::expression::meter;
use crate::expression::regex::{Flags, Regex};
use crate::expression::value::{Array, Kind};

pub struct Function {
    pub name: &'static str,
    /// How many, the object of a method included.
    pub arguments: RangeInclusive<usize>,
    pub is_method_only: bool,
    pub run: fn(&[Kind]) -> Result<Kind, String>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn function(name: &'static str, run: fn(&[Kind]) -> Result<Kind, String>) -> Function {
    Function { name, arguments: 1..=1, is_method_only: false, run }
}

const fn method(name: &'static str, count: usize, run: fn(&[Kind]) -> Result<Kind, String>) -> Function {
    Function { name, arguments: count..=count, is_method_only: true, run }
}

pub static ALL: &[Function] = &[
    function("size", |of| match &of[0] {
        Kind::Text(text) => {
            meter::text_steps(text.as_str().len());
            Ok(Kind::Int(text.as_str().chars().count() as i64))
        }
        Kind::Array(array) => Ok(Kind::Int(array.items().len() as i64)),
        Kind::Object(object) => Ok(Kind::Int(object.members().len() as i64)),
        other => Err(no(other)),
    }),
    function("type", |of| {
        Ok(Kind::text(match &of[0] {
            Kind::Null => "null_type",
            Kind::Bool(_) => "bool",
            Kind::Int(_) => "int",
            Kind::Uint(_) => "uint",
            Kind::Float(_) => "double",
            Kind::Text(_) => "string",
            Kind::Array(_) => "list",
            Kind::Object(_) => "map",
        }))
    }),
    function("string", |of| {
        Ok(match &of[0] {
            text @ Kind::Text(_) => text.clone(),
            other => Kind::text(other.to_json_text()),
        })
    }),
    function("int", |of| match &of[0] {
        Kind::Int(number) => Ok(Kind::Int(*number)),
        Kind::Float(number) if number.abs() < 9.3e18 => Ok(Kind::Int(*number as i64)),
        Kind::Text(text) => text.as_str().parse().map(Kind::Int).map_err(|_| no(&of[0])),
        other => Err(no(other)),
    }),
    function("uint", |of| match &of[0] {
        Kind::Int(number) if *number >= 0 => Ok(Kind::Int(*number)),
        Kind::Uint(number) => Ok(Kind::Uint(*number)),
        Kind::Float(number) if (0.0..1.8e19).contains(number) => Ok(Kind::integer(*number as i128)),
        Kind::Text(text) => {
            text.as_str().parse::<u64>().map(|number| Kind::integer(i128::from(number))).map_err(|_| no(&of[0]))
        }
        other => Err(no(other)),
    }),
    function("double", |of| match &of[0] {
        Kind::Text(text) => text.as_str().parse().map(Kind::Float).map_err(|_| no(&of[0])),
        other => other.as_f64().map(Kind::Float).ok_or_else(|| no(other)),
    }),
    function("bool", |of| match &of[0] {
        Kind::Bool(flag) => Ok(Kind::Bool(*flag)),
        Kind::Text(text) if text.as_str() == "true" => Ok(Kind::Bool(true)),
        Kind::Text(text) if text.as_str() == "false" => Ok(Kind::Bool(false)),
        other => Err(no(other)),
    }),
    function("dyn", |of| Ok(of[0].clone())),
    Function { name: "matches", arguments: 2..=2, is_method_only: false, run: matches },
    method("contains", 2, |of| two_texts(of, |text, part| Kind::Bool(text.contains(part)))),
    method("startsWith", 2, |of| two_texts(of, |text, part| Kind::Bool(text.starts_with(part)))),
    method("endsWith", 2, |of| two_texts(of, |text, part| Kind::Bool(text.ends_with(part)))),
    method("indexOf", 2, |of| {
        two_texts(of, |text, part| Kind::Int(text.find(part).map_or(-1, |at| text[..at].chars().count() as i64)))
    }),
    method("split", 2, |of| two_texts(of, crate::expression::jq::split)),
    method("trim", 1, |of| text(&of[0]).map(|text| Kind::text(text.trim()))),
    method("lowerAscii", 1, |of| text(&of[0]).map(|text| Kind::text(text.to_ascii_lowercase()))),
    method("upperAscii", 1, |of| text(&of[0]).map(|text| Kind::text(text.to_ascii_uppercase()))),
    method("replace", 3, replace),
    Function { name: "join", arguments: 1..=2, is_method_only: true, run: join },
];

fn no(kind: &Kind) -> String {
    format!("it does not take {} ({kind})", kind.type_name())
}

fn text(kind: &Kind) -> Result<&str, String> {
    let text = kind.as_text().ok_or_else(|| no(kind))?;
    meter::text_steps(text.len());
    Ok(text)
}

fn two_texts(of: &[Kind], run: fn(&str, &str) -> Kind) -> Result<Kind, String> {
    Ok(run(text(&of[0])?, text(&of[1])?))
}

fn matches(of: &[Kind]) -> Result<Kind, String> {
    let pattern = text(&of[1])?;
    let regex = Regex::new(pattern, Flags::default())
        .map_err(|why| format!("`{}` is not a regular expression: {why}", crate::expression::excerpt(pattern, 80)))?;
    Ok(Kind::Bool(regex.find(text(&of[0])?, 0).is_some()))
}

fn replace(of: &[Kind]) -> Result<Kind, String> {
    let (whole, old, new) = (text(&of[0])?, text(&of[1])?, text(&of[2])?);
    let mut replaced = crate::expression::value::Text::default();
    let mut is_first = true;
    for part in whole.split(old) {
        if !std::mem::replace(&mut is_first, false) {
            replaced.push(new);
        }
        replaced.push(part);
        meter::steps(1);
    }
    Ok(Kind::Text(Rc::new(replaced)))
}

fn join(of: &[Kind]) -> Result<Kind, String> {
    let Kind::Array(array) = &of[0] else { return Err(no(&of[0])) };
    let between = of.get(1).map_or(Ok(""), text)?;
    let mut joined = crate::expression::value::Text::default();
    for (index, item) in items(array).enumerate() {
        if index > 0 {
            joined.push(between);
        }
        joined.push(text(item)?);
    }
    Ok(Kind::Text(Rc::new(joined)))
}

fn items(array: &Array) -> impl Iterator<Item = &Kind> {
    meter::steps(array.items().len());
    array.items().iter()
}
