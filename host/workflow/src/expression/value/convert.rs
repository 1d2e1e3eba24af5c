//! From our JSON, and back to it.

use std::rc::Rc;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::meter::Memory;
use super::{Array, Kind, Object, Size, Text};

/// Most bytes that a result may take as JSON, counted roughly.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting of a result.
pub const OUTPUT_DEPTH_MAX: usize = crate::effect::VALUE_DEPTH_MAX;

impl Kind {
    /// What an evaluation is given. It was there before, so it counts for nothing.
    pub fn given(value: &Value) -> Self {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(flag) => Kind::Bool(*flag),
            Value::Number(number) => number_given(number),
            Value::String(text) => Kind::Text(Rc::new(Text { text: text.clone(), memory: Memory::default() })),
            Value::Array(items) => {
                let items: Vec<Kind> = items.iter().map(Kind::given).collect();
                let mut size = Size { bytes: 0, depth: 1 };
                items.iter().for_each(|item| size.add_given(1, item.size()));
                Kind::Array(Rc::new(Array { items, size, memory: Memory::default() }))
            }
            Value::Object(members) => {
                let members: IndexMap<Rc<str>, Kind> =
                    members.iter().map(|(key, member)| (key.as_str().into(), Kind::given(member))).collect();
                let mut size = Size { bytes: 0, depth: 1 };
                members.iter().for_each(|(key, member)| size.add_given(key.len() + 4, member.size()));
                Kind::Object(Rc::new(Object { members, size, memory: Memory::default() }))
            }
        }
    }

    /// # Errors
    ///
    /// The value is larger or deeper than a result may be.
    pub fn to_json(&self) -> Result<Value, String> {
        let size = self.size();
        if size.bytes > OUTPUT_BYTES_MAX {
            return Err(format!("the result is larger than {OUTPUT_BYTES_MAX} bytes: keep it in an artifact"));
        }
        if size.depth as usize >= OUTPUT_DEPTH_MAX && self.depth() >= OUTPUT_DEPTH_MAX {
            return Err(format!("the result is nested deeper than {OUTPUT_DEPTH_MAX}"));
        }
        Ok(self.json())
    }

    /// The nesting as it is; the counted one may be that of an item that was taken out again.
    fn depth(&self) -> usize {
        match self {
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Text(_) => 0,
            Kind::Array(array) => 1 + array.items.iter().map(Kind::depth).max().unwrap_or(0),
            Kind::Object(object) => 1 + object.members.values().map(Kind::depth).max().unwrap_or(0),
        }
    }

    fn json(&self) -> Value {
        match self {
            Kind::Null => Value::Null,
            Kind::Bool(flag) => Value::Bool(*flag),
            Kind::Int(number) => Value::from(*number),
            Kind::Uint(number) => Value::from(*number),
            Kind::Float(number) => float(*number).map_or(Value::Null, Value::Number),
            Kind::Text(text) => Value::String(text.text.clone()),
            Kind::Array(array) => Value::Array(array.items.iter().map(Kind::json).collect()),
            Kind::Object(object) => {
                let mut members = Map::with_capacity(object.members.len());
                members.extend(object.members.iter().map(|(key, member)| (key.to_string(), member.json())));
                Value::Object(members)
            }
        }
    }
}

fn number_given(number: &Number) -> Kind {
    match (number.as_i64(), number.as_u64(), number.as_f64()) {
        (Some(integer), _, _) => Kind::Int(integer),
        (_, Some(integer), _) => Kind::Uint(integer),
        (_, _, Some(float)) => Kind::Float(float),
        (None, None, None) => Kind::Float(f64::NAN),
    }
}

/// Largest whole number up to which a float is exact: 2^53.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// As jq writes it: whole numbers without a point, the endless ones as the
/// largest there is. None is what is no number.
pub(super) fn float(number: f64) -> Option<Number> {
    if number.is_infinite() {
        return float(f64::MAX.copysign(number));
    }
    if number.fract() == 0.0 && number.abs() <= EXACT_MAX {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// JSON read by an expression: counted while it is read.
impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyKind)
    }
}

struct AnyKind;

impl<'de> Visitor<'de> for AnyKind {
    type Value = Kind;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Kind, E> {
        Ok(Kind::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        Ok(Kind::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        Ok(Kind::integer(i128::from(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        Ok(Kind::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(Kind::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Kind, A::Error> {
        let mut array = Array::with_room(0);
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Kind::Array(Rc::new(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Kind, A::Error> {
        let mut object = Object::new();
        while let Some((key, member)) = members.next_entry::<String, Kind>()? {
            object.insert(key.into(), member);
        }
        Ok(Kind::Object(Rc::new(object)))
    }
}
