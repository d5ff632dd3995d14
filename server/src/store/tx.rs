//! One database transaction, as the work inside it sees it.

use super::connection::Connection;
use super::error::Error;
use super::resources;
use crate::accept::Stamped;
use crate::auth::{Action, Permit};

/// What `Store::write` hands to its closure. Everything done through it happens together or not at all.
pub struct Tx<'a> {
    connection: &'a mut Connection,
    permit: &'a Permit,
    failed: bool,
    worth_another_attempt: bool,
}

impl std::fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tx")
            .field("permit", self.permit)
            .finish_non_exhaustive()
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a mut Connection, permit: &'a Permit) -> Self {
        Self {
            connection,
            permit,
            failed: false,
            worth_another_attempt: false,
        }
    }

    /// Stores the first version of a resource.
    pub fn create(&mut self, resource: &Stamped) -> Result<(), Error> {
        if !self.permit.covers(Action::Create(resource.resource_type())) {
            return Err(Error::NotPermitted);
        }
        let done = resources::create(self.connection, resource);
        self.noted(done)
    }

    /// Whether a statement failed. Work that hides this must not commit: PostgreSQL would roll back in silence.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether the same work may succeed when it is done again.
    pub(super) fn worth_another_attempt(&self) -> bool {
        self.worth_another_attempt
    }

    fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.failed = true;
            self.worth_another_attempt =
                matches!(error, Error::Contended(_) | Error::Unreachable(_));
        }
        result
    }
}
