//! Backwards: the rows that invert carry resources to a source. Conditions are not asked on the way back; what braces and
//! brackets say must be so for a row to take an element.

use fhir_spec::json::{Data, Text, Value};

use super::env::Env;
use super::functions;
use super::plan::{
    AssignedPlan, AssignmentPlan, Base, CallPlan, ExpressionPlan, Finish, RowPlan, RowSet,
    SourcePath, TablePlan, TargetPlan, WhichPlan, index,
};
use super::row::Direction;
use super::run::Runner;
use super::run::write::at;
use super::source::Sink;

/// Why a row does not invert.
pub(super) fn inverts(row: &RowPlan) -> Result<(), String> {
    if !matches!(
        row.source,
        ExpressionPlan::Path(_) | ExpressionPlan::All(..)
    ) {
        return Err("its source is not one path".to_owned());
    }
    invertible(&row.calls)?;
    for assignment in &row.assignments {
        if let AssignedPlan::Value(ExpressionPlan::Path(_), calls, _) = &assignment.value {
            invertible(calls)?;
        }
    }
    Ok(())
}

pub(super) fn invertible(calls: &[CallPlan]) -> Result<(), String> {
    for call in calls {
        if let CallPlan::Function(function, arguments) = call {
            if function.inverse.is_none() {
                return Err(format!("nothing undoes {}", function.name));
            }
            if !arguments.iter().all(ExpressionPlan::is_constant) {
                return Err(format!("the arguments of {} are not fixed", function.name));
            }
        }
    }
    Ok(())
}

/// A value that no row could carry back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCarried {
    pub row: u32,
    pub expected: String,
}

impl Runner {
    /// Writes resources, each to the block of its type that comes first and has none yet.
    pub fn reverse<K: Sink>(
        &self,
        resources: &[Value],
        sink: &mut K,
        now: &str,
    ) -> Vec<NotCarried> {
        let root = sink.root();
        let mut back = Back {
            runner: self,
            env: Env::new(now, self.zone()),
            sink,
            left: resources.iter().map(Some).collect(),
            claimed: Vec::new(),
            not_carried: Vec::new(),
        };
        let places = [root];
        if let Some(plan) = self.plan().blocks.first() {
            for child in &plan.children {
                back.block(*child, &places);
            }
        }
        back.not_carried
    }
}

struct Back<'b, K: Sink> {
    runner: &'b Runner,
    env: Env<'b>,
    sink: &'b mut K,
    left: Vec<Option<&'b Value>>,
    /// Elements that a row took, by where they are in memory: two rows never take one.
    claimed: Vec<*const Value>,
    not_carried: Vec<NotCarried>,
}

/// Nodes of the blocks around, the innermost last, then those of repetitions and type maps.
struct Places<'p, N> {
    blocks: &'p [N],
    its: Vec<N>,
}

impl<'b, K: Sink> Back<'b, K> {
    fn block(&mut self, block: u32, around: &[K::Node]) {
        let runner = self.runner;
        let Some(plan) = runner.plan().blocks.get(index(block)) else {
            return;
        };
        let places = Places {
            blocks: around,
            its: Vec::new(),
        };
        let mut repetition = 0;
        loop {
            let resource = match &plan.resource {
                None => None,
                Some(resource) => match self.take(&resource.type_name) {
                    Some(found) => Some(found),
                    None => return,
                },
            };
            let Some(node) = self.node(&plan.source, &places, repetition) else {
                return;
            };
            let mut inner = around.to_vec();
            inner.push(node);
            if let (Some(plan), Some(resource)) = (&plan.resource, resource) {
                let mut places = Places {
                    blocks: &inner,
                    its: Vec::new(),
                };
                self.rows(&plan.rows, resource, &mut places);
                self.assigned(&plan.assignments, resource, &mut places);
            }
            for child in &plan.children {
                self.block(*child, &inner);
            }
            repetition += 1;
            // A group, or the whole source, is one; only what repeats goes on.
            if plan.resource.is_none() || plan.source.steps.is_empty() {
                return;
            }
        }
    }

    fn take(&mut self, type_name: &str) -> Option<&'b Value> {
        let is_it = |left: &&mut Option<&Value>| {
            left.is_some_and(|value| value.str_of("resourceType") == Some(type_name))
        };
        self.left.iter_mut().find(is_it)?.take()
    }

    /// The node of a path; its last step in that repetition.
    fn node(
        &mut self,
        path: &SourcePath,
        places: &Places<'_, K::Node>,
        repetition: u16,
    ) -> Option<K::Node> {
        self.node_in(path, places, path.steps.len().saturating_sub(1), repetition)
    }

    /// The node of a path; that step of it in that repetition.
    fn node_in(
        &mut self,
        path: &SourcePath,
        places: &Places<'_, K::Node>,
        repeating: usize,
        repetition: u16,
    ) -> Option<K::Node> {
        let from_end = |all: &[K::Node], out: u8| {
            all.len()
                .checked_sub(1 + usize::from(out))
                .and_then(|place| all.get(place).copied())
        };
        let mut node = match path.base {
            Base::Block(out) => from_end(places.blocks, out)?,
            Base::It(out) => from_end(&places.its, out)?,
        };
        for (place, step) in path.steps.iter().enumerate() {
            let wanted = if place == repeating { repetition } else { 0 };
            node = self
                .sink
                .child(node, step.number, step.repetition.unwrap_or(wanted));
        }
        Some(node)
    }

    fn rows(&mut self, set: &'b RowSet, resource: &'b Value, places: &mut Places<'_, K::Node>) {
        for row in &set.rows {
            if row.direction != Direction::Forward {
                self.row(row, resource, places);
            }
        }
    }

    fn row(&mut self, row: &'b RowPlan, resource: &'b Value, places: &mut Places<'_, K::Node>) {
        let (ExpressionPlan::Path(path) | ExpressionPlan::All(path, _)) = &row.source else {
            return;
        };
        let mut found = Vec::new();
        self.collect(resource, resource, &row.target, &mut found);
        let is_plain = row.is_plain;
        let mut repetition = 0;
        for (parent, value) in found {
            let braced = if is_plain { parent } else { value };
            if self.claimed.contains(&std::ptr::from_ref(value))
                || !self.is_dressed(&row.assignments, braced)
            {
                continue;
            }
            if let ExpressionPlan::All(_, between) = &row.source {
                if let Some(lines) = self.scatter(row, between, value, repetition, places) {
                    self.claimed.push(std::ptr::from_ref(value));
                    repetition += lines;
                }
                continue;
            }
            let node = match &row.each {
                Some(each) => self.node(each, places, repetition),
                None => self.node(path, places, 0),
            };
            let Some(node) = node else { return };
            places.its.push(node);
            let is_carried = self.carry(row.info, &row.calls, row.finish, value, node, places);
            if row.each.is_some() {
                self.assigned(&row.assignments, braced, places);
                places.its.pop();
            } else {
                places.its.pop();
                self.assigned(&row.assignments, braced, places);
            }
            if is_carried {
                self.claimed.push(std::ptr::from_ref(value));
                repetition += 1;
                if row.each.is_none() {
                    return;
                }
            }
        }
    }

    /// The parts of a text that was gathered: each in a repetition of its own, from a given one on. How many there are.
    fn scatter(
        &mut self,
        row: &RowPlan,
        between: &str,
        value: &Value,
        from: u16,
        places: &Places<'_, K::Node>,
    ) -> Option<u16> {
        let ExpressionPlan::All(path, _) = &row.source else {
            return None;
        };
        let undone = undo(self.runner, &self.env, &row.calls, value.clone());
        let undone = undone
            .map_err(|expected| {
                self.not_carried.push(NotCarried {
                    row: row.info,
                    expected,
                });
            })
            .ok()?;
        let parts = text_of(&undone)?.split(between);
        let mut count = 0u16;
        for part in parts {
            let node = self.node_in(path, places, 0, from.saturating_add(count))?;
            self.sink.set(node, None, part);
            count = count.saturating_add(1);
        }
        Some(count)
    }

    /// The elements that a path can mean, each with the one around it.
    fn collect(
        &self,
        parent: &'b Value,
        value: &'b Value,
        steps: &'b [TargetPlan],
        found: &mut Vec<(&'b Value, &'b Value)>,
    ) {
        let Some((step, deeper)) = steps.split_first() else {
            found.push((parent, value));
            return;
        };
        let Some(next) = value.get(&step.name) else {
            return;
        };
        let Some(items) = next.as_array() else {
            self.collect(value, next, deeper, found);
            return;
        };
        for item in items {
            let is_meant = match &step.which {
                WhichPlan::New | WhichPlan::First | WhichPlan::Last | WhichPlan::Nth(_) => true,
                WhichPlan::Where(wanted) => wanted
                    .iter()
                    .all(|(steps, wanted, _)| self.says(item, steps, wanted)),
            };
            if is_meant {
                self.collect(value, item, deeper, found);
                if matches!(step.which, WhichPlan::First) {
                    return;
                }
            }
        }
    }

    fn says(&self, item: &Value, steps: &[TargetPlan], wanted: &ExpressionPlan) -> bool {
        let constants = self.runner.constants();
        let wanted = match wanted {
            ExpressionPlan::Literal(value) => Some(value),
            ExpressionPlan::Constant(place) => constants.get(index(*place)),
            // What is not fixed is not asked for.
            _ => return true,
        };
        let found = at(item, steps, constants);
        found.and_then(text_of) == wanted.and_then(text_of)
    }

    fn is_dressed(&self, assignments: &[AssignmentPlan], element: &Value) -> bool {
        assignments
            .iter()
            .all(|assignment| match &assignment.value {
                AssignedPlan::Value(expression, calls, _)
                    if calls.is_empty() && assignment.elsewhere.is_none() =>
                {
                    self.says(element, &assignment.target, expression)
                }
                _ => true,
            })
    }

    /// The braces that take their values from paths.
    fn assigned(
        &mut self,
        assignments: &'b [AssignmentPlan],
        element: &'b Value,
        places: &mut Places<'_, K::Node>,
    ) {
        for assignment in assignments.iter().filter(|one| one.elsewhere.is_none()) {
            let AssignedPlan::Value(ExpressionPlan::Path(path), calls, finish) = &assignment.value
            else {
                continue;
            };
            let Some(value) = at(element, &assignment.target, self.runner.constants()) else {
                continue;
            };
            if invertible(calls).is_ok()
                && let Some(node) = self.node(path, places, 0)
            {
                places.its.push(node);
                self.carry(assignment.info, calls, *finish, value, node, places);
                places.its.pop();
            }
        }
    }

    fn carry(
        &mut self,
        row: u32,
        calls: &[CallPlan],
        finish: Finish,
        value: &'b Value,
        node: K::Node,
        places: &mut Places<'_, K::Node>,
    ) -> bool {
        if let Finish::Type(set) = finish {
            let runner = self.runner;
            if let Some(set) = runner.plan().types.get(index(set)) {
                self.rows(set, value, places);
            }
            return true;
        }
        let undone = undo(self.runner, &self.env, calls, value.clone());
        match undone {
            Ok(value) => {
                let kind = match finish {
                    Finish::Primitive(primitive) if calls.is_empty() => Some(primitive),
                    _ => None,
                };
                let text = text_of(&value);
                if let Some(text) = text {
                    self.sink.set(node, kind, text);
                }
                text.is_some()
            }
            Err(expected) => {
                self.not_carried.push(NotCarried { row, expected });
                false
            }
        }
    }
}

/// What conversions were given, from what they made.
pub(super) fn undo(
    runner: &Runner,
    env: &Env<'_>,
    calls: &[CallPlan],
    mut value: Value,
) -> Result<Value, String> {
    for call in calls.iter().rev() {
        value = match call {
            CallPlan::Code(table, _) => {
                let table = runner
                    .plan()
                    .tables
                    .get(index(*table))
                    .ok_or_else(|| "a code table".to_owned())?;
                looked_up(table, &value)?
            }
            CallPlan::Function(function, arguments) => {
                let inverse = function.inverse.and_then(functions::named);
                let inverse = inverse.ok_or_else(|| format!("nothing undoes {}", function.name))?;
                let mut all = vec![value];
                all.extend(arguments.iter().map(|argument| match argument {
                    ExpressionPlan::Literal(value) => value.clone(),
                    ExpressionPlan::Constant(place) => {
                        let value = runner.constants().get(index(*place)).cloned();
                        value.unwrap_or(Data::Null.into())
                    }
                    _ => Data::Null.into(),
                }));
                inverse.call(&all, env)?
            }
        };
    }
    Ok(value)
}

/// The first code of the source that the table makes this of; what was kept comes back as it was.
pub(super) fn looked_up(table: &TablePlan, value: &Value) -> Result<Value, String> {
    let codings = value.items_of("coding");
    let of_system = |system: &Option<Text>| {
        let system = system.as_deref();
        codings
            .iter()
            .find(|coding| coding.str_of("system") == system)
            .and_then(|coding| coding.str_of("code"))
    };
    if let Some(code) = of_system(&table.from_system).filter(|_| table.from_system.is_some()) {
        return Ok(code.into());
    }
    let code = value
        .as_str()
        .or_else(|| value.str_of("code"))
        .or_else(|| of_system(&table.to_system));
    if let Some(source) = code.and_then(|code| table.by_code.get(code)) {
        return Ok(source.clone().into());
    }
    let kept = value.str_of("text").or(code).filter(|_| table.keeps);
    kept.map(Value::from)
        .ok_or_else(|| format!("a code that the table {} gives", table.name))
}

fn text_of(value: &Value) -> Option<&str> {
    match &value.data {
        Data::String(text) | Data::Number(text) => Some(text),
        Data::Bool(true) => Some("true"),
        Data::Bool(false) => Some("false"),
        _ => None,
    }
}
