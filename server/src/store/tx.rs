//! One database transaction, as the work inside it sees it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use search::Rows;

use super::connection::Connection;
use super::error::Error;
use super::feed::Position;
use super::followers;
use super::index::{self, Before, Pending};
use super::resources::{self, Change, Found, Version};
use super::sealing;
use super::view::View;
use crate::accept::{Sealed, Stamped};
use crate::auth::{Action, Permit};
use crate::instant::Instant;

/// What `Store::write` hands to its closure. Everything done through it happens together or not at all.
#[derive(Debug)]
pub struct Tx<'a> {
    view: View<'a>,
    /// Index rows not yet written. Whoever searches in here has them written first.
    pending: Pending,
    has_written: bool,
}

/// A deletion, as it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deletion {
    pub version: u64,
    pub at: Instant,
}

const FIRST_VERSION: u64 = 1;

impl<'a> Deref for Tx<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &Self::Target {
        &self.view
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.view
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a mut Connection, permit: &'a Permit) -> Self {
        Self {
            view: View::new(connection, permit),
            pending: Pending::default(),
            has_written: false,
        }
    }

    /// Stores the first version of a resource under an id that the server chose.
    pub fn create(&mut self, sealed: &Sealed, now: Instant) -> Result<Stamped, Error> {
        self.demand(&[Action::Create(sealed.resource_type())])?;
        self.first(sealed, now, Change::Created)
    }

    /// Stores the first version of a resource under an id that the client chose.
    pub fn place(&mut self, sealed: &Sealed, now: Instant) -> Result<Stamped, Error> {
        self.demand(&[Action::Update(sealed.resource_type())])?;
        self.first(sealed, now, Change::Placed)
    }

    fn first(&mut self, sealed: &Sealed, now: Instant, change: Change) -> Result<Stamped, Error> {
        let stamped = sealed.stamp(FIRST_VERSION, now);
        self.has_written = true;
        let done = resources::insert(self.connection, Version::of(&stamped, change));
        let rid = self.noted(done)?;
        self.pending.insert(rid, sealed.rows());
        Ok(stamped)
    }

    /// Stores the version that follows the current one, as the caller has just read it in this transaction.
    pub fn update(
        &mut self,
        current: &Found,
        before: &Before,
        sealed: &Sealed,
        now: Instant,
    ) -> Result<Stamped, Error> {
        self.demand(&[Action::Update(sealed.resource_type())])?;
        let change = match current.change {
            Change::Deleted => Change::Placed,
            _ => Change::Updated,
        };
        let stamped = sealed.stamp(next(current)?, later(current, now));
        self.has_written = true;
        let done = resources::advance(self.connection, current.rid, Version::of(&stamped, change));
        self.noted(done)?;
        self.reindex(current, before, Rows::clone(sealed.rows()))?;
        Ok(stamped)
    }

    /// Stores that the resource is gone.
    pub fn delete(
        &mut self,
        resource_type: &'static str,
        id: &str,
        current: &Found,
        before: &Before,
        now: Instant,
    ) -> Result<Deletion, Error> {
        self.demand(&[Action::Delete(resource_type)])?;
        let deletion = Deletion {
            version: next(current)?,
            at: later(current, now),
        };
        self.has_written = true;
        let version = Version {
            resource_type,
            id,
            number: deletion.version,
            at: deletion.at,
            change: Change::Deleted,
            body: &[],
        };
        let done = resources::advance(self.connection, current.rid, version);
        self.noted(done)?;
        self.reindex(current, before, Rows::default())?;
        Ok(deletion)
    }

    /// Moves a follower on from where it was read, together with what it has done with the entries between. Fails when
    /// another node has done so meanwhile; nothing of this transaction remains then.
    pub fn follow(
        &mut self,
        name: &str,
        from: Option<Position>,
        to: Position,
    ) -> Result<(), Error> {
        self.demand(&[Action::Follow])?;
        self.has_written = true;
        let done = followers::advance(self.view.connection, name, from, to);
        self.noted(done)
    }

    /// Keeps the parameters of a search that is too long to stand in a link.
    pub fn keep_search(
        &mut self,
        action: Action,
        parameters: &[u8],
        now: Instant,
        until: Instant,
    ) -> Result<(), Error> {
        self.demand(&[action])?;
        self.has_written = true;
        let done = sealing::keep(self.view.connection, parameters, now, until);
        self.noted(done)
    }

    /// Whether anything was written, or tried.
    pub(super) fn has_written(&self) -> bool {
        self.has_written
    }

    /// Only what differs is written.
    fn reindex(&mut self, current: &Found, before: &Before, rows: Rows) -> Result<(), Error> {
        if !before.is_of(current) {
            return self.noted(Err(Error::Stale));
        }
        // What waits may be rows of this very resource.
        self.flush()?;
        let (gone, come) = Rows::difference(before.rows().clone(), rows);
        let done = index::remove(self.connection, current.rid, &gone);
        self.noted(done)?;
        self.pending.insert(current.rid, &Arc::new(come));
        Ok(())
    }

    /// Writes the index rows that wait, so that a search in here finds what was written in here.
    pub fn flush(&mut self) -> Result<(), Error> {
        let done = self.pending.flush(self.view.connection);
        self.noted(done)
    }
}

fn next(current: &Found) -> Result<u64, Error> {
    current
        .version
        .checked_add(1)
        .ok_or(Error::Version(i64::MAX))
}

/// A resource's time never runs backwards, whatever the clock does.
fn later(current: &Found, now: Instant) -> Instant {
    now.max(current.at)
}
