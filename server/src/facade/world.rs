//! Where a plan looks around: before the door opens, or inside, where what was just written is found too.

use crate::fault::Fault;
use crate::interactions::conditional::Criteria;
use crate::store::{Found, Head, Tx, View};

pub(super) trait World {
    /// What criteria find, at most so many.
    fn find(&mut self, criteria: &Criteria, found_max: u32) -> Result<Vec<(Head, Found)>, Fault>;

    /// For what is asked in the same way inside and outside.
    fn look<T>(&mut self, work: impl FnOnce(&mut View<'_>) -> T) -> T;
}

impl World for View<'_> {
    fn find(&mut self, criteria: &Criteria, found_max: u32) -> Result<Vec<(Head, Found)>, Fault> {
        criteria.find(self, found_max)
    }

    fn look<T>(&mut self, work: impl FnOnce(&mut View<'_>) -> T) -> T {
        work(self)
    }
}

impl World for Tx<'_> {
    fn find(&mut self, criteria: &Criteria, found_max: u32) -> Result<Vec<(Head, Found)>, Fault> {
        criteria.find_within(self, found_max)
    }

    fn look<T>(&mut self, work: impl FnOnce(&mut View<'_>) -> T) -> T {
        work(self)
    }
}
