//! Orders: what a message says of an order without naming a test is said of all its tests.

use fhir_spec::json::parse;

use super::draft::Draft;
use super::planner::{Planner, Subject};
use super::world::World;
use crate::store::{Found, Head};

/// An order by its number alone, as a bare ORC names it: cancelled, held, given a number.
pub(super) fn is_bare(draft: &Draft) -> bool {
    draft.resource_type == "ServiceRequest" && draft.resource.get("code").is_none()
}

/// A number that was given to orders of several patients names none of them.
pub(super) fn are_of(patient: &str, found: &[(Head, Found)]) -> bool {
    found.iter().all(|(_, found)| {
        let order = parse(&found.body).ok();
        let subject = order.as_ref().and_then(|order| order.get("subject"));
        subject.and_then(|subject| subject.str_of("reference")) == Some(patient)
    })
}

impl<W: World> Planner<'_, W> {
    /// The address of the patient of an order. None: which one that is is not known yet.
    pub(super) fn patient_of(&self, order: &Draft, known: &[Option<Subject>]) -> Option<String> {
        let subject = order.resource.get("subject").and_then(|subject| {
            let reference = subject.str_of("reference")?;
            self.drafts.place(reference)
        });
        let Some(place) = subject else {
            return Some(String::new());
        };
        let patient = known.get(place).and_then(Option::as_ref)?;
        let resource_type = self.drafts.all.get(place)?.resource_type;
        Some(format!("{resource_type}/{}", patient.id))
    }
}

/// The subject of what was found.
pub(super) fn subject((head, found): (Head, Found)) -> Subject {
    Subject {
        id: head.id,
        found: Some(found),
        told: head.told,
        also: Vec::new(),
    }
}
