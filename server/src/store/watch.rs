//! What the statements of one piece of work did, for whoever wants to know why a search takes its time.

use std::fmt::Write;
use std::time::Instant;

use diesel::sql_types::{BigInt, Text};

use super::connection::{Connection, Dialect};
use super::statement::{Bind, Statement};

/// A statement that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What it was for.
    pub step: &'static str,
    /// With `?` for its values.
    pub sql: String,
    /// The database's own words, line by line.
    pub plan: Vec<String>,
    /// That it gave.
    pub rows: usize,
    /// That it walked past to find those; what it looked up for each of them is not counted. PostgreSQL tells in the plan.
    pub visited: Option<u64>,
    pub time_us: u64,
}

/// Statements as they run; off unless somebody asked for it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    step: &'static str,
    watched: Vec<Watched>,
}

impl Watch {
    pub(super) fn step(&mut self, step: &'static str) {
        self.step = step;
    }

    pub(super) fn into_watched(self) -> Vec<Watched> {
        self.watched
    }

    pub(super) fn take(&mut self, sql: &str, rows: usize, visited: Option<u64>, begun: Instant) {
        self.watched.push(Watched {
            step: self.step,
            sql: sql.to_owned(),
            plan: Vec::new(),
            rows,
            visited,
            time_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
    }

    pub(super) fn plan(&mut self, plan: Vec<String>) {
        if let Some(watched) = self.watched.last_mut() {
            watched.plan = plan;
        }
    }
}

/// How the database goes about a statement. PostgreSQL runs it once more for that.
pub(super) fn plan(
    connection: &mut Connection,
    sql: &str,
    binds: &[Bind<'_>],
) -> Result<Vec<String>, diesel::result::Error> {
    match connection.dialect() {
        Dialect::Sqlite => {
            type Row = (BigInt, BigInt, BigInt, Text);
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let steps: Vec<(i64, i64, i64, String)> =
                connection.rows(Statement::<Row>::new(&sql, binds))?;
            Ok(outline(&steps))
        }
        Dialect::Postgres => {
            let sql = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {sql}");
            connection.rows(Statement::<Text>::new(&sql, binds))
        }
    }
}

/// Steps stand further in than the one they are part of.
fn outline(steps: &[(i64, i64, i64, String)]) -> Vec<String> {
    let mut depths: Vec<(i64, usize)> = Vec::new();
    let mut lines = Vec::new();
    for (id, parent, _, told) in steps {
        let above = depths.iter().rev().find(|(known, _)| known == parent);
        let depth = above.map_or(0, |(_, depth)| depth + 1);
        depths.push((*id, depth));
        let mut line = String::new();
        // Writing to a String cannot fail.
        let _written = write!(line, "{:width$}{told}", "", width = depth * 2);
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_an_outline() {
        let steps = [(2, 0, "A"), (5, 2, "B"), (9, 5, "C"), (11, 2, "D")];
        let steps = steps.map(|(id, parent, told)| (id, parent, 0, told.to_owned()));
        assert_eq!(outline(&steps), ["A", "  B", "    C", "  D"]);
    }
}
