//! An end to SQLite statements that take too long. PostgreSQL has one of its own.
//!
//! SQLite would have to be interrupted from outside, for which diesel has no door. But statements may call functions: those
//! of a search ask this one about the resources that come along, and it fails when the time is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use diesel::SqliteConnection;
use diesel::serialize::{IsNull, Output, Result as Written, ToSql};
use diesel::sql_types::{BigInt, Bool};
use diesel::sqlite::Sqlite;

/// What the statement fails with.
pub(super) const OVERDUE: &str = "the statement has taken longer than it may";

/// Clocks begin here.
static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

diesel::define_sql_function! {
    /// See `search::sql::IN_TIME`.
    fn in_time(rid: BigInt) -> Bool;
}

/// When the statement that runs on a connection has to be over.
#[derive(Debug)]
pub(super) struct Deadline {
    statement_ms: Option<u64>,
    ends_at_ms: Arc<AtomicU64>,
    /// How often it was asked since the statement began.
    asked: Arc<AtomicU64>,
}

/// Whether there still is time.
#[derive(Debug)]
struct InTime(bool);

impl Deadline {
    /// `statement_ms`: how long a statement may take; None: as long as it takes.
    pub(super) fn on(
        connection: &mut SqliteConnection,
        statement_ms: Option<u64>,
    ) -> Result<Self, diesel::result::Error> {
        let ends_at_ms = Arc::new(AtomicU64::new(u64::MAX));
        let asked = Arc::new(AtomicU64::new(0));
        let (ends, counted) = (Arc::clone(&ends_at_ms), Arc::clone(&asked));
        in_time_utils::register_nondeterministic_impl(connection, move |_rid: i64| {
            counted.fetch_add(1, Ordering::Relaxed);
            InTime(now_ms() < ends.load(Ordering::Relaxed))
        })?;
        Ok(Self {
            statement_ms,
            ends_at_ms,
            asked,
        })
    }

    /// How often the statement has asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// A statement begins.
    pub(super) fn start(&self) {
        self.asked.store(0, Ordering::Relaxed);
        if let Some(statement_ms) = self.statement_ms {
            let ends_at_ms = now_ms().saturating_add(statement_ms);
            self.ends_at_ms.store(ends_at_ms, Ordering::Relaxed);
        }
    }
}

impl ToSql<Bool, Sqlite> for InTime {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> Written {
        if !self.0 {
            return Err(OVERDUE.into());
        }
        out.set_value(1);
        Ok(IsNull::No)
    }
}

fn now_ms() -> u64 {
    u64::try_from(BEGIN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use diesel::Connection as _;
    use diesel::connection::SimpleConnection;

    use super::*;

    #[test]
    fn a_statement_ends_when_its_time_is_over() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let sql = "SELECT in_time(1)";
        let unlimited = Deadline::on(&mut connection, None).unwrap();
        unlimited.start();
        connection.batch_execute(sql).unwrap();
        let over = Deadline::on(&mut connection, Some(0)).unwrap();
        connection.batch_execute(sql).unwrap();
        over.start();
        let error = connection.batch_execute(sql).unwrap_err();
        assert!(error.to_string().contains(OVERDUE), "{error}");
        let limited = Deadline::on(&mut connection, Some(60_000)).unwrap();
        limited.start();
        connection.batch_execute(sql).unwrap();
    }
}
