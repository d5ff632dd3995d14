//! Where a plan looks around: before the door opens, or inside, where what was just written is found too.

use std::collections::HashMap;

use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::store::{Found, Rid, Tx, View};

pub(super) trait World {
    /// The ids of what criteria find, at most so many.
    fn ids(&mut self, criteria: &Criteria, ids_max: u32) -> Result<Vec<String>, Fault>;

    /// The current version, which may say that it was deleted.
    fn current(&mut self, resource_type: &'static str, id: &str) -> Result<Option<Found>, Fault>;

    /// When what is known of these was so.
    fn told(&mut self, resources: &[(&'static str, Rid)]) -> Result<HashMap<Rid, Instant>, Fault>;
}

impl World for View<'_> {
    fn ids(&mut self, criteria: &Criteria, ids_max: u32) -> Result<Vec<String>, Fault> {
        criteria.ids(self, ids_max)
    }

    fn current(&mut self, resource_type: &'static str, id: &str) -> Result<Option<Found>, Fault> {
        Ok(View::current(self, resource_type, id)?)
    }

    fn told(&mut self, resources: &[(&'static str, Rid)]) -> Result<HashMap<Rid, Instant>, Fault> {
        Ok(View::told(self, resources)?)
    }
}

impl World for Tx<'_> {
    fn ids(&mut self, criteria: &Criteria, ids_max: u32) -> Result<Vec<String>, Fault> {
        criteria.ids_within(self, ids_max)
    }

    fn current(&mut self, resource_type: &'static str, id: &str) -> Result<Option<Found>, Fault> {
        Ok(View::current(self, resource_type, id)?)
    }

    fn told(&mut self, resources: &[(&'static str, Rid)]) -> Result<HashMap<Rid, Instant>, Fault> {
        Ok(View::told(self, resources)?)
    }
}
