//! One database transaction, as the work inside it sees it.

use std::ops::{Deref, DerefMut};

use super::connection::Connection;
use super::error::Error;
use super::resources::{self, Change, Found, Version};
use super::view::View;
use crate::accept::{Sealed, Stamped};
use crate::auth::{Action, Permit};
use crate::instant::Instant;

/// What `Store::write` hands to its closure. Everything done through it happens together or not at all.
#[derive(Debug)]
pub struct Tx<'a>(View<'a>);

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
        &self.0
    }
}

impl DerefMut for Tx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<'a> Tx<'a> {
    pub(super) fn new(connection: &'a mut Connection, permit: &'a Permit) -> Self {
        Self(View::new(connection, permit))
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
        let done = resources::insert(self.connection, Version::of(&stamped, change));
        self.noted(done)?;
        Ok(stamped)
    }

    /// Stores the version that follows the current one, as the caller has just read it in this transaction.
    pub fn update(
        &mut self,
        current: &Found,
        sealed: &Sealed,
        now: Instant,
    ) -> Result<Stamped, Error> {
        self.demand(&[Action::Update(sealed.resource_type())])?;
        let change = match current.change {
            Change::Deleted => Change::Placed,
            _ => Change::Updated,
        };
        let stamped = sealed.stamp(next(current)?, later(current, now));
        let done = resources::advance(self.connection, current.rid, Version::of(&stamped, change));
        self.noted(done)?;
        Ok(stamped)
    }

    /// Stores that the resource is gone.
    pub fn delete(
        &mut self,
        resource_type: &'static str,
        id: &str,
        current: &Found,
        now: Instant,
    ) -> Result<Deletion, Error> {
        self.demand(&[Action::Delete(resource_type)])?;
        let deletion = Deletion {
            version: next(current)?,
            at: later(current, now),
        };
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
        Ok(deletion)
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
