//! Messages that nobody needs any more are taken out, and the room they took is given back.

use diesel::sql_types::BigInt;

use super::Status;
use crate::auth::Action;
use crate::instant::Instant;
use crate::store::connection::Dialect;
use crate::store::error::Error;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;

const NEWEST: &str =
    "SELECT number FROM messages WHERE received_at < ? ORDER BY received_at DESC LIMIT 1";
const OLDEST: &str = "SELECT number FROM messages WHERE status = ? AND number <= ? AND received_at < ? ORDER BY number LIMIT ? + 0";
const TABLES: &[&str] = &[
    "outgoing",
    "message_keys",
    "message_bodies",
    "message_results",
    "messages",
];
/// Pages of SQLite's file that are given back together.
const PAGES: u32 = 2_000;

/// What one step took out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    pub messages: usize,
    /// There may be more.
    pub is_more: bool,
}

impl Tx<'_> {
    /// Takes out messages of that status that came before then, the oldest first, at most so many.
    pub fn prune_messages(
        &mut self,
        status: Status,
        before: Instant,
        most: u32,
    ) -> Result<Pruned, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Int(before.micros())];
        let newest = self.numbers(NEWEST, &binds)?;
        let Some(newest) = newest.first() else {
            return Ok(Pruned::default());
        };
        let binds = [
            Bind::Small(status.number()),
            Bind::Int(*newest),
            Bind::Int(before.micros()),
            Bind::Int(most.into()),
        ];
        let numbers = self.numbers(OLDEST, &binds)?;
        if numbers.is_empty() {
            return Ok(Pruned::default());
        }
        self.writes();
        let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
        let list = list.join(", ");
        for table in TABLES {
            // Numbers only: nothing of it came from outside.
            let done = self
                .connection
                .batch(&format!("DELETE FROM {table} WHERE number IN ({list})"));
            self.noted(done.map_err(Error::from))?;
        }
        Ok(Pruned {
            messages: numbers.len(),
            is_more: numbers.len() == usize::try_from(most).unwrap_or(usize::MAX),
        })
    }

    /// Gives room that is free back to the system, some of it; whether there may be more.
    pub fn give_room_back(&mut self) -> Result<bool, Error> {
        self.demand(&[Action::Messages])?;
        if self.connection.dialect() == Dialect::Postgres {
            return Ok(false);
        }
        self.writes();
        let free = self.numbers("SELECT freelist_count FROM pragma_freelist_count()", &[])?;
        let given = self
            .connection
            .batch(&format!("PRAGMA incremental_vacuum({PAGES})"));
        self.noted(given.map_err(Error::from))?;
        let left = self.numbers("SELECT freelist_count FROM pragma_freelist_count()", &[])?;
        Ok(left < free && left.first().is_some_and(|left| *left > 0))
    }

    fn numbers(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<i64>, Error> {
        let rows = self
            .connection
            .rows(Statement::<BigInt>::new(sql, binds))
            .map_err(Error::from);
        self.noted(rows)
    }
}
