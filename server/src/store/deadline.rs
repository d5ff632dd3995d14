//! An end to what takes too long: to a statement, and to all statements of one read together.
//!
//! PostgreSQL ends statements by itself. SQLite would have to be interrupted from outside, for which diesel has no door. But statements may call functions: those
//! of a search ask this one about the resources that come along, and it fails when the time is over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use diesel::SqliteConnection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
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

/// When what runs on a connection has to be over: a statement by itself, or all statements of one read together, with
/// whatever is done between them.
#[derive(Debug)]
pub(super) struct Deadline {
    statement_ms: Option<u64>,
    ends_at_ms: Arc<AtomicU64>,
    /// How often it was asked since the statement began.
    asked: Arc<AtomicU64>,
    /// The statements of a read share one end. Told is what PostgreSQL was told last of it.
    together: Option<Told>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    statement_ms: u64,
}

/// Whether there still is time.
#[derive(Debug)]
struct InTime(bool);

impl Deadline {
    /// `statement_ms`: how long a statement may take; None: as long as it takes.
    pub(super) fn new(statement_ms: Option<u64>) -> Self {
        Self {
            statement_ms,
            ends_at_ms: Arc::new(AtomicU64::new(u64::MAX)),
            asked: Arc::default(),
            together: None,
        }
    }

    /// The same, and statements of SQLite can ask for it.
    pub(super) fn on(
        connection: &mut SqliteConnection,
        statement_ms: Option<u64>,
    ) -> Result<Self, DieselError> {
        let deadline = Self::new(statement_ms);
        let (ends, counted) = (
            Arc::clone(&deadline.ends_at_ms),
            Arc::clone(&deadline.asked),
        );
        in_time_utils::register_nondeterministic_impl(connection, move |_rid: i64| {
            counted.fetch_add(1, Ordering::Relaxed);
            InTime(now_ms() < ends.load(Ordering::Relaxed))
        })?;
        Ok(deadline)
    }

    /// How often the statement has asked.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// A read begins: its statements share the time of one.
    pub(super) fn share(&mut self) {
        self.together = None;
        self.restart();
        self.together = self.statement_ms.map(|statement_ms| Told { statement_ms });
    }

    /// Statements have their own time again.
    pub(super) fn unshare(&mut self) {
        self.together = None;
    }

    /// They take what they need.
    pub(super) fn lift(&mut self) {
        self.statement_ms = None;
        self.together = None;
        self.ends_at_ms.store(u64::MAX, Ordering::Relaxed);
    }

    /// A statement begins, if there is time for it. Where less of it is left than the database knows of: how much.
    pub(super) fn start(&mut self) -> Result<Option<u64>, DieselError> {
        self.asked.store(0, Ordering::Relaxed);
        let Some(told) = &mut self.together else {
            self.restart();
            return Ok(None);
        };
        let left = self
            .ends_at_ms
            .load(Ordering::Relaxed)
            .saturating_sub(now_ms());
        if left == 0 {
            let told = Box::new(OVERDUE.to_owned());
            return Err(DieselError::DatabaseError(DatabaseErrorKind::Unknown, told));
        }
        // Telling it costs a statement: not for little.
        if left.saturating_mul(4) > told.statement_ms.saturating_mul(3) {
            return Ok(None);
        }
        told.statement_ms = left;
        Ok(Some(left))
    }

    fn restart(&self) {
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
        let mut unlimited = Deadline::on(&mut connection, None).unwrap();
        unlimited.start().unwrap();
        connection.batch_execute(sql).unwrap();
        let mut over = Deadline::on(&mut connection, Some(0)).unwrap();
        connection.batch_execute(sql).unwrap();
        over.start().unwrap();
        let error = connection.batch_execute(sql).unwrap_err();
        assert!(error.to_string().contains(OVERDUE), "{error}");
        let mut limited = Deadline::on(&mut connection, Some(60_000)).unwrap();
        limited.start().unwrap();
        connection.batch_execute(sql).unwrap();
    }

    #[test]
    fn the_statements_of_a_read_share_their_time() {
        let mut deadline = Deadline::new(Some(60_000));
        deadline.share();
        assert_eq!(deadline.start().unwrap(), None);
        // Most of it is gone: the database is told of what is left, and told again when most of that is gone.
        let leave = |deadline: &Deadline, left| {
            let ends_at_ms = now_ms().saturating_add(left);
            deadline.ends_at_ms.store(ends_at_ms, Ordering::Relaxed);
        };
        leave(&deadline, 20_000);
        assert!(deadline.start().unwrap().is_some_and(|left| left <= 20_000));
        assert_eq!(deadline.start().unwrap(), None);
        leave(&deadline, 10_000);
        assert!(deadline.start().unwrap().is_some_and(|left| left <= 10_000));
        leave(&deadline, 0);
        let error = deadline.start().unwrap_err();
        assert!(error.to_string().contains(OVERDUE), "{error}");
        // Others begin anew.
        deadline.unshare();
        assert_eq!(deadline.start().unwrap(), None);
        deadline.share();
        assert_eq!(deadline.start().unwrap(), None);
        // And who goes through everything takes the time it takes.
        leave(&deadline, 0);
        deadline.lift();
        assert_eq!(deadline.start().unwrap(), None);
    }
}
