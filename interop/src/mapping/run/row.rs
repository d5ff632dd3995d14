//! One row, and the braces behind it.

use fhir_spec::json::{Object, Value};

use super::super::loss::Note;
use super::super::plan::{
    AssignedPlan, AssignmentPlan, CallPlan, ExpressionPlan, Finish, RowPlan, RowSet, index,
};
use super::super::row::Direction;
use super::super::source::{Cell, Source};
use super::super::trace::Traced;
use super::super::value::coerce;
use super::expression::Got;
use super::write::{deleted, is_set, locate, place, render, stands};
use super::{It, Local, Run, each_node};

/// Type maps that a source leads back into themselves, such as sections within sections.
const TYPE_RUN_DEPTH_MAX: usize = 64;

impl<'r, S: Source> Run<'r, S> {
    pub(super) fn rows(&mut self, set: &'r RowSet, local: Local<'_, S::Node>, object: &mut Object) {
        let own = self.base(set.own, local);
        let present = own.map_or(u64::MAX, |node| self.source.present(node));
        for row in &set.rows {
            if row.needs & !present != 0 || row.direction == Direction::Backward {
                continue;
            }
            let Some(each) = &row.each else {
                self.row_once(row, local, object);
                continue;
            };
            if let Some(from) = self.base(each.base, local) {
                let source = self.source;
                each_node(source, from, &each.steps, &mut |node| {
                    let it = It {
                        node,
                        outer: local.it,
                    };
                    let local = Local {
                        frame: local.frame,
                        it: Some(&it),
                    };
                    self.row_once(row, local, object);
                });
            }
        }
        self.ignore(&set.ignored, present, local);
    }

    fn row_once(&mut self, row: &'r RowPlan, local: Local<'_, S::Node>, object: &mut Object) {
        // An earlier row gave the value. Plain ones are looked at all the same: who says it again is not lost.
        let is_set = is_set(object, &row.target);
        if is_set && (row.source.is_constant() || !row.is_plain) {
            return;
        }
        self.row = row.info;
        let consumed = self.consumed.len();
        if let Some(condition) = &row.condition
            && !self.holds(condition, local)
        {
            // What was only looked at was not carried.
            self.consumed.truncate(consumed);
            return;
        }
        let traced = self.trace.as_ref().map_or(0, Vec::len);
        if let Finish::Made(made) = row.finish {
            for reference in self.references(&row.source, made, local) {
                if self.put(row, reference, local, object) {
                    self.follow(row, consumed, traced, object);
                }
            }
            return;
        }
        let told = (self.notes.len(), self.delete_count());
        let Some(value) = self.row_value(row, local) else {
            if told == (self.notes.len(), self.delete_count()) {
                self.consumed.truncate(consumed);
            }
            if is_set && let Some(entry) = self.entries.get_mut(index(self.entry)) {
                entry.deletes.truncate(told.1);
            }
            return;
        };
        self.row = row.info;
        let stands = !row.is_default && row.is_plain && {
            let there = stands(object, &row.target, self.constants);
            there.is_some_and(|there| *there == value)
        };
        if !self.put(row, value, local, object) {
            if stands {
                // It says what an earlier row said.
                return;
            }
            // An earlier row gave the value. What this one read was not carried.
            self.consumed.truncate(consumed);
            if let Some(trace) = &mut self.trace {
                trace.truncate(traced);
            }
            return;
        }
        if row.is_default {
            self.notes.push(Note::Assumed { row: row.info });
        }
        self.follow(row, consumed, traced, object);
    }

    /// The value of a row, ready to be written.
    fn row_value(&mut self, row: &'r RowPlan, local: Local<'_, S::Node>) -> Option<Value> {
        if let Finish::Reference(block) = row.finish {
            let there = self.nearest(local.frame, block);
            return there.and_then(|entry| self.reference(entry));
        }
        if let Finish::Type(set) = row.finish {
            let ExpressionPlan::Path(path) = &row.source else {
                return None;
            };
            let node = self.node(path, local)?;
            match self.source.cell(node) {
                Cell::Absent => return None,
                Cell::Null => return self.delete(row, node),
                Cell::Valued(_) => {}
            }
            let deletes = self.delete_count();
            let made = self.run_type(set, node, local);
            let nothing = Object::new();
            let object = made.as_ref().and_then(Value::as_object);
            self.place_deletes(row, deletes, object.unwrap_or(&nothing));
            return made;
        }
        let got = match self.evaluate(&row.source, local) {
            Got::Null => {
                self.note_delete(row);
                return None;
            }
            Got::Nothing => None,
            Got::Value(value) => Some(value),
        };
        let value = self.convert(got, &row.calls, local)?;
        self.finished(row.finish, value)
    }

    fn finished(&mut self, finish: Finish, value: Value) -> Option<Value> {
        let Finish::Primitive(primitive) = finish else {
            return Some(value);
        };
        // Spaces alone say nothing.
        if (value.as_str()).is_some_and(|text| text.chars().all(char::is_whitespace)) {
            return None;
        }
        match coerce(primitive, value, &self.env) {
            Ok(value) => Some(value),
            Err(expected) => {
                self.refuse(expected.to_owned());
                None
            }
        }
    }

    fn delete(&mut self, row: &RowPlan, node: S::Node) -> Option<Value> {
        let span = self.source.span(node);
        self.consumed.push(span);
        self.note_delete(row);
        None
    }

    fn note_delete(&mut self, row: &RowPlan) {
        let Some(path) = deleted(row, None, self.constants) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(index(self.entry)) {
            entry.deletes.push(path.into());
        }
    }

    fn delete_count(&self) -> usize {
        let entry = self.entries.get(index(self.entry));
        entry.map_or(0, |entry| entry.deletes.len())
    }

    /// What a type map said of its own element is said of the resource.
    fn place_deletes(&mut self, row: &RowPlan, from: usize, made: &Object) {
        let constants = self.constants;
        let Some(entry) = self.entries.get_mut(index(self.entry)) else {
            return;
        };
        for path in entry.deletes.get_mut(from..).unwrap_or_default() {
            if let Some(outer) = deleted(row, Some(made), constants) {
                *path = format!("{outer}.{path}").into();
            }
        }
    }

    /// Writes the value and what the braces say beside it.
    fn put(
        &mut self,
        row: &'r RowPlan,
        mut value: Value,
        local: Local<'_, S::Node>,
        object: &mut Object,
    ) -> bool {
        let constants = self.constants;
        if row.is_plain {
            let Some((last, above)) = row.target.split_last() else {
                return false;
            };
            if row.assignments.is_empty() && above.is_empty() {
                return place(object, std::slice::from_ref(last), value, constants);
            }
            let Some(parent) = locate(object, above, constants) else {
                return false;
            };
            if !place(parent, std::slice::from_ref(last), value, constants) {
                return false;
            }
            for assignment in &row.assignments {
                self.assign(assignment, local, parent);
            }
            return true;
        }
        if let Some(made) = value.as_object_mut() {
            for assignment in &row.assignments {
                self.assign(assignment, local, made);
            }
        }
        place(object, &row.target, value, constants)
    }

    pub(super) fn assign(
        &mut self,
        assignment: &'r AssignmentPlan,
        local: Local<'_, S::Node>,
        object: &mut Object,
    ) {
        let constants = self.constants;
        let elsewhere = match assignment.elsewhere {
            None => None,
            Some(block) => match self.nearest(local.frame, block) {
                None => return,
                Some(there) => Some(there).filter(|there| *there != self.entry),
            },
        };
        let consumed = self.consumed.len();
        let value = match &assignment.value {
            AssignedPlan::Value(expression, calls, finish) => {
                self.assigned_value(expression, calls, *finish, local)
            }
            AssignedPlan::Reference(block) => self
                .nearest(local.frame, *block)
                .and_then(|entry| self.reference(entry)),
            AssignedPlan::Without(block) => {
                self.delete_reference(assignment, *block, elsewhere, local);
                None
            }
            // Nothing refers to itself.
            AssignedPlan::Itself => elsewhere.and_then(|_| self.reference(self.entry)),
        };
        let Some(value) = value else { return };
        let is_written = match elsewhere {
            None => place(object, &assignment.target, value, constants),
            Some(there) => self.entries.get_mut(index(there)).is_some_and(|entry| {
                place(&mut entry.resource, &assignment.target, value, constants)
            }),
        };
        if !is_written && elsewhere.is_some() {
            self.consumed.truncate(consumed);
        }
    }

    /// The item whose reference leads to the resource of a block is no more.
    fn delete_reference(
        &mut self,
        assignment: &AssignmentPlan,
        block: u32,
        elsewhere: Option<u32>,
        local: Local<'_, S::Node>,
    ) {
        let there = self.nearest(local.frame, block);
        let there = there.and_then(|there| self.entries.get(index(there)));
        let Some(url) = there.map(|there| there.full_url.clone()) else {
            return;
        };
        let names: Vec<&str> = (assignment.target.iter().map(|step| &*step.name)).collect();
        if let (Some((last, above)), Some(entry)) = (
            names.split_last(),
            (self.entries).get_mut(index(elsewhere.unwrap_or(self.entry))),
        ) {
            let path = format!("{}[{last}.reference={url}]", above.join("."));
            entry.deletes.push(path.into());
        }
    }

    fn assigned_value(
        &mut self,
        expression: &'r ExpressionPlan,
        calls: &'r [CallPlan],
        finish: Finish,
        local: Local<'_, S::Node>,
    ) -> Option<Value> {
        match finish {
            Finish::Type(set) => return self.typed(expression, set, local),
            Finish::Made(made) => {
                return self.references(expression, made, local).into_iter().next();
            }
            _ => {}
        }
        let got = match self.evaluate(expression, local) {
            Got::Value(value) => Some(value),
            _ => None,
        };
        let value = self.convert(got, calls, local)?;
        self.finished(finish, value)
    }

    fn typed(
        &mut self,
        expression: &'r ExpressionPlan,
        set: u32,
        local: Local<'_, S::Node>,
    ) -> Option<Value> {
        let ExpressionPlan::Path(path) = expression else {
            return None;
        };
        let node = self.node(path, local)?;
        self.run_type(set, node, local)
    }

    /// What the rows of a type map make of a node.
    fn run_type(&mut self, set: u32, node: S::Node, local: Local<'_, S::Node>) -> Option<Value> {
        if self.depth == TYPE_RUN_DEPTH_MAX {
            return None;
        }
        let set = self.plan.types.get(index(set))?;
        let it = It {
            node,
            outer: local.it,
        };
        let local = Local {
            frame: local.frame,
            it: Some(&it),
        };
        let mut made = Object::new();
        self.depth += 1;
        self.rows(set, local, &mut made);
        self.depth -= 1;
        (!made.is_empty()).then(|| made.into())
    }

    pub(super) fn reference(&self, entry: u32) -> Option<Value> {
        let entry = self.entries.get(index(entry))?;
        Some(Object::from_iter([("reference", Value::from(entry.full_url.clone()))]).into())
    }

    /// Says which elements this row made, when somebody wants to know.
    fn follow(&mut self, row: &RowPlan, consumed: usize, traced: usize, object: &Object) {
        let Some(trace) = &mut self.trace else { return };
        let path = render(object, &row.target, self.constants);
        // Rows of a type map told what they made below this element.
        for inner in trace.get_mut(traced..).unwrap_or_default() {
            inner.element = format!("{path}.{}", inner.element);
        }
        let sources = if matches!(row.finish, Finish::Type(_)) {
            Vec::new()
        } else {
            self.consumed.get(consumed..).unwrap_or_default().to_vec()
        };
        trace.push(Traced {
            entry: self.entry,
            element: path,
            row: row.info,
            sources,
        });
    }
}
