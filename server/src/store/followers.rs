//! Followers of the feed: each has a name and a place up to which it has handled what changed.
//!
//! The place is moved in the transaction that holds the follower's own work, so the two cannot disagree: after a crash it
//! goes on exactly behind the last entry whose work is stored. On several nodes only one can move it: the others find
//! that it is no longer where they have read it, and their work is rolled back.

use diesel::sql_types::BigInt;

use super::connection::Connection;
use super::error::Error;
use super::feed::Position;
use super::statement::{Bind, Statement};

const SELECT: &str = "SELECT xact, key FROM followers WHERE name = ?";
const INSERT: &str = "INSERT INTO followers (name, xact, key) VALUES (?, ?, ?)";
const UPDATE: &str =
    "UPDATE followers SET xact = ?, key = ? WHERE name = ? AND xact = ? AND key = ?";

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
