//! References by criteria: which resources they lead to.
//! <https://hl7.org/fhir/R4/http.html#trules>

use std::collections::HashMap;

use fhir_spec::json::Text;

use super::condition::Own;
use super::draft::Draft;
use super::plan::Reference;
use super::planner::{Outcome, Planner, or_failures};
use super::trouble::Failure;
use crate::auth::Action;
use crate::fault::{Fault, Kind};

/// Those that lead to what is stored, and those that may lead to what this transaction creates.
type Resolved = (Vec<(Reference, String)>, Vec<Reference>);

impl Planner {
    pub(super) async fn references(
        &self,
        needy: &[(Draft, Vec<Text>)],
        gone: Own,
        own: &Own,
    ) -> Outcome<Resolved> {
        let references = self.distinct(needy)?;
        let types = references
            .iter()
            .map(|reference| reference.condition.resource_type);
        let found = self
            .look(types.map(Action::Search).collect(), move |view| {
                let find = |reference: &Reference| {
                    let found = reference.condition.find(view, &gone);
                    (reference.clone(), found)
                };
                Ok(references.iter().map(find).collect::<Vec<_>>())
            })
            .await?;
        let (mut known, mut unknown, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (reference, found) in found {
            match found {
                Ok(Some(id)) => known.push((reference, id)),
                Ok(None) if own.count(reference.condition.resource_type) > 0 => {
                    unknown.push(reference);
                }
                Ok(None) => {
                    let fault = reference.condition.none();
                    failures.push(Failure::at(reference.place, fault));
                }
                Err(fault) => failures.push(Failure::at(reference.place, fault)),
            }
        }
        or_failures((known, unknown), failures)
    }

    /// Each with the first entry that has it.
    fn distinct(&self, needy: &[(Draft, Vec<Text>)]) -> Outcome<Vec<Reference>> {
        let mut distinct: HashMap<&Text, Reference> = HashMap::new();
        let mut failures = Vec::new();
        let max = self.cx.app.limits.bundle_entries_max;
        for (draft, criteria) in needy {
            for text in criteria {
                if distinct.contains_key(text) {
                    continue;
                }
                if distinct.len() >= max {
                    let told = format!(
                        "more than {max} different references by criteria (bundle_entries_max)"
                    );
                    let fault = Fault::new(Kind::BodyTooLarge, told);
                    return Err(vec![Failure::at(draft.place, fault)]);
                }
                match Reference::of(draft.place, text, &self.cx.app, self.cx.now) {
                    Ok(reference) => {
                        distinct.insert(text, reference);
                    }
                    Err(fault) => failures.push(Failure::at(draft.place, fault)),
                }
            }
        }
        or_failures(distinct.into_values().collect(), failures)
    }
}
