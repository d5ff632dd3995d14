//! Criteria that an entry depends on: what they match decides what the entry is about.
//! <https://hl7.org/fhir/R4/http.html#cond-update>

use std::collections::HashMap;

use fhir_spec::{Issue, IssueCode};

use super::trouble::Stop;
use crate::fault::{Fault, Kind};
use crate::interactions::conditional;
use crate::store::{Tx, View};

/// `Type?criteria`, and the one resource that the plan takes them to match; None: that they match nothing.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) resource_type: &'static str,
    pub(super) criteria: String,
    pub(super) expected: Option<String>,
}

/// The resources that a transaction itself changes, by type and id, with the places of their entries.
pub(super) type Own = HashMap<(&'static str, String), usize>;

impl Condition {
    pub(super) fn new(resource_type: &'static str, criteria: &str) -> Self {
        Self {
            resource_type,
            criteria: criteria.to_owned(),
            expected: None,
        }
    }

    /// What they match, apart from what the same transaction deletes before.
    pub(super) fn find(&self, view: &mut View<'_>, gone: &Own) -> Result<Option<String>, Fault> {
        let found = conditional::matches(view, self.resource_type, &self.criteria)?;
        let mut left = found
            .into_iter()
            .filter(|id| !gone.contains_key(&(self.resource_type, id.clone())));
        let first = left.next();
        match left.next() {
            Some(_) => Err(self.several()),
            None => Ok(first),
        }
    }

    /// Whether the plan's expectation still holds, when it is the turn of the entry at this place.
    pub(super) fn verify(&self, tx: &mut Tx<'_>, own: &Own, place: usize) -> Result<(), Stop> {
        let found = conditional::matches_within(tx, self.resource_type, &self.criteria)?;
        if found
            .iter()
            .map(String::as_str)
            .eq(self.expected.as_deref())
        {
            return Ok(());
        }
        for id in found {
            let owner = own.get(&(self.resource_type, id));
            if let Some(other) = owner.filter(|other| **other != place) {
                return Err(self.met(*other).into());
            }
        }
        Err(Stop::Changed)
    }

    /// The one resource that a reference by these criteria leads to, at the end of the transaction.
    pub(super) fn target(&self, tx: &mut Tx<'_>) -> Result<String, Fault> {
        let found = conditional::matches_within(tx, self.resource_type, &self.criteria)?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(id), None) => Ok(id),
            (None, _) => Err(self.none()),
            (Some(_), Some(_)) => Err(self.several()),
        }
    }

    fn shown(&self) -> String {
        format!("`{}?{}`", self.resource_type, self.criteria)
    }

    fn met(&self, other: usize) -> Fault {
        let told = format!(
            "{} matches what entry {other} writes: in a transaction each resource has one entry",
            self.shown()
        );
        Fault::of_issues(
            Kind::PreconditionFailed,
            vec![Issue::error(IssueCode::Duplicate, told)],
        )
    }

    fn several(&self) -> Fault {
        let told = format!("{} matches more than one resource", self.shown());
        Fault::of_issues(
            Kind::PreconditionFailed,
            vec![Issue::error(IssueCode::MultipleMatches, told)],
        )
    }

    pub(super) fn none(&self) -> Fault {
        let told = format!("{} matches no resource", self.shown());
        Fault::of_issues(
            Kind::PreconditionFailed,
            vec![Issue::error(IssueCode::NotFound, told)],
        )
    }
}
