//! Rows: both sides, and what lies between them.

use std::collections::HashMap;
use std::sync::Arc;

use fhir_spec::definitions::{Strength, TypeId};
use fhir_spec::terminology::Membership;

use super::super::error::Problem;
use super::super::plan::{
    AssignedPlan, AssignmentPlan, Base, CallPlan, ExpressionPlan, Finish, IgnoredPlan, RowInfo,
    RowPlan, RowSet, Shape, SourcePath, WhichPlan, number,
};
use super::super::row::{
    Assigned, Assignment, At, Call, Direction, Expression, Ignored, Row, Word,
};
use super::super::source::NodeKind;
use super::fhir::{End, literal};
use super::source::{Resolved, Scope};
use super::{Compiler, needs};

/// What a row says after its conversions.
struct Conversion {
    calls: Vec<CallPlan>,
    finish: Finish,
}

impl<'c> Compiler<'c> {
    /// Rows of one block or part. Wrong ones are told and left out.
    pub(super) fn row_set(
        &mut self,
        block: &str,
        of_type: Option<NodeKind>,
        target: TypeId,
        rows: &[Arc<Row>],
        ignored: &[Ignored],
    ) -> RowSet {
        let scope = Scope {
            of_type,
            each: None,
        };
        let own = scope.own();
        let mut set = RowSet {
            own,
            ..RowSet::default()
        };
        let mut ids: HashMap<&str, &At> = HashMap::new();
        // Targets that take one value, and whether a row before gives one in any case.
        let mut single: HashMap<&str, bool> = HashMap::new();
        for row in rows {
            if let Some(before) = ids.insert(&row.id, &row.at) {
                let expected = format!(
                    "a name of its own (@name) for this row: line {} has the same",
                    before.line
                );
                self.problems
                    .push(Problem::new(row.at.clone(), expected).found(&row.id));
            }
            let info = number(self.plan.rows.len());
            self.plan.rows.push(RowInfo {
                block: block.into(),
                id: row.id.as_str().into(),
                at: row.at.clone(),
                direction: row.direction,
            });
            let Some(mut plan) = self
                .row(&scope, target, row, info)
                .map_err(|problem| self.problems.push(problem))
                .ok()
            else {
                continue;
            };
            plan.needs = needs::of_row(&plan, own);
            let takes_many = row
                .target
                .steps
                .iter()
                .any(|step| matches!(step.which, super::super::row::Which::New));
            if !takes_many && row.direction != Direction::Backward {
                let refers = matches!(plan.finish, Finish::Reference(_));
                let settled = plan.source.is_constant() && plan.condition.is_none() && !refers;
                match single.get(row.target.text.as_str()) {
                    Some(true) => self.problems.push(
                        Problem::new(row.at.clone(), "a row that can be reached: one before gives this element a value in any case")
                            .found(&row.id),
                    ),
                    Some(false) => plan.is_default = settled,
                    None => {}
                }
                let before = single
                    .get(row.target.text.as_str())
                    .copied()
                    .unwrap_or(false);
                single.insert(&row.target.text, before || settled);
            }
            set.rows.push(plan);
        }
        tell_shared_lists(rows, &mut set.rows);
        set.ignored = self.ignored(&scope, ignored);
        set
    }

    pub(super) fn ignored(&mut self, scope: &Scope, ignored: &[Ignored]) -> Vec<IgnoredPlan> {
        let mut plans = Vec::new();
        for ignored in ignored {
            match self.source(scope, &ignored.path) {
                Ok(Resolved { path, .. }) => {
                    let needs = needs::of_path(&path, scope.own());
                    plans.push(IgnoredPlan { needs, path });
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        plans
    }

    fn row(
        &mut self,
        scope: &Scope,
        target: TypeId,
        row: &Row,
        info: u32,
    ) -> Result<RowPlan, Problem> {
        let (steps, end) = self.target(target, &row.target)?;
        let mut scope = scope.clone();
        let mut source_kind = NodeKind::ANY;
        let mut each = None;
        let refers = self.reference_of(row, &end)?;
        if let (Expression::Path(word), None) = (&row.source, refers) {
            let resolved = self.source(&scope, word)?;
            source_kind = resolved.kind;
            if resolved.repeats && end.takes_many {
                each = Some(resolved.path.clone());
                scope.each = Some(resolved.path);
            }
        }
        let source = match (&each, refers) {
            (Some(_), _) => ExpressionPlan::Path(SourcePath {
                base: Base::It(0),
                steps: Vec::new(),
            }),
            (None, Some(_)) => ExpressionPlan::Null,
            (None, None) => self.expression(&scope, &row.source)?,
        };
        let condition = row
            .condition
            .as_ref()
            .map(|condition| self.condition(&scope, condition))
            .transpose()?;
        let from = Origin {
            expression: &row.source,
            kind: source_kind,
            at: &row.at,
        };
        let conversion = match (refers, &row.source) {
            (Some(block), _) => Conversion::plain(Finish::Reference(block)),
            (None, Expression::Null) => Conversion::plain(Finish::Whole),
            _ => self.conversion(&scope, &from, &row.conversions, &end)?,
        };
        let is_plain = end.primitive().is_some() || &*end.definition.name == "Reference";
        let braces_on = if is_plain {
            self.parent_of(target, row)?
        } else {
            end.definition.id
        };
        let assignments = self.assignments(&scope, braces_on, &row.assignments, info)?;
        let plan = RowPlan {
            info,
            direction: row.direction,
            needs: 0,
            source,
            each,
            condition,
            calls: conversion.calls,
            finish: conversion.finish,
            target: steps,
            target_text: row.target.text.as_str().into(),
            assignments,
            is_plain,
            is_default: false,
            shares_list: false,
        };
        if row.direction != Direction::Forward
            && let Err(reason) = super::super::reverse::inverts(&plan)
        {
            let expected = format!("-> alone: this row does not invert, {reason}");
            return Err(Problem::new(row.at.clone(), expected).found(row.direction.arrow()));
        }
        Ok(plan)
    }

    /// The block that a row refers to: its name stands where a path would.
    fn reference_of(&self, row: &Row, end: &End<'_>) -> Result<Option<u32>, Problem> {
        let (Expression::Path(word), "Reference") = (&row.source, &*end.definition.name) else {
            return Ok(None);
        };
        let found = self.labels.iter().find(|(label, ..)| *label == word.text);
        let Some((_, block, type_id)) = found.filter(|_| row.conversions.is_empty()) else {
            return Ok(None);
        };
        self.may_refer(end, *type_id, word)?;
        Ok(Some(*block))
    }

    /// The type of the element that holds the end of a row's path.
    fn parent_of(&mut self, target: TypeId, row: &Row) -> Result<TypeId, Problem> {
        let mut above = row.target.clone();
        above.steps.pop();
        if above.steps.is_empty() {
            return Ok(target);
        }
        Ok(self.target(target, &above)?.1.definition.id)
    }

    pub(super) fn assignments(
        &mut self,
        scope: &Scope,
        on: TypeId,
        all: &[Assignment],
        info: u32,
    ) -> Result<Vec<AssignmentPlan>, Problem> {
        all.iter()
            .map(|assignment| self.assignment(scope, on, assignment, info))
            .collect()
    }

    fn assignment(
        &mut self,
        scope: &Scope,
        on: TypeId,
        assignment: &Assignment,
        info: u32,
    ) -> Result<AssignmentPlan, Problem> {
        let Assignment {
            at,
            target,
            value,
            elsewhere,
        } = assignment;
        let (elsewhere, on) = match elsewhere {
            None => (None, on),
            Some(word) => {
                let (block, type_id) = self.labelled(word)?;
                (Some(block), type_id)
            }
        };
        let (mut steps, end) = self.target(on, target)?;
        if let Some(last) = steps.last_mut()
            && elsewhere.is_some()
            && last.is_list
            && matches!(last.which, WhichPlan::First)
        {
            last.which = WhichPlan::New;
        }
        let plan = |target, value| AssignmentPlan {
            info,
            target,
            value,
            elsewhere,
        };
        if let Assigned::Without(word) = value {
            self.refers_here(&end, at)?;
            let (block, type_id) = self.labelled(word)?;
            self.may_refer(&end, type_id, word)?;
            return Ok(plan(steps, AssignedPlan::Without(block)));
        }
        let Assigned::Value(expression, conversions) = value else {
            if elsewhere.is_none() {
                return Err(Problem::new(
                    at.clone(),
                    "self only where it is written into another block: ^Block.element += self",
                ));
            }
            self.refers_here(&end, at)?;
            return Ok(plan(steps, AssignedPlan::Itself));
        };
        if let Expression::Path(word) = expression
            && &*end.definition.name == "Reference"
            && conversions.is_empty()
        {
            let (block, type_id) = self.labelled(word)?;
            self.may_refer(&end, type_id, word)?;
            return Ok(plan(steps, AssignedPlan::Reference(block)));
        }
        let mut kind = NodeKind::ANY;
        if let Expression::Path(word) = expression {
            kind = self.source(scope, word)?.kind;
        }
        let source = self.expression(scope, expression)?;
        let from = Origin {
            expression,
            kind,
            at,
        };
        let conversion = self.conversion(scope, &from, conversions, &end)?;
        Ok(plan(
            steps,
            AssignedPlan::Value(source, conversion.calls, conversion.finish),
        ))
    }

    fn labelled(&mut self, word: &Word) -> Result<(u32, TypeId), Problem> {
        let found = self.labels.iter().find(|(label, ..)| *label == word.text);
        found
            .map(|(_, block, type_id)| (*block, *type_id))
            .ok_or_else(|| {
                let labels: Vec<&str> = self
                    .labels
                    .iter()
                    .map(|(label, ..)| label.as_str())
                    .collect();
                Problem::new(
                    word.at.clone(),
                    format!("a block of this map: {}", labels.join(", ")),
                )
                .found(&word.text)
            })
    }

    fn refers_here(&self, end: &End<'_>, at: &At) -> Result<(), Problem> {
        if &*end.definition.name == "Reference" {
            return Ok(());
        }
        Err(Problem::new(at.clone(), "an element of type Reference").found(&end.element.path))
    }

    fn may_refer(&self, end: &End<'_>, to: TypeId, word: &Word) -> Result<(), Problem> {
        let name = &*self.definitions.types().get(to).name;
        let profiles = &end.type_ref.target_profiles;
        let may = profiles.is_empty()
            || profiles
                .iter()
                .filter_map(|url| url.rsplit('/').next())
                .any(|target| target == name || target == "Resource");
        if may {
            return Ok(());
        }
        let targets: Vec<&str> = profiles
            .iter()
            .filter_map(|url| url.rsplit('/').next())
            .collect();
        Err(Problem::new(word.at.clone(), format!("a {}", targets.join(" or a "))).found(name))
    }

    fn conversion(
        &mut self,
        scope: &Scope,
        from: &Origin<'_>,
        calls: &[Call],
        end: &End<'c>,
    ) -> Result<Conversion, Problem> {
        let mut plans = Vec::new();
        let mut gives = match from.expression {
            Expression::Call(call) => self.function(call, 0)?.gives,
            _ => "",
        };
        for (place, call) in calls.iter().enumerate() {
            let is_last = place + 1 == calls.len();
            if let Some(table) = &call.table {
                let shape = match (&*end.definition.name, is_last) {
                    ("CodeableConcept", true) => Shape::Concept,
                    ("Coding", true) => Shape::Coding,
                    _ => Shape::Code,
                };
                let table = self.table(table, end)?;
                plans.push(CallPlan::Code(table, shape));
                gives = match shape {
                    Shape::Code => "",
                    Shape::Coding => "Coding",
                    Shape::Concept => "CodeableConcept",
                };
                continue;
            }
            if matches!(&*call.name.text, "made" | "within") {
                return self.made(call, from, end, place == 0 && is_last);
            }
            if let Some(part) = self.part_named(&call.name.text, true) {
                if !(is_last && place == 0) {
                    return Err(
                        Problem::new(call.name.at.clone(), "a type map to stand alone")
                            .found(&call.name.text),
                    );
                }
                let Expression::Path(_) = from.expression else {
                    return Err(Problem::new(
                        from.at.clone(),
                        "a path of the source before a type map",
                    ));
                };
                return self.type_map(part, call, from, end);
            }
            let function = self.function(call, 1)?;
            gives = function.gives;
            plans.push(CallPlan::Function(
                function,
                self.expressions(scope, &call.arguments)?,
            ));
        }
        let finish = match end.primitive() {
            Some(primitive) if gives.is_empty() => Finish::Primitive(primitive),
            None if gives == &*end.definition.name => Finish::Whole,
            _ => {
                let name = &end.definition.name;
                let expected = match end.primitive() {
                    None => format!("a type map, code table or function that gives a {name}"),
                    Some(_) => format!("a {name}, not a {gives}"),
                };
                return Err(Problem::new(from.at.clone(), expected).found(&end.element.path));
            }
        };
        if let (Expression::Text(text), true) = (from.expression, plans.is_empty()) {
            self.literal_fits(text, end, from.at)?;
        }
        Ok(Conversion {
            calls: plans,
            finish,
        })
    }

    /// `made(Practitioner, Device)`, `within(Observation)`: labels of blocks, or types that stand for all blocks of theirs.
    fn made(
        &mut self,
        call: &Call,
        from: &Origin<'_>,
        end: &End<'c>,
        is_alone: bool,
    ) -> Result<Conversion, Problem> {
        let name = &call.name;
        let told = |expected: &str| Problem::new(name.at.clone(), expected).found(&name.text);
        if !matches!(from.expression, Expression::Path(_)) || !is_alone {
            return Err(told("it to stand alone, after a path of the source"));
        }
        self.refers_here(end, &name.at)?;
        let mut blocks = Vec::new();
        for argument in &call.arguments {
            let Expression::Path(word) = argument else {
                return Err(told("the names of blocks, or types of resources"));
            };
            let by_type = self.definitions.types().by_name(&word.text);
            let found: Vec<(u32, TypeId)> = self
                .labels
                .iter()
                .filter(|(label, _, kind)| *label == word.text || Some(*kind) == by_type)
                .map(|(_, block, kind)| (*block, *kind))
                .collect();
            let (_, kind) = match found.first() {
                Some(first) => *first,
                None => self.labelled(word)?,
            };
            self.may_refer(end, kind, word)?;
            blocks.extend(found.into_iter().map(|(block, _)| block));
        }
        if blocks.is_empty() {
            return Err(told("at least one block in parentheses"));
        }
        let place = number(self.plan.made.len());
        self.plan.made.push(super::super::plan::MadePlan {
            blocks,
            is_within: name.text == "within",
        });
        Ok(Conversion {
            calls: Vec::new(),
            finish: Finish::Made(place),
        })
    }

    fn type_map(
        &mut self,
        part: usize,
        call: &Call,
        from: &Origin<'_>,
        end: &End<'c>,
    ) -> Result<Conversion, Problem> {
        let (source, target) = match self.pack.part(part) {
            Some(part) => (part.source.clone(), part.target.clone()),
            None => return Err(Problem::new(call.name.at.clone(), "a type map")),
        };
        if *target.text != *end.definition.name {
            let expected = format!("a type map that gives a {}", end.definition.name);
            return Err(Problem::new(call.name.at.clone(), expected).found(&call.name.text));
        }
        let kind = self.schema.kind(&source.text);
        if from.kind != NodeKind::ANY
            && kind.is_some_and(|kind| kind != NodeKind::ANY && kind != from.kind)
        {
            let expected = format!("a type map for what stands here, not for a {}", source.text);
            return Err(Problem::new(call.name.at.clone(), expected));
        }
        let place = self.compiled_type(part, kind.unwrap_or(from.kind))?;
        Ok(Conversion {
            calls: Vec::new(),
            finish: Finish::Type(place),
        })
    }

    /// Whether a text of the map may stand at the end of a path: its format, and its code where FHIR fixes them.
    pub(super) fn literal_fits(&self, text: &str, end: &End<'_>, at: &At) -> Result<(), Problem> {
        let Some(primitive) = end.primitive() else {
            return Ok(());
        };
        if !primitive.accepts(text) || primitive.check(&literal(primitive, text)).is_err() {
            return Err(Problem::new(at.clone(), primitive.expected()).found(text));
        }
        self.code_fits(text, end, at)
    }

    pub(super) fn code_fits(&self, code: &str, end: &End<'_>, at: &At) -> Result<(), Problem> {
        if !self.is_thorough || &*end.definition.name != "code" {
            return Ok(());
        }
        let Some(binding) = end
            .element
            .binding
            .as_ref()
            .filter(|binding| binding.strength == Strength::Required)
        else {
            return Ok(());
        };
        let Some(value_set) = self.definitions.value_set(&binding.value_set) else {
            return Ok(());
        };
        match value_set.contains(None, code, None) {
            Membership::NotIn => Err(Problem::new(
                at.clone(),
                format!("a code of {}", binding.value_set),
            )
            .found(code)),
            _ => Ok(()),
        }
    }
}

impl Conversion {
    fn plain(finish: Finish) -> Self {
        Self {
            calls: Vec::new(),
            finish,
        }
    }
}

/// A list without words of its own for each row: when several fields give it items, none of them empties it.
fn tell_shared_lists(rows: &[Arc<Row>], plans: &mut [RowPlan]) {
    let source = |info: &str| {
        let row = rows.iter().find(|row| row.id == info);
        row.map(|row| match &row.source {
            Expression::Path(word) => word.text.clone(),
            _ => String::new(),
        })
    };
    let all: Vec<(Box<str>, Option<String>)> = rows
        .iter()
        .map(|row| (row.target.text.as_str().into(), source(&row.id)))
        .collect();
    for (plan, row) in plans.iter_mut().zip(rows) {
        let own = source(&row.id);
        plan.shares_list = all
            .iter()
            .any(|(target, other)| *target == plan.target_text && *other != own);
    }
}

/// What a conversion begins with.
struct Origin<'o> {
    expression: &'o Expression,
    kind: NodeKind,
    at: &'o At,
}
