//! Items of a response: known, in order, in their places, as often as they may be.

use std::collections::HashMap;

use crate::json::Value;
use crate::outcome::IssueCode;

use super::Form;
use crate::validate::path::Path;
use crate::validate::walk::Walk;

/// Items that surround the ones at hand, from the outermost inwards.
pub(super) type Levels<'l, 'd> = &'l [&'d [Value]];

impl Walk<'_> {
    /// The items of a response (or of one of its groups or answers) against those of the questionnaire.
    pub(super) fn form_items(
        &mut self,
        form: &Form<'_>,
        asked: &Value,
        holder: &Value,
        given: &[Value],
        levels: Levels<'_, '_>,
        path: &Path<'_>,
    ) {
        let questions = asked.items_of("item");
        if !form.spend(questions.len() + given.len()) {
            return;
        }
        self.places(form, questions, given, path);
        let mut by_link_id: HashMap<&str, Vec<(usize, &Value)>> = HashMap::new();
        for (index, item) in given.iter().enumerate() {
            let link_id = item.str_of("linkId").unwrap_or_default();
            by_link_id.entry(link_id).or_default().push((index, item));
        }
        for question in questions {
            let Some(link_id) = question.str_of("linkId") else {
                continue;
            };
            let found = by_link_id.remove(link_id).unwrap_or_default();
            let at = |index: usize| path.child("item", Some(index), path.type_id);
            let is_enabled = self.is_enabled(form, question, levels);
            if form.is_spent() {
                return; // an answer that the search for it did not reach is not missing
            }
            if !is_enabled {
                for (index, item) in found {
                    if has_content(item) {
                        self.report
                            .error(&at(index), item.at, IssueCode::BusinessRule, || {
                                format!("`{link_id}` has an answer, but is not enabled")
                            });
                    }
                }
                continue;
            }
            let is_required = flag(question, "required");
            if found.is_empty() && is_required && form.is_finished {
                self.report.error(path, holder.at, IssueCode::Required, || {
                    format!("`{link_id}` is required, and not here")
                });
            }
            let is_repeating_group =
                question.str_of("type") == Some("group") && flag(question, "repeats");
            if let [_, (index, second), ..] = found.as_slice()
                && !is_repeating_group
            {
                self.report
                    .error(&at(*index), second.at, IssueCode::Structure, || {
                        format!("`{link_id}` stands here twice; answers repeat within one item")
                    });
            }
            for (index, item) in found {
                self.item_against(form, question, item, levels, &at(index));
            }
        }
    }

    /// Every item is asked for here, and in this order.
    fn places(&mut self, form: &Form<'_>, questions: &[Value], given: &[Value], path: &Path<'_>) {
        let asked: HashMap<&str, usize> = (0..)
            .zip(questions)
            .filter_map(|(place, question)| Some((question.str_of("linkId")?, place)))
            .collect();
        let mut last = 0;
        for (index, item) in given.iter().enumerate() {
            let Some(link_id) = item.str_of("linkId") else {
                continue; // told already
            };
            let fault = match asked.get(link_id).copied() {
                Some(place) if place >= last => {
                    last = place;
                    continue;
                }
                Some(_) => "is out of the order of the questionnaire",
                None if form.link_ids.contains(link_id) => {
                    "belongs to another place of the questionnaire"
                }
                None => "is not in the questionnaire",
            };
            let path = &path.child("item", Some(index), path.type_id);
            self.report.error(path, item.at, IssueCode::Structure, || {
                format!("`{link_id}` {fault}")
            });
        }
    }

    fn item_against(
        &mut self,
        form: &Form<'_>,
        question: &Value,
        item: &Value,
        levels: Levels<'_, '_>,
        path: &Path<'_>,
    ) {
        let kind = question.str_of("type").unwrap_or_default();
        let (answers, inner) = (item.items_of("answer"), item.items_of("item"));
        let is_required = flag(question, "required") && form.is_finished;
        let mut tell = |code, fault: &str| {
            self.report.error(path, item.at, code, || fault.to_owned());
        };
        match kind {
            "group" | "display" | "question" => {
                if !answers.is_empty() {
                    tell(
                        IssueCode::Structure,
                        &format!("an item of type {kind} has no answers"),
                    );
                }
                if kind == "display" && !inner.is_empty() {
                    tell(IssueCode::Structure, "an item of type display has no items");
                }
                if kind == "group" && is_required && inner.is_empty() {
                    tell(
                        IssueCode::Required,
                        "the group is required, and has no items",
                    );
                }
                let levels: Vec<&[Value]> = levels.iter().copied().chain([inner]).collect();
                self.form_items(form, question, item, inner, &levels, path);
            }
            _ => {
                if !inner.is_empty() {
                    let fault = "the items of a question stand within its answer";
                    tell(IssueCode::Structure, fault);
                }
                if answers.is_empty() && is_required {
                    tell(IssueCode::Required, "an answer is required");
                }
                if answers.len() > 1 && !flag(question, "repeats") {
                    tell(
                        IssueCode::Structure,
                        "only one answer is allowed: the question does not repeat",
                    );
                }
                self.answers(form, question, answers, path);
                for (index, answer) in answers.iter().enumerate() {
                    let inner = answer.items_of("item");
                    let path = &path.child("answer", Some(index), path.type_id);
                    let levels: Vec<&[Value]> = levels.iter().copied().chain([inner]).collect();
                    self.form_items(form, question, answer, inner, &levels, path);
                }
            }
        }
    }
}

fn flag(question: &Value, name: &str) -> bool {
    question.get(name).and_then(Value::as_bool) == Some(true)
}

fn has_content(item: &Value) -> bool {
    !item.items_of("answer").is_empty() || item.items_of("item").iter().any(has_content)
}
