//! Which questions are asked at all. <https://hl7.org/fhir/R4/questionnaire.html#enable>

use crate::fhirpath::{self, Context, Expression, Item};
use crate::json::Value;

use super::answer::Answer;
use super::items::Levels;
use super::{Form, choice_of, options};
use crate::validate::walk::Walk;

impl Walk<'_> {
    pub(super) fn is_enabled(
        &self,
        form: &Form<'_>,
        question: &Value,
        levels: Levels<'_, '_>,
    ) -> bool {
        let conditions = question.items_of("enableWhen");
        if conditions.is_empty() {
            return true;
        }
        let mut met = conditions
            .iter()
            .map(|condition| self.is_met(form, condition, levels));
        if question.str_of("enableBehavior") == Some("all") {
            met.all(|met| met)
        } else {
            met.any(|met| met)
        }
    }

    fn is_met(&self, form: &Form<'_>, condition: &Value, levels: Levels<'_, '_>) -> bool {
        let link_id = condition.str_of("question").unwrap_or_default();
        let operator = condition.str_of("operator").unwrap_or_default();
        let Some((_, wanted)) = choice_of(condition, "answer") else {
            return false;
        };
        // The nearest occurrence counts: within the same group first, then outwards.
        let holders = levels
            .iter()
            .rev()
            .map(|items| answers_to(form, items, link_id))
            .find(|answers| !answers.is_empty())
            .unwrap_or_default();
        if operator == "exists" {
            return wanted.as_bool() != Some(holders.is_empty());
        }
        let mut answers = holders
            .into_iter()
            .filter_map(|holder| self.answer_of(holder));
        if operator == "!=" {
            return answers.all(|answer| !self.compares(answer, "=", wanted));
        }
        answers.any(|answer| self.compares(answer, operator, wanted))
    }

    fn compares(&self, answer: Answer<'_>, operator: &str, wanted: &Value) -> bool {
        if answer.property == "valueCoding" {
            return operator == "=" && options::is_same_coding(answer.value, wanted);
        }
        if !matches!(operator, "=" | ">" | "<" | ">=" | "<=") {
            return false;
        }
        let item = |value| Item::Node(fhirpath::Node::typed(Some(value), None, answer.type_id));
        let context =
            Context::new(self.types, answer.value).with_variable("wanted", vec![item(wanted)]);
        let verdict = Expression::parse(&format!("$this {operator} %wanted"))
            .and_then(|test| test.evaluate_on(&context, &item(answer.value)));
        matches!(verdict.as_deref(), Ok([Item::Boolean(true)]))
    }
}

/// The answers of a question among these items and below them.
fn answers_to<'d>(form: &Form<'_>, items: &'d [Value], link_id: &str) -> Vec<&'d Value> {
    let mut answers = Vec::new();
    if !form.spend(items.len()) {
        return answers;
    }
    for item in items {
        if item.str_of("linkId") == Some(link_id) {
            answers.extend(item.items_of("answer"));
        }
        answers.extend(answers_to(form, item.items_of("item"), link_id));
        for answer in item.items_of("answer") {
            answers.extend(answers_to(form, answer.items_of("item"), link_id));
        }
    }
    answers
}
