//! Values as the jq library wants them: access, update, arithmetic.
//!
//! Where jq and the library differ, this is jq: `null` grows into what is
//! assigned to it, an index is rounded down, `.[] |= f` takes the first output.

use std::ops::{Add, Div, Mul, Neg, Rem, Sub};
use std::rc::Rc;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::path::Opt;
use jaq_core::val::Range;
use jaq_core::{Error, Exn, ValR, ValX};

use super::super::meter::{self, Memory, Stopped, VALUE_BYTES_MAX};
use super::super::value::{Array, Kind, Object, Text, Val};

pub type Failure = Error<Val>;

/// An error with a text.
pub fn failure(text: impl std::fmt::Display) -> Failure {
    Error::str(text)
}

fn ok(kind: Kind) -> ValR<Val> {
    Ok(kind.held())
}

/// The place of `index` in a list of `length`; none is before its beginning.
fn place(index: f64, length: usize) -> Option<usize> {
    let index = index.floor();
    match index < 0.0 {
        true => (length as f64 + index >= 0.0).then_some((length as f64 + index) as usize),
        false => Some(index as usize),
    }
}

/// From where to where a slice goes, clipped to the list.
fn bounds(range: Range<&Val>, length: usize) -> Result<(usize, usize), Failure> {
    let bound = |bound: Option<&Val>, default: usize, round: fn(f64) -> f64| match bound.map(|bound| &bound.kind) {
        None | Some(Kind::Null) => Ok(default),
        Some(kind) => match kind.as_f64() {
            Some(number) => Ok(place(round(number), length).unwrap_or(0).min(length)),
            None => Err(failure("a slice goes from a number to a number")),
        },
    };
    let from = bound(range.start, 0, f64::floor)?;
    let to = bound(range.end, length, f64::ceil)?;
    Ok((from, to.max(from)))
}

/// Byte offset of a character.
fn byte_of(text: &str, character: usize) -> usize {
    text.char_indices().nth(character).map_or(text.len(), |(at, _)| at)
}

fn slice_of(object: &Object) -> (Option<Val>, Option<Val>) {
    let bound = |key: &str| object.members().get(key).cloned().map(Kind::held);
    (bound("start"), bound("end"))
}

impl Val {
    pub fn index_of(self, index: &Val) -> ValR<Val> {
        match (&self.kind, &index.kind) {
            (
                Kind::Null,
                Kind::Null | Kind::Text(_) | Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) | Kind::Object(_),
            ) => ok(Kind::Null),
            (Kind::Object(object), Kind::Text(key)) => {
                ok(object.members().get(key.as_str()).cloned().unwrap_or(Kind::Null))
            }
            (Kind::Array(array), Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => {
                let items = array.items();
                let at = index.kind.as_f64().and_then(|index| place(index, items.len()));
                ok(at.and_then(|at| items.get(at)).cloned().unwrap_or(Kind::Null))
            }
            (Kind::Array(_) | Kind::Text(_), Kind::Object(object)) => {
                let (start, end) = slice_of(object);
                self.slice(start.as_ref()..end.as_ref())
            }
            (Kind::Array(array), Kind::Array(part)) => ok(super::natives::indices_of_items(array, part)),
            _ => Err(Error::index(self, index.clone())),
        }
    }

    fn slice(self, range: Range<&Val>) -> ValR<Val> {
        match &self.kind {
            Kind::Null => ok(Kind::Null),
            Kind::Array(array) => {
                let (from, to) = bounds(range, array.items().len())?;
                let mut part = Array::with_room(to - from);
                array.items()[from..to].iter().for_each(|item| part.push(item.clone()));
                ok(Kind::Array(Rc::new(part)))
            }
            Kind::Text(text) => {
                meter::text_steps(text.as_str().len());
                let (from, to) = bounds(range, text.as_str().chars().count())?;
                ok(Kind::text(&text.as_str()[byte_of(text.as_str(), from)..byte_of(text.as_str(), to)]))
            }
            _ => Err(failure(format_args!("cannot take a slice of {}", self.kind.type_name()))),
        }
    }
}

/// Items one by one; the list itself is shared.
fn items(array: Rc<Array>) -> impl Iterator<Item = Kind> {
    meter::steps(array.items().len() / 16);
    (0..array.items().len()).map(move |index| array.items()[index].clone())
}

fn members(object: Rc<Object>) -> impl Iterator<Item = (Rc<str>, Kind)> {
    (0..object.members().len())
        .filter_map(move |index| object.members().get_index(index).map(|(key, member)| (key.clone(), member.clone())))
}

fn key(key: &Rc<str>) -> Val {
    Kind::text(&**key).held()
}

fn not_iterable(val: Val) -> Failure {
    failure(format_args!("cannot iterate over {}", val.kind))
}

impl jaq_core::ValT for Val {
    fn from_num(text: &str) -> ValR<Self> {
        match text.parse::<i128>() {
            Ok(integer) => ok(Kind::integer(integer)),
            Err(_) => text
                .parse()
                .map_or_else(|_| Err(failure(format_args!("`{text}` is no number"))), |float| ok(Kind::Float(float))),
        }
    }

    fn from_map<I: IntoIterator<Item = (Self, Self)>>(members: I) -> ValR<Self> {
        let mut object = Object::new();
        for (key, member) in members {
            match &key.kind {
                Kind::Text(key) => object.insert(key.as_str().into(), member.kind),
                other => return Err(failure(format_args!("the key of an object must be a string, not {other}"))),
            }
        }
        ok(Kind::Object(Rc::new(object)))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Self, Self), Self>> {
        match self.kind {
            Kind::Array(array) => Box::new(
                items(array).enumerate().map(|(index, item)| Ok((Kind::Int(index as i64).held(), item.held()))),
            ),
            Kind::Object(object) => Box::new(members(object).map(|(name, member)| Ok((key(&name), member.held())))),
            _ => box_once(Err(not_iterable(self))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Self>>> {
        match self.kind {
            Kind::Array(array) => Box::new(items(array).map(|item| Ok(item.held()))),
            Kind::Object(object) => Box::new(members(object).map(|(_, member)| Ok(member.held()))),
            _ => box_once(Err(not_iterable(self))),
        }
    }

    fn index(self, index: &Self) -> ValR<Self> {
        self.index_of(index)
    }

    fn range(self, range: Range<&Self>) -> ValR<Self> {
        self.slice(range)
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Self>>>(self, opt: Opt, f: impl Fn(Self) -> I) -> ValX<'a, Self> {
        match self.kind {
            Kind::Array(array) => {
                let mut mapped = Array::with_room(0);
                for item in items(array) {
                    if let Some(item) = f(item.held()).next() {
                        mapped.push(item?.kind);
                    }
                }
                Ok(Kind::Array(Rc::new(mapped)).held())
            }
            Kind::Object(object) => {
                let mut mapped = Object::new();
                for (name, member) in members(object) {
                    if let Some(member) = f(member.held()).next() {
                        mapped.insert(name, member?.kind);
                    }
                }
                Ok(Kind::Object(Rc::new(mapped)).held())
            }
            _ => opt.fail(self, |val| Exn::from(not_iterable(val))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        index: &Self,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        match (self.kind, &index.kind) {
            (Kind::Null, Kind::Text(name)) => map_member(Rc::new(Object::new()), name.as_str(), f),
            (Kind::Object(object), Kind::Text(name)) => map_member(object, name.as_str(), f),
            (Kind::Null, Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => {
                map_item(Rc::new(Array::with_room(0)), index, f)
            }
            (Kind::Array(array), Kind::Int(_) | Kind::Uint(_) | Kind::Float(_)) => map_item(array, index, f),
            (kind @ (Kind::Array(_) | Kind::Null), Kind::Object(object)) => {
                let (start, end) = slice_of(object);
                kind.held().map_range(start.as_ref()..end.as_ref(), opt, f)
            }
            (kind, _) => opt.fail(kind.held(), |val| Exn::from(Error::index(val, index.clone()))),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Self>>>(
        self,
        range: Range<&Self>,
        opt: Opt,
        f: impl Fn(Self) -> I,
    ) -> ValX<'a, Self> {
        let array = match self.kind {
            Kind::Array(array) => array,
            Kind::Null => Rc::new(Array::with_room(0)),
            _ => {
                let why =
                    |val: Val| Exn::from(failure(format_args!("cannot update a slice of {}", val.kind.type_name())));
                return opt.fail(self, why);
            }
        };
        let (from, to) = bounds(range, array.items().len())?;
        let part: Array = array.items()[from..to].iter().cloned().collect();
        let part = match f(Kind::Array(Rc::new(part)).held()).next().transpose()? {
            None => Rc::new(Array::with_room(0)),
            Some(Val { kind: Kind::Array(part), .. }) => part,
            Some(_) => return Err(failure("a slice can only become an array").into()),
        };
        let (before, after) = (&array.items()[..from], &array.items()[to..]);
        let whole: Array = before.iter().chain(part.items()).chain(after).cloned().collect();
        Ok(Kind::Array(Rc::new(whole)).held())
    }

    fn as_bool(&self) -> bool {
        self.kind.is_true()
    }

    fn into_string(self) -> Self {
        match self.kind {
            Kind::Text(_) => self,
            _ => Kind::text(self.kind.to_json_text()).held(),
        }
    }
}

fn map_member<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut object: Rc<Object>,
    name: &str,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    let own = Rc::make_mut(&mut object);
    let old = own.take(name);
    let is_there = old.is_some();
    match (f(old.unwrap_or(Kind::Null).held()).next().transpose()?, is_there) {
        (Some(new), true) => own.put(name, new.kind),
        (Some(new), false) => own.insert(name.into(), new.kind),
        (None, true) => own.remove(name),
        (None, false) => {}
    }
    Ok(Kind::Object(object).held())
}

fn map_item<'a, I: Iterator<Item = ValX<'a, Val>>>(
    mut array: Rc<Array>,
    index: &Val,
    f: impl Fn(Val) -> I,
) -> ValX<'a, Val> {
    let own = Rc::make_mut(&mut array);
    let length = own.items().len();
    let Some(at) = index.kind.as_f64().and_then(|index| place(index, length)) else {
        return Err(failure("the negative index of an array is before its beginning").into());
    };
    let old = if at < length { own.take(at) } else { Kind::Null };
    match f(old.held()).next().transpose()? {
        Some(new) => {
            if at > length {
                // Nobody pushes so many: they would not fit.
                meter::steps(at - length);
                drop(Memory::of((at - length).saturating_mul(size_of::<Kind>())));
            }
            while own.items().len() <= at {
                own.push(Kind::Null);
            }
            own.put(at, new.kind);
        }
        None if at < length => own.remove(at),
        None => {}
    }
    Ok(Kind::Array(array).held())
}

impl jaq_std::ValT for Val {
    fn into_seq<S: FromIterator<Self>>(self) -> Result<S, Self> {
        match self.kind {
            Kind::Array(array) => Ok(items(array).map(Kind::held).collect()),
            _ => Err(self),
        }
    }

    fn is_int(&self) -> bool {
        self.as_isize().is_some()
    }

    fn as_isize(&self) -> Option<isize> {
        match &self.kind {
            Kind::Int(number) => isize::try_from(*number).ok(),
            Kind::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(*number as isize),
            _ => None,
        }
    }

    fn as_f64(&self) -> Option<f64> {
        self.kind.as_f64()
    }

    fn is_utf8_str(&self) -> bool {
        matches!(self.kind, Kind::Text(_))
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        let text = self.kind.as_text()?;
        meter::text_steps(text.len());
        Some(text.as_bytes())
    }

    fn as_sub_str(&self, part: &[u8]) -> Self {
        Kind::text(String::from_utf8_lossy(part)).held()
    }

    fn from_utf8_bytes(bytes: impl AsRef<[u8]> + Send + 'static) -> Self {
        Kind::text(String::from_utf8_lossy(bytes.as_ref())).held()
    }
}

impl From<bool> for Val {
    fn from(flag: bool) -> Self {
        Kind::Bool(flag).held()
    }
}

impl From<isize> for Val {
    fn from(number: isize) -> Self {
        Kind::Int(number as i64).held()
    }
}

impl From<usize> for Val {
    fn from(number: usize) -> Self {
        Kind::integer(number as i128).held()
    }
}

impl From<f64> for Val {
    fn from(number: f64) -> Self {
        Kind::Float(number).held()
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Kind::text(text).held()
    }
}

impl From<Range<Val>> for Val {
    fn from(range: Range<Val>) -> Self {
        let mut object = Object::new();
        for (name, bound) in [("start", range.start), ("end", range.end)] {
            object.insert(name.into(), bound.map_or(Kind::Null, |bound| bound.kind));
        }
        Kind::Object(Rc::new(object)).held()
    }
}

impl FromIterator<Val> for Val {
    fn from_iter<T: IntoIterator<Item = Val>>(items: T) -> Self {
        Kind::Array(Rc::new(items.into_iter().map(|item| item.kind).collect())).held()
    }
}

/// Whole numbers stay exact while they fit, anything else is a float, as in jq.
fn arithmetic(
    left: &Kind,
    right: &Kind,
    exact: fn(i128, i128) -> Option<i128>,
    rough: fn(f64, f64) -> f64,
) -> Option<Kind> {
    if let (Some(left), Some(right)) = (left.as_integer(), right.as_integer())
        && let Some(number) = exact(left, right)
    {
        return Some(Kind::integer(number));
    }
    Some(Kind::Float(rough(left.as_f64()?, right.as_f64()?)))
}

impl Add for Val {
    type Output = ValR<Self>;

    fn add(self, right: Self) -> ValR<Self> {
        if let Some(sum) = arithmetic(&self.kind, &right.kind, i128::checked_add, |left, right| left + right) {
            return ok(sum);
        }
        match (self.kind, right.kind) {
            (Kind::Null, other) | (other, Kind::Null) => ok(other),
            (Kind::Text(mut left), Kind::Text(right)) => {
                Rc::make_mut(&mut left).push(right.as_str());
                ok(Kind::Text(left))
            }
            (Kind::Array(mut left), Kind::Array(right)) => {
                let own = Rc::make_mut(&mut left);
                right.items().iter().for_each(|item| own.push(item.clone()));
                ok(Kind::Array(left))
            }
            (Kind::Object(mut left), Kind::Object(right)) => {
                let own = Rc::make_mut(&mut left);
                right.members().iter().for_each(|(key, member)| own.insert(key.clone(), member.clone()));
                ok(Kind::Object(left))
            }
            (left, right) => Err(failure(format_args!("{} cannot be added", of(&left, &right)))),
        }
    }
}

/// `string ("a") and number (1)`.
fn of(left: &Kind, right: &Kind) -> String {
    format!("{} ({left}) and {} ({right})", left.type_name(), right.type_name())
}

impl Sub for Val {
    type Output = ValR<Self>;

    fn sub(self, right: Self) -> ValR<Self> {
        if let Some(rest) = arithmetic(&self.kind, &right.kind, i128::checked_sub, |left, right| left - right) {
            return ok(rest);
        }
        match (&self.kind, &right.kind) {
            (Kind::Array(left), Kind::Array(right)) => {
                let gone: std::collections::BTreeSet<&Kind> = right.items().iter().collect();
                ok(Kind::Array(Rc::new(left.items().iter().filter(|item| !gone.contains(item)).cloned().collect())))
            }
            (left, right) => Err(failure(format_args!("{} cannot be subtracted", of(left, right)))),
        }
    }
}

fn repeated(text: &Text, times: f64) -> Kind {
    if times.is_nan() || times <= 0.0 {
        return Kind::Null;
    }
    let times = times.max(1.0).min(usize::MAX as f64) as usize;
    let bytes = text.as_str().len().saturating_mul(times);
    if bytes > VALUE_BYTES_MAX {
        meter::stop(Stopped::Value);
    }
    drop(Memory::of(bytes));
    Kind::text(text.as_str().repeat(times))
}

/// Members of both, those of `right` first; objects in both are merged.
fn merged(left: &mut Rc<Object>, right: &Object) {
    let own = Rc::make_mut(left);
    for (key, theirs) in right.members() {
        match (own.members().get(key), theirs) {
            (Some(Kind::Object(_)), Kind::Object(theirs)) => {
                if let Some(Kind::Object(mut inner)) = own.take(key) {
                    merged(&mut inner, theirs);
                    own.put(key, Kind::Object(inner));
                }
            }
            _ => own.insert(key.clone(), theirs.clone()),
        }
    }
}

impl Mul for Val {
    type Output = ValR<Self>;

    fn mul(self, right: Self) -> ValR<Self> {
        if let Some(product) = arithmetic(&self.kind, &right.kind, i128::checked_mul, |left, right| left * right) {
            return ok(product);
        }
        match (self.kind, right.kind) {
            (Kind::Text(text), number) | (number, Kind::Text(text)) if number.as_f64().is_some() => {
                ok(repeated(&text, number.as_f64().unwrap_or_default()))
            }
            (Kind::Object(mut left), Kind::Object(right)) => {
                merged(&mut left, &right);
                ok(Kind::Object(left))
            }
            (left, right) => Err(failure(format_args!("{} cannot be multiplied", of(&left, &right)))),
        }
    }
}

impl Div for Val {
    type Output = ValR<Self>;

    fn div(self, right: Self) -> ValR<Self> {
        match (&self.kind, &right.kind) {
            (Kind::Text(text), Kind::Text(by)) => ok(super::natives::split(text.as_str(), by.as_str())),
            (left, right) => match (left.as_f64(), right.as_f64()) {
                (Some(_), Some(0.0)) => {
                    Err(failure(format_args!("{} cannot be divided: the divisor is zero", of(left, right))))
                }
                (Some(left), Some(right)) => ok(Kind::Float(left / right)),
                _ => Err(failure(format_args!("{} cannot be divided", of(left, right)))),
            },
        }
    }
}

impl Rem for Val {
    type Output = ValR<Self>;

    /// Of whole numbers: what is behind the point is not looked at.
    fn rem(self, right: Self) -> ValR<Self> {
        let whole = |kind: &Kind| kind.as_integer().or_else(|| kind.as_f64().map(|number| number as i128));
        match (whole(&self.kind), whole(&right.kind)) {
            (Some(_), Some(0)) => {
                Err(failure(format_args!("{} cannot be divided: the divisor is zero", of(&self.kind, &right.kind))))
            }
            (Some(left), Some(right)) => ok(Kind::integer(left.wrapping_rem(right))),
            _ => Err(failure(format_args!("{} cannot be divided", of(&self.kind, &right.kind)))),
        }
    }
}

impl Neg for Val {
    type Output = ValR<Self>;

    fn neg(self) -> ValR<Self> {
        match (self.kind.as_integer(), self.kind.as_f64()) {
            (Some(number), _) => ok(Kind::integer(-number)),
            (None, Some(number)) => ok(Kind::Float(-number)),
            (None, None) => Err(failure(format_args!("{} ({}) cannot be negated", self.kind.type_name(), self.kind))),
        }
    }
}
