//! What may keep an entry from being done, and how it is told of the bundle.
//! <https://hl7.org/fhir/R4/operationoutcome.html>

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fhir_spec::Issue;
use fhir_spec::bundle::Kind as BundleKind;
use fhir_spec::json::Places;
use fhir_spec::validate::ISSUES_MAX;

use super::Sent;
use crate::auth::Forbidden;
use crate::fault::{Fault, Kind};
use crate::store;

/// Why a plan was not carried out.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Fault),
    /// What the plan took for granted does not hold any more.
    Changed,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<store::Error> for Stop {
    fn from(error: store::Error) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Forbidden> for Stop {
    fn from(error: Forbidden) -> Self {
        Self::Fault(error.into())
    }
}

impl Stop {
    pub(super) fn at(self, place: usize) -> Self {
        match self {
            Self::Fault(fault) => Self::Fault(at(fault, place)),
            Self::Changed => Self::Changed,
        }
    }
}

/// An entry that cannot be done.
#[derive(Debug)]
pub(super) struct Failure {
    /// None: it is of no entry.
    pub(super) place: Option<usize>,
    pub(super) fault: Fault,
    /// Where its resource begins in the text: lines and columns are counted from there.
    pub(super) origin: Option<u32>,
}

impl Failure {
    pub(super) fn at(place: usize, fault: Fault) -> Self {
        Self {
            place: Some(place),
            fault,
            origin: None,
        }
    }

    pub(super) fn whole(fault: Fault) -> Self {
        Self {
            place: None,
            fault,
            origin: None,
        }
    }
}

/// How many issues of entries there are so far: a bundle could bring more than there is memory for.
#[derive(Debug, Clone, Default)]
pub(super) struct Told(Arc<AtomicUsize>);

impl Told {
    /// A batch answers every entry, with one issue at least.
    const OF_BATCH_MAX: usize = 10 * ISSUES_MAX;

    /// Does work that may fail, unless so much is wrong already that this would not be told.
    pub(super) fn within<T>(
        &self,
        kind: BundleKind,
        place: usize,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let is_over = self.0.load(Ordering::Relaxed) >= ISSUES_MAX;
        if kind == BundleKind::Transaction && is_over {
            let untold = Fault::of_issues(Kind::Unprocessable, Vec::new());
            return Err(Failure::at(place, untold));
        }
        work().map_err(|mut failure| {
            let issues = &mut failure.fault.issues;
            if self.0.fetch_add(issues.len(), Ordering::Relaxed) >= Self::OF_BATCH_MAX {
                issues.truncate(1);
                issues.shrink_to_fit();
            }
            failure
        })
    }
}

/// A fault of an entry, where its issues do not say more closely what they are about.
fn at(mut fault: Fault, place: usize) -> Fault {
    for issue in &mut fault.issues {
        issue
            .expression
            .get_or_insert_with(|| format!("Bundle.entry[{place}]"));
    }
    fault
}

/// Makes faults of failures, each told of the bundle: its issues with the places that they have in the whole text.
pub(super) fn told(mut failures: Vec<Failure>, sent: &Sent) -> Vec<(Option<usize>, Fault)> {
    failures.sort_by_key(|failure| (failure.origin, failure.place));
    let mut places = Places::new(sent.as_str());
    let mut faults: Vec<(Option<usize>, Fault)> = Vec::with_capacity(failures.len());
    for Failure {
        place,
        mut fault,
        origin,
    } in failures
    {
        if let Some(origin) = origin {
            let (line, column) = places.of(origin);
            for issue in &mut fault.issues {
                issue.place = issue.place.map(|inside| match inside {
                    (1, inner) => (line, column + inner - 1),
                    (below, inner) => (line + below - 1, inner),
                });
            }
        }
        let fault = match place {
            Some(place) => at(fault, place),
            None => fault,
        };
        faults.push((place, fault));
    }
    faults.sort_by_key(|(place, _)| *place);
    faults
}

/// The faults of several entries as one: everything that is wrong at once, with the status of the first.
pub(super) fn as_one(faults: Vec<(Option<usize>, Fault)>) -> Fault {
    let mut faults = faults.into_iter().map(|(_, fault)| fault);
    let Some(mut first) = faults.next() else {
        return Fault::internal("there was no failure");
    };
    for fault in faults {
        first.issues.extend(fault.issues);
    }
    // What is no error is of no use beside one.
    first.issues.retain(Issue::is_error);
    first.issues.truncate(ISSUES_MAX);
    first
}
