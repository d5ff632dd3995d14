//! Rows that go both ways: what they made on the way in goes back to where it came from.

use fhir_spec::json::Value;

use super::super::super::plan::{
    AssignedPlan, AssignmentPlan, CallPlan, ExpressionPlan, Finish, RowPlan, TargetPlan, WhichPlan,
};
use super::super::super::reverse::{invertible, undo};
use super::super::Page;
use super::super::condition::{reached, says, text_of};
use super::super::library::Item;
use super::{Places, Writer, is_own};

impl<'w, P: Page> Writer<'w, P> {
    pub(super) fn both_row(
        &mut self,
        row: &'w RowPlan,
        item: Item<'w>,
        places: &mut Places<'_, P::Node>,
    ) {
        let (ExpressionPlan::Path(path) | ExpressionPlan::All(path, _)) = &row.source else {
            return;
        };
        let mut found = Vec::new();
        collect(
            item.value,
            item.value,
            &row.target,
            self.out.runner.constants(),
            &mut found,
        );
        for (parent, value) in found {
            let braced = if row.is_plain { parent } else { value };
            let is_taken = self.taken.contains(&std::ptr::from_ref(value));
            if is_taken || is_own(braced) || !self.is_dressed(&row.assignments, braced) {
                continue;
            }
            if let ExpressionPlan::All(_, between) = &row.source {
                if let Ok(undone) = undo(&self.out.runner, &self.env, &row.calls, value.clone())
                    && let Some(text) = text_of(&undone)
                {
                    self.scatter(path, text.split(&**between), places);
                    self.claim(value);
                }
                continue;
            }
            let node = match &row.each {
                Some(each) => {
                    let last = each.steps.len().saturating_sub(1);
                    let repetition = self.taken(each, places, last);
                    self.node(each, places, last, repetition)
                }
                None => self.node(path, places, usize::MAX, 0),
            };
            let Some(node) = node else { return };
            if self.page.is_set(node) {
                return;
            }
            places.its.push(node);
            let is_carried = self.carry(row, item.within(value), node, places);
            if row.each.is_some() {
                self.assigned(&row.assignments, braced, places);
            }
            places.its.pop();
            if row.each.is_none() {
                self.assigned(&row.assignments, braced, places);
            }
            if is_carried {
                self.take(value);
                if row.each.is_none() {
                    return;
                }
            }
        }
    }

    fn carry(
        &mut self,
        row: &'w RowPlan,
        item: Item<'w>,
        node: P::Node,
        places: &mut Places<'_, P::Node>,
    ) -> bool {
        if let Finish::Type(set) = row.finish {
            self.set(set, item, places);
            return self.page.is_set(node);
        }
        self.undone(row.info, &row.calls, row.finish, item.value, node)
    }

    fn undone(
        &mut self,
        info: u32,
        calls: &[CallPlan],
        finish: Finish,
        value: &'w Value,
        node: P::Node,
    ) -> bool {
        match undo(&self.out.runner, &self.env, calls, value.clone()) {
            Ok(undone) => {
                let kind = match finish {
                    Finish::Primitive(primitive) if calls.is_empty() => Some(primitive),
                    _ => None,
                };
                let Some(text) = text_of(&undone).filter(|text| !text.is_empty()) else {
                    return false;
                };
                self.page.set(node, kind, text);
                self.claim(value);
                true
            }
            Err(expected) => {
                self.not_written(info, &expected);
                false
            }
        }
    }

    fn is_dressed(&self, assignments: &[AssignmentPlan], element: &Value) -> bool {
        let constants = self.out.runner.constants();
        assignments
            .iter()
            .all(|assignment| match &assignment.value {
                AssignedPlan::Value(expression, calls, _) if calls.is_empty() => {
                    says(element, &assignment.target, expression, constants)
                }
                _ => true,
            })
    }

    /// The braces that take their values from paths.
    fn assigned(
        &mut self,
        assignments: &'w [AssignmentPlan],
        element: &'w Value,
        places: &mut Places<'_, P::Node>,
    ) {
        for assignment in assignments {
            let AssignedPlan::Value(ExpressionPlan::Path(path), calls, finish) = &assignment.value
            else {
                continue;
            };
            let constants = self.out.runner.constants();
            let found = reached(element, &assignment.target, constants);
            let Some(value) = found.into_iter().next() else {
                continue;
            };
            if invertible(calls).is_ok()
                && let Some(node) = self.node(path, places, usize::MAX, 0)
                && !self.page.is_set(node)
            {
                match finish {
                    Finish::Type(set) => {
                        places.its.push(node);
                        self.set(*set, Item::of(value), places);
                        places.its.pop();
                    }
                    _ => {
                        self.undone(assignment.info, calls, *finish, value, node);
                    }
                }
            }
        }
    }
}

/// The elements that a path can mean, each with the one around it.
fn collect<'v>(
    parent: &'v Value,
    value: &'v Value,
    steps: &[TargetPlan],
    constants: &[Value],
    found: &mut Vec<(&'v Value, &'v Value)>,
) {
    let Some((step, deeper)) = steps.split_first() else {
        found.push((parent, value));
        return;
    };
    let Some(next) = value.get(&step.name) else {
        return;
    };
    let Some(items) = next.as_array() else {
        return collect(value, next, deeper, constants, found);
    };
    for item in items {
        let is_meant = match &step.which {
            WhichPlan::Where(wanted) => wanted
                .iter()
                .all(|(steps, wanted, _)| says(item, steps, wanted, constants)),
            _ => true,
        };
        if is_meant {
            collect(value, item, deeper, constants, found);
            if matches!(step.which, WhichPlan::First) {
                return;
            }
        }
    }
}
