//! What must hold of a resource to be found: the meaning of a query, before it becomes SQL or is held against rows.

use std::sync::Arc;

use crate::table::{TableKind, Value};
use crate::text::Sought;

/// A condition on one resource of a known type.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// It has a row that one of these finds.
    Rows(Vec<Probe>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// It has one of these ids.
    Id(Vec<String>),
    /// One of these paths refers to a resource of a type that meets the condition.
    Refers(Box<Link>),
    /// A resource of a type that meets the condition refers to it by one of these paths.
    IsReferred(Box<Link>),
    /// Its last change was at a moment of which these hold; the column is `at`.
    Updated(Vec<Test>),
    /// Its text is found: for the text index to say, which makes [`Condition::Among`] of it.
    Text(Box<Sought>),
    /// Its number is one of these, in ascending order.
    Among(Arc<[i64]>),
    Never,
}

/// A reference between the resource that is searched and another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// Paths of the type that refers.
    pub paths: Vec<i32>,
    pub other_type: Box<str>,
    /// What must hold of the other one.
    pub condition: Condition,
}

/// What to look for in a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub table: TableKind,
    pub path: i32,
    /// All of them hold.
    pub tests: Vec<Test>,
    /// Where in the index the rows lie that can pass, when that is not what the tests say.
    pub window: Option<Window>,
    /// A resource has at most one row here.
    pub is_single: bool,
    pub reach: Reach,
}

/// How much of an index a probe is likely to find: what guides a search when nothing better is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// An identifier, a url.
    One,
    /// What belongs to one thing: the observations of a patient.
    Few,
    /// A name, a day, a number.
    Some,
    /// A code.
    Many,
    /// A status, an open range.
    Most,
    /// Whatever has a value at all.
    All,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Is(&'static str, Op, Bind),
    /// The row is a point at most so far away, in a straight line.
    Near {
        point: [f64; 3],
        chord: f64,
    },
    Either(Vec<Test>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    /// The text is somewhere in the column.
    Contains,
}

/// A value of a query.
#[derive(Debug, Clone, PartialEq)]
pub enum Bind {
    Int(i64),
    Real(f64),
    Text(String),
}

/// Bounds for the beginnings and ends of intervals. Rows that pass lie within; the tests decide which of those do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Window {
    Date(Bounds<i64>),
    Number(Bounds<f64>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds<T> {
    pub begins_from: T,
    pub begins_to: T,
    pub ends_from: T,
    pub ends_to: T,
}

/// A value of an element: what many questions, each for another value, are sorted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub table: TableKind,
    pub path: i32,
    pub value: Box<str>,
}

impl Probe {
    /// What a row must have in the first column behind the path, when that is one text.
    fn key(&self) -> Option<Key> {
        let column = match self.table {
            TableKind::Token => "code",
            TableKind::Reference => "target",
            TableKind::Uri => "value",
            _ => return None,
        };
        self.tests.iter().find_map(|test| match test {
            Test::Is(name, Op::Equal, Bind::Text(value)) if *name == column => Some(Key {
                table: self.table,
                path: self.path,
                value: value.as_str().into(),
            }),
            _ => None,
        })
    }

    pub fn new(table: TableKind, path: i32, reach: Reach, tests: Vec<Test>) -> Self {
        Self {
            table,
            path,
            tests,
            window: None,
            is_single: false,
            reach,
        }
    }

    pub fn within(self, window: Window) -> Self {
        Self {
            window: Some(window),
            ..self
        }
    }
}

impl<T: PartialOrd> Bounds<T> {
    /// Both hold.
    fn within(self, other: Self) -> Self {
        let later = |one: T, other: T| if one < other { other } else { one };
        let earlier = |one: T, other: T| if one < other { one } else { other };
        Self {
            begins_from: later(self.begins_from, other.begins_from),
            begins_to: earlier(self.begins_to, other.begins_to),
            ends_from: later(self.ends_from, other.ends_from),
            ends_to: earlier(self.ends_to, other.ends_to),
        }
    }
}

impl Test {
    pub fn equal(column: &'static str, value: impl Into<Bind>) -> Self {
        Self::Is(column, Op::Equal, value.into())
    }
}

impl From<i64> for Bind {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Bind {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Bind {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<&str> for Bind {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

impl From<String> for Bind {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<fhir_spec::json::Text> for Bind {
    fn from(value: fhir_spec::json::Text) -> Self {
        Self::Text(value.into())
    }
}

impl Bind {
    pub fn value(&self) -> Value<'_> {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::Real(value) => Value::Real(*value),
            Self::Text(value) => Value::Text(value),
        }
    }
}

impl Condition {
    /// Any of these, without a level that is not needed.
    pub fn any(mut conditions: Vec<Self>) -> Self {
        match conditions.len() {
            0 => Self::Never,
            1 => conditions.pop().unwrap_or(Self::Never),
            _ => Self::Any(conditions),
        }
    }

    pub fn rows(probes: Vec<Probe>) -> Self {
        if probes.is_empty() {
            Self::Never
        } else {
            Self::Rows(probes)
        }
    }

    /// Whether the text index has to be asked first.
    pub fn asks_for_text(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::All(inner) | Self::Any(inner) => inner.iter().any(Self::asks_for_text),
            Self::Not(inner) => inner.asks_for_text(),
            Self::Refers(link) | Self::IsReferred(link) => link.condition.asks_for_text(),
            _ => false,
        }
    }

    /// Whether the rows of one resource are all that there is to know.
    pub fn is_about_one(&self) -> bool {
        match self {
            Self::Refers(_) | Self::IsReferred(_) | Self::Text(_) | Self::Among(_) => false,
            Self::All(inner) | Self::Any(inner) => inner.iter().all(Self::is_about_one),
            Self::Not(inner) => inner.is_about_one(),
            Self::Rows(_) | Self::Id(_) | Self::Updated(_) | Self::Never => true,
        }
    }

    /// Values of which a resource has one at least when this holds, and how much they find; None: that cannot be told.
    pub fn keys(&self) -> Option<(Reach, Vec<Key>)> {
        match self {
            Self::Rows(probes) => {
                let keys = probes.iter().map(Probe::key).collect::<Option<Vec<_>>>()?;
                let reach = probes.iter().map(|probe| probe.reach).max()?;
                Some((reach, keys))
            }
            Self::Any(any) => {
                let all = any.iter().map(Self::keys).collect::<Option<Vec<_>>>()?;
                let reach = all.iter().map(|(reach, _)| *reach).max()?;
                Some((reach, all.into_iter().flat_map(|(_, keys)| keys).collect()))
            }
            Self::All(all) => all
                .iter()
                .filter_map(Self::keys)
                .min_by_key(|(reach, _)| *reach),
            _ => None,
        }
    }

    /// Puts what the text index answers in the place of its questions. It is told the type of the resources.
    pub fn answer_text<E>(
        &mut self,
        resource_type: &str,
        answer: &mut impl FnMut(&str, &Sought) -> Result<Arc<[i64]>, E>,
    ) -> Result<(), E> {
        match self {
            Self::Text(sought) => *self = Self::Among(answer(resource_type, sought)?),
            Self::All(inner) | Self::Any(inner) => {
                for condition in inner {
                    condition.answer_text(resource_type, answer)?;
                }
            }
            Self::Not(inner) => inner.answer_text(resource_type, answer)?,
            Self::Refers(link) | Self::IsReferred(link) => {
                let other_type = link.other_type.clone();
                link.condition.answer_text(&other_type, answer)?;
            }
            _ => {}
        }
        Ok(())
    }

    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Two questions about one value are one question, when no resource has two: then a range is a range of the index.
    pub(crate) fn fused(&self, other: &Self) -> Option<Self> {
        let (Self::Rows(own), Self::Rows(others)) = (self, other) else {
            return None;
        };
        let ([own], [other]) = (own.as_slice(), others.as_slice()) else {
            return None;
        };
        let is_same = own.table == other.table && own.path == other.path;
        // Amounts in different units have nothing to do with each other.
        let is_same =
            is_same && (own.table != TableKind::Number || own.tests.first() == other.tests.first());
        if !is_same || !own.is_single || !other.is_single {
            return None;
        }
        let window = match (own.window, other.window) {
            (Some(Window::Date(own)), Some(Window::Date(other))) => Window::Date(own.within(other)),
            (Some(Window::Number(own)), Some(Window::Number(other))) => {
                Window::Number(own.within(other))
            }
            _ => return None,
        };
        Some(Self::Rows(vec![Probe {
            tests: [own.tests.clone(), other.tests.clone()].concat(),
            window: Some(window),
            reach: own.reach.min(other.reach).min(Reach::Many),
            ..own.clone()
        }]))
    }
}
