//! Forward: a source becomes resources. First the blocks are laid over the groups of the source, then each resource is filled
//! by its rows; so a reference may lead to what comes later in a message.

mod expression;
mod identity;
mod row;
pub(super) mod write;

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use fhir_spec::json::{Object, Text, Value};

use super::env::{Env, Zone};
use super::loss::Note;
use super::plan::{Base, BlockPlan, JoinPlan, Plan, SourcePath, index, number};
use super::source::{Cell, Source, Span, Step};
use super::trace::Traced;

/// A plan with what a route fixes: zone and constants.
#[derive(Debug, Clone)]
pub struct Runner {
    plan: Arc<Plan>,
    zone: Zone,
    constants: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    #[error("the map {map} wants a value for the constant {constant}")]
    NoValue { map: String, constant: String },
    #[error("the map {map} has no constant {constant}")]
    NoSuchConstant { map: String, constant: String },
}

/// What is handed in for one source.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'o> {
    /// The time of the run, as FHIR writes an instant.
    pub now: &'o str,
    /// Makes the links between the resources of this source different from those of others: its id, or hash.
    pub seed: &'o str,
    pub trace: bool,
}

/// What became of a source.
#[derive(Debug, Clone, Default)]
pub struct Mapped {
    pub entries: Vec<Entry>,
    pub notes: Vec<Note>,
    /// Empty unless it was asked for.
    pub trace: Vec<Traced>,
}

/// One resource and how it is to be stored.
#[derive(Debug, Clone)]
pub struct Entry {
    pub full_url: Text,
    pub resource: Object,
    pub request: Request,
    /// Elements that the sender says are no more, as FHIR paths: absent keeps, null deletes.
    pub deletes: Vec<Box<str>>,
    /// Not to be stored by itself: it stands inside of another one.
    contained: bool,
    frame: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Created.
    Post,
    /// Created unless the query finds one: `ifNoneExist`.
    PostUnless(String),
    /// Updates what the query finds, or is created.
    Put(String),
}

impl Entry {
    /// One that no map has made.
    pub fn new(full_url: impl Into<Text>, resource: Object, request: Request) -> Self {
        Self {
            full_url: full_url.into(),
            resource,
            request,
            deletes: Vec::new(),
            contained: false,
            frame: 0,
        }
    }
}

impl Runner {
    /// Constants by name; those of the map that have no value must be among them.
    pub fn new(
        plan: Arc<Plan>,
        zone: Zone,
        constants: &[(&str, &str)],
    ) -> Result<Self, BadSettings> {
        let map = || plan.name.to_string();
        if let Some((name, _)) = constants
            .iter()
            .find(|(name, _)| plan.constants.iter().all(|known| *known.name != **name))
        {
            return Err(BadSettings::NoSuchConstant {
                map: map(),
                constant: (*name).to_owned(),
            });
        }
        let values = plan.constants.iter().map(|constant| {
            let given = constants
                .iter()
                .find(|(name, _)| **name == *constant.name)
                .map(|(_, value)| Text::from(*value));
            let value = given.or_else(|| constant.value.clone());
            value.map(Value::from).ok_or_else(|| BadSettings::NoValue {
                map: map(),
                constant: constant.name.to_string(),
            })
        });
        let constants = values.collect::<Result<_, _>>()?;
        Ok(Self {
            plan,
            zone,
            constants,
        })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn constants(&self) -> &[Value] {
        &self.constants
    }

    pub fn run<S: Source>(&self, source: &S, occasion: Occasion<'_>) -> Mapped {
        let mut run = Run {
            plan: &self.plan,
            constants: &self.constants,
            source,
            env: Env::new(occasion.now, &self.zone),
            seed: hash(occasion.seed),
            frames: Vec::with_capacity(8),
            entries: Vec::with_capacity(4),
            consumed: Vec::with_capacity(64),
            notes: Vec::new(),
            trace: occasion.trace.then(Vec::new),
            alike: HashMap::new(),
            row: 0,
            entry: 0,
        };
        run.whole();
        Mapped {
            entries: run.entries,
            notes: run.notes,
            trace: run.trace.unwrap_or_default(),
        }
    }
}

/// A node that a block was laid on.
#[derive(Debug)]
struct Frame<N> {
    parent: u32,
    node: N,
    /// Nodes that were joined to this one.
    more: Vec<N>,
    block: u32,
    entry: Option<u32>,
    /// Resources of the blocks right below: block and entry.
    held: Vec<(u32, u32)>,
}

/// The node at hand, and those further out.
struct It<'i, N> {
    node: N,
    outer: Option<&'i It<'i, N>>,
}

/// From where the paths of a row are seen.
struct Local<'l, N> {
    frame: u32,
    it: Option<&'l It<'l, N>>,
}

impl<N> Clone for Local<'_, N> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<N> Copy for Local<'_, N> {}

struct Run<'r, S: Source> {
    plan: &'r Plan,
    constants: &'r [Value],
    source: &'r S,
    env: Env<'r>,
    seed: u64,
    frames: Vec<Frame<S::Node>>,
    entries: Vec<Entry>,
    consumed: Vec<Span>,
    notes: Vec<Note>,
    trace: Option<Vec<Traced>>,
    /// Entries of a block that say the same, for `nth`.
    alike: HashMap<(u32, String), Vec<u32>>,
    /// The row at hand, for what there is to say about it.
    row: u32,
    entry: u32,
}

impl<'r, S: Source> Run<'r, S> {
    fn whole(&mut self) {
        let plan = self.plan;
        self.frames.push(Frame {
            parent: 0,
            node: self.source.root(),
            more: Vec::new(),
            block: 0,
            entry: None,
            held: Vec::new(),
        });
        if let Some(root) = plan.blocks.first() {
            for child in &root.children {
                self.lay(0, *child);
            }
            let local = Local { frame: 0, it: None };
            self.ignore(&root.ignored, local);
        }
        for entry in 0..number(self.entries.len()) {
            self.fill(entry);
        }
        for frame in 0..number(self.frames.len()) {
            self.write_elsewhere(frame);
        }
        self.finish();
        if self.env.zone_assumed.get() {
            self.notes.push(Note::Zone(self.env.zone.name().into()));
        }
        self.find_losses();
    }

    fn block(&self, block: u32) -> Option<&'r BlockPlan> {
        self.plan.blocks.get(index(block))
    }

    /// Lays a block on all nodes that its source leads to.
    fn lay(&mut self, parent: u32, block: u32) {
        let Some(plan) = self.block(block) else {
            return;
        };
        let local = Local {
            frame: parent,
            it: None,
        };
        let Some(from) = self.base(plan.source.base, local) else {
            return;
        };
        let source = self.source;
        let mut last = None;
        each_node(source, from, &plan.source.steps, &mut |node| {
            last = self.lay_one(parent, block, plan, node, last);
        });
    }

    fn lay_one(
        &mut self,
        parent: u32,
        block: u32,
        plan: &'r BlockPlan,
        node: S::Node,
        last: Option<u32>,
    ) -> Option<u32> {
        let frame = number(self.frames.len());
        self.frames.push(Frame {
            parent,
            node,
            more: Vec::new(),
            block,
            entry: None,
            held: Vec::new(),
        });
        let local = Local { frame, it: None };
        let consumed = self.consumed.len();
        if let Some(condition) = &plan.condition
            && !self.holds(condition, local)
        {
            self.consumed.truncate(consumed);
            self.frames.pop();
            return None;
        }
        if let (Some(join), Some(last)) = (&plan.join, last)
            && self.joins(join, last, frame)
        {
            self.frames.pop();
            if let Some(before) = self.frames.get_mut(index(last)) {
                before.more.push(node);
            }
            return Some(last);
        }
        if let Some(resource) = &plan.resource {
            let entry = number(self.entries.len());
            let contained = resource.contained_in.is_some();
            let full_url = if contained {
                format_compact!("#{}", entry + 1)
            } else {
                uuid(self.seed, entry)
            };
            let mut object = Object::new();
            object.set("resourceType", resource.type_name.clone());
            self.entries.push(Entry {
                full_url,
                resource: object,
                request: Request::Post,
                deletes: Vec::new(),
                contained,
                frame,
            });
            if let Some(laid) = self.frames.last_mut() {
                laid.entry = Some(entry);
            }
            if let Some(above) = self.frames.get_mut(index(parent)) {
                above.held.push((block, entry));
            }
        }
        self.ignore(&plan.ignored, local);
        for child in &plan.children {
            self.lay(frame, *child);
        }
        Some(frame)
    }

    /// Whether the node of a frame goes on with what another one said.
    fn joins(&mut self, join: &'r JoinPlan, before: u32, frame: u32) -> bool {
        let consumed = self.consumed.len();
        let [before, local] = [before, frame].map(|frame| Local { frame, it: None });
        let holds = join
            .condition
            .as_ref()
            .is_none_or(|condition| self.holds(condition, before) && self.holds(condition, local));
        let source = self.source;
        let is_same = holds
            && join.paths.iter().all(|path| {
                let (here, there) = (self.node(path, local), self.node(path, before));
                is_same(source, here, there, SAME_DEPTH)
            });
        if !is_same {
            self.consumed.truncate(consumed);
            return false;
        }
        for path in &join.paths {
            if let Some(node) = self.node(path, local) {
                self.consumed.push(source.span(node));
            }
        }
        true
    }

    /// What a frame without a resource has to say to others.
    fn write_elsewhere(&mut self, frame: u32) {
        let plan = self
            .frames
            .get(index(frame))
            .and_then(|frame| self.block(frame.block));
        let Some(plan) = plan.filter(|plan| plan.resource.is_none()) else {
            return;
        };
        self.entry = u32::MAX;
        for assignment in &plan.assignments {
            self.row = assignment.info;
            let local = Local { frame, it: None };
            self.assign(assignment, local, &mut Object::new());
        }
    }

    /// The nodes of a base: with those joined to it, and what stands in them.
    fn bases(&self, base: Base, local: Local<'_, S::Node>) -> Vec<S::Node> {
        let Base::Block(out) = base else {
            return self.base(base, local).into_iter().collect();
        };
        let mut at = local.frame;
        for _ in 0..out {
            let Some(frame) = self.frames.get(index(at)) else {
                return Vec::new();
            };
            at = frame.parent;
        }
        let mut nodes = Vec::new();
        if let Some(frame) = self.frames.get(index(at)) {
            nodes.push(frame.node);
        }
        self.joined(at, &mut nodes);
        nodes
    }

    fn joined(&self, frame: u32, nodes: &mut Vec<S::Node>) {
        let Some(here) = self.frames.get(index(frame)) else {
            return;
        };
        nodes.extend(&here.more);
        if frame == 0 {
            return;
        }
        let plan = self.block(here.block);
        let Some(plan) = plan.filter(|plan| plan.source.base == Base::Block(0)) else {
            return;
        };
        let mut above = Vec::new();
        self.joined(here.parent, &mut above);
        for node in above {
            each_node(self.source, node, &plan.source.steps, &mut |node| {
                nodes.push(node);
            });
        }
    }

    fn ignore(&mut self, ignored: &'r [SourcePath], local: Local<'_, S::Node>) {
        let source = self.source;
        for path in ignored {
            for from in self.bases(path.base, local) {
                each_node(source, from, &path.steps, &mut |node| {
                    self.consumed.push(source.span(node));
                });
            }
        }
    }

    fn base(&self, base: Base, local: Local<'_, S::Node>) -> Option<S::Node> {
        match base {
            Base::It(out) => {
                let mut it = local.it?;
                for _ in 0..out {
                    it = it.outer?;
                }
                Some(it.node)
            }
            Base::Block(out) => {
                let mut frame = self.frames.get(index(local.frame))?;
                for _ in 0..out {
                    frame = self.frames.get(index(frame.parent))?;
                }
                Some(frame.node)
            }
        }
    }

    /// The entry of a block that is nearest to a frame: around it, or beside one of those around it.
    fn nearest(&self, frame: u32, block: u32) -> Option<u32> {
        let mut here = frame;
        loop {
            let at = self.frames.get(index(here))?;
            if at.block == block && at.entry.is_some() {
                return at.entry;
            }
            if let Some((_, entry)) = at.held.iter().find(|(held, _)| *held == block) {
                return Some(*entry);
            }
            if here == 0 {
                return None;
            }
            here = at.parent;
        }
    }

    fn fill(&mut self, entry: u32) {
        let Some(frame) = self.entries.get(index(entry)).map(|entry| entry.frame) else {
            return;
        };
        let block = self
            .frames
            .get(index(frame))
            .and_then(|frame| self.block(frame.block));
        let Some(plan) = block.and_then(|block| block.resource.as_ref()) else {
            return;
        };
        let Some(mut object) = self
            .entries
            .get_mut(index(entry))
            .map(|entry| std::mem::take(&mut entry.resource))
        else {
            return;
        };
        self.entry = entry;
        let local = Local { frame, it: None };
        self.rows(&plan.rows, local, &mut object);
        for assignment in &plan.assignments {
            self.assign(assignment, local, &mut object);
        }
        if let Some(entry) = self.entries.get_mut(index(entry)) {
            entry.resource = object;
        }
    }
}

/// Segments, fields, components and subcomponents lie in one another: no deeper than this is looked for a difference.
const SAME_DEPTH: u8 = 3;

/// Whether two nodes say the same: neither is there, or all parts of both are alike.
fn is_same<S: Source>(source: &S, one: Option<S::Node>, other: Option<S::Node>, depth: u8) -> bool {
    let said = |node: Option<S::Node>| match node.map(|node| source.cell(node)) {
        None | Some(Cell::Absent) => None,
        Some(Cell::Null) => Some("".into()),
        Some(Cell::Valued(text)) => Some(text),
    };
    if said(one) != said(other) {
        return false;
    }
    let (Some(one), Some(other)) = (one, other) else {
        return true;
    };
    if depth == 0 {
        return true;
    }
    (1..=PARTS_COMPARED).all(|number| {
        is_same(
            source,
            source.first(one, number),
            source.first(other, number),
            depth - 1,
        )
    })
}

/// Components of the longest datatype, and some.
const PARTS_COMPARED: u16 = 26;

/// Every node that steps lead to, all repetitions of each.
pub(super) fn each_node<S: Source>(
    source: &S,
    from: S::Node,
    steps: &[Step],
    visit: &mut dyn FnMut(S::Node),
) {
    let Some((step, deeper)) = steps.split_first() else {
        visit(from);
        return;
    };
    let mut node = source.first(from, step.number);
    let mut repetition = 0u16;
    while let Some(found) = node {
        match step.repetition {
            Some(wanted) if wanted != repetition => {}
            _ => each_node(source, found, deeper, visit),
        }
        if step.repetition == Some(repetition) {
            return;
        }
        repetition = repetition.saturating_add(1);
        node = source.next(found);
    }
}

/// FNV-1a: no secret hangs on it.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn mixed(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A link between the resources of one source, the same whenever it is mapped again (RFC 9562, version 8).
fn uuid(seed: u64, ordinal: u32) -> CompactString {
    let high = mixed(seed ^ u64::from(ordinal));
    let low = mixed(high ^ seed.rotate_left(17));
    format_compact!(
        "urn:uuid:{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

impl<S: Source> Run<'_, S> {
    fn find_losses(&mut self) {
        super::loss::losses(self.source, &mut self.consumed, &mut self.notes);
    }
}
