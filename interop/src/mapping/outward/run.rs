//! The run: lines make segments of resources, rows give their fields values. The first row that gives a place a value wins.

mod both;
mod left;

use std::collections::HashSet;

use fhir_spec::json::Value;
use fhir_spec::primitive::Primitive;

use super::super::env::Env;
use super::super::plan::{Base, CallPlan, ExpressionPlan, SourcePath, TablePlan, index};
use super::super::reverse::looked_up;
use super::super::source::Step;
use super::condition::{Asking, text_of};
use super::library::{Item, Library};
use super::{
    AskedPlan, FromPlan, LinePlan, OutEnd, OutRowPlan, OutSet, Outgoing, Page, PathPlan, ToldPlan,
};

/// Systems of identifiers that Kiln makes to find resources again: nobody else knows them.
const OWN_SYSTEMS: &str = "urn:kiln:hl7v2:";
/// References from reference to reference within one value.
const DEPTH_MAX: usize = 16;

/// What became of the resources.
#[derive(Debug, Default)]
pub struct Emitted {
    /// What is said and did not go out.
    pub left: Vec<Left>,
    /// Resources that the message tells of, by type and id.
    pub told: Vec<String>,
}

/// An element without a place in the message, or whose value could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub element: String,
    /// Empty when no row takes it.
    pub reason: String,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub event: &'a str,
    /// As MSH-12 says it.
    pub version: &'a str,
    /// The time of the run, as FHIR writes an instant.
    pub now: &'a str,
}

impl Outgoing {
    /// Writes a message of the resources that it starts with onto a page.
    pub fn emit<P: Page>(
        &self,
        library: &Library,
        start: &[&Value],
        asked: Asked<'_>,
        page: &mut P,
    ) -> Emitted {
        let root = page.root();
        let mut writer = Writer {
            out: self,
            library,
            labels: vec![Vec::new(); self.plan.label_count],
            env: Env::new(asked.now, self.runner.zone()),
            event: asked.event,
            version: asked.version,
            page,
            claimed: HashSet::new(),
            taken: HashSet::new(),
            told: Vec::new(),
            left: Vec::new(),
            depth: 0,
        };
        let started: Vec<Item<'_>> = library
            .resources()
            .filter(|resource| start.iter().any(|one| std::ptr::eq(*one, *resource)))
            .map(Item::of)
            .collect();
        if let Some(plan) = &self.plan.start
            && let Some(label) = writer.labels.get_mut(plan.label)
        {
            label.clone_from(&started);
        }
        let here = started.first().copied();
        for line in &self.plan.lines {
            writer.line(line, &[root], here);
        }
        if let (Some(own), Some(here)) = (self.plan.own, here) {
            let mut places = Places {
                blocks: &[root],
                its: Vec::new(),
            };
            writer.taken.clear();
            writer.set(own, here, &mut places);
        }
        writer.finish()
    }
}

struct Writer<'w, P: Page> {
    out: &'w Outgoing,
    library: &'w Library,
    labels: Vec<Vec<Item<'w>>>,
    env: Env<'w>,
    event: &'w str,
    version: &'w str,
    page: &'w mut P,
    /// What was written, by where it is in memory.
    claimed: HashSet<*const Value>,
    /// What was written in the segment at hand: two rows never take one.
    taken: HashSet<*const Value>,
    told: Vec<&'w Value>,
    left: Vec<Left>,
    depth: usize,
}

/// Nodes of the lines around, the innermost last, then those of fields and their types.
struct Places<'p, N> {
    blocks: &'p [N],
    its: Vec<N>,
}

impl<'w, P: Page> Writer<'w, P> {
    fn asking(&self) -> Asking<'_, 'w> {
        Asking {
            labels: &self.labels,
            library: self.library,
            constants: self.out.runner.constants(),
            event: self.event,
            version: self.version,
            before: None,
        }
    }

    fn line(&mut self, line: &'w LinePlan, around: &[P::Node], here: Option<Item<'w>>) {
        let items = match &line.from {
            FromPlan::Nothing => here.into_iter().collect(),
            FromPlan::Path(path) => self.made_of(path, here),
            FromPlan::Referring {
                type_name,
                element,
                to,
            } => {
                let all = self.labels.get(*to).cloned().unwrap_or_default();
                let referring = |to: Item<'w>| self.library.referring(type_name, element, to.value);
                all.into_iter().flat_map(referring).collect()
            }
        };
        let is_once = matches!(line.from, FromPlan::Nothing);
        for item in &items {
            if let Some(condition) = &line.condition
                && !self.asking().holds(condition, *item, None)
            {
                continue;
            }
            // Rows for its type, where it is made into a segment.
            let kind = item.value.str_of("resourceType");
            let set = match kind {
                Some(kind) => line.sets.iter().find(|(name, _)| **name == *kind),
                None => line.sets.first(),
            };
            if line.is_segment && !is_once && set.is_none() && !line.sets.is_empty() {
                continue;
            }
            let Some(node) = self.open(around.last().copied(), &line.steps, is_once) else {
                return;
            };
            if let Some(label) = line.label.and_then(|label| self.labels.get_mut(label)) {
                *label = vec![*item];
            }
            if line.is_segment {
                self.taken.clear();
            }
            let blocks = [around, &[node]].concat();
            let mut places = Places {
                blocks: &blocks,
                its: Vec::new(),
            };
            if let Some(own) = line.own {
                self.set(own, *item, &mut places);
            }
            if !is_once {
                self.note(item.value);
            }
            if let Some((_, set)) = set.filter(|_| line.is_segment && !is_once) {
                self.set(*set, *item, &mut places);
            }
            for inner in &line.lines {
                self.line(inner, &blocks, Some(*item));
            }
        }
        if let Some(label) = line.label.and_then(|label| self.labels.get_mut(label)) {
            *label = items;
        }
    }

    /// What a line is made of: references are followed, and nothing comes twice.
    fn made_of(&mut self, path: &PathPlan, here: Option<Item<'w>>) -> Vec<Item<'w>> {
        let found = self.asking().items(path, here);
        let mut items: Vec<Item<'w>> = Vec::new();
        for item in found {
            let is_reference = item.value.get("resourceType").is_none()
                && (item.value.get("reference").is_some()
                    || item.value.get("identifier").is_some())
                && path.hops.last().is_some_and(|hop| !hop.is_empty())
                && item.value.get("value").is_none();
            let item = match is_reference {
                true => self.library.resolve(item),
                false => Some(item),
            };
            let Some(item) = item else { continue };
            if !items
                .iter()
                .any(|known| std::ptr::eq(known.value, item.value))
            {
                items.push(item);
            }
        }
        items
    }

    fn note(&mut self, value: &'w Value) {
        if value.get("resourceType").is_some()
            && !self.told.iter().any(|known| std::ptr::eq(*known, value))
        {
            self.told.push(value);
        }
    }

    /// A new repetition of what a line names; of what stands once, the first.
    fn open(&mut self, from: Option<P::Node>, steps: &[Step], once: bool) -> Option<P::Node> {
        let mut node = from?;
        for (place, step) in steps.iter().enumerate() {
            let is_last = place + 1 == steps.len();
            let count = self.page.count(node, step.number);
            let repetition = match step.repetition {
                Some(repetition) => repetition,
                None if is_last && !once => count,
                None if is_last => 0,
                None => count.saturating_sub(1),
            };
            node = self.page.child(node, step.number, repetition);
        }
        Some(node)
    }

    fn set(&mut self, set: u32, item: Item<'w>, places: &mut Places<'_, P::Node>) {
        if self.depth >= DEPTH_MAX {
            return;
        }
        self.depth += 1;
        let out: &'w Outgoing = self.out;
        if let Some(OutSet { rows, both }) = out.plan.sets.get(index(set)) {
            for row in rows {
                self.out_row(row, item, places);
            }
            for row in &both.rows {
                self.both_row(row, item, places);
            }
        }
        self.depth -= 1;
    }

    /// The node of a path; that step of it in that repetition.
    fn node(
        &mut self,
        path: &SourcePath,
        places: &Places<'_, P::Node>,
        repeating: usize,
        repetition: u16,
    ) -> Option<P::Node> {
        let (mut node, steps) = self.base(path, places)?;
        for (place, step) in steps.iter().enumerate() {
            let wanted = if place == repeating { repetition } else { 0 };
            node = self
                .page
                .child(node, step.number, step.repetition.unwrap_or(wanted));
        }
        Some(node)
    }

    fn base<'s>(
        &self,
        path: &'s SourcePath,
        places: &Places<'_, P::Node>,
    ) -> Option<(P::Node, &'s [Step])> {
        let from_end = |all: &[P::Node], out: u8| {
            let place = all.len().checked_sub(1 + usize::from(out))?;
            all.get(place).copied()
        };
        let node = match path.base {
            Base::Block(out) => from_end(places.blocks, out)?,
            Base::It(out) => from_end(&places.its, out)?,
        };
        Some((node, &path.steps))
    }

    /// How many repetitions of a path's last step there are.
    fn taken(&mut self, path: &SourcePath, places: &Places<'_, P::Node>, step: usize) -> u16 {
        let Some((mut node, steps)) = self.base(path, places) else {
            return 0;
        };
        for step in steps.iter().take(step) {
            node = self
                .page
                .child(node, step.number, step.repetition.unwrap_or(0));
        }
        let number = steps.get(step).map(|step| step.number);
        number.map_or(0, |number| self.page.count(node, number))
    }

    fn holds(
        &self,
        condition: Option<&AskedPlan>,
        here: Item<'w>,
        repetition: Option<Item<'w>>,
    ) -> bool {
        condition.is_none_or(|condition| self.asking().holds(condition, here, repetition))
    }

    fn out_row(&mut self, row: &'w OutRowPlan, item: Item<'w>, places: &mut Places<'_, P::Node>) {
        let path = match &row.value {
            ToldPlan::Path(path) | ToldPlan::Parts(path, _) => path,
            ToldPlan::Text(text) => return self.told(row, item, None, text, places),
            ToldPlan::Now => {
                let now = self.env.now;
                return self.told(row, item, Some(Primitive::Instant), now, places);
            }
            ToldPlan::Event => return self.told(row, item, None, self.event, places),
            ToldPlan::Constant(place) => {
                let out: &'w Outgoing = self.out;
                let value = out.runner.constants().get(index(*place));
                let text = value.and_then(text_of).unwrap_or_default();
                return self.told(row, item, None, text, places);
            }
        };
        for found in self.asking().items(path, Some(item)) {
            if !self.holds(row.condition.as_ref(), item, Some(found)) || is_own(found.value) {
                continue;
            }
            if let ToldPlan::Parts(_, between) = &row.value {
                if !self.taken.contains(&std::ptr::from_ref(found.value)) {
                    let text = text_of(found.value).unwrap_or_default();
                    self.scatter(&row.place, text.split(&**between), places);
                    self.claim(found.value);
                }
                continue;
            }
            let last = row.place.steps.len().saturating_sub(1);
            let repetition = match row.repeats {
                true if self.taken.contains(&std::ptr::from_ref(found.value)) => continue,
                true => self.taken(&row.place, places, last),
                false => 0,
            };
            let Some(node) = self.node(&row.place, places, last, repetition) else {
                return;
            };
            if self.page.is_set(node) {
                return;
            }
            if self.write(row, found, node, places) {
                if row.calls.is_empty() || row.repeats {
                    self.take(found.value);
                }
                if !row.repeats {
                    return;
                }
            }
        }
    }

    fn told(
        &mut self,
        row: &'w OutRowPlan,
        item: Item<'w>,
        kind: Option<Primitive>,
        text: &str,
        places: &mut Places<'_, P::Node>,
    ) {
        if text.is_empty() || !self.holds(row.condition.as_ref(), item, None) {
            return;
        }
        let last = row.place.steps.len().saturating_sub(1);
        if let Some(node) = self.node(&row.place, places, last, 0)
            && !self.page.is_set(node)
        {
            self.page.set(node, kind, text);
        }
    }

    /// Parts of a text, each in a repetition of its own behind those that are there.
    fn scatter<'t>(
        &mut self,
        path: &SourcePath,
        parts: impl Iterator<Item = &'t str>,
        places: &Places<'_, P::Node>,
    ) {
        // The segment, or the field of the one at hand.
        let at = path.steps.len().saturating_sub(2);
        let mut repetition = self.taken(path, places, at);
        for part in parts {
            let Some(node) = self.node(path, places, at, repetition) else {
                return;
            };
            self.page.set(node, None, part.trim_end_matches('\r'));
            repetition = repetition.saturating_add(1);
        }
    }

    fn write(
        &mut self,
        row: &'w OutRowPlan,
        found: Item<'w>,
        node: P::Node,
        places: &mut Places<'_, P::Node>,
    ) -> bool {
        match &row.end {
            OutEnd::Text(kind) => match self.converted(&row.calls, found.value) {
                Ok(value) => {
                    let Some(text) = text_of(&value).filter(|text| !text.is_empty()) else {
                        return false;
                    };
                    self.page.set(node, *kind, text);
                    // What is said in other words may be said as it is too: of which type a value is, and the value.
                    match row.calls.is_empty() {
                        true => self.claim(found.value),
                        false => {
                            self.claimed.insert(std::ptr::from_ref(found.value));
                        }
                    }
                    true
                }
                Err(expected) => {
                    self.not_written(row.info, &expected);
                    false
                }
            },
            OutEnd::Type(set) => {
                places.its.push(node);
                self.set(*set, found, places);
                places.its.pop();
                self.page.is_set(node)
            }
            OutEnd::Referred(sets) => {
                let of = |kind: &str| sets.iter().find(|(name, _)| **name == *kind);
                let resolved = self.library.resolve(found);
                let (item, kind) = match resolved {
                    Some(item) => (item, item.value.str_of("resourceType").unwrap_or_default()),
                    None => (found, "Reference"),
                };
                let Some((_, set)) = of(kind) else {
                    return false;
                };
                self.note(item.value);
                places.its.push(node);
                self.set(*set, item, places);
                places.its.pop();
                self.page.is_set(node)
            }
        }
    }

    fn converted(&self, calls: &[CallPlan], value: &Value) -> Result<Value, String> {
        let mut value = value.clone();
        for call in calls {
            value = match call {
                CallPlan::Code(table, _) => {
                    let tables: &[TablePlan] = &self.out.runner.plan().tables;
                    let table = tables.get(index(*table));
                    looked_up(table.ok_or_else(|| "a code table".to_owned())?, &value)?
                }
                CallPlan::Function(function, arguments) => {
                    let mut all = vec![value];
                    for argument in arguments {
                        all.push(match argument {
                            ExpressionPlan::Literal(value) => value.clone(),
                            ExpressionPlan::Constant(place) => {
                                let constants = self.out.runner.constants();
                                constants
                                    .get(index(*place))
                                    .cloned()
                                    .unwrap_or(Value::from(""))
                            }
                            _ => Value::from(""),
                        });
                    }
                    function.call(&all, &self.env)?
                }
            };
        }
        Ok(value)
    }

    fn not_written(&mut self, row: u32, expected: &str) {
        let row = self.out.runner.plan().row(row);
        let element = row.map_or_else(String::new, |row| row.id.to_string());
        let reason = format!("expected {expected}");
        let left = Left { element, reason };
        if !self.left.contains(&left) {
            self.left.push(left);
        }
    }

    fn take(&mut self, value: &'w Value) {
        self.claimed.insert(std::ptr::from_ref(value));
        self.taken.insert(std::ptr::from_ref(value));
    }

    /// Everything below a value has been told.
    fn claim(&mut self, value: &'w Value) {
        self.take(value);
        for item in value.as_array().unwrap_or_default() {
            self.claim(item);
        }
        if let Some(object) = value.as_object() {
            for (_, member) in object.iter() {
                self.claim(member);
            }
        }
    }

    fn finish(self) -> Emitted {
        let mut left = self.left;
        let mut told = Vec::new();
        for resource in self.told {
            let kind = resource.str_of("resourceType").unwrap_or_default();
            let id = resource.str_of("id").unwrap_or_default();
            told.push(format!("{kind}/{id}"));
            left::untold(resource, kind, &self.claimed, &mut left);
        }
        Emitted { left, told }
    }
}

fn is_own(identifier: &Value) -> bool {
    identifier
        .str_of("system")
        .is_some_and(|system| system.starts_with(OWN_SYSTEMS))
}
