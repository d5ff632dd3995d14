//! Versions, newest first: of a resource, of a type, of everything.

use diesel::sql_types::{BigInt, Binary, SmallInt, Text};

use super::connection::Connection;
use super::error::Error;
use super::resources::{Found, found};
use super::statement::{Bind, Statement};
use crate::instant::Instant;

/// Which versions are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Range<'a> {
    pub resource_type: Option<&'a str>,
    pub id: Option<&'a str>,
    /// Not older than this.
    pub since: Option<Instant>,
    /// Those that were current at some moment from the first (inclusive) to the second (exclusive).
    pub during: Option<(Instant, Instant)>,
    /// Older than this one: where the page before has ended.
    pub before: Option<Mark>,
    pub versions_max: u32,
}

/// A place among the versions. What is written later never comes behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub at: Instant,
    pub key: i64,
}

impl Mark {
    /// As links carry it.
    pub fn parse(text: &str) -> Option<Self> {
        let (at, key) = text.split_once('-')?;
        let number = |digits: &str| {
            let is_plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            is_plain.then(|| digits.parse().ok()).flatten()
        };
        Some(Self {
            at: Instant::from_micros(number(at)?),
            key: number(key)?,
        })
    }
}

impl std::fmt::Display for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.at.micros(), self.key)
    }
}

/// A version with the address of its resource.
#[derive(Debug, Clone)]
pub struct Past {
    pub mark: Mark,
    pub resource_type: String,
    pub id: String,
    pub found: Found,
}

type PastRow = (
    BigInt,
    Text,
    Text,
    BigInt,
    BigInt,
    BigInt,
    SmallInt,
    SmallInt,
    Binary,
);

type PastValues = (i64, String, String, i64, i64, i64, i16, i16, Vec<u8>);

const SELECT: &str =
    "SELECT v.key, v.type, v.id, v.rid, v.version, v.at, v.change, v.codec, v.body FROM ";

pub(super) fn select(connection: &mut Connection, range: Range<'_>) -> Result<Vec<Past>, Error> {
    let mut sql = String::from(SELECT);
    let mut binds = Vec::new();
    scope(&range, &mut sql, &mut binds);
    // A resource's versions lie together by number; those of more than one resource by time. In any other order all of
    // them would be read, with their bodies, to be sorted.
    let of_one = range.id.is_some();
    match range.before {
        Some(mark) if of_one => {
            sql.push_str(" AND v.version < (SELECT m.version FROM versions m WHERE m.key = ?)");
            binds.push(Bind::Int(mark.key));
        }
        Some(mark) => {
            sql.push_str(" AND (v.at, v.key) < (?, ?)");
            binds.extend([Bind::Int(mark.at.micros()), Bind::Int(mark.key)]);
        }
        None => {}
    }
    sql.push_str(match of_one {
        true => " ORDER BY v.version DESC LIMIT ? + 0",
        false => " ORDER BY v.at DESC, v.key DESC LIMIT ? + 0",
    });
    binds.push(Bind::Int(i64::from(range.versions_max)));
    let rows: Vec<PastValues> = connection.rows(Statement::<PastRow>::new(&sql, &binds))?;
    rows.into_iter().map(past).collect()
}

fn past(row: PastValues) -> Result<Past, Error> {
    let (key, resource_type, id, rid, version, at, change, codec, body) = row;
    let found = found((rid, version, at, change, codec, body))?;
    Ok(Past {
        mark: Mark { at: found.at, key },
        resource_type,
        id,
        found,
    })
}

/// How many there are, paging aside.
pub(super) fn count(connection: &mut Connection, range: Range<'_>) -> Result<i64, Error> {
    let mut sql = String::from("SELECT count(*) FROM ");
    let mut binds = Vec::new();
    scope(&range, &mut sql, &mut binds);
    let rows: Vec<i64> = connection.rows(Statement::<BigInt>::new(&sql, &binds))?;
    Ok(rows.first().copied().unwrap_or_default())
}

fn scope<'a>(range: &Range<'a>, sql: &mut String, binds: &mut Vec<Bind<'a>>) {
    sql.push_str(match (range.resource_type, range.id) {
        (Some(_), Some(_)) => {
            "resources r JOIN versions v ON v.rid = r.rid WHERE r.type = ? AND r.id = ?"
        }
        (Some(_), None) => "versions v WHERE v.type = ?",
        _ => "versions v WHERE 1 = 1",
    });
    binds.extend(range.resource_type.map(Bind::Text));
    binds.extend(range.id.map(Bind::Text));
    if let Some(since) = range.since {
        sql.push_str(" AND v.at >= ?");
        binds.push(Bind::Int(since.micros()));
    }
    if let Some((from, until)) = range.during {
        sql.push_str(
            " AND v.at < ? AND NOT EXISTS (SELECT 1 FROM versions n \
             WHERE n.rid = v.rid AND n.version = v.version + 1 AND n.at <= ?)",
        );
        binds.extend([Bind::Int(until.micros()), Bind::Int(from.micros())]);
    }
}
