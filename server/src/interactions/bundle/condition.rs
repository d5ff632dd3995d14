//! Criteria that an entry depends on: what they match decides what the entry is about.
//! <https://hl7.org/fhir/R4/http.html#cond-update>

use std::collections::HashMap;
use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};

use super::trouble::Stop;
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::conditional::Criteria;
use crate::store::{Tx, View};

/// `Type?criteria`, and the one resource that the plan takes them to match; None: that they match nothing.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    pub(super) resource_type: &'static str,
    pub(super) criteria: String,
    parsed: Arc<Criteria>,
    pub(super) expected: Option<String>,
}

/// Resources that a transaction itself changes, by type and id, with the places of their entries.
#[derive(Debug, Clone, Default)]
pub(super) struct Own(HashMap<&'static str, HashMap<String, usize>>);

impl Own {
    pub(super) fn insert(&mut self, resource_type: &'static str, id: String, place: usize) {
        self.0.entry(resource_type).or_default().insert(id, place);
    }

    fn place(&self, resource_type: &str, id: &str) -> Option<usize> {
        self.0.get(resource_type)?.get(id).copied()
    }

    /// How many of that type.
    pub(super) fn count(&self, resource_type: &str) -> usize {
        self.0.get(resource_type).map_or(0, HashMap::len)
    }
}

impl Condition {
    /// `parameters` are what the criteria say, decoded.
    pub(super) fn new(
        app: &App,
        resource_type: &'static str,
        criteria: &str,
        parameters: &[(String, String)],
        now: Instant,
    ) -> Result<Self, Fault> {
        let parsed = Criteria::new(app, resource_type, parameters, now)?;
        Ok(Self {
            resource_type,
            criteria: criteria.to_owned(),
            parsed: Arc::new(parsed),
            expected: None,
        })
    }

    /// What they match, apart from what the same transaction deletes before.
    pub(super) fn find(&self, view: &mut View<'_>, gone: &Own) -> Result<Option<String>, Fault> {
        // Two are enough to know that there are several, beside those that will be gone.
        let ids_max = u32::try_from(gone.count(self.resource_type)).unwrap_or(u32::MAX);
        let found = self.parsed.ids(view, ids_max.saturating_add(2))?;
        let mut left = found
            .into_iter()
            .filter(|id| gone.place(self.resource_type, id).is_none());
        let first = left.next();
        match left.next() {
            Some(_) => Err(self.several()),
            None => Ok(first),
        }
    }

    /// Whether the plan's expectation still holds, when it is the turn of the entry at this place.
    pub(super) fn verify(&self, tx: &mut Tx<'_>, own: &Own, place: usize) -> Result<(), Stop> {
        let found = self.parsed.ids_within(tx, 2)?;
        if found
            .iter()
            .map(String::as_str)
            .eq(self.expected.as_deref())
        {
            return Ok(());
        }
        for id in found {
            let owner = own.place(self.resource_type, &id);
            if let Some(other) = owner.filter(|other| *other != place) {
                return Err(self.met(other).into());
            }
        }
        Err(Stop::Changed)
    }

    /// The one resource that a reference by these criteria leads to, at the end of the transaction.
    pub(super) fn target(&self, tx: &mut Tx<'_>) -> Result<String, Fault> {
        let found = self.parsed.ids_within(tx, 2)?;
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
