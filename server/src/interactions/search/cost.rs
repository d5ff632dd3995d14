//! What would certainly take longer than a search may is refused before it begins.
//! <https://hl7.org/fhir/R4/search.html#errors>
//!
//! Only what cannot be avoided is reckoned, at a price below what any machine takes: what might be done in time is tried,
//! and ended in the database when it is not.

use search::query::Query;
use search::sql::{asked_of_all_by_count, asked_of_all_by_page};

use super::{Asked, Part};
use crate::fault::{Fault, Kind};
use crate::limits::QUESTION_NS_MIN;
use crate::store::View;

/// Whether all hits can be counted in time.
pub(super) fn counted(view: &mut View<'_>, asked: &Asked, parts: &[Part]) -> Result<(), Fault> {
    affordable(view, asked, parts, asked_of_all_by_count)
}

/// Whether a page can be put in its order in time.
pub(super) fn paged(view: &mut View<'_>, asked: &Asked, parts: &[Part]) -> Result<(), Fault> {
    affordable(view, asked, parts, asked_of_all_by_page)
}

fn affordable(
    view: &mut View<'_>,
    asked: &Asked,
    parts: &[Part],
    asked_of_all: fn(&Query) -> Option<usize>,
) -> Result<(), Fault> {
    let mut questions = 0_u64;
    for part in parts {
        let Some(conditions) = asked_of_all(&part.query) else {
            continue;
        };
        let resources = u64::try_from(view.total(part.resource_type)?).unwrap_or_default();
        let conditions = u64::try_from(conditions).unwrap_or(u64::MAX);
        questions = questions.saturating_add(resources.saturating_mul(conditions));
    }
    let least_ms = questions.saturating_mul(QUESTION_NS_MIN) / 1_000_000;
    let most_ms = asked.limits.statement_ms;
    if least_ms <= most_ms {
        return Ok(());
    }
    let diagnostics = format!(
        "this would ask {questions} questions about resources, which takes more than {least_ms} ms, and a search may take {most_ms} ms (statement_ms): add a criterion that finds few, or ask without sort and total"
    );
    Err(Fault::new(Kind::TooCostly, diagnostics))
}
