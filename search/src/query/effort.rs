//! How much a search asks of a database at once: statements take so many values and no more.

use fhir_spec::outcome::{Issue, IssueCode};

use super::{Query, shown};
use crate::condition::{Condition, Probe};

/// Values that may be bound for all conditions of a search. SQLite takes 32,766 in a statement, PostgreSQL twice as many.
pub const BINDS_MAX: usize = 30_000;
/// A range of dates is asked for each of three spans, with up to four bounds.
const BINDS_OF_RANGE: usize = 12;

impl Query {
    /// No fewer than a statement binds for its conditions.
    pub(crate) fn binds(&self) -> usize {
        self.criteria.iter().map(|c| c.condition.binds()).sum()
    }

    /// The issue that names what asks for most; none when a database takes it all.
    pub(super) fn too_much(&self) -> Option<Issue> {
        let efforts = self
            .criteria
            .iter()
            .map(|c| (c.condition.binds(), &*c.name));
        let (_, name) = efforts.max().filter(|_| self.binds() > BINDS_MAX)?;
        let text = format!(
            "`{}`: too many values, times the places where they are looked for; ask for fewer at once",
            shown(name)
        );
        Some(Issue::error(IssueCode::TooCostly, text))
    }
}

impl Condition {
    /// No fewer than a statement binds for it.
    fn binds(&self) -> usize {
        let sum = |all: &[Self]| all.iter().map(Self::binds).sum();
        match self {
            Self::Rows(probes) => probes.iter().map(Probe::binds).sum(),
            Self::All(all) | Self::Any(all) => sum(all),
            Self::Not(inner) => inner.binds(),
            Self::Refers(link) | Self::IsReferred(link) => link.condition.binds() + 2,
            Self::Id(ids) => ids.len(),
            _ => 1,
        }
    }
}

impl Probe {
    fn binds(&self) -> usize {
        match self.window {
            Some(_) => BINDS_OF_RANGE,
            None => self.tests.len(),
        }
    }
}
