//! Responses against their questionnaire: items in their places, answers of the right type, within their limits.
//! <https://hl7.org/fhir/R4/questionnaireresponse.html#link>
//!
//! The questionnaire is the one that the response names, contained in it or known to the caller. Limits that stand in
//! extensions (`minValue`, `maxDecimalPlaces`, ...) are those of <https://hl7.org/fhir/R4/questionnaire.html#extensions>.

mod answer;
mod enable_when;
mod form;
mod items;
mod limits;
mod options;

use std::cell::Cell;
use std::collections::HashSet;

use crate::json::Value;
use crate::outcome::IssueCode;

use super::path::Path;
use super::scope::Scope;
use super::walk::Walk;

/// What holding one response against its questionnaire may cost, in items, options and concepts looked at: conditions
/// search the response, and answers the options, so both being large is their product.
const STEPS_MAX: usize = 5_000_000;

/// A questionnaire with what every part of the check needs to know.
struct Form<'q> {
    questionnaire: &'q Value,
    link_ids: HashSet<&'q str>,
    /// A response that is not finished may lack answers.
    is_finished: bool,
    steps_left: Cell<usize>,
}

impl<'q> Form<'q> {
    fn of(questionnaire: &'q Value, response: &Value) -> Self {
        let mut link_ids = HashSet::new();
        collect_link_ids(questionnaire, &mut link_ids);
        Self {
            questionnaire,
            link_ids,
            is_finished: matches!(response.str_of("status"), Some("completed" | "amended")),
            steps_left: Cell::new(STEPS_MAX),
        }
    }

    /// Takes so many steps; false once none are left, and then nothing more is checked.
    fn spend(&self, steps: usize) -> bool {
        self.steps_left
            .set(self.steps_left.get().saturating_sub(steps));
        !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.steps_left.get() == 0
    }
}

fn collect_link_ids<'q>(holder: &'q Value, link_ids: &mut HashSet<&'q str>) {
    for item in holder.items_of("item") {
        link_ids.extend(item.str_of("linkId"));
        collect_link_ids(item, link_ids);
    }
}

impl Walk<'_> {
    pub(super) fn questionnaire_response(
        &mut self,
        response: &Value,
        path: &Path<'_>,
        scope: &Scope<'_>,
    ) {
        let Some(stated) = response.get("questionnaire") else {
            return;
        };
        let Some(canonical) = stated.as_str() else {
            return; // told already
        };
        let known = match canonical.strip_prefix('#') {
            Some(id) => scope
                .root
                .items_of("contained")
                .iter()
                .find(|inner| inner.str_of("id") == Some(id))
                .cloned()
                .map(std::sync::Arc::new),
            None => self.request.host.resource(canonical),
        };
        let is_it = |found: &Value| found.str_of("resourceType") == Some("Questionnaire");
        let Some(questionnaire) = known.filter(|found| is_it(found)) else {
            self.report
                .warning(path, stated.at, IssueCode::NotFound, || {
                    format!("the questionnaire `{canonical}` is not known here: the answers are not held against it")
                });
            return;
        };
        let form = Form::of(&questionnaire, response);
        let items = response.items_of("item");
        self.form_items(&form, &questionnaire, response, items, &[items], path);
        if form.is_spent() {
            self.report
                .warning(path, response.at, IssueCode::TooCostly, || {
                    format!("not all answers are held against the questionnaire: that takes more than {STEPS_MAX} steps")
                });
        }
    }
}

/// The value of an item's (or option's) extension, whatever its type.
fn extension<'q>(item: &'q Value, url: &str) -> Option<&'q Value> {
    extensions(item, url).next()
}

fn extensions<'q>(item: &'q Value, url: &str) -> impl Iterator<Item = &'q Value> {
    item.items_of("extension")
        .iter()
        .filter(move |extension| extension.str_of("url") == Some(url))
        .filter_map(value_of)
        .map(|(_, value)| value)
}

/// The `value[x]` (or `answer[x]`) of an object: the name of the property and its value.
fn choice_of<'v>(holder: &'v Value, plain: &str) -> Option<(&'v str, &'v Value)> {
    holder.as_object()?.iter().find(|(name, _)| {
        name.strip_prefix(plain)
            .is_some_and(|kind| kind.starts_with(|first: char| first.is_ascii_uppercase()))
    })
}

fn value_of(holder: &Value) -> Option<(&str, &Value)> {
    choice_of(holder, "value")
}
