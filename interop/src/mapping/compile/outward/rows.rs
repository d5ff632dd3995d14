//! The rows of a message that is made of resources: those for the way out, and of those both ways what matters there.

use fhir_spec::definitions::{Kind, TypeId};
use fhir_spec::json::Text;
use std::sync::Arc;

use super::super::super::error::Problem;
use super::super::super::outward::{
    AskedPlan, OutEnd, OutRowPlan, OutSet, PathPlan, SidePlan, ToldPlan,
};
use super::super::super::parse::target_of;
use super::super::super::plan::{
    Base, CallPlan, ExpressionPlan, RowInfo, RowSet, Shape, SourcePath, index, number,
};
use super::super::super::row::outward::{OutRow, Told};
use super::super::super::row::{
    Assigned, Assignment, At, Call, Condition, Direction, Expression, Row, Target, Word,
};
use super::super::super::source::NodeKind;
use super::super::Compiler;
use super::super::fhir::End;
use super::super::source::{Resolved, Scope};
use super::Seen;

impl<'c> Compiler<'c> {
    /// The rows of the segment maps for whichever of these types there are some.
    pub(super) fn segment_sets(
        &mut self,
        name: &str,
        segment: &str,
        types: &[TypeId],
    ) -> Vec<(Text, u32)> {
        let mut sets = Vec::new();
        for id in types {
            let type_name = self.definitions.types().get(*id).name.to_string();
            if self.has_rows(name, &type_name) {
                let set = self.rows_of(name, &type_name, *id, None, segment);
                sets.push((Text::from(type_name), set));
            }
        }
        sets
    }

    fn has_rows(&self, name: &str, type_name: &str) -> bool {
        let out = self.pack.out_parts.iter();
        let both = self.pack.parts.iter();
        out.map(|part| (&part.name, &part.target))
            .chain(both.map(|part| (&part.name, &part.target)))
            .any(|(known, target)| known.text == name && target.text == type_name)
    }

    /// The rows of the map of that name for a type; compiled once for each kind of node.
    pub(in super::super) fn out_set(
        &mut self,
        name: &str,
        type_name: &str,
        kind: Option<NodeKind>,
    ) -> Result<u32, Problem> {
        let key = (
            name.to_owned(),
            type_name.to_owned(),
            kind.unwrap_or(NodeKind::ANY),
        );
        let known = self
            .outward
            .as_ref()
            .and_then(|outward| outward.types.get(&key));
        if let Some(known) = known {
            return Ok(*known);
        }
        let id = self.definitions.types().by_name(type_name);
        let id = id
            .filter(|_| self.has_rows(name, type_name))
            .ok_or_else(|| {
                let at = At::default();
                Problem::new(at, format!("a map {name} for a {type_name}"))
            })?;
        Ok(self.rows_of(name, type_name, id, Some((key, kind)), name))
    }

    /// Compiles the rows of a map; those of a type under their key, so that one may lead back to itself.
    fn rows_of(
        &mut self,
        name: &str,
        type_name: &str,
        id: TypeId,
        of_type: Option<((String, String, NodeKind), Option<NodeKind>)>,
        segment: &str,
    ) -> u32 {
        let kind = of_type.as_ref().and_then(|(_, kind)| *kind);
        let here = self.reserve();
        if let (Some((key, _)), Some(outward)) = (of_type, &mut self.outward) {
            outward.types.insert(key, here);
        }
        let pack = self.pack;
        let both = pack
            .parts
            .iter()
            .find(|part| part.name.text == name && part.target.text == type_name);
        let scope = Scope {
            of_type: kind,
            each: None,
        };
        let before = self.problems.len();
        let both = both.map(|part| {
            let rows: Vec<Arc<Row>> = part
                .rows
                .iter()
                .filter(|row| row.direction == Direction::Both)
                .map(|row| Arc::new(self.way_back(&scope, row)))
                .collect();
            self.row_set(name, kind, id, &rows, &[])
        });
        // A row that goes both ways may need more than there is here: then it does not go this way.
        if !self.is_thorough {
            self.problems.truncate(before);
        }
        let out = pack
            .out_parts
            .iter()
            .find(|part| part.name.text == name && part.target.text == type_name);
        let seen = Seen {
            kind,
            types: &[id],
            name: segment,
        };
        let both = both.unwrap_or_default();
        if kind.is_none() {
            self.tell_given(segment, type_name, &both);
        }
        let rows = out.map(|part| part.rows.as_slice()).unwrap_or_default();
        let rows = self.compiled_rows(&seen, rows);
        self.fill(here, OutSet { rows, both });
        here
    }

    /// A row without what is not asked on the way back.
    fn way_back(&mut self, scope: &Scope, row: &Row) -> Row {
        let mut row = row.clone();
        row.condition = None;
        let assignments = std::mem::take(&mut row.assignments);
        let stays = |compiler: &mut Self, assignment: &Assignment| match &assignment.value {
            Assigned::Value(Expression::Path(word), _) => {
                compiler.source(scope, word).is_ok() && assignment.elsewhere.is_none()
            }
            Assigned::Value(Expression::Text(_) | Expression::Constant(_), _) => {
                assignment.elsewhere.is_none()
            }
            _ => false,
        };
        for assignment in assignments {
            if stays(self, &assignment) {
                row.assignments.push(assignment);
            }
        }
        row
    }

    fn reserve(&mut self) -> u32 {
        let Some(outward) = &mut self.outward else {
            return 0;
        };
        outward.sets.push(OutSet::default());
        number(outward.sets.len() - 1)
    }

    fn fill(&mut self, here: u32, set: OutSet) {
        let sets = self.outward.as_mut().map(|outward| &mut outward.sets);
        if let Some(reserved) = sets.and_then(|sets| sets.get_mut(index(here))) {
            *reserved = set;
        }
    }

    /// The rows that stand below a line.
    pub(super) fn out_rows(&mut self, seen: &Seen<'_>, rows: &[OutRow], both: RowSet) -> u32 {
        let here = self.reserve();
        let rows = self.compiled_rows(seen, rows);
        self.fill(here, OutSet { rows, both });
        here
    }

    fn compiled_rows(&mut self, seen: &Seen<'_>, rows: &[OutRow]) -> Vec<OutRowPlan> {
        let mut plans = Vec::new();
        for row in rows {
            let info = number(self.plan.rows.len());
            self.plan.rows.push(RowInfo {
                block: seen.name.into(),
                id: row.id.as_str().into(),
                at: row.at.clone(),
                direction: Direction::Backward,
            });
            match self.out_row(seen, row, info) {
                Ok(plan) => plans.push(plan),
                Err(problem) => self.problems.push(problem),
            }
        }
        plans
    }

    fn out_row(&mut self, seen: &Seen<'_>, row: &OutRow, info: u32) -> Result<OutRowPlan, Problem> {
        let scope = Scope {
            of_type: seen.kind,
            each: None,
        };
        let resolved = self.source(&scope, &row.place)?;
        if let Told::Path(target) = &row.value
            && target.text == "self"
        {
            return self.row_of_itself(seen, row, info, resolved);
        }
        let (value, end, target) = match &row.value {
            Told::Text(text) => (ToldPlan::Text(text.as_str().into()), None, None),
            Told::Constant(name) => (self.told_constant(name)?, None, None),
            Told::Path(target) => {
                let (path, end) = self.out_path(seen.types, target)?;
                (ToldPlan::Path(path), Some(end), Some(target))
            }
            Told::Parts(target, between) => {
                let (path, end) = self.out_path(seen.types, target)?;
                let between = between.as_str().into();
                (ToldPlan::Parts(path, between), Some(end), Some(target))
            }
        };
        let end = match (end, target) {
            (Some(None), Some(target)) => {
                let expected = "an element behind the label";
                return Err(Problem::new(target.at.clone(), expected).found(&target.text));
            }
            (end, _) => end.flatten(),
        };
        let condition = row.condition.as_ref().map(|condition| {
            let of_item = target.zip(end.as_ref());
            self.asked(seen.types, of_item, condition)
        });
        let condition = condition.transpose()?;
        let (calls, written) = match &end {
            None => (
                self.plain_calls(&row.conversions, None)?,
                OutEnd::Text(None),
            ),
            Some(end) => self.out_end(row, end, resolved.kind)?,
        };
        if seen.kind.is_none() {
            self.tell_place(seen, &resolved.path, target);
        }
        Ok(OutRowPlan {
            info,
            repeats: resolved.repeats,
            place: resolved.path,
            value,
            calls,
            end: written,
            condition,
        })
    }

    /// `AIL-3 <- self`: all of what the line is made of, by the map for its type.
    fn row_of_itself(
        &mut self,
        seen: &Seen<'_>,
        row: &OutRow,
        info: u32,
        resolved: Resolved,
    ) -> Result<OutRowPlan, Problem> {
        let named = row.conversions.first().map(|call| call.name.text.clone());
        let types = self.definitions.types();
        let type_name = seen.types.first().map(|id| types.get(*id).name.to_string());
        let type_name = type_name.unwrap_or_default();
        let candidates = self.candidates(named.as_deref(), resolved.kind, &type_name);
        let Some((name, target, kind)) = candidates.into_iter().next() else {
            let expected = format!("a type map that makes what stands here of a {type_name}");
            return Err(Problem::new(row.at.clone(), expected).found(&row.id));
        };
        Ok(OutRowPlan {
            info,
            repeats: false,
            place: resolved.path,
            value: ToldPlan::Path(PathPlan {
                label: None,
                hops: vec![Vec::new()],
            }),
            calls: Vec::new(),
            end: OutEnd::Type(self.out_set(&name, &target, Some(kind))?),
            condition: None,
        })
    }

    fn told_constant(&mut self, name: &Word) -> Result<ToldPlan, Problem> {
        Ok(match name.text.as_str() {
            "now" => ToldPlan::Now,
            "event" => ToldPlan::Event,
            _ => match self.constant(name)? {
                ExpressionPlan::Constant(place) => ToldPlan::Constant(place),
                _ => return Err(Problem::new(name.at.clone(), "a constant")),
            },
        })
    }

    /// How what stands at the end of a path is written at a place of that kind.
    fn out_end(
        &mut self,
        row: &OutRow,
        end: &End<'c>,
        kind: NodeKind,
    ) -> Result<(Vec<CallPlan>, OutEnd), Problem> {
        let named = match row.conversions.as_slice() {
            [call] if call.table.is_none() && self.names_map(&call.name.text) => {
                Some(call.name.text.clone())
            }
            _ => None,
        };
        if !row.conversions.is_empty() && named.is_none() {
            let calls = self.plain_calls(&row.conversions, Some(end))?;
            return Ok((calls, OutEnd::Text(None)));
        }
        if let Some(primitive) = end.primitive() {
            return Ok((Vec::new(), OutEnd::Text(Some(primitive))));
        }
        let type_name = end.definition.name.to_string();
        let candidates = self.candidates(named.as_deref(), kind, &type_name);
        if type_name == "Reference" {
            let mut sets = Vec::new();
            for (name, target, kind) in candidates {
                let set = self.out_set(&name, &target, Some(kind))?;
                sets.push((Text::from(target), set));
            }
            if !sets.is_empty() {
                return Ok((Vec::new(), OutEnd::Referred(sets)));
            }
        } else if let Some((name, target, kind)) = candidates.into_iter().next() {
            let set = self.out_set(&name, &target, Some(kind))?;
            return Ok((Vec::new(), OutEnd::Type(set)));
        }
        let expected = format!("a type map that makes what stands here of a {type_name}");
        Err(Problem::new(row.at.clone(), expected).found(&row.id))
    }

    fn names_map(&self, name: &str) -> bool {
        self.pack
            .out_parts
            .iter()
            .any(|part| part.name.text == name)
            || self.pack.parts.iter().any(|part| part.name.text == name)
    }

    /// Maps for a place: of that name, or for that kind; for the type, or for all resources when it is `Reference`.
    fn candidates(
        &self,
        named: Option<&str>,
        kind: NodeKind,
        type_name: &str,
    ) -> Vec<(String, String, NodeKind)> {
        let types = self.definitions.types();
        let out = self.pack.out_parts.iter();
        let out = out.map(|part| (&part.name.text, &part.source.text, &part.target.text));
        let both = self.pack.parts.iter();
        let both = both.map(|part| (&part.name.text, &part.source.text, &part.target.text));
        let mut found: Vec<(String, String, NodeKind)> = Vec::new();
        for (name, source, target) in out.chain(both) {
            let Some(source_kind) = self.schema.kind(source) else {
                continue;
            };
            let is_here = match named {
                Some(named) => named == name,
                None => name == source && source_kind == kind && kind != NodeKind::ANY,
            };
            let is_resource = || {
                types
                    .named(target)
                    .is_some_and(|one| one.kind == Kind::Resource)
            };
            let fits = target == type_name || (type_name == "Reference" && is_resource());
            let is_known = found
                .iter()
                .any(|(known, known_target, _)| known == name && known_target == target);
            if is_here && fits && !is_known {
                found.push((name.clone(), target.clone(), source_kind));
            }
        }
        found
    }

    fn plain_calls(
        &mut self,
        calls: &[Call],
        end: Option<&End<'c>>,
    ) -> Result<Vec<CallPlan>, Problem> {
        let mut plans = Vec::new();
        for call in calls {
            if let Some(table) = &call.table {
                let Some(end) = end else {
                    return Err(Problem::new(table.at.clone(), "an element before a table"));
                };
                plans.push(CallPlan::Code(self.table(table, end)?, Shape::Code));
                continue;
            }
            let function = self.function(call, 1)?;
            let mut arguments = Vec::new();
            for argument in &call.arguments {
                let plan = match argument {
                    Expression::Text(text) => {
                        ExpressionPlan::Literal(fhir_spec::json::Value::from(text.as_str()))
                    }
                    Expression::Constant(name) => self.constant(name)?,
                    _ => {
                        let expected = "texts and constants in the parentheses";
                        return Err(Problem::new(call.name.at.clone(), expected));
                    }
                };
                arguments.push(plan);
            }
            plans.push(CallPlan::Function(function, arguments));
        }
        Ok(plans)
    }

    /// A condition on FHIR. Paths that begin as the row's own does mean the repetition at hand.
    pub(super) fn asked(
        &mut self,
        types: &[TypeId],
        row: Option<(&Target, &End<'c>)>,
        condition: &Condition,
    ) -> Result<AskedPlan, Problem> {
        let several = |compiler: &mut Self, all: &[Condition]| {
            all.iter()
                .map(|condition| compiler.asked(types, row, condition))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::Valued(word) => AskedPlan::Valued(self.side(types, row, word)?),
            Condition::Null(word) => {
                AskedPlan::Not(Box::new(AskedPlan::Valued(self.side(types, row, word)?)))
            }
            Condition::Compare {
                left,
                is_equal,
                right,
            } => AskedPlan::Compare {
                left: self.side_of(types, row, left)?,
                is_equal: *is_equal,
                right: right
                    .iter()
                    .map(|right| self.side_of(types, row, right))
                    .collect::<Result<_, _>>()?,
            },
            Condition::Not(inner) => AskedPlan::Not(Box::new(self.asked(types, row, inner)?)),
            Condition::All(all) => AskedPlan::All(several(self, all)?),
            Condition::Any(all) => AskedPlan::Any(several(self, all)?),
        })
    }

    fn side_of(
        &mut self,
        types: &[TypeId],
        row: Option<(&Target, &End<'c>)>,
        expression: &Expression,
    ) -> Result<SidePlan, Problem> {
        match expression {
            Expression::Text(text) => Ok(SidePlan::Text(text.as_str().into())),
            Expression::Path(word) => self.side(types, row, word),
            Expression::Constant(word) if word.text == "event" => Ok(SidePlan::Event),
            Expression::Constant(word) if word.text == "version" => Ok(SidePlan::Version),
            _ => Err(Problem::new(
                At::default(),
                "paths, texts, $event and $version in a condition on FHIR",
            )),
        }
    }

    fn side(
        &mut self,
        types: &[TypeId],
        row: Option<(&Target, &End<'c>)>,
        word: &Word,
    ) -> Result<SidePlan, Problem> {
        let mut target = target_of(word)?;
        let names = |target: &Target| -> Vec<String> {
            let steps = target.steps.iter();
            steps.map(|step| step.name.text.clone()).collect()
        };
        let own = names(&target);
        if own.first().is_some_and(|first| first == "before") && own.len() > 1 {
            target.steps.remove(0);
            return Ok(SidePlan::Before(self.hops(types, &target)?.0));
        }
        if let Some((row, end)) = row {
            let around = names(row);
            if own.len() > around.len() && own.starts_with(&around) {
                target.steps.drain(..around.len());
                return Ok(SidePlan::Item(self.target(end.definition.id, &target)?.0));
            }
        }
        Ok(SidePlan::Path(self.out_path(types, &target)?.0))
    }

    /// Which element gives a field its value: for whoever misses it.
    fn tell_place(&mut self, seen: &Seen<'_>, place: &SourcePath, target: Option<&Target>) {
        let (Some(target), Some(first)) = (target, place.steps.first()) else {
            return;
        };
        if place.base != Base::Block(0) {
            return;
        }
        let types = self.names_in(seen.types);
        let told = match self.labelled_as(
            &target
                .steps
                .first()
                .map_or_else(String::new, |step| step.name.text.clone()),
        ) {
            Some(_) => target.text.clone(),
            None => format!("{types}.{}", target.text),
        };
        if let Some(outward) = &mut self.outward {
            let key = (Box::from(seen.name), first.number);
            let all = outward.given_by.entry(key).or_default();
            if !all.contains(&told) {
                all.push(told);
            }
        }
    }

    fn names_in(&self, types: &[TypeId]) -> String {
        let names = types
            .iter()
            .map(|id| &*self.definitions.types().get(*id).name);
        names.take(2).collect::<Vec<_>>().join(" or ")
    }

    fn tell_given(&mut self, segment: &str, type_name: &str, both: &RowSet) {
        for row in &both.rows {
            let place = match (&row.each, &row.source) {
                (Some(each), _) => each,
                (None, ExpressionPlan::Path(path)) => path,
                _ => continue,
            };
            let (Base::Block(0), Some(first)) = (place.base, place.steps.first()) else {
                continue;
            };
            let told = format!("{type_name}.{}", row.target_text);
            if let Some(outward) = &mut self.outward {
                let key = (Box::from(segment), first.number);
                let all = outward.given_by.entry(key).or_default();
                if !all.contains(&told) {
                    all.push(told);
                }
            }
        }
    }
}
