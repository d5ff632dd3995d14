//! The options of a question: listed one by one, or as a value set.

use crate::json::Value;
use crate::outcome::IssueCode;
use crate::terminology::{Membership, ValueSet};

use super::answer::Answer;
use super::{Form, extension, value_of};
use crate::validate::path::Path;
use crate::validate::walk::Walk;

const EXCLUSIVE: &str = "http://hl7.org/fhir/StructureDefinition/questionnaire-optionExclusive";

impl Walk<'_> {
    pub(super) fn options(
        &mut self,
        form: &Form<'_>,
        question: &Value,
        answer: Answer<'_>,
        count: usize,
        path: &Path<'_>,
    ) {
        let is_free =
            question.str_of("type") == Some("open-choice") && answer.property == "valueString";
        let options = question.items_of("answerOption");
        let mut tell = |fault: &str| {
            self.report
                .error(path, answer.value.at, IssueCode::CodeInvalid, || {
                    fault.to_owned()
                });
        };
        if !options.is_empty() && !is_free {
            let chosen = options.iter().find(|option| is_option(option, answer));
            let is_exclusive = chosen.is_some_and(|option| {
                extension(option, EXCLUSIVE).and_then(Value::as_bool) == Some(true)
            });
            if chosen.is_none() {
                tell("the answer is none of the options of the question");
            } else if is_exclusive && count > 1 {
                tell("this option excludes all others, and is not the only answer");
            }
        }
        if let Some(canonical) = question.str_of("answerValueSet")
            && !is_free
            && self.is_in(form, canonical, answer.value) == Some(false)
        {
            self.report
                .error(path, answer.value.at, IssueCode::CodeInvalid, || {
                    format!("the answer is not in the value set `{canonical}` of the question")
                });
        }
    }

    /// Whether a code, Coding or Quantity is in a value set, which may be contained in the questionnaire.
    pub(super) fn is_in(&self, form: &Form<'_>, canonical: &str, value: &Value) -> Option<bool> {
        let definitions = self.validator.definitions();
        let (system, code, version) = match value.as_str() {
            Some(text) => (None, text, None),
            None => match value.str_of("code") {
                Some(code) => (value.str_of("system"), code, value.str_of("version")),
                None => return Some(false),
            },
        };
        let contained;
        let loaded;
        let value_set: &ValueSet = if let Some(id) = canonical.strip_prefix('#') {
            let resource = form
                .questionnaire
                .items_of("contained")
                .iter()
                .find(|inner| inner.str_of("id") == Some(id))?;
            if !form.spend(concepts(resource)) {
                return None;
            }
            contained = ValueSet::build(definitions, resource, &mut Vec::new());
            &contained
        } else {
            loaded = definitions.value_set(canonical)?;
            &loaded
        };
        match value_set.contains(system, code, version) {
            Membership::In { .. } => Some(true),
            Membership::NotIn => Some(false),
            Membership::Unknown(_) => self.request.host.is_in_value_set(canonical, system, code),
        }
    }
}

/// How many concepts a value set lists.
fn concepts(value_set: &Value) -> usize {
    let compose = value_set.get("compose");
    let parts = ["include", "exclude"].into_iter();
    parts
        .flat_map(|name| compose.map_or(&[][..], |compose| compose.items_of(name)))
        .map(|part| 1 + part.items_of("concept").len())
        .sum()
}

fn is_option(option: &Value, answer: Answer<'_>) -> bool {
    let Some((property, offered)) = value_of(option) else {
        return false;
    };
    if property != answer.property {
        return false;
    }
    match property {
        "valueCoding" => is_same_coding(offered, answer.value),
        "valueReference" => offered.str_of("reference") == answer.value.str_of("reference"),
        _ => offered == answer.value,
    }
}

pub(super) fn is_same_coding(one: &Value, other: &Value) -> bool {
    let is_same = |name| one.str_of(name) == other.str_of(name);
    is_same("system") && is_same("code")
}
