//! How many resources of a type there are, without counting them each time.
//!
//! Every version says whether by it a resource came, went or stayed. So a count that was made once holds, with what the
//! versions since then add to it. Nothing is written for that, and writers do not meet at a counter: a row for each type,
//! moved by every create and delete, would make PostgreSQL's serializable transactions wait for each other.
//!
//! A count is kept with the moment up to which it is settled: no version that is older than it can turn up any more. See
//! `feed.rs` for why that is not simply the last key.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use diesel::sql_types::BigInt;

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;
use search::query::Query;

/// The counts that this node has made.
#[derive(Debug, Default)]
pub(super) struct Totals(Mutex<HashMap<&'static str, Counted>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    /// A transaction on PostgreSQL, a key on SQLite: what is older than this is in the count.
    settled: i64,
    resources: i64,
}

/// With so many versions since then, counting anew by the index of the type is quicker than looking at them.
const SINCE_MAX: i64 = 5_000;

/// What is there by the index, less what was deleted.
const COUNT: &str = "SELECT (SELECT count(*) FROM resources WHERE type = ?) - (SELECT count(*) FROM versions v \
     JOIN resources r ON r.type = v.type AND r.id = v.id AND r.head = v.key WHERE v.type = ? AND v.change = 3)";
/// `versions.change`: created and placed, deleted.
const COMES: &str = "CASE change WHEN 1 THEN 1 WHEN 4 THEN 1 WHEN 3 THEN -1 ELSE 0 END";

impl View<'_> {
    /// How many resources of a type there are.
    pub fn total(&mut self, resource_type: &'static str) -> Result<i64, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        if !self.sees_all(resource_type) {
            return self.hits_count(resource_type, &Query::of(resource_type), None);
        }
        // What a transaction that writes sees may never have happened.
        let Some(totals) = self.totals else {
            let done = count(self.connection, resource_type);
            return self.noted(done);
        };
        let known = totals.lock().get(resource_type).copied();
        let done = total(self.connection, resource_type, known);
        let (total, counted) = self.noted(done)?;
        totals.keep(resource_type, counted);
        Ok(total)
    }
}

/// The total in this state of the database, and what of it is settled.
fn total(
    connection: &mut Connection,
    resource_type: &str,
    known: Option<Counted>,
) -> Result<(i64, Counted), Error> {
    let settled = settled(connection)?;
    // What another node or thread has counted later than this state of the database is of no use for it.
    let known = known.filter(|known| known.settled <= settled);
    if let Some(known) = known
        && let Some((came_settled, came)) =
            since(connection, resource_type, known.settled, settled)?
    {
        let counted = Counted {
            settled,
            resources: known.resources + came_settled,
        };
        return Ok((known.resources + came, counted));
    }
    let total = count(connection, resource_type)?;
    let open = since(connection, resource_type, settled, settled)?;
    let counted = Counted {
        settled,
        resources: total - open.map_or(0, |(_, came)| came),
    };
    Ok((total, counted))
}

fn count(connection: &mut Connection, resource_type: &str) -> Result<i64, Error> {
    let binds = [Bind::Text(resource_type), Bind::Text(resource_type)];
    let found: Vec<i64> = connection.rows(Statement::<BigInt>::new(COUNT, &binds))?;
    Ok(found.first().copied().unwrap_or_default())
}

/// Whatever is older than this is final.
pub(super) fn settled(connection: &mut Connection) -> Result<i64, Error> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT coalesce(max(key), 0) + 1 FROM versions",
        Dialect::Postgres => "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint",
    };
    let found: Vec<i64> = connection.rows(Statement::<BigInt>::new(sql, &[]))?;
    Ok(found.first().copied().unwrap_or_default())
}

/// How many more resources there are by the versions since then: those that are settled now, and all. None: there are too
/// many to look at.
fn since(
    connection: &mut Connection,
    resource_type: &str,
    from: i64,
    settled: i64,
) -> Result<Option<(i64, i64)>, Error> {
    // By the order of the feed, never by the index of the type, which would lead through all of its versions.
    let (table, column) = match connection.dialect() {
        Dialect::Sqlite => ("versions NOT INDEXED", "key"),
        Dialect::Postgres => ("versions", "xact"),
    };
    let sql = format!(
        "SELECT count(*), coalesce(sum(CASE WHEN s.type = ? AND s.place < ? THEN s.comes ELSE 0 END), 0), \
         coalesce(sum(CASE WHEN s.type = ? THEN s.comes ELSE 0 END), 0) FROM (SELECT type, {column} AS place, \
         {COMES} AS comes FROM {table} WHERE {column} >= ? LIMIT ? + 0) s"
    );
    let binds = [
        Bind::Text(resource_type),
        Bind::Int(settled),
        Bind::Text(resource_type),
        Bind::Int(from),
        Bind::Int(SINCE_MAX + 1),
    ];
    type Sums = (BigInt, BigInt, BigInt);
    let found: Vec<(i64, i64, i64)> = connection.rows(Statement::<Sums>::new(&sql, &binds))?;
    let sums = found.into_iter().next();
    Ok(sums.and_then(|(versions, came_settled, came)| {
        (versions <= SINCE_MAX).then_some((came_settled, came))
    }))
}

impl Totals {
    fn keep(&self, resource_type: &'static str, counted: Counted) {
        let mut all = self.lock();
        let known = all.entry(resource_type).or_insert(counted);
        if known.settled < counted.settled {
            *known = counted;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
