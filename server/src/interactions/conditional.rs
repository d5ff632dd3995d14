//! Criteria that stand for a resource: what they match.
//! <https://hl7.org/fhir/R4/http.html#ccreate>

use crate::fault::{Fault, Kind};
use crate::store::{Tx, View};

/// The ids of what they match: two are enough to know that they match more than one.
pub(crate) fn matches(
    _view: &mut View<'_>,
    _resource_type: &'static str,
    _criteria: &str,
) -> Result<Vec<String>, Fault> {
    Err(unsupported())
}

/// The same inside the door, where what was just written is found too.
pub(crate) fn matches_within(
    _tx: &mut Tx<'_>,
    _resource_type: &'static str,
    _criteria: &str,
) -> Result<Vec<String>, Fault> {
    Err(unsupported())
}

fn unsupported() -> Fault {
    Fault::new(
        Kind::NotImplemented,
        "conditional interactions are not supported yet",
    )
}
