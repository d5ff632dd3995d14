//! What a transaction can see: one state of the database, whatever others write meanwhile.

use search::query::Query;

use super::connection::Connection;
use super::counts::Counts;
use super::error::Error;
use super::fence::Sight;
use super::history::{self, Past, Range};
use super::query;
use super::resources::{self, Found, Rid};
use super::totals::Totals;
use crate::auth::{Action, Letters, Permit, Reach};

/// What `Store::read` hands to its closure; a `Tx` is one too.
pub struct View<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) permit: &'a Permit,
    /// A statement failed. Work that hides this must not commit: PostgreSQL would roll back in silence.
    pub(super) failed: bool,
    /// The same work may succeed when it is done again.
    pub(super) again: Option<Again>,
    /// Counts made before. None for a transaction that writes.
    pub(super) totals: Option<&'a Totals>,
    pub(super) counts: Option<&'a Counts>,
}

/// Why work may succeed when it is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// Another transaction was in the way.
    Contended,
    /// The connection was lost.
    Lost,
    /// A key was taken since this transaction began to look; the next one sees who took it.
    Taken,
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("permit", self.permit)
            .finish_non_exhaustive()
    }
}

impl<'a> View<'a> {
    pub(super) fn new(connection: &'a mut Connection, permit: &'a Permit) -> Self {
        Self {
            connection,
            permit,
            failed: false,
            again: None,
            totals: None,
            counts: None,
        }
    }

    /// The current version of a resource, which may say that it was deleted. Whoever may change a resource may look at it
    /// for that purpose.
    pub fn current(
        &mut self,
        resource_type: &'static str,
        id: &str,
    ) -> Result<Option<Found>, Error> {
        self.demand(&[
            Action::Read(resource_type),
            Action::Update(resource_type),
            Action::Delete(resource_type),
        ])?;
        let done = resources::current(self.connection, resource_type, id);
        let found = self.noted(done)?;
        self.seen(resource_type, id, found)
    }

    /// Which resource it is, and the number of its current version.
    pub fn head(
        &mut self,
        resource_type: &'static str,
        id: &str,
    ) -> Result<Option<(Rid, u64)>, Error> {
        self.demand(&[
            Action::Read(resource_type),
            Action::Update(resource_type),
            Action::Delete(resource_type),
        ])?;
        if self.permit.rights().is_some() {
            let found = self.current(resource_type, id)?;
            return Ok(found.map(|found| (found.rid, found.version)));
        }
        let done = resources::head(self.connection, resource_type, id);
        let Some((rid, version)) = self.noted(done)? else {
            return Ok(None);
        };
        let version = u64::try_from(version).map_err(|_| Error::Version(version));
        Ok(Some((rid, self.noted(version)?)))
    }

    /// The version of that number.
    pub fn version(
        &mut self,
        resource_type: &'static str,
        id: &str,
        version: u64,
    ) -> Result<Option<Found>, Error> {
        self.demand(&[Action::Read(resource_type)])?;
        let done = resources::version(self.connection, resource_type, id, version);
        let found = self.noted(done)?;
        self.seen(resource_type, id, found)
    }

    fn seen(
        &mut self,
        resource_type: &'static str,
        id: &str,
        found: Option<Found>,
    ) -> Result<Option<Found>, Error> {
        let Some(sight) = Sight::of(self.permit, resource_type) else {
            return Ok(found);
        };
        let is_there = found.is_some();
        let done = sight.seen(self.connection, id, found);
        let seen = self.noted(done)?;
        // Who would write there must not take it for a free place.
        if is_there && seen.is_none() && self.permit.covers(Action::Update(resource_type)) {
            return Err(Error::OutOfReach);
        }
        Ok(seen)
    }

    /// Versions, newest first.
    pub fn history(&mut self, action: Action, range: Range<'_>) -> Result<Vec<Past>, Error> {
        self.demand(&[action])?;
        let done = match self.permit.rights() {
            None => history::select(self.connection, range),
            Some(_) => self.history_seen(action, range),
        };
        self.noted(done)
    }

    /// How many versions there are, paging aside.
    pub fn history_count(&mut self, action: Action, range: Range<'_>) -> Result<i64, Error> {
        self.demand(&[action])?;
        let done = match self.permit.rights() {
            None => history::count(self.connection, range),
            Some(_) => self.history_seen_count(action, range),
        };
        self.noted(done)
    }

    /// The ids of resources that a query finds, at most so many.
    pub fn matches(
        &mut self,
        resource_type: &'static str,
        query: &Query,
        ids_max: u32,
    ) -> Result<Vec<String>, Error> {
        self.demand(&[Action::Search(resource_type)])?;
        let query = self.fenced(resource_type, query)?;
        let done = query::ids(self.connection, &query, ids_max);
        self.noted(done)
    }

    /// How far the permit reaches among the resources of a type.
    pub fn reach(&self, resource_type: &'static str, letters: Letters) -> Reach {
        self.permit.reach(resource_type, letters)
    }

    /// Whether the permit covers one of these.
    pub(super) fn demand(&self, any: &[Action]) -> Result<(), Error> {
        match any.iter().any(|action| self.permit.covers(*action)) {
            true => Ok(()),
            false => Err(Error::NotPermitted),
        }
    }

    pub(super) fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        // What fails after the first failure fails because of it.
        if let (Err(error), false) = (&result, self.failed) {
            self.failed = true;
            self.again = match error {
                Error::Contended(_) => Some(Again::Contended),
                Error::Unreachable(_) => Some(Again::Lost),
                Error::Taken(_) => Some(Again::Taken),
                _ => None,
            };
        }
        result
    }
}
