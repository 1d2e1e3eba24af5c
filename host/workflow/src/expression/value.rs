//! Between our JSON and jq's, without going through text.

use jaq_json::{Num, Val};
use serde_json::{Map, Number, Value};

/// Most bytes that a result may take as JSON, counted roughly.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a result; what our JSON parser accepts, too.
pub const OUTPUT_DEPTH_MAX: usize = 120;

pub fn into_jq(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(flag) => Val::Bool(*flag),
        Value::Number(number) => Val::Num(number_into_jq(number)),
        Value::String(text) => Val::utf8_str(text.clone()),
        Value::Array(items) => items.iter().map(into_jq).collect(),
        Value::Object(members) => Val::obj(members.iter().map(|(key, member)| (text(key), into_jq(member))).collect()),
    }
}

fn text(text: &str) -> Val {
    Val::utf8_str(text.to_owned())
}

fn number_into_jq(number: &Number) -> Num {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => Num::from_integral(integer),
        (_, Some(integer), _) => Num::from_integral(integer),
        (_, _, Some(float)) => Num::Float(float),
        (None, None, None) => Num::Float(f64::NAN),
    }
}

/// # Errors
///
/// What JSON cannot hold, or more of it than [`OUTPUT_BYTES_MAX`].
pub fn from_jq(value: &Val) -> Result<Value, String> {
    let mut bytes_left = OUTPUT_BYTES_MAX;
    convert(value, &mut bytes_left, OUTPUT_DEPTH_MAX)
}

fn convert(value: &Val, bytes_left: &mut usize, depth_left: usize) -> Result<Value, String> {
    let depth_left =
        depth_left.checked_sub(1).ok_or_else(|| format!("the result is nested deeper than {OUTPUT_DEPTH_MAX}"))?;
    match value {
        Val::Null => spend(bytes_left, 4).map(|()| Value::Null),
        Val::Bool(flag) => spend(bytes_left, 5).map(|()| Value::Bool(*flag)),
        Val::Num(number) => spend(bytes_left, 8).map(|()| number_from_jq(number)),
        Val::TStr(bytes) => {
            spend(bytes_left, bytes.len() + 2)?;
            Ok(Value::String(String::from_utf8_lossy(bytes).into_owned()))
        }
        Val::BStr(_) => Err("the result holds raw bytes, which JSON has no place for".to_owned()),
        Val::Arr(items) => {
            spend(bytes_left, 2)?;
            let items = items.iter().map(|item| {
                spend(bytes_left, 1)?;
                convert(item, bytes_left, depth_left)
            });
            items.collect::<Result<_, _>>().map(Value::Array)
        }
        Val::Obj(members) => {
            spend(bytes_left, 2)?;
            let mut object = Map::with_capacity(members.len());
            for (key, member) in members.iter() {
                let Val::TStr(key) = key else { return Err(format!("the result has a key that is no text: {key}")) };
                spend(bytes_left, key.len() + 4)?;
                object.insert(String::from_utf8_lossy(key).into_owned(), convert(member, bytes_left, depth_left)?);
            }
            Ok(Value::Object(object))
        }
    }
}

fn spend(bytes_left: &mut usize, bytes: usize) -> Result<(), String> {
    *bytes_left = bytes_left
        .checked_sub(bytes)
        .ok_or_else(|| format!("the result is larger than {OUTPUT_BYTES_MAX} bytes: keep it in an artifact"))?;
    Ok(())
}

/// Largest whole number up to which a float is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Whole numbers stay whole, as jq prints them; what is no number becomes `null`.
fn number_from_jq(number: &Num) -> Value {
    match number {
        Num::Int(integer) => Value::from(*integer as i64),
        Num::BigInt(integer) => {
            let text = integer.to_string();
            text.parse::<u64>().map_or_else(|_| float(text.parse().unwrap_or(f64::NAN)), Value::from)
        }
        Num::Float(number) => float(*number),
        Num::Dec(text) => float(text.parse().unwrap_or(f64::NAN)),
    }
}

fn float(number: f64) -> Value {
    if number.is_infinite() {
        return float(f64::MAX.copysign(number));
    }
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        return Value::from(number as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
