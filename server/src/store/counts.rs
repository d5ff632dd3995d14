//! How many resources a search has found, for those who ask again and again.
//!
//! To count is to visit every hit. A count that was made holds as long as no resource of the types that it depends on has
//! been written since, and the feed says so: what it costs to ask again is a look at what is new there.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use diesel::sql_types::BigInt;
use search::query::Query;
use search::sql;

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};
use super::totals::settled;
use crate::limits::{COUNT_BYTES_MAX, COUNT_KEPT, COUNTS_KEPT_MAX};

/// With so many versions since then, to count anew is as good as to look at them.
const SINCE_MAX: i64 = 2_000;

/// The counts that this node has made.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<String, Counted>>);

#[derive(Debug, Clone, Copy)]
struct Counted {
    /// What is older than this is in the count: see `totals.rs`.
    settled: i64,
    hits: i64,
    /// A repair of the index writes no versions: no count is kept for long.
    made: Instant,
}

impl Counts {
    /// The count of a statement, kept or made.
    pub(super) fn of(
        &self,
        connection: &mut Connection,
        query: &Query,
        statement: &sql::Statement,
        make: impl FnOnce(&mut Connection) -> Result<i64, Error>,
    ) -> Result<i64, Error> {
        let Some(key) = key(statement) else {
            return make(connection);
        };
        let known = self.lock().get(&key).copied();
        let known = known.filter(|known| known.made.elapsed() < COUNT_KEPT);
        let settled = settled(connection)?;
        // What another thread has counted later than this state of the database is of no use for it.
        if let Some(known) = known.filter(|known| known.settled <= settled)
            && !has_changed(connection, query, known.settled)?
        {
            self.keep(key, Counted { settled, ..known });
            return Ok(known.hits);
        }
        let made = Instant::now();
        let hits = make(connection)?;
        let counted = Counted {
            settled,
            hits,
            made,
        };
        self.keep(key, counted);
        Ok(hits)
    }

    fn keep(&self, key: String, counted: Counted) {
        let mut all = self.lock();
        if all.len() >= COUNTS_KEPT_MAX && !all.contains_key(&key) {
            all.clear();
        }
        let known = all.entry(key).or_insert(counted);
        if known.settled <= counted.settled {
            *known = counted;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a count is known by: the statement with its values. None: too long to be kept.
fn key(statement: &sql::Statement) -> Option<String> {
    let mut key = statement.text.clone();
    for bind in &statement.binds {
        if key.len() > COUNT_BYTES_MAX {
            return None;
        }
        // Writing to a String cannot fail.
        let _written = write!(key, " {bind:?}");
    }
    (key.len() <= COUNT_BYTES_MAX).then_some(key)
}

/// Whether something that the query depends on was written since then, as far as it can be told quickly.
fn has_changed(connection: &mut Connection, query: &Query, from: i64) -> Result<bool, Error> {
    // By the order of the feed, never by the index of the type, which would lead through all of its versions.
    let (table, column) = match connection.dialect() {
        Dialect::Sqlite => ("versions NOT INDEXED", "key"),
        Dialect::Postgres => ("versions", "xact"),
    };
    let types = query.types();
    let places = vec!["?"; types.len()].join(", ");
    let sql = format!(
        "SELECT count(*), coalesce(sum(CASE WHEN s.type IN ({places}) THEN 1 ELSE 0 END), 0) \
         FROM (SELECT type FROM {table} WHERE {column} >= ? LIMIT ? + 0) s"
    );
    let mut binds: Vec<Bind<'_>> = types.iter().map(|name| Bind::Text(name)).collect();
    binds.extend([Bind::Int(from), Bind::Int(SINCE_MAX)]);
    let found: Vec<(i64, i64)> =
        connection.rows(Statement::<(BigInt, BigInt)>::new(&sql, &binds))?;
    let (seen, changed) = found.first().copied().unwrap_or_default();
    Ok(seen >= SINCE_MAX || changed > 0)
}
