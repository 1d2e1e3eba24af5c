//! The values that expressions compute with.
//!
//! They count what they use (`meter`), they know how large and how deep they
//! are, so nothing is written, compared or nested beyond its limit, and they
//! behave as jq's: numbers are one type, objects keep their order, `null` can be
//! indexed.

mod convert;
mod order;
mod write;

use std::rc::Rc;

use indexmap::IndexMap;

use super::meter::{self, DEPTH_MAX, Held, Memory, Stopped, VALUE_BYTES_MAX};

/// A value in the hands of an interpreter.
#[derive(Clone)]
pub struct Val {
    pub kind: Kind,
    _held: Held,
}

/// A value inside another; cloning it shares what is large.
#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    Int(i64),
    /// Above `i64::MAX`.
    Uint(u64),
    /// Any other number, and whole ones that were computed.
    Float(f64),
    Text(Rc<Text>),
    Array(Rc<Array>),
    Object(Rc<Object>),
}

/// Text and what it costs.
#[derive(Default)]
pub struct Text {
    text: String,
    memory: Memory,
}

/// Bytes of an item of an array, and of the room that a growing one keeps.
const ITEM_BYTES: usize = 3 * size_of::<Kind>();
/// The same for a member of an object, with its place in the index.
const MEMBER_BYTES: usize = 160;
/// A node with its counters.
const NODE_BYTES: usize = 96;

#[derive(Default)]
pub struct Array {
    items: Vec<Kind>,
    size: Size,
    memory: Memory,
}

#[derive(Default)]
pub struct Object {
    members: IndexMap<Rc<str>, Kind>,
    size: Size,
    memory: Memory,
}

/// How large a value is when it is written, and how deep.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: usize,
    depth: u32,
}

impl Size {
    /// As [`Size::add`] for what was there before the evaluation: it may be as large as it is.
    fn add_given(&mut self, key_bytes: usize, inner: Size) {
        self.bytes = self.bytes.saturating_add(inner.bytes).saturating_add(key_bytes);
        self.depth = self.depth.max(inner.depth + 1);
    }

    fn add(&mut self, key_bytes: usize, inner: Size) {
        self.add_given(key_bytes, inner);
        if self.depth > DEPTH_MAX {
            meter::stop(Stopped::Depth);
        }
        if self.bytes > VALUE_BYTES_MAX {
            meter::stop(Stopped::Value);
        }
    }

    fn remove(&mut self, key_bytes: usize, inner: Size) {
        self.bytes = self.bytes.saturating_sub(inner.bytes).saturating_sub(key_bytes);
    }
}

impl Kind {
    pub fn held(self) -> Val {
        Val { kind: self, _held: Held::new() }
    }

    fn size(&self) -> Size {
        let bytes = match self {
            Kind::Null => 4,
            Kind::Bool(_) => 5,
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => 8,
            Kind::Text(text) => text.text.len() + 2,
            Kind::Array(array) => return Size { bytes: array.size.bytes + 2, ..array.size },
            Kind::Object(object) => return Size { bytes: object.size.bytes + 2, ..object.size },
        };
        Size { bytes, depth: 0 }
    }

    /// About the bytes of its JSON.
    pub fn bytes(&self) -> usize {
        self.size().bytes
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Rc::new(Text::new(text.into())))
    }

    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool(_) => "boolean",
            Kind::Int(_) | Kind::Uint(_) | Kind::Float(_) => "number",
            Kind::Text(_) => "string",
            Kind::Array(_) => "array",
            Kind::Object(_) => "object",
        }
    }

    /// Neither `false` nor `null`.
    pub fn is_true(&self) -> bool {
        !matches!(self, Kind::Null | Kind::Bool(false))
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Kind::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Kind::Int(number) => Some(*number as f64),
            Kind::Uint(number) => Some(*number as f64),
            Kind::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// A whole number, exactly.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Kind::Int(number) => Some(i128::from(*number)),
            Kind::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }

    /// A whole number that fits; a float becomes the text it is.
    pub fn integer(number: i128) -> Self {
        match (i64::try_from(number), u64::try_from(number)) {
            (Ok(number), _) => Kind::Int(number),
            (_, Ok(number)) => Kind::Uint(number),
            (Err(_), Err(_)) => Kind::Float(number as f64),
        }
    }
}

impl Text {
    pub fn new(text: String) -> Self {
        meter::text_steps(text.len());
        if text.len() > VALUE_BYTES_MAX {
            meter::stop(Stopped::Value);
        }
        Self { memory: Memory::of(text.capacity() + NODE_BYTES), text }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn push(&mut self, more: &str) {
        if self.text.len() + more.len() > VALUE_BYTES_MAX {
            meter::stop(Stopped::Value);
        }
        meter::text_steps(more.len());
        let room = self.text.capacity() - self.text.len();
        if more.len() > room {
            let wanted = (self.text.len() + more.len()).max(self.text.capacity() * 2);
            self.memory.grow(wanted - self.text.capacity());
            self.text.reserve_exact(wanted - self.text.len());
        }
        self.text.push_str(more);
    }
}

impl Clone for Text {
    fn clone(&self) -> Self {
        Self::new(self.text.clone())
    }
}

impl Array {
    /// Room for so many items, taken before it is allocated.
    pub fn with_room(items: usize) -> Self {
        let memory = Memory::of(NODE_BYTES + items * ITEM_BYTES);
        Self { items: Vec::with_capacity(items), size: Size { bytes: 0, depth: 1 }, memory }
    }

    pub fn items(&self) -> &[Kind] {
        &self.items
    }

    pub fn push(&mut self, item: Kind) {
        meter::steps(1);
        if self.items.len() == self.items.capacity() {
            let more = self.items.capacity().max(4);
            self.memory.grow(more * ITEM_BYTES);
            self.items.reserve_exact(more);
        }
        self.size.add(1, item.size());
        self.items.push(item);
    }

    /// Takes an item out and leaves `null`, so that it can be changed in place.
    pub fn take(&mut self, index: usize) -> Kind {
        let item = std::mem::replace(&mut self.items[index], Kind::Null);
        self.size.remove(0, item.size());
        item
    }

    /// Puts an item where [`Array::take`] left `null`.
    pub fn put(&mut self, index: usize, item: Kind) {
        self.size.add(0, item.size());
        self.items[index] = item;
    }

    pub fn remove(&mut self, index: usize) {
        meter::steps((self.items.len() - index) / 16);
        let item = self.items.remove(index);
        self.size.remove(1, item.size());
    }

    pub fn reverse(&mut self) {
        meter::steps(self.items.len());
        self.items.reverse();
    }

    pub fn sort(&mut self) {
        self.items.sort();
    }
}

impl Clone for Array {
    fn clone(&self) -> Self {
        meter::steps(self.items.len());
        let memory = Memory::of(NODE_BYTES + self.items.len() * ITEM_BYTES);
        Self { items: self.items.clone(), size: self.size, memory }
    }
}

impl FromIterator<Kind> for Array {
    fn from_iter<T: IntoIterator<Item = Kind>>(items: T) -> Self {
        let mut array = Self::with_room(0);
        items.into_iter().for_each(|item| array.push(item));
        array
    }
}

impl Object {
    pub fn new() -> Self {
        Self { members: IndexMap::new(), size: Size { bytes: 0, depth: 1 }, memory: Memory::of(NODE_BYTES) }
    }

    pub fn members(&self) -> &IndexMap<Rc<str>, Kind> {
        &self.members
    }

    pub fn insert(&mut self, key: Rc<str>, member: Kind) {
        meter::steps(1);
        meter::text_steps(key.len());
        self.memory.grow(MEMBER_BYTES + key.len());
        let size = member.size();
        let key_bytes = key.len() + 4;
        if let Some(old) = self.members.insert(key, member) {
            self.size.remove(key_bytes, old.size());
        }
        self.size.add(key_bytes, size);
    }

    /// Takes a member out and leaves `null`, so that it can be changed in place.
    pub fn take(&mut self, key: &str) -> Option<Kind> {
        let member = std::mem::replace(self.members.get_mut(key)?, Kind::Null);
        self.size.remove(0, member.size());
        Some(member)
    }

    /// Puts a member where [`Object::take`] left `null`.
    pub fn put(&mut self, key: &str, member: Kind) {
        self.size.add(0, member.size());
        if let Some(place) = self.members.get_mut(key) {
            *place = member;
        }
    }

    pub fn remove(&mut self, key: &str) {
        meter::steps(self.members.len() / 16);
        if let Some(member) = self.members.shift_remove(key) {
            self.size.remove(key.len() + 4, member.size());
        }
    }
}

impl Clone for Object {
    fn clone(&self) -> Self {
        meter::steps(self.members.len());
        let keys: usize = self.members.keys().map(|key| key.len()).sum();
        let memory = Memory::of(NODE_BYTES + self.members.len() * MEMBER_BYTES + keys);
        Self { members: self.members.clone(), size: self.size, memory }
    }
}

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.text.fmt(f)
    }
}

impl std::fmt::Debug for Array {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.items.fmt(f)
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.members.fmt(f)
    }
}
