//! Questionnaires themselves: a condition is about a question that can be answered before.
//! <https://hl7.org/fhir/R4/questionnaire.html#enable>

use std::collections::HashSet;

use super::collect_link_ids;
use crate::json::Value;
use crate::outcome::IssueCode;
use crate::validate::path::Path;
use crate::validate::walk::Walk;

impl Walk<'_> {
    pub(in crate::validate) fn questionnaire(&mut self, questionnaire: &Value, path: &Path<'_>) {
        let mut all = HashSet::new();
        collect_link_ids(questionnaire, &mut all);
        self.conditions(questionnaire, &all, path);
    }

    fn conditions(&mut self, holder: &Value, all: &HashSet<&str>, path: &Path<'_>) {
        for (index, item) in holder.items_of("item").iter().enumerate() {
            let path = &path.child("item", Some(index), path.type_id);
            let mut inner = HashSet::new();
            let conditions = item.items_of("enableWhen");
            if !conditions.is_empty() {
                inner.extend(item.str_of("linkId"));
                collect_link_ids(item, &mut inner);
            }
            for (index, condition) in conditions.iter().enumerate() {
                let Some(question) = condition.str_of("question") else {
                    continue; // told already
                };
                let fault = if inner.contains(question) {
                    "is the item itself or within it"
                } else if all.contains(question) {
                    continue;
                } else {
                    "is not in the questionnaire"
                };
                let path = &path.child("enableWhen", Some(index), path.type_id);
                self.report
                    .error(path, condition.at, IssueCode::BusinessRule, || {
                        format!("the condition is about `{question}`, which {fault}")
                    });
            }
            self.conditions(item, all, path);
        }
    }
}
