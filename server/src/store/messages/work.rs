//! Messages that were acknowledged and wait to be applied: one node at a time works on them, in the order in which they
//! were kept.

use diesel::sql_types::{BigInt, Text};

use super::{Filter, Status};
use crate::auth::Action;
use crate::store::error::Error;
use crate::store::reindex::Lease;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

const LEASE: &str =
    "UPDATE message_worker SET node = ?, until = ? WHERE one = 1 AND (node = ? OR until < ?)";
const WAITING: &str = "SELECT number, id, route FROM messages WHERE status = 1 AND number > ? ORDER BY number LIMIT ? + 0";

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub number: i64,
    pub id: String,
    pub route: String,
}

impl Tx<'_> {
    /// Whether the lease is this node's, now.
    pub fn lease_messages(&mut self, lease: &Lease) -> Result<bool, Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let binds = [
            Bind::Text(&lease.node),
            Bind::Int(lease.until.micros()),
            Bind::Text(&lease.node),
            Bind::Int(lease.now.micros()),
        ];
        let done = self.connection.execute(Statement::new(LEASE, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// Has messages that could not be applied worked on again. How many.
    pub fn requeue_messages(&mut self, filter: &Filter) -> Result<usize, Error> {
        self.demand(&[Action::Messages])?;
        self.writes();
        let mut sql = format!("UPDATE messages SET status = {}", Status::Received.number());
        let mut binds = Vec::new();
        filter.write(&mut sql, &mut binds);
        let done = self.connection.execute(Statement::new(&sql, &binds));
        self.noted(done.map_err(Error::from))
    }
}

impl View<'_> {
    /// The oldest that wait, after that number.
    pub fn waiting_messages(&mut self, after: i64, most: i64) -> Result<Vec<Waiting>, Error> {
        self.demand(&[Action::Messages])?;
        let binds = [Bind::Int(after), Bind::Int(most)];
        let rows = self
            .connection
            .rows(Statement::<(BigInt, Text, Text)>::new(WAITING, &binds));
        let rows: Vec<(i64, String, String)> = self.noted(rows.map_err(Error::from))?;
        let waiting = |(number, id, route)| Waiting { number, id, route };
        Ok(rows.into_iter().map(waiting).collect())
    }
}
