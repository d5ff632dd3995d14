//! Everything that is stored, oldest first: what export, backup and verify read. Rows pass by one at a time.

use diesel::sql_types::{BigInt, Binary, SmallInt, Text};

use super::connection::Dialect;
use super::error::Error;
use super::history::Mark;
use super::resources::{Change, Found, found};
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// A version with the address of its resource.
#[derive(Debug, Clone)]
pub struct Stored {
    pub mark: Mark,
    pub resource_type: String,
    pub id: String,
    /// Whether it is the current version.
    pub is_head: bool,
    pub found: Found,
}

/// Which versions of a type are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub resource_type: &'a str,
    /// Not older than this.
    pub since: Option<Instant>,
    /// Those that are no longer current, too.
    pub history: bool,
}

type StoredRow = (
    BigInt,
    Text,
    Text,
    BigInt,
    BigInt,
    BigInt,
    SmallInt,
    SmallInt,
    Binary,
    BigInt,
);

type StoredValues = (i64, String, String, i64, i64, i64, i16, i16, Vec<u8>, i64);

/// Heads are looked up row by row: a join would let PostgreSQL sort everything, bodies included.
const SELECT: &str =
    "SELECT v.key, v.type, v.id, v.rid, v.version, v.at, v.change, v.codec, v.body, coalesce((";
const HEAD: &str = "SELECT r.head FROM resources r WHERE r.type = v.type AND r.id = v.id";
const FROM: &str = "), 0) FROM versions v ";

impl View<'_> {
    /// The types of which there are resources, and how many; deleted ones count.
    pub fn types(&mut self) -> Result<Vec<(String, u64)>, Error> {
        const TYPES: &str = "SELECT type, count(*) FROM resources GROUP BY type ORDER BY type";
        let done = self
            .connection
            .rows(Statement::<(Text, BigInt)>::new(TYPES, &[]))
            .map_err(Error::from);
        let rows: Vec<(String, i64)> = self.noted(done)?;
        rows.into_iter()
            .map(|(name, count)| Ok((name, natural(count)?)))
            .collect()
    }

    /// How many versions there are.
    pub fn versions_count(&mut self) -> Result<u64, Error> {
        const COUNT: &str = "SELECT count(*) FROM versions";
        let done = self
            .connection
            .rows(Statement::<BigInt>::new(COUNT, &[]))
            .map_err(Error::from);
        let rows: Vec<i64> = self.noted(done)?;
        natural(rows.first().copied().unwrap_or_default())
    }

    /// The versions of a type, in the order of their time.
    pub fn each_of_type<E: From<Error>>(
        &mut self,
        wanted: Wanted<'_>,
        mut take: impl FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        let which = match wanted.history {
            true => String::new(),
            false => format!("AND v.key = ({HEAD}) "),
        };
        let sql = format!(
            "{SELECT}{HEAD}{FROM}WHERE v.type = ? AND v.at >= ? {which}ORDER BY v.at, v.key"
        );
        let since = wanted.since.map_or(i64::MIN, Instant::micros);
        let binds = [Bind::Text(wanted.resource_type), Bind::Int(since)];
        self.connection.each(
            Statement::<StoredRow>::new(&sql, &binds),
            |row: StoredValues| take(stored(row)?),
        )
    }

    /// All versions, in the order of the feed.
    pub fn each_version<E: From<Error>>(
        &mut self,
        mut take: impl FnMut(Stored) -> Result<(), E>,
    ) -> Result<(), E> {
        self.demand(&[Action::Maintain])?;
        let order = match self.connection.dialect() {
            Dialect::Sqlite => "v.key",
            Dialect::Postgres => "v.xact, v.key",
        };
        let sql = format!("{SELECT}{HEAD}{FROM}ORDER BY {order}");
        self.connection.each(
            Statement::<StoredRow>::new(&sql, &[]),
            |row: StoredValues| take(stored(row)?),
        )
    }
}

fn stored(row: StoredValues) -> Result<Stored, Error> {
    let (key, resource_type, id, rid, version, at, change, codec, body, head) = row;
    let found = found((rid, version, at, change, codec, body))?;
    Ok(Stored {
        mark: Mark { at: found.at, key },
        resource_type,
        id,
        is_head: head == key,
        found,
    })
}

fn natural(count: i64) -> Result<u64, Error> {
    u64::try_from(count).map_err(|_| Error::Version(count))
}

impl Stored {
    /// Whether the resource was deleted with this version.
    pub fn is_deleted(&self) -> bool {
        self.found.change == Change::Deleted
    }
}
