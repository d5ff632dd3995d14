//! Who has written a Subscription, version by version: on their behalf others are told.

use diesel::sql_types::Text;

use crate::auth::Action;
use crate::store::error::Error;
use crate::store::resources::Rid;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

/// The type whose resources have others told of what changes.
const TELLING: &str = "Subscription";

const NOTE: &str = "INSERT INTO authors (rid, version, standing) VALUES (?, ?, ?)";
const AUTHOR: &str =
    "SELECT standing FROM authors WHERE rid = ? AND version <= ? ORDER BY version DESC LIMIT 1";

impl Tx<'_> {
    /// What the server itself writes into a Subscription does not make it another one's.
    pub(in crate::store) fn note_author(
        &mut self,
        resource_type: &str,
        rid: Rid,
        version: u64,
    ) -> Result<(), Error> {
        if resource_type != TELLING {
            return Ok(());
        }
        let Some(standing) = self.permit.standing() else {
            return Ok(());
        };
        let binds = [
            Bind::Int(rid.number()),
            Bind::Int(i64::try_from(version).unwrap_or(i64::MAX)),
            Bind::Text(standing),
        ];
        let done = self.connection.execute(Statement::new(NOTE, &binds));
        self.noted(done.map_err(Error::from)).map(|_| ())
    }
}

impl View<'_> {
    /// Whose that version of a Subscription is. None: nobody knows, it came with a backup or an import.
    pub fn author(&mut self, rid: i64, version: u64) -> Result<Option<String>, Error> {
        self.demand(&[Action::Follow, Action::Deliver])?;
        let binds = [
            Bind::Int(rid),
            Bind::Int(i64::try_from(version).unwrap_or(i64::MAX)),
        ];
        let done = self.connection.rows(Statement::<Text>::new(AUTHOR, &binds));
        let rows: Vec<String> = self.noted(done.map_err(Error::from))?;
        Ok(rows.into_iter().next())
    }
}
