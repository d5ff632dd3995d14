//! Answers: the type that the question asks for, its options and its limits.
//! <https://hl7.org/fhir/R4/valueset-item-type.html>

use crate::definitions::TypeId;
use crate::json::Value;
use crate::outcome::IssueCode;

use super::{Form, value_of};
use crate::validate::path::Path;
use crate::validate::walk::Walk;

/// The value of an answer.
#[derive(Clone, Copy)]
pub(super) struct Answer<'d> {
    pub(super) value: &'d Value,
    /// The name of the property: `valueCoding`.
    pub(super) property: &'d str,
    pub(super) type_id: TypeId,
}

impl Walk<'_> {
    pub(super) fn answers(
        &mut self,
        form: &Form<'_>,
        question: &Value,
        answers: &[Value],
        path: &Path<'_>,
    ) {
        for (index, holder) in answers.iter().enumerate() {
            if !form.spend(1 + question.items_of("answerOption").len()) {
                return;
            }
            let path = &path.child("answer", Some(index), path.type_id);
            let Some(answer) = self.answer_of(holder) else {
                continue;
            };
            let value_path = &path.child("value", None, answer.type_id);
            if !self.has_asked_type(question, answer, value_path) {
                continue;
            }
            self.options(form, question, answer, answers.len(), path);
            self.limits(form, question, answer, value_path);
        }
    }

    pub(super) fn answer_of<'d>(&self, holder: &'d Value) -> Option<Answer<'d>> {
        let (property, value) = value_of(holder)?;
        let definition = self.types.named("QuestionnaireResponse.item.answer")?;
        let (_, kind) = definition.property(property)?;
        Some(Answer {
            value,
            property,
            type_id: kind.id,
        })
    }

    fn has_asked_type(&mut self, question: &Value, answer: Answer<'_>, path: &Path<'_>) -> bool {
        let asked = question.str_of("type").unwrap_or_default();
        let allowed = allowed_types(asked, question);
        let found = &*self.types.get(answer.type_id).name;
        let is_allowed = allowed.contains(&found);
        if !is_allowed {
            self.report
                .error(path, answer.value.at, IssueCode::Structure, || {
                    format!(
                        "the question asks for {asked}: expected {}, found {found}",
                        allowed.join(" or ")
                    )
                });
        }
        is_allowed
    }
}

fn allowed_types(asked: &str, question: &Value) -> &'static [&'static str] {
    let has_options = question.get("answerOption").is_some();
    let has_value_set = question.get("answerValueSet").is_some();
    match asked {
        "boolean" => &["boolean"],
        "decimal" => &["decimal"],
        "integer" => &["integer"],
        "date" => &["date"],
        "dateTime" => &["dateTime"],
        "time" => &["time"],
        "string" | "text" => &["string"],
        "url" => &["uri"],
        "attachment" => &["Attachment"],
        "reference" => &["Reference"],
        "quantity" => &["Quantity"],
        // Options may be of any of these types; which ones they are, is checked with the options.
        "choice" if has_options => &["Coding", "integer", "date", "time", "string", "Reference"],
        "choice" if has_value_set => &["Coding"],
        // Options are open (or not given at all).
        _ => &["Coding", "integer", "date", "time", "string", "Reference"],
    }
}
