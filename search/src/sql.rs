//! From conditions to one SQL statement: the only place that writes SQL for searches.
//!
//! One condition drives: its index is walked. The others are looked up for each resource that comes along, by full key
//! where the index has it so, or by resource where it is asked for ranges. Values are bound; numbers of paths, which the
//! program made itself, stand in the text, so that the database can plan with them. Placeholders are `?`.

mod cost;
mod drive;
mod group;
mod hold;
mod measure;
mod sort;

pub use cost::{asked_of_all_by_count, asked_of_all_by_page};
pub use measure::{MEASURED_MAX, Measure, measures};
pub use sort::{Position, Sorted, SortedPage, sorted};

use crate::condition::{Bind, Condition};
use crate::contained;
use crate::query::Query;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// The SQL function that statements for SQLite call for each resource that comes along: it takes the number of a resource
/// and answers true, or fails when the statement has taken too long.
pub const IN_TIME: &str = "in_time";

/// That is often enough to ask.
const ONE_IN_SIXTEEN: &str = " & 15 OR ";
const EVERY_ONE: &str = " & 0 OR ";

/// Text with `?` for each value, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    pub text: String,
    pub binds: Vec<Bind>,
}

impl Statement {
    /// The same, asking for every resource that comes along whether there is time: so they can be counted.
    pub fn counting(&self) -> String {
        self.text.replace(ONE_IN_SIXTEEN, EVERY_ONE)
    }
}

/// Which of the resources that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Only those with a greater `rid`.
    pub after: Option<i64>,
    pub limit: i64,
}

/// The `rid` of current resources that a query finds, in ascending order.
pub fn select(query: &Query, dialect: Dialect, page: Page) -> Statement {
    let mut writer = Writer::new(dialect);
    writer.select(&query.resource_type, &conditions(query), page.after);
    writer.push(" ORDER BY d.rid LIMIT ? + 0");
    writer.binds.push(Bind::Int(page.limit));
    writer.finish()
}

/// The `rid` of the resource that so many others come behind, in the order of [`select`].
pub fn select_from_end(query: &Query, dialect: Dialect, behind: i64) -> Statement {
    let mut writer = Writer::new(dialect);
    writer.select(&query.resource_type, &conditions(query), None);
    writer.push(" ORDER BY d.rid DESC LIMIT 1 OFFSET ?");
    writer.binds.push(Bind::Int(behind));
    writer.finish()
}

/// How many resources a query finds.
pub fn count(query: &Query, dialect: Dialect) -> Statement {
    let mut writer = Writer::new(dialect);
    writer.push("SELECT COUNT(*) FROM (");
    writer.select(&query.resource_type, &conditions(query), None);
    writer.push(") counted");
    writer.finish()
}

/// The same, counted no further than the bound.
pub fn count_up_to(query: &Query, dialect: Dialect, hits_max: i64) -> Statement {
    let mut writer = Writer::new(dialect);
    writer.push("SELECT COUNT(*) FROM (");
    writer.select(&query.resource_type, &conditions(query), None);
    writer.push(" LIMIT ? + 0) counted");
    writer.binds.push(Bind::Int(hits_max));
    writer.finish()
}

/// How many resources contain what a query for contained ones finds.
pub fn count_containers(query: &Query, dialect: Dialect) -> Statement {
    let mut writer = Writer::new(dialect);
    let container = contained::container_sql("counted.rid");
    writer.push(&format!("SELECT COUNT(DISTINCT {container}) FROM ("));
    writer.select(&query.resource_type, &conditions(query), None);
    writer.push(") counted");
    writer.finish()
}

fn conditions(query: &Query) -> Vec<&Condition> {
    query
        .criteria
        .iter()
        .map(|criterion| &criterion.condition)
        .collect()
}

struct Writer {
    dialect: Dialect,
    text: String,
    binds: Vec<Bind>,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            text: String::new(),
            binds: Vec::new(),
        }
    }

    fn finish(self) -> Statement {
        Statement {
            text: self.text,
            binds: self.binds,
        }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Where a walk may be long: a function that the store gives to SQLite ends it when its time is over. PostgreSQL looks
    /// at the clock by itself.
    fn in_time(&mut self, rid: &str) {
        if self.dialect == Dialect::Sqlite {
            self.push(&format!(" AND ({rid}{ONE_IN_SIXTEEN}{IN_TIME}({rid}))"));
        }
    }

    fn bind(&mut self, value: Bind) {
        self.push("?");
        self.binds.push(value);
    }
}
