//! Expressions, functions, code tables, conditions.

use std::borrow::Cow;

use compact_str::{CompactString, format_compact};
use fhir_spec::json::{Data, Object, Text, Value};

use super::super::functions::Function;
use super::super::loss::Note;
use super::super::plan::{
    CallPlan, ConditionPlan, ExpressionPlan, Shape, SourcePath, TablePlan, index,
};
use super::super::source::{Cell, Source};
use super::{Local, Run, each_node};

/// What an expression says: three kinds, as a source has them.
pub(super) enum Got {
    Nothing,
    Null,
    Value(Value),
}

impl<'r, S: Source> Run<'r, S> {
    pub(super) fn node(&self, path: &SourcePath, local: Local<'_, S::Node>) -> Option<S::Node> {
        let from = self.base(path.base, local)?;
        self.source.walk(from, &path.steps)
    }

    fn cell(&mut self, path: &SourcePath, local: Local<'_, S::Node>) -> Cell<'r> {
        let source = self.source;
        let Some(node) = self.node(path, local) else {
            return Cell::Absent;
        };
        let (cell, said) = source.read(node);
        if cell != Cell::Absent {
            self.consumed.push(said);
        }
        cell
    }

    pub(super) fn evaluate(
        &mut self,
        expression: &'r ExpressionPlan,
        local: Local<'_, S::Node>,
    ) -> Got {
        match expression {
            ExpressionPlan::Path(path) => match self.cell(path, local) {
                Cell::Absent => Got::Nothing,
                Cell::Null => Got::Null,
                // It has parts, and says nothing by itself.
                Cell::Valued(text) if text.is_empty() => Got::Nothing,
                Cell::Valued(text) => Got::Value(Value::from(Text::from(text))),
            },
            ExpressionPlan::Literal(value) => Got::Value(value.clone()),
            ExpressionPlan::Null => Got::Null,
            ExpressionPlan::Constant(place) => self
                .constants
                .get(index(*place))
                .map_or(Got::Nothing, |value| Got::Value(value.clone())),
            ExpressionPlan::Call(function, arguments) => {
                let from = self.arguments.len();
                match self.call(function, arguments, from, local) {
                    Some(value) if !value.is_null() => Got::Value(value),
                    _ => Got::Nothing,
                }
            }
            ExpressionPlan::All(path, between) => self.gather(path, between, local),
            ExpressionPlan::Nth(arguments) => self.nth(arguments, local),
            ExpressionPlan::Concatenation(terms) => self.concatenate(terms, local),
        }
    }

    /// The constant terms alone say nothing: `line + ", " + city` is nothing without line and city.
    fn concatenate(&mut self, terms: &'r [ExpressionPlan], local: Local<'_, S::Node>) -> Got {
        let mut made = CompactString::default();
        let mut says_something = false;
        for term in terms {
            if let Got::Value(value) = self.evaluate(term, local)
                && let Data::String(text) | Data::Number(text) = &value.data
            {
                says_something |= !term.is_constant();
                made.push_str(text);
            }
        }
        says_something |= terms.iter().all(ExpressionPlan::is_constant);
        if says_something {
            Got::Value(Value::from(made))
        } else {
            Got::Nothing
        }
    }

    /// Every text that a path leads to, in one. What stands where nothing is said is an empty line.
    fn gather(&mut self, path: &'r SourcePath, between: &Text, local: Local<'_, S::Node>) -> Got {
        let source = self.source;
        let mut made = CompactString::default();
        let (mut is_valued, mut is_first) = (false, true);
        let (own, joined) = self.bases(path.base, local);
        for from in own.into_iter().chain(joined) {
            let consumed = &mut self.consumed;
            each_node(source, from, &path.steps, &mut |node| {
                if !is_first {
                    made.push_str(between);
                }
                is_first = false;
                if let Cell::Valued(text) = source.cell(node) {
                    made.push_str(&text);
                    is_valued = true;
                    consumed.push(source.said(node));
                }
            });
        }
        if is_valued {
            Got::Value(Value::from(made))
        } else {
            Got::Nothing
        }
    }

    fn nth(&mut self, arguments: &'r [ExpressionPlan], local: Local<'_, S::Node>) -> Got {
        let mut said = String::new();
        for argument in arguments {
            let value = self.argument(argument, local);
            said.push_str(plain(&value));
            said.push('\u{1f}');
        }
        let block = self
            .frames
            .get(index(local.frame))
            .map_or(0, |frame| frame.block);
        let alike = self.alike.entry((block, said)).or_default();
        // Entries are filled one after the other.
        let place = alike.binary_search(&self.entry).unwrap_or_else(|place| {
            alike.insert(place, self.entry);
            place
        });
        match place {
            0 => Got::Nothing,
            place => Got::Value(format_compact!("#{}", place + 1).into()),
        }
    }

    /// What an expression says, as a plain text.
    fn text(&mut self, expression: &'r ExpressionPlan, local: Local<'_, S::Node>) -> Cow<'r, str> {
        match expression {
            ExpressionPlan::Literal(value) => plain(value).into(),
            ExpressionPlan::Path(path) => match self.cell(path, local) {
                Cell::Valued(text) => text,
                _ => "".into(),
            },
            _ => plain(&self.argument(expression, local)).to_owned().into(),
        }
    }

    fn argument(&mut self, expression: &'r ExpressionPlan, local: Local<'_, S::Node>) -> Value {
        match self.evaluate(expression, local) {
            Got::Value(value) => value,
            _ => Data::Null.into(),
        }
    }

    /// Runs conversions; nothing when one of them refuses or gives nothing.
    pub(super) fn convert(
        &mut self,
        value: Option<Value>,
        calls: &'r [CallPlan],
        local: Local<'_, S::Node>,
    ) -> Option<Value> {
        if calls.is_empty() {
            return value;
        }
        let mut value = value.unwrap_or(Data::Null.into());
        for call in calls {
            value = match call {
                CallPlan::Function(function, more) => {
                    if value.is_null() && !function.takes_nothing {
                        continue;
                    }
                    let from = self.arguments.len();
                    self.arguments.push(value);
                    self.call(function, more, from, local)?
                }
                CallPlan::Code(table, shape) => {
                    if value.is_null() {
                        continue;
                    }
                    let table = self.plan.tables.get(index(*table))?;
                    self.look_up(table, *shape, &value)?
                }
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// Asks a function; its arguments are those that were put down from a place on, and these. Nothing when it refuses.
    fn call(
        &mut self,
        function: &'static Function,
        more: &'r [ExpressionPlan],
        from: usize,
        local: Local<'_, S::Node>,
    ) -> Option<Value> {
        for argument in more {
            let argument = self.argument(argument, local);
            self.arguments.push(argument);
        }
        let arguments = self.arguments.get(from..).unwrap_or_default();
        let answer = function.call(arguments, &self.env);
        self.arguments.truncate(from);
        answer.map_err(|expected| self.refuse(expected)).ok()
    }

    pub(super) fn refuse(&mut self, expected: String) {
        let span = self.consumed.last().copied();
        self.notes.push(Note::Refused {
            row: self.row,
            span,
            expected: expected.into(),
        });
    }

    fn look_up(&mut self, table: &'r TablePlan, shape: Shape, value: &Value) -> Option<Value> {
        let (Data::String(text) | Data::Number(text)) = &value.data else {
            return None;
        };
        let text = text.trim();
        let found = table.by_source.get(text).copied();
        if found.is_none() {
            let kept = table.keeps || table.otherwise.is_some();
            let span = self.consumed.last().copied();
            self.notes.push(Note::Unmapped {
                row: self.row,
                span,
                table: table.name.clone(),
                code: text.into(),
                kept,
            });
        }
        let mapped = found.or(if table.keeps { None } else { table.otherwise });
        let mapped = mapped.and_then(|row| table.rows.get(index(row)));
        let Some((code, display)) = mapped else {
            return table.keeps.then(|| original(table, shape, text));
        };
        let coding = |system: &Option<Text>, code: &str, display: Option<&Text>| {
            let mut coding = Object::new();
            if let Some(system) = system {
                coding.set("system", system.clone());
            }
            coding.set("code", code);
            if let Some(display) = display {
                coding.set("display", display.clone());
            }
            Value::from(coding)
        };
        Some(match shape {
            Shape::Code => Value::from(code.clone()),
            Shape::Coding => coding(&table.to_system, code, display.as_ref()),
            Shape::Concept => {
                let mut codings = vec![coding(&table.to_system, code, display.as_ref())];
                if table.from_system.is_some() {
                    codings.push(coding(&table.from_system, text, None));
                }
                Object::from_iter([("coding", codings)]).into()
            }
        })
    }

    pub(super) fn holds(
        &mut self,
        condition: &'r ConditionPlan,
        local: Local<'_, S::Node>,
    ) -> bool {
        match condition {
            ConditionPlan::Valued(path) => matches!(self.cell(path, local), Cell::Valued(_)),
            ConditionPlan::Null(path) => self.cell(path, local) == Cell::Null,
            ConditionPlan::Compare {
                left,
                is_equal,
                right,
            } => {
                let left = self.text(left, local);
                let is_there = right.iter().any(|right| self.text(right, local) == left);
                is_there == *is_equal
            }
            ConditionPlan::Not(inner) => !self.holds(inner, local),
            ConditionPlan::All(all) => all.iter().all(|one| self.holds(one, local)),
            ConditionPlan::Any(all) => all.iter().any(|one| self.holds(one, local)),
        }
    }
}

/// What has no row is kept as the sender wrote it.
fn original(table: &TablePlan, shape: Shape, text: &str) -> Value {
    let mut coding = Object::new();
    if let Some(system) = &table.from_system {
        coding.set("system", system.clone());
        coding.set("code", text);
    }
    match shape {
        Shape::Code => Value::from(text),
        Shape::Coding => {
            if coding.is_empty() {
                coding.set("display", text);
            }
            coding.into()
        }
        Shape::Concept => {
            let mut concept = Object::new();
            if !coding.is_empty() {
                concept.set("coding", vec![Value::from(coding)]);
            }
            concept.set("text", text);
            concept.into()
        }
    }
}

fn plain(value: &Value) -> &str {
    match &value.data {
        Data::String(text) | Data::Number(text) => text,
        Data::Bool(true) => "true",
        Data::Bool(false) => "false",
        _ => "",
    }
}
