//! Messages that are made of resources: the places of their lines against the structure, their paths against FHIR's types;
//! their rows against both ([`rows`]).

mod rows;

use std::collections::HashMap;

use fhir_spec::definitions::{Definitions, Kind, TypeId};

use super::super::error::{BadMap, Problem};
use super::super::outward::{
    FromPlan, Hops, LinePlan, OccasionPlan, OutPlan, OutSet, PathPlan, StartPlan,
};
use super::super::pack::Pack;
use super::super::plan::{Base, RowSet};
use super::super::row::outward::{From, Message, OutLine};
use super::super::row::{Map, Target};
use super::super::source::{NodeKind, Schema};
use super::Compiler;
use super::fhir::End;
use super::source::Scope;

/// What is known while a message is compiled.
#[derive(Default)]
pub(super) struct Outward {
    sets: Vec<OutSet>,
    /// By name, FHIR type and the kind of the node.
    types: HashMap<(String, String, NodeKind), u32>,
    labels: Vec<(String, Vec<TypeId>)>,
    given_by: HashMap<(Box<str>, u16), Vec<String>>,
}

/// From where the rows of a set are seen.
struct Seen<'s> {
    /// Of a type: its kind; of a segment: none.
    kind: Option<NodeKind>,
    types: &'s [TypeId],
    name: &'s str,
}

impl Pack {
    /// The message definitions, and what each of them serves.
    pub fn messages(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.messages.iter().map(|message| {
            let serves = message.serves.iter().map(|word| word.text.as_str());
            (message.name.text.as_str(), serves.collect())
        })
    }

    /// Compiles the message definition at a place in the pack.
    pub fn compile_message(
        &self,
        place: usize,
        schema: &dyn Schema,
        definitions: &Definitions,
    ) -> Result<OutPlan, BadMap> {
        let Some(message) = self.messages.get(place) else {
            return Err(BadMap(Vec::new()));
        };
        // What is compiled of a map is compiled of a message too: constants, tables, type maps.
        let map = Map {
            name: message.name.clone(),
            format: message.name.clone(),
            serves: message.serves.clone(),
            columns: Vec::new(),
            constants: message.constants.clone(),
            ignored: Vec::new(),
            blocks: Vec::new(),
        };
        let mut compiler = Compiler::new(self, &map, schema, definitions, false);
        compiler.outward = Some(Outward::default());
        compiler.message(message)
    }
}

impl<'c> Compiler<'c> {
    fn message(mut self, message: &Message) -> Result<OutPlan, BadMap> {
        let start = message.start.as_ref().and_then(|start| {
            let type_name = &start.type_name;
            let Some(found) = self.definitions.types().by_name(&type_name.text) else {
                let expected = "a resource type of R4";
                self.problems
                    .push(Problem::new(type_name.at.clone(), expected).found(&type_name.text));
                return None;
            };
            let label = self.label(&start.label, vec![found]);
            Some((
                found,
                StartPlan {
                    type_name: type_name.text.as_str().into(),
                    label,
                    together: start.together,
                },
            ))
        });
        let types: Vec<TypeId> = start.iter().map(|(found, _)| *found).collect();
        let mut occasions = Vec::new();
        for occasion in &message.occasions {
            let condition = occasion.condition.as_ref();
            let condition = condition.map(|condition| self.asked(&types, None, condition));
            let condition = self.kept(condition.transpose());
            occasions.push(OccasionPlan {
                event: occasion.event.text.as_str().into(),
                condition: condition.flatten(),
            });
        }
        let lines: Vec<LinePlan> = message
            .lines
            .iter()
            .filter_map(|line| self.out_line(line, &types))
            .collect();
        let own = (!message.rows.is_empty()).then(|| {
            let seen = Seen {
                kind: None,
                types: &types,
                name: "",
            };
            self.out_rows(&seen, &message.rows, RowSet::default())
        });
        if !self.problems.is_empty() {
            self.problems.dedup();
            return Err(BadMap(self.problems));
        }
        let outward = self.outward.unwrap_or_default();
        Ok(OutPlan {
            plan: std::sync::Arc::new(self.plan),
            start: start.map(|(_, plan)| plan),
            occasions,
            own,
            lines,
            sets: outward.sets,
            label_count: outward.labels.len(),
            given_by: outward.given_by,
        })
    }

    fn kept<T>(&mut self, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn label(&mut self, name: &str, types: Vec<TypeId>) -> usize {
        let Some(outward) = &mut self.outward else {
            return 0;
        };
        outward.labels.push((name.to_owned(), types));
        outward.labels.len() - 1
    }

    /// The latest label of that name.
    fn labelled_as(&self, name: &str) -> Option<(usize, Vec<TypeId>)> {
        let labels = &self.outward.as_ref()?.labels;
        let place = labels.iter().rposition(|(known, _)| known == name)?;
        Some((place, labels.get(place)?.1.clone()))
    }

    fn out_line(&mut self, line: &OutLine, around: &[TypeId]) -> Option<LinePlan> {
        let scope = Scope {
            of_type: None,
            each: None,
        };
        let resolved = self.source(&scope, &line.source);
        let resolved = self.kept(resolved)?;
        if resolved.path.base != Base::Block(0) {
            let expected = "a segment or group of the group around";
            self.problems
                .push(Problem::new(line.source.at.clone(), expected).found(&line.source.text));
            return None;
        }
        let (from, types) = match self.out_from(&line.from, around) {
            Ok(found) => found,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        let here = if types.is_empty() { around } else { &types };
        let condition = line.condition.as_ref();
        let condition = condition
            .map(|condition| self.asked(here, None, condition))
            .transpose();
        let condition = self.kept(condition)?;
        let label = line
            .label
            .as_ref()
            .map(|label| self.label(label, types.clone()));
        let segment = line.source.text.rsplit('.').next().unwrap_or_default();
        let is_segment = self.schema.kind(segment).is_some() && segment.len() == 3;
        self.blocks_around.push(resolved.kind);
        let name = line.uses.as_ref().map_or(segment, |uses| &uses.text);
        let sets = match (is_segment, &line.from) {
            (true, From::Path(_) | From::Referring { .. }) => {
                self.segment_sets(name, segment, &types)
            }
            _ => Vec::new(),
        };
        let made_of_something = !matches!(line.from, From::Nothing);
        if is_segment && made_of_something && sets.is_empty() && line.rows.is_empty() {
            let names = self.names_of(&types);
            let expected = format!("a segment map {segment} for {names}, or rows below");
            self.problems
                .push(Problem::new(line.source.at.clone(), expected).found(name));
        }
        let own = (!line.rows.is_empty()).then(|| {
            let seen = Seen {
                kind: None,
                types: here,
                name: segment,
            };
            self.out_rows(&seen, &line.rows, RowSet::default())
        });
        let lines = line
            .lines
            .iter()
            .filter_map(|inner| self.out_line(inner, here))
            .collect();
        self.blocks_around.pop();
        let told = match &line.from {
            From::Nothing => "",
            From::Path(target) => &target.text,
            From::Referring { type_name, .. } => &type_name.text,
        };
        Some(LinePlan {
            name: segment.into(),
            told: told.into(),
            steps: resolved.path.steps,
            from,
            label,
            condition,
            sets,
            own,
            lines,
            is_segment,
        })
    }

    fn names_of(&self, types: &[TypeId]) -> String {
        let names = types
            .iter()
            .map(|id| &*self.definitions.types().get(*id).name);
        names.collect::<Vec<_>>().join(" or ")
    }

    /// What a line is made of, and of which types that can be.
    fn out_from(
        &mut self,
        from: &From,
        around: &[TypeId],
    ) -> Result<(FromPlan, Vec<TypeId>), Problem> {
        match from {
            From::Nothing => Ok((FromPlan::Nothing, Vec::new())),
            From::Path(target) => {
                let (path, end) = self.out_path(around, target)?;
                let types = match end {
                    Some(end) => self.types_at(&end),
                    None => path
                        .label
                        .and_then(|label| Some(self.outward.as_ref()?.labels.get(label)?.1.clone()))
                        .unwrap_or_default(),
                };
                Ok((FromPlan::Path(path), types))
            }
            From::Referring {
                type_name,
                element,
                to,
            } => {
                let types = self.definitions.types();
                let found = types.by_name(&type_name.text).ok_or_else(|| {
                    Problem::new(type_name.at.clone(), "a resource type of R4")
                        .found(&type_name.text)
                })?;
                let (steps, end) = self.target(found, element)?;
                if &*end.definition.name != "Reference" {
                    let expected = "an element of type Reference";
                    return Err(Problem::new(element.at.clone(), expected).found(&element.text));
                }
                let (label, _) = self.labelled_as(&to.text).ok_or_else(|| {
                    Problem::new(to.at.clone(), "the label of a line before").found(&to.text)
                })?;
                let plan = FromPlan::Referring {
                    type_name: type_name.text.as_str().into(),
                    element: steps,
                    to: label,
                };
                Ok((plan, vec![found]))
            }
        }
    }

    /// The types of what stands at the end of a path; of what is referred to where it is a reference.
    fn types_at(&self, end: &End<'_>) -> Vec<TypeId> {
        if &*end.definition.name != "Reference" {
            return vec![end.definition.id];
        }
        let types = self.definitions.types();
        let named = end
            .type_ref
            .target_profiles
            .iter()
            .filter_map(|url| types.by_name(url.rsplit('/').next()?));
        let found: Vec<TypeId> = named
            .filter(|id| types.get(*id).kind == Kind::Resource && !types.get(*id).is_abstract)
            .collect();
        if !found.is_empty() {
            return found;
        }
        let all = types
            .iter()
            .filter(|one| one.kind == Kind::Resource && !one.is_abstract);
        all.map(|one| one.id).collect()
    }

    /// A path from a label, or from what is around; behind a label alone there is no end.
    fn out_path(
        &mut self,
        around: &[TypeId],
        target: &Target,
    ) -> Result<(PathPlan, Option<End<'c>>), Problem> {
        let first = target.steps.first().map(|step| step.name.text.clone());
        let (label, types) = match self.labelled_as(&first.unwrap_or_default()) {
            Some((label, types)) => (Some(label), types),
            None => (None, around.to_vec()),
        };
        let mut rest = target.clone();
        if label.is_some() {
            rest.steps.remove(0);
        }
        if rest.steps.is_empty() {
            let hops = vec![Vec::new()];
            return Ok((PathPlan { label, hops }, None));
        }
        let (hops, end) = self.hops(&types, &rest)?;
        Ok((PathPlan { label, hops }, Some(end)))
    }

    /// Steps from one of these types, through references.
    fn hops(&mut self, types: &[TypeId], target: &Target) -> Result<(Hops, End<'c>), Problem> {
        let mut trouble = None;
        for id in types {
            match self.hops_from(*id, target) {
                Ok(found) => return Ok(found),
                Err(problem) => trouble = trouble.or(Some(problem)),
            }
        }
        Err(trouble.unwrap_or_else(|| {
            let expected = "a label of a line before, or a path of what is around";
            Problem::new(target.at.clone(), expected).found(&target.text)
        }))
    }

    fn hops_from(&mut self, from: TypeId, target: &Target) -> Result<(Hops, End<'c>), Problem> {
        for cut in 1..=target.steps.len() {
            let mut head = target.clone();
            head.steps.truncate(cut);
            let (plans, end) = self.target(from, &head)?;
            if cut == target.steps.len() {
                return Ok((vec![plans], end));
            }
            if &*end.definition.name != "Reference" {
                continue;
            }
            // What it refers to; what the reference says itself where that has no such element.
            let mut tail = target.clone();
            tail.steps.drain(..cut);
            let types = self.types_at(&end);
            match self.hops(&types, &tail) {
                Ok((mut hops, end)) => {
                    hops.insert(0, plans);
                    return Ok((hops, end));
                }
                Err(problem) => {
                    if self.target(from, target).is_err() {
                        return Err(problem);
                    }
                }
            }
        }
        Err(Problem::new(target.at.clone(), "a path in FHIR").found(&target.text))
    }
}
