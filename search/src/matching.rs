//! A query held against the rows of one resource, without a database: for subscriptions, and to check the SQL by.

use std::cmp::Ordering;

use crate::condition::{Bind, Condition, Op, Probe, Test};
use crate::hash;
use crate::rows::{ReferenceRow, Rows};
use crate::table::{self, Value};

/// What is known of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub resource_type: &'a str,
    pub id: &'a str,
    /// Its last change, in microseconds since 1970 UTC.
    pub at: i64,
    pub rows: &'a Rows,
}

/// The resources around: what chains ask about.
pub trait World {
    /// A current resource by type and id.
    fn find(&self, resource_type: &str, id: &str) -> Option<Subject<'_>>;

    /// All current resources of a type.
    fn all(&self, resource_type: &str) -> Vec<Subject<'_>>;
}

/// A world of which nothing is known: no chain leads anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl World for Alone {
    fn find(&self, _resource_type: &str, _id: &str) -> Option<Subject<'_>> {
        None
    }

    fn all(&self, _resource_type: &str) -> Vec<Subject<'_>> {
        Vec::new()
    }
}

impl Condition {
    pub fn holds_for(&self, subject: &Subject<'_>, world: &dyn World) -> bool {
        match self {
            Self::Rows(probes) => probes.iter().any(|probe| probe.finds(subject.rows)),
            Self::All(all) => all.iter().all(|inner| inner.holds_for(subject, world)),
            Self::Any(any) => any.iter().any(|inner| inner.holds_for(subject, world)),
            Self::Not(inner) => !inner.holds_for(subject, world),
            Self::Refers(link) => {
                let wanted = hash::short(&link.other_type);
                subject.rows.reference.iter().any(|row| {
                    link.paths.contains(&row.path)
                        && row.target_type == wanted
                        && world
                            .find(&link.other_type, &row.target)
                            .is_some_and(|other| link.condition.holds_for(&other, world))
                })
            }
            Self::IsReferred(link) => {
                let own = hash::short(subject.resource_type);
                let refers = |row: &ReferenceRow| {
                    link.paths.contains(&row.path)
                        && row.target_type == own
                        && row.target == subject.id
                };
                world.all(&link.other_type).iter().any(|other| {
                    other.rows.reference.iter().any(refers)
                        && link.condition.holds_for(other, world)
                })
            }
            Self::Id(ids) => ids.iter().any(|id| id == subject.id),
            Self::Updated(tests) => {
                let at = |_: &str| Some(Value::Int(subject.at));
                tests.iter().all(|test| test.holds(&at))
            }
            // Rows do not tell: whoever has nothing else refuses such conditions ([`Condition::asks_for_text`]).
            Self::Text(_) | Self::Among(_) | Self::Never => false,
        }
    }
}

impl Probe {
    pub fn finds(&self, rows: &Rows) -> bool {
        let Some(table) = table::ALL.iter().find(|table| table.kind == self.table) else {
            return false;
        };
        let mut is_found = false;
        rows.each(self.table, |values| {
            let column = |name: &str| {
                let index = table.columns.iter().position(|column| *column == name)?;
                values.get(index).copied()
            };
            is_found |= column("path") == Some(Value::Int(self.path.into()))
                && self.tests.iter().all(|test| test.holds(&column));
        });
        is_found
    }
}

impl Test {
    fn holds<'v>(&self, column: &impl Fn(&str) -> Option<Value<'v>>) -> bool {
        match self {
            Self::Either(tests) => tests.iter().any(|test| test.holds(column)),
            Self::Near { point, chord } => {
                let squares = ["x", "y", "z"]
                    .into_iter()
                    .zip(point)
                    .map(|(name, wanted)| match column(name) {
                        Some(Value::Real(value)) => (value - wanted) * (value - wanted),
                        _ => f64::INFINITY,
                    });
                squares.sum::<f64>() <= chord * chord
            }
            Self::Is(name, op, bind) => {
                column(name).is_some_and(|value| compares(value, *op, bind))
            }
        }
    }
}

fn compares(value: Value<'_>, op: Op, bind: &Bind) -> bool {
    if let (Value::Text(text), Op::Contains, Bind::Text(part)) = (value, op, bind) {
        return text.contains(part.as_str());
    }
    let order = match (value, bind.value()) {
        (Value::Int(one), Value::Int(other)) => Some(one.cmp(&other)),
        (Value::Real(one), Value::Real(other)) => one.partial_cmp(&other),
        (Value::Text(one), Value::Text(other)) => Some(one.cmp(other)),
        _ => None,
    };
    order.is_some_and(|order| match op {
        Op::Equal => order == Ordering::Equal,
        Op::NotEqual => order != Ordering::Equal,
        Op::Less => order == Ordering::Less,
        Op::AtMost => order != Ordering::Greater,
        Op::Greater => order == Ordering::Greater,
        Op::AtLeast => order != Ordering::Less,
        Op::Contains => false,
    })
}
