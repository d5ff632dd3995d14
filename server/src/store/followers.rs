//! Followers of the feed: each has a name and a place up to which it has handled what changed.
//!
//! The place is moved in the transaction that holds the follower's own work, so the two cannot disagree: after a crash it
//! goes on exactly behind the last entry whose work is stored. On several nodes only one can move it: the others find
//! that it is no longer where they have read it, and their work is rolled back.

use diesel::sql_types::{BigInt, Text};

use super::connection::{Connection, Dialect};
use super::error::Error;
use super::feed::Position;
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;

const SELECT: &str = "SELECT xact, key FROM followers WHERE name = ?";
const INSERT: &str = "INSERT INTO followers (name, xact, key) VALUES (?, ?, ?)";
const UPDATE: &str =
    "UPDATE followers SET xact = ?, key = ? WHERE name = ? AND xact = ? AND key = ?";

impl View<'_> {
    /// How many versions each follower has handled: places differ from store to store, the order does not.
    pub fn followers(&mut self) -> Result<Vec<(String, u64)>, Error> {
        self.demand(&[Action::Maintain])?;
        let sql = match self.connection.dialect() {
            Dialect::Sqlite => {
                "SELECT f.name, (SELECT count(*) FROM versions v WHERE v.key <= f.key) FROM followers f"
            }
            Dialect::Postgres => {
                "SELECT f.name, (SELECT count(*) FROM versions v WHERE (v.xact, v.key) <= (f.xact, f.key)) \
                 FROM followers f"
            }
        };
        let done = self
            .connection
            .rows(Statement::<(Text, BigInt)>::new(sql, &[]))
            .map_err(Error::from);
        let rows: Vec<(String, i64)> = self.noted(done)?;
        let handled = |count| u64::try_from(count).unwrap_or_default();
        Ok(rows
            .into_iter()
            .map(|(name, count)| (name, handled(count)))
            .collect())
    }
}

/// A follower that has handled so many versions stands behind the last of them.
pub(super) fn place(connection: &mut Connection, name: &str, handled: u64) -> Result<(), Error> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT 0, key FROM versions ORDER BY key LIMIT 1 OFFSET ?",
        Dialect::Postgres => "SELECT xact, key FROM versions ORDER BY xact, key LIMIT 1 OFFSET ?",
    };
    let Some(before) = handled
        .checked_sub(1)
        .and_then(|count| i64::try_from(count).ok())
    else {
        return advance(connection, name, None, Position::new(0, 0));
    };
    let binds = [Bind::Int(before)];
    let rows: Vec<(i64, i64)> = connection.rows(Statement::<(BigInt, BigInt)>::new(sql, &binds))?;
    let (xact, key) = rows.first().copied().unwrap_or_default();
    advance(connection, name, None, Position::new(xact, key))
}

/// Where a follower stands; None: it has not begun.
pub(super) fn position(connection: &mut Connection, name: &str) -> Result<Option<Position>, Error> {
    let binds = [Bind::Text(name)];
    let rows: Vec<(i64, i64)> =
        connection.rows(Statement::<(BigInt, BigInt)>::new(SELECT, &binds))?;
    Ok(rows.first().map(|(xact, key)| Position::new(*xact, *key)))
}

/// Moves a follower from where it was read to where its work has got.
pub(super) fn advance(
    connection: &mut Connection,
    name: &str,
    from: Option<Position>,
    to: Position,
) -> Result<(), Error> {
    let (xact, key) = (Bind::Int(to.xact()), Bind::Int(to.key()));
    let Some(from) = from else {
        let binds = [Bind::Text(name), xact, key];
        connection.execute(Statement::new(INSERT, &binds))?;
        return Ok(());
    };
    let binds = [
        xact,
        key,
        Bind::Text(name),
        Bind::Int(from.xact()),
        Bind::Int(from.key()),
    ];
    match connection.execute(Statement::new(UPDATE, &binds))? {
        1 => Ok(()),
        _ => Err(Error::Overtaken(name.to_owned())),
    }
}
