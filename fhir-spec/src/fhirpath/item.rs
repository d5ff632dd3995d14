//! One item of a collection: an element of the document, or a value of FHIRPath's own types.
//! <http://hl7.org/fhirpath/N1/#literals>

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use rust_decimal::Decimal;

use super::node::Node;
use super::quantity::Quantity;
use crate::json::{Data, Object, Value};
use crate::time::{Date, DateTime, Time};

/// What an expression gives: any number of items, in order.
pub type Collection<'a> = Vec<Item<'a>>;

/// Cheap to copy: elements are borrowed from the document.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    Node(Node<'a>),
    Boolean(bool),
    Integer(i32),
    Long(i64),
    Decimal(Decimal),
    String(Str<'a>),
    Date(Date),
    DateTime(DateTime),
    Time(Time),
    Quantity(Arc<Quantity>),
    /// What `type()` answers.
    Type(Arc<TypeInfo>),
}

/// Text of the document, or text that a function made.
#[derive(Debug, Clone)]
pub enum Str<'a> {
    Borrowed(&'a str),
    Owned(Arc<str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo {
    /// `System` or `FHIR`.
    pub namespace: Box<str>,
    pub name: Box<str>,
}

impl fmt::Display for TypeInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.namespace, self.name)
    }
}

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'a> From<&'a str> for Item<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Str::Borrowed(text))
    }
}

impl From<String> for Item<'_> {
    fn from(text: String) -> Self {
        Self::String(Str::Owned(text.into()))
    }
}

impl From<bool> for Item<'_> {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<Quantity> for Item<'_> {
    fn from(quantity: Quantity) -> Self {
        Self::Quantity(Arc::new(quantity))
    }
}

impl<'a> From<Node<'a>> for Item<'a> {
    fn from(node: Node<'a>) -> Self {
        Self::Node(node)
    }
}

impl<'a> Item<'a> {
    pub fn as_node(&self) -> Option<&Node<'a>> {
        match self {
            Self::Node(node) => Some(node),
            _ => None,
        }
    }

    /// The name in namespace `System` of a value that is no element.
    pub(super) fn system_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::Node(_) => return None,
            Self::Boolean(_) => "Boolean",
            Self::Integer(_) => "Integer",
            Self::Long(_) => "Long",
            Self::Decimal(_) => "Decimal",
            Self::String(_) => "String",
            Self::Date(_) => "Date",
            Self::DateTime(_) => "DateTime",
            Self::Time(_) => "Time",
            Self::Quantity(_) => "Quantity",
            Self::Type(_) => "TypeInfo",
        })
    }

    /// For messages: `a string`, `an element`.
    pub(super) fn described(&self) -> &'static str {
        match self {
            Self::Node(_) => "an element",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) | Self::Long(_) => "an integer",
            Self::Decimal(_) => "a decimal",
            Self::String(_) => "a string",
            Self::Date(_) => "a date",
            Self::DateTime(_) => "a dateTime",
            Self::Time(_) => "a time",
            Self::Quantity(_) => "a quantity",
            Self::Type(_) => "a type",
        }
    }

    /// The number this is, whatever its kind.
    pub(super) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::from(*number)),
            Self::Long(number) => Some(Decimal::from(*number)),
            Self::Decimal(number) => Some(*number),
            _ => None,
        }
    }

    /// The text of a value as `toString()` writes it; nothing for elements with children and for types.
    pub fn text(&self) -> Option<String> {
        Some(match self {
            Self::Node(_) | Self::Type(_) => return None,
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Long(value) => value.to_string(),
            Self::Decimal(value) => value.to_string(),
            Self::String(text) => text.to_string(),
            Self::Date(date) => date.to_string(),
            Self::DateTime(date_time) => date_time.to_string(),
            Self::Time(time) => time.to_string(),
            Self::Quantity(quantity) => quantity.to_string(),
        })
    }

    /// As JSON: elements as they stand in the document, dates and quantities as text.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Node(node) => node.value().cloned().unwrap_or_else(|| Data::Null.into()),
            Self::Boolean(value) => Value::from(*value),
            Self::Integer(number) => Value::number(number),
            Self::Long(number) => Value::number(number),
            Self::Decimal(number) => Value::number(number),
            Self::Type(info) => {
                Object::from_iter([("namespace", &*info.namespace), ("name", &*info.name)]).into()
            }
            _ => self.text().unwrap_or_default().into(),
        }
    }
}
