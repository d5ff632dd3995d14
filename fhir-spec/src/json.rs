//! FHIR's JSON documents: a tree that keeps what the specification says must be kept.
//! <https://hl7.org/fhir/R4/json.html>
//!
//! `serde_json::Value` cannot be that tree: it loses the digits of decimals (or changes every number of the program with
//! `arbitrary_precision`), takes the last of two equal keys in silence, and does not know where in the text a value stood.
//! FHIR wants the digits, forbids duplicate keys, and a validator must name line and column.

mod find;
mod places;
mod read;
mod skim;
mod write;

use compact_str::CompactString;

pub use find::find;
pub use places::Places;
pub use read::{DEPTH_MAX, Malformed, parse};
pub use skim::{Bounds, parse_first, skim_bundle};
pub use write::{write_pretty, write_string};

/// A string of a document. Short ones (codes, dates, ids) live inside the value, without an allocation.
pub type Text = CompactString;

/// One JSON value and where it stood in the text it was read from.
#[derive(Debug, Clone)]
pub struct Value {
    /// Byte offset in the source text; 0 when the value was made by code.
    pub at: u32,
    pub data: Data,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    Null,
    Bool(bool),
    /// A number as it was written: `1.0` stays `1.0`.
    Number(Text),
    String(Text),
    Array(Vec<Value>),
    Object(Object),
}

/// The members of a JSON object in the order of the document; names are unique.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Object {
    members: Vec<(Text, Value)>,
}

/// Equality is of content: where a value stood does not matter.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.data == other.data
    }
}

impl From<Data> for Value {
    fn from(data: Data) -> Self {
        Self { at: 0, data }
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Data::Object(object).into()
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Data::Array(items).into()
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Data::String(text.into()).into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Data::String(text.into()).into()
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Data::String(text).into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Data::Bool(value).into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::number(value)
    }
}

impl Value {
    /// A number from anything that prints as JSON writes numbers.
    pub fn number(value: impl std::fmt::Display) -> Self {
        Data::Number(compact_str::format_compact!("{value}")).into()
    }

    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.data {
            Data::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.data {
            Data::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The number as it was written.
    pub fn as_number(&self) -> Option<&str> {
        match &self.data {
            Data::Number(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_u64(&self) -> Option<u64> {
        self.as_number()?.parse().ok()
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        match &self.data {
            Data::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match &mut self.data {
            Data::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Object> {
        match &self.data {
            Data::Object(object) => Some(object),
            _ => None,
        }
    }

    pub fn as_object_mut(&mut self) -> Option<&mut Object> {
        match &mut self.data {
            Data::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The member of that name, when this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_object()?.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.as_object_mut()?.get_mut(name)
    }

    /// The text of the member of that name.
    pub fn str_of(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// The items of the member of that name; nothing when it is absent or no array.
    pub fn items_of(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).unwrap_or_default()
    }

    /// What JSON calls this kind of value, for messages.
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "a boolean",
            Data::Number(_) => "a number",
            Data::String(_) => "a string",
            Data::Array(_) => "an array",
            Data::Object(_) => "an object",
        }
    }
}

impl Object {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.members
            .iter_mut()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Replaces the member of that name where it stands, or adds it at the end.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(name) {
            Some(old) => *old = value,
            None => self.members.push((name.into(), value)),
        }
    }

    /// Adds a member whose name is known to be new.
    pub fn add(&mut self, name: Text, value: impl Into<Value>) {
        self.members.push((name, value.into()));
    }

    /// Puts a new member at `index` (at the end when that is too far); an old one of that name goes.
    pub fn insert_at(&mut self, index: usize, name: &str, value: impl Into<Value>) {
        self.remove(name);
        let index = index.min(self.members.len());
        self.members.insert(index, (name.into(), value.into()));
    }

    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.position(name)?;
        Some(self.members.remove(index).1)
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.members.iter().position(|(key, _)| key == name)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (&str, &mut Value)> {
        self.members
            .iter_mut()
            .map(|(name, value)| (name.as_str(), value))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_str())
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.members.retain_mut(|(name, value)| keep(name, value));
    }
}

impl<N: Into<Text>, V: Into<Value>> FromIterator<(N, V)> for Object {
    /// For members made by code, whose names are known to differ.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(members: I) -> Self {
        Self {
            members: members
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl IntoIterator for Object {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.members.into_iter()
    }
}

/// Line and column (both from 1, columns in characters) of a byte offset.
pub fn place(source: &str, at: u32) -> (u32, u32) {
    Places::new(source).of(at)
}
