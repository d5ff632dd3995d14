//! Resources and their versions.

use diesel::sql_types::{BigInt, Binary, SmallInt};

use super::connection::Connection;
use super::error::Error;
use super::feed;
use super::statement::{Bind, Statement};
use crate::accept::Stamped;
use crate::instant::Instant;

/// How a version came about, as it stands in `versions.change`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

impl Change {
    fn number(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Deleted => 3,
        }
    }

    pub(super) fn from_number(number: i16) -> Self {
        match number {
            1 => Self::Created,
            3 => Self::Deleted,
            _ => Self::Updated,
        }
    }
}

/// A body that is stored as it is. Compressed ones get a number of their own.
const PLAIN: i16 = 0;

/// A version of a resource. The body is the stored text; nobody parses it to answer a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub version: u64,
    pub at: Instant,
    pub change: Change,
    pub body: Vec<u8>,
}

const INSERT_VERSION: &str = "INSERT INTO versions (key, rid, type, id, version, at, change, codec, body) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_RESOURCE: &str = "INSERT INTO resources (type, id, rid, head) VALUES (?, ?, ?, ?)";
const SELECT_CURRENT: &str = "SELECT v.version, v.at, v.change, v.codec, v.body \
     FROM resources r JOIN versions v ON v.key = r.head WHERE r.type = ? AND r.id = ?";

const SELECT_VERSION: &str = "SELECT v.version, v.at, v.change, v.codec, v.body \
     FROM resources r JOIN versions v ON v.rid = r.rid \
     WHERE r.type = ? AND r.id = ? AND v.version = ?";

type VersionRow = (BigInt, BigInt, SmallInt, SmallInt, Binary);

/// Version row, current row and feed row of a new resource.
pub(super) fn create(connection: &mut Connection, resource: &Stamped) -> Result<(), Error> {
    let key = connection.key()?;
    let resource_type = Bind::Text(resource.resource_type());
    let id = Bind::Text(resource.id());
    let version = i64::try_from(resource.version()).map_err(|_| Error::Version(i64::MAX))?;
    connection.execute(Statement::new(
        INSERT_VERSION,
        &[
            Bind::Int(key),
            Bind::Int(key),
            resource_type,
            id,
            Bind::Int(version),
            Bind::Int(resource.at().micros()),
            Bind::Small(Change::Created.number()),
            Bind::Small(PLAIN),
            Bind::Bytes(resource.bytes()),
        ],
    ))?;
    connection.execute(Statement::new(
        INSERT_RESOURCE,
        &[resource_type, id, Bind::Int(key), Bind::Int(key)],
    ))?;
    feed::append(connection, key, resource.resource_type())
}

/// The current version.
pub(super) fn current(
    connection: &mut Connection,
    resource_type: &str,
    id: &str,
) -> Result<Option<Found>, Error> {
    let binds = [Bind::Text(resource_type), Bind::Text(id)];
    found(connection, Statement::new(SELECT_CURRENT, &binds))
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
    found(connection, Statement::new(SELECT_VERSION, &binds))
}

fn found(
    connection: &mut Connection,
    statement: Statement<'_, VersionRow>,
) -> Result<Option<Found>, Error> {
    let rows: Vec<(i64, i64, i16, i16, Vec<u8>)> = connection.rows(statement)?;
    let Some((version, at, change, codec, body)) = rows.into_iter().next() else {
        return Ok(None);
    };
    if codec != PLAIN {
        return Err(Error::Codec(codec));
    }
    Ok(Some(Found {
        version: u64::try_from(version).map_err(|_| Error::Version(version))?,
        at: Instant::from_micros(at),
        change: Change::from_number(change),
        body,
    }))
}
