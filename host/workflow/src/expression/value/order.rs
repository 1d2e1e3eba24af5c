//! Which values are equal, and which comes first: as jq has it.
//!
//! `null`, `false`, `true`, numbers, texts by code point, arrays by item,
//! objects by their sorted keys and then by their values.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::meter;
use super::{Kind, Object, Val};

/// What comparing two values costs: no more than reading the smaller one.
fn count(left: &Kind, right: &Kind) {
    meter::steps(1 + left.bytes().min(right.bytes()) / 16);
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        count(self, other);
        equal(self, other)
    }
}

impl Eq for Kind {}

fn equal(left: &Kind, right: &Kind) -> bool {
    match (left, right) {
        (Kind::Null, Kind::Null) => true,
        (Kind::Bool(left), Kind::Bool(right)) => left == right,
        (Kind::Text(left), Kind::Text(right)) => left.as_str() == right.as_str(),
        (Kind::Array(left), Kind::Array(right)) => {
            left.items.len() == right.items.len()
                && left.items.iter().zip(&right.items).all(|(left, right)| equal(left, right))
        }
        (Kind::Object(left), Kind::Object(right)) => {
            left.members.len() == right.members.len()
                && left.members.iter().all(|(key, left)| right.members.get(key).is_some_and(|right| equal(left, right)))
        }
        _ => match (left.as_f64(), right.as_f64()) {
            (Some(_), Some(_)) => numbers(left, right) == Some(Ordering::Equal),
            _ => false,
        },
    }
}

/// None when one is no number at all (`nan`).
fn numbers(left: &Kind, right: &Kind) -> Option<Ordering> {
    match (left.as_integer(), right.as_integer()) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

/// The place of a type in the order.
fn rank(kind: &Kind) -> u8 {
    match kind {
        Kind::Null => 0,
        Kind::Bool(false) => 1,
        Kind::Bool(true) => 2,
        Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => 3,
        Kind::Text(_) => 4,
        Kind::Array(_) => 5,
        Kind::Object(_) => 6,
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        count(self, other);
        order(self, other)
    }
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A total order: `nan` is below all other numbers and equal to itself.
fn order(left: &Kind, right: &Kind) -> Ordering {
    match (left, right) {
        (Kind::Text(left), Kind::Text(right)) => left.as_str().cmp(right.as_str()),
        (Kind::Array(left), Kind::Array(right)) => {
            let different =
                left.items.iter().zip(&right.items).map(|(left, right)| order(left, right)).find(|it| it.is_ne());
            different.unwrap_or_else(|| left.items.len().cmp(&right.items.len()))
        }
        (Kind::Object(left), Kind::Object(right)) => objects(left, right),
        _ if left.as_f64().is_some() && right.as_f64().is_some() => numbers(left, right).unwrap_or_else(|| {
            let is_number = |kind: &Kind| kind.as_f64().is_some_and(|number| !number.is_nan());
            is_number(left).cmp(&is_number(right))
        }),
        _ => rank(left).cmp(&rank(right)),
    }
}

fn objects(left: &Object, right: &Object) -> Ordering {
    let keys = |object: &Object| {
        let mut keys: Vec<Rc<str>> = object.members.keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let (left_keys, right_keys) = (keys(left), keys(right));
    left_keys.cmp(&right_keys).then_with(|| {
        let different =
            left_keys.iter().map(|key| order(&left.members[key], &right.members[key])).find(|it| it.is_ne());
        different.unwrap_or(Ordering::Equal)
    })
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Val {}

#[allow(clippy::non_canonical_partial_ord_impl, reason = "jq sorts `nan` and compares it in two ways")]
impl PartialOrd for Val {
    /// `nan` is less than every number, itself included.
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self.kind.as_f64(), other.kind.as_f64()) {
            (Some(left), Some(right)) if left.is_nan() && right.is_nan() => Some(Ordering::Less),
            _ => Some(self.kind.cmp(&other.kind)),
        }
    }
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        self.kind.cmp(&other.kind)
    }
}
