//! Resources and their versions: rows in, rows out.

use diesel::sql_types::{BigInt, Binary, SmallInt};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::statement::{Bind, Statement};
use crate::accept::Stamped;
use crate::instant::Instant;

/// How a version came about, as it stands in `versions.change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Under an id that the server chose.
    Created,
    Updated,
    Deleted,
    /// By an update that found nothing under the id it names.
    Placed,
}

impl Change {
    pub fn number(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
            Self::Placed => 4,
        }
    }

    pub fn of_number(number: i16) -> Option<Self> {
        let all = [Self::Created, Self::Updated, Self::Deleted, Self::Placed];
        all.into_iter().find(|change| change.number() == number)
    }

    pub(super) fn from_number(number: i16) -> Self {
        Self::of_number(number).unwrap_or(Self::Updated)
    }
}

/// A body that is stored as it is. Compressed ones get a number of their own.
const PLAIN: i16 = 0;

/// The number of a resource inside the database: the key of its first version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rid(pub(super) i64);

impl Rid {
    pub fn number(self) -> i64 {
        self.0
    }
}

/// A version of a resource. The body is the stored text; nobody parses it to answer a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub rid: Rid,
    pub version: u64,
    pub at: Instant,
    pub change: Change,
    /// Empty when the resource was deleted with this version.
    pub body: Vec<u8>,
}

impl Found {
    /// One that stands in no database.
    #[cfg(test)]
    pub(crate) fn example(version: u64, at: Instant, change: Change) -> Self {
        Self {
            rid: Rid(0),
            version,
            at,
            change,
            body: Vec::new(),
        }
    }

    /// What the audit tells: it has one version, and is no resource of the store.
    pub fn told(at: Instant, body: Vec<u8>) -> Self {
        Self {
            rid: Rid(0),
            version: 1,
            at,
            change: Change::Created,
            body,
        }
    }

    /// As if it had just been written.
    pub fn stamped(self, resource_type: &'static str, id: &str) -> Stamped {
        Stamped::stored(resource_type, id, self.version, self.at, self.body)
    }

    pub fn is_deleted(&self) -> bool {
        self.change == Change::Deleted
    }
}

/// What is written as one version.
#[derive(Debug, Clone, Copy)]
pub(super) struct Version<'a> {
    pub(super) resource_type: &'a str,
    pub(super) id: &'a str,
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) change: Change,
    pub(super) body: &'a [u8],
}

impl<'a> Version<'a> {
    pub(super) fn of(stamped: &'a Stamped, change: Change) -> Self {
        Self {
            resource_type: stamped.resource_type(),
            id: stamped.id(),
            number: stamped.version(),
            at: stamped.at(),
            change,
            body: stamped.bytes(),
        }
    }
}

const INSERT_VERSION: &str = "INSERT INTO versions (key, rid, type, id, version, at, change, codec, body) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// PostgreSQL has no statement per group that could tell the generation, so the first version of a transaction does.
const INSERT_VERSION_AND_LOOK: &str = "INSERT INTO versions (key, rid, type, id, version, at, change, codec, body) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING (SELECT generation FROM search_state, pg_advisory_xact_lock_shared(7545639) AS shared)";
const INSERT_RESOURCE: &str = "INSERT INTO resources (type, id, rid, head) VALUES (?, ?, ?, ?)";
const MOVE_HEAD: &str = "UPDATE resources SET head = ? WHERE type = ? AND id = ?";
const SELECT_CURRENT: &str = "SELECT v.rid, v.version, v.at, v.change, v.codec, v.body \
     FROM resources r JOIN versions v ON v.key = r.head WHERE r.type = ? AND r.id = ?";
const SELECT_VERSION: &str = "SELECT v.rid, v.version, v.at, v.change, v.codec, v.body \
     FROM resources r JOIN versions v ON v.rid = r.rid \
     WHERE r.type = ? AND r.id = ? AND v.version = ?";
const SELECT_HEAD: &str = "SELECT r.rid, v.version FROM resources r JOIN versions v ON v.key = r.head \
     WHERE r.type = ? AND r.id = ?";

pub(super) type VersionRow = (BigInt, BigInt, BigInt, SmallInt, SmallInt, Binary);

/// The first version of a resource that is not there yet, and the row that says it is the current one.
pub(super) fn insert(connection: &mut Connection, version: Version<'_>) -> Result<Rid, Error> {
    let key = connection.key()?;
    insert_version(connection, key, key, version)?;
    let binds = [
        Bind::Text(version.resource_type),
        Bind::Text(version.id),
        Bind::Int(key),
        Bind::Int(key),
    ];
    connection.execute(Statement::new(INSERT_RESOURCE, &binds))?;
    Ok(Rid(key))
}

/// A further version of a resource, which becomes the current one.
pub(super) fn advance(
    connection: &mut Connection,
    rid: Rid,
    version: Version<'_>,
) -> Result<(), Error> {
    let key = connection.key()?;
    let binds = [
        Bind::Int(key),
        Bind::Text(version.resource_type),
        Bind::Text(version.id),
    ];
    // First, because on PostgreSQL this is where two updates of one resource meet: the later one is done again.
    connection.execute(Statement::new(MOVE_HEAD, &binds))?;
    insert_version(connection, key, rid.0, version)
}

fn insert_version(
    connection: &mut Connection,
    key: i64,
    rid: i64,
    version: Version<'_>,
) -> Result<(), Error> {
    let number = i64::try_from(version.number).map_err(|_| Error::Version(i64::MAX))?;
    let binds = [
        Bind::Int(key),
        Bind::Int(rid),
        Bind::Text(version.resource_type),
        Bind::Text(version.id),
        Bind::Int(number),
        Bind::Int(version.at.micros()),
        Bind::Small(version.change.number()),
        Bind::Small(PLAIN),
        Bind::Bytes(version.body),
    ];
    if connection.dialect() == Dialect::Postgres && !connection.has_seen_generation() {
        let statement = Statement::<BigInt>::new(INSERT_VERSION_AND_LOOK, &binds);
        let seen: Vec<i64> = connection.rows(statement)?;
        if let Some(generation) = seen.first() {
            connection.sees_generation(*generation);
        }
        return Ok(());
    }
    connection.execute(Statement::new(INSERT_VERSION, &binds))?;
    Ok(())
}

/// The current version.
pub(super) fn current(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
) -> Result<Option<Found>, Error> {
    let binds = [Bind::Text(resource_type), Bind::Text(id)];
    one(connection, Statement::new(SELECT_CURRENT, &binds))
}

/// Which resource it is, and the number of its current version.
pub(super) fn head(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
) -> Result<Option<(Rid, i64)>, Error> {
    let binds = [Bind::Text(resource_type), Bind::Text(id)];
    let statement = Statement::<(BigInt, BigInt)>::new(SELECT_HEAD, &binds);
    let rows: Vec<(i64, i64)> = connection.rows(statement)?;
    Ok(rows.first().map(|(rid, version)| (Rid(*rid), *version)))
}

/// The version of that number.
pub(super) fn version(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
    version: u64,
) -> Result<Option<Found>, Error> {
    // A number that no version can have finds none.
    let version = i64::try_from(version).unwrap_or(i64::MAX);
    let binds = [
        Bind::Text(resource_type),
        Bind::Text(id),
        Bind::Int(version),
    ];
    one(connection, Statement::new(SELECT_VERSION, &binds))
}

fn one(
    connection: &mut Connection,
    statement: Statement<'_, VersionRow>,
) -> Result<Option<Found>, Error> {
    let rows: Vec<(i64, i64, i64, i16, i16, Vec<u8>)> = connection.rows(statement)?;
    rows.into_iter().next().map(found).transpose()
}

/// Whether the resource was deleted with that version, which is packed in a way that is known.
pub(super) fn is_deleted(change: i16, codec: i16) -> Result<bool, Error> {
    match codec {
        PLAIN => Ok(Change::from_number(change) == Change::Deleted),
        other => Err(Error::Codec(other)),
    }
}

pub(super) fn found(row: (i64, i64, i64, i16, i16, Vec<u8>)) -> Result<Found, Error> {
    let (rid, version, at, change, codec, body) = row;
    if codec != PLAIN {
        return Err(Error::Codec(codec));
    }
    Ok(Found {
        rid: Rid(rid),
        version: u64::try_from(version).map_err(|_| Error::Version(version))?,
        at: Instant::from_micros(at),
        change: Change::from_number(change),
        body,
    })
}
