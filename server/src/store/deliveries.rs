//! Who is to be told of changes, of what, and how far that has come. What is told to one of them is a row of numbered
//! events; how far it has come is one number, so that order needs nobody to keep it.

mod authors;
mod events;
mod list;
mod targets;

use diesel::sql_types::BigInt;

use super::error::Error;
use super::feed::Position;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

use super::reindex::Lease;
pub use events::{Event, Fate, NewEvent};
pub use list::{Delivery, Listing};
pub use targets::{Counts, Progressed, State, Target, Trouble};

/// Nothing is to be done, ever.
pub const NEVER: i64 = i64::MAX;

const LEASE: &str = "INSERT INTO leases (name, node, until) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE \
     SET node = excluded.node, until = excluded.until WHERE leases.node = excluded.node OR leases.until < ?";

const LEAVE: &[&str] = &[
    "UPDATE targets SET node = '', until = 0 WHERE node = ?",
    "UPDATE leases SET until = 0 WHERE node = ?",
];

impl Tx<'_> {
    /// Whether that work is this node's until then.
    pub fn lease(&mut self, name: &str, lease: &Lease) -> Result<bool, Error> {
        self.demand(&[Action::Follow])?;
        self.writes();
        let binds = [
            Bind::Text(name),
            Bind::Text(&lease.node),
            Bind::Int(lease.until.micros()),
            Bind::Int(lease.now.micros()),
        ];
        let done = self.connection.execute(Statement::new(LEASE, &binds));
        Ok(self.noted(done.map_err(Error::from))? == 1)
    }

    /// A node leaves to others all that it was at.
    pub fn leave(&mut self, node: &str) -> Result<(), Error> {
        self.demand(&[Action::Deliver])?;
        self.writes();
        for sql in LEAVE {
            let done = self
                .connection
                .execute(Statement::new(sql, &[Bind::Text(node)]));
            self.noted(done.map_err(Error::from))?;
        }
        Ok(())
    }
}

impl View<'_> {
    /// Whether another node is at that work.
    pub fn is_leased(&mut self, name: &str, node: &str, now: Instant) -> Result<bool, Error> {
        self.demand(&[Action::Follow])?;
        let sql = "SELECT until FROM leases WHERE name = ? AND node <> ? AND until >= ?";
        let binds = [Bind::Text(name), Bind::Text(node), Bind::Int(now.micros())];
        let done = self.connection.rows(Statement::<BigInt>::new(sql, &binds));
        let rows: Vec<i64> = self.noted(done.map_err(Error::from))?;
        Ok(!rows.is_empty())
    }

    /// Where a follower stands; None: it has not begun.
    pub fn follower(&mut self, name: &str) -> Result<Option<Position>, Error> {
        self.demand(&[Action::Follow])?;
        let done = super::followers::position(self.connection, name);
        self.noted(done)
    }
}
