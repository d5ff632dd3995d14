//! Laying blocks over the groups of a source: which node is whose, what stands near, what is joined.

use compact_str::format_compact;
use fhir_spec::json::Object;

use super::super::plan::{Base, BlockPlan, IgnoredPlan, JoinPlan, index, number};
use super::super::source::{Cell, Source};
use super::{Entry, Frame, Local, Request, Run, each_node, uuid};

impl<'r, S: Source> Run<'r, S> {
    pub(super) fn block(&self, block: u32) -> Option<&'r BlockPlan> {
        self.plan.blocks.get(index(block))
    }

    /// Lays a block on all nodes that its source leads to.
    pub(super) fn lay(&mut self, parent: u32, block: u32) {
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
            groups: Vec::new(),
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
                self.is_joined = true;
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
                place: self.source.span(node),
                contained,
                frame,
            });
            if let Some(laid) = self.frames.last_mut() {
                laid.entry = Some(entry);
            }
            if let Some(above) = self.frames.get_mut(index(parent)) {
                above.held.push((block, entry));
            }
        } else if let Some(above) = self.frames.get_mut(index(parent)) {
            match above.groups.iter_mut().find(|(of, _)| *of == block) {
                Some((_, groups)) => groups.push(frame),
                None => above.groups.push((block, vec![frame])),
            }
        }
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
    pub(super) fn write_elsewhere(&mut self, frame: u32) {
        let plan = self
            .frames
            .get(index(frame))
            .and_then(|frame| self.block(frame.block));
        let Some(plan) = plan.filter(|plan| plan.resource.is_none()) else {
            return;
        };
        self.entry = u32::MAX;
        let local = Local { frame, it: None };
        let own = self.base(Base::Block(0), local);
        let present = own.map_or(0, |node| self.source.present(node));
        self.ignore(&plan.ignored, present, local);
        for assignment in &plan.assignments {
            self.row = assignment.info;
            self.assign(assignment, local, &mut Object::new());
        }
    }

    /// The node of a base; and those joined to it, with what stands in them.
    pub(super) fn bases(
        &self,
        base: Base,
        local: Local<'_, S::Node>,
    ) -> (Option<S::Node>, Vec<S::Node>) {
        let mut joined = Vec::new();
        if let Base::Block(out) = base
            && self.is_joined
        {
            let above = |at: u32, _| self.frames.get(index(at)).map(|frame| frame.parent);
            if let Some(at) = (0..out).try_fold(local.frame, above) {
                self.joined(at, &mut joined);
            }
        }
        (self.base(base, local), joined)
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

    /// What is left out on purpose counts as carried. `present`: of the node whose children the paths begin with.
    pub(super) fn ignore(
        &mut self,
        ignored: &'r [IgnoredPlan],
        present: u64,
        local: Local<'_, S::Node>,
    ) {
        let source = self.source;
        for ignored in ignored {
            let (own, more) = self.bases(ignored.path.base, local);
            let own = own.filter(|_| ignored.needs & !present == 0);
            for from in own.into_iter().chain(more) {
                each_node(source, from, &ignored.path.steps, &mut |node| {
                    self.consumed.push(source.span(node));
                });
            }
        }
    }

    pub(super) fn base(&self, base: Base, local: Local<'_, S::Node>) -> Option<S::Node> {
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

    /// The entry of a block that is nearest to a frame: around it, or beside one of those around it, be it in a group there.
    /// Other occurrences of a group that the frame is in are not looked at: their resources belong to them alone.
    pub(super) fn nearest(&self, frame: u32, block: u32) -> Option<u32> {
        let mut here = frame;
        let mut from = u32::MAX;
        loop {
            let at = self.frames.get(index(here))?;
            if at.block == block && at.entry.is_some() {
                return at.entry;
            }
            if let Some(entry) = self.held(at, block, from) {
                return Some(entry);
            }
            if here == 0 {
                return None;
            }
            from = at.block;
            here = at.parent;
        }
    }

    /// The entry of a block right below a frame, or in a group below it that is not of the block `but`.
    fn held(&self, frame: &Frame<S::Node>, block: u32, but: u32) -> Option<u32> {
        // Blocks are laid in the order of their numbers: so are their resources.
        let first = frame.held.partition_point(|(held, _)| *held < block);
        if let Some((held, entry)) = frame.held.get(first)
            && *held == block
        {
            return Some(*entry);
        }
        // Only groups that can have it are gone through, however many others there are.
        let can = |of: u32| {
            let end = self.block(of).map_or(0, |plan| plan.end);
            of != but && block > of && block < end
        };
        let groups = frame.groups.iter().filter(|(of, _)| can(*of));
        let groups = groups.flat_map(|(_, groups)| groups);
        let mut groups = groups.filter_map(|group| self.frames.get(index(*group)));
        groups.find_map(|group| self.held(group, block, but))
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
