//! A query held against the rows of one resource, without a database: for subscriptions, and to check the SQL by.

use std::cmp::Ordering;

use crate::condition::{Bind, Condition, Op, Probe, Test};
use crate::rows::Rows;
use crate::table::{self, Value};

/// What is known of a resource.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub id: &'a str,
    /// Its last change, in microseconds since 1970 UTC.
    pub at: i64,
    pub rows: &'a Rows,
}

impl Condition {
    pub fn holds_for(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Rows(probes) => probes.iter().any(|probe| probe.finds(subject.rows)),
            Self::All(all) => all.iter().all(|condition| condition.holds_for(subject)),
            Self::Any(any) => any.iter().any(|condition| condition.holds_for(subject)),
            Self::Not(condition) => !condition.holds_for(subject),
            Self::Id(ids) => ids.iter().any(|id| id == subject.id),
            Self::Updated(tests) => {
                let at = |_: &str| Some(Value::Int(subject.at));
                tests.iter().all(|test| test.holds(&at))
            }
            Self::Never => false,
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
