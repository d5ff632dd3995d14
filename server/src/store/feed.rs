//! What changed, in an order that followers can rely on. Every version is one entry.
//!
//! A follower keeps the position of the last entry it has handled and asks for what comes after. That only works when no
//! entry ever turns up before a position that was already handed out.
//!
//! SQLite has one writer, so keys appear in the order in which they were taken. In PostgreSQL transactions take keys, then
//! commit in any order. Two ways out were weighed:
//! - hold a lock from taking the number until the commit: commits then happen one at a time, each with its own disk flush,
//!   which gives away PostgreSQL's group commit and costs most of its write throughput;
//! - let everyone commit at will and let readers stop at the oldest transaction still under way (chosen).
//!
//! So a version also carries the number of its transaction there, entries are ordered by (transaction, key), and readers
//! see only those whose transaction is older than every one still running: of these all are final and no more can come.
//! Versions of one resource keep their order: transactions are SERIALIZABLE, so the one that writes version n + 1 began
//! after the one that wrote version n had committed, and has the higher number.
//! The price: a transaction that stays open holds the feed back (it loses nothing); time-outs on the connections bound that.

use diesel::sql_types::{BigInt, SmallInt, Text};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::resources::Change;
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;

/// A place in the feed. The default is before everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The database's number of the transaction; always 0 in SQLite.
    xact: i64,
    key: i64,
}

impl Position {
    pub(super) fn new(xact: i64, key: i64) -> Self {
        Self { xact, key }
    }

    pub(super) fn xact(self) -> i64 {
        self.xact
    }

    pub(super) fn key(self) -> i64 {
        self.key
    }

    /// For followers that keep their place elsewhere.
    pub fn numbers(self) -> (i64, i64) {
        (self.xact, self.key)
    }

    pub fn of_numbers(xact: i64, key: i64) -> Self {
        Self { xact, key }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub position: Position,
    pub resource_type: String,
    pub id: String,
    pub version: u64,
    pub change: Change,
    /// The number of the resource.
    pub rid: i64,
    /// When it was written, in microseconds since 1970 UTC.
    pub at: i64,
}

type EntryRow = (BigInt, BigInt, Text, Text, BigInt, SmallInt, BigInt, BigInt);
type EntryValues = (i64, i64, String, String, i64, i16, i64, i64);

const SQLITE: &str = "SELECT 0, key, type, id, version, change, rid, at FROM versions \
     WHERE key > ? ORDER BY key LIMIT ? + 0";
const POSTGRES: &str = "SELECT xact, key, type, id, version, change, rid, at FROM versions \
     WHERE (xact, key) > (?, ?) AND xact < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
     ORDER BY xact, key LIMIT ? + 0";

/// The next entries after a position, at most `entries_max`.
pub(super) fn after(
    connection: &mut Connection,
    position: Position,
    entries_max: u32,
) -> Result<Vec<Entry>, Error> {
    let (xact, key) = (Bind::Int(position.xact), Bind::Int(position.key));
    let limit = Bind::Int(i64::from(entries_max));
    let rows: Vec<EntryValues> = match connection.dialect() {
        Dialect::Sqlite => connection.rows(Statement::<EntryRow>::new(SQLITE, &[key, limit]))?,
        Dialect::Postgres => {
            connection.rows(Statement::<EntryRow>::new(POSTGRES, &[xact, key, limit]))?
        }
    };
    rows.into_iter()
        .map(|(xact, key, resource_type, id, version, change, rid, at)| {
            Ok(Entry {
                position: Position { xact, key },
                resource_type,
                id,
                version: u64::try_from(version).map_err(|_| Error::Version(version))?,
                change: Change::from_number(change),
                rid,
                at,
            })
        })
        .collect()
}

impl View<'_> {
    /// The feed after a position, oldest first.
    pub fn feed_after(
        &mut self,
        position: Position,
        entries_max: u32,
    ) -> Result<Vec<Entry>, Error> {
        self.demand(&[Action::Follow])?;
        let done = after(self.connection, position, entries_max);
        self.noted(done)
    }

    /// The last position that there is: of what was written before, nothing is behind it.
    pub fn feed_end(&mut self) -> Result<Position, Error> {
        self.demand(&[Action::Follow])?;
        let sql = match self.connection.dialect() {
            Dialect::Sqlite => "SELECT 0, key FROM versions ORDER BY key DESC LIMIT 1",
            Dialect::Postgres => {
                "SELECT xact, key FROM versions ORDER BY xact DESC, key DESC LIMIT 1"
            }
        };
        let done = self
            .connection
            .rows(Statement::<(BigInt, BigInt)>::new(sql, &[]));
        let rows: Vec<(i64, i64)> = self.noted(done.map_err(Error::from))?;
        let last = rows.first().copied().unwrap_or_default();
        Ok(Position::new(last.0, last.1))
    }

    /// When the version at a position was written; None: there is none.
    pub fn feed_at(&mut self, position: Position) -> Result<Option<i64>, Error> {
        self.demand(&[Action::Follow])?;
        let binds = [Bind::Int(position.key)];
        let sql = "SELECT at FROM versions WHERE key = ?";
        let done = self.connection.rows(Statement::<BigInt>::new(sql, &binds));
        let rows: Vec<i64> = self.noted(done.map_err(Error::from))?;
        Ok(rows.first().copied())
    }
}
