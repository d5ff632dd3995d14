//! References to what blocks made of a node, or of what stands in it: `made` and `within`.

use fhir_spec::json::Value;

use super::super::plan::{ExpressionPlan, MadePlan, index};
use super::super::source::{Source, Span};
use super::{Local, Run};

/// A resource, the block that made it, and of what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    extent: Span,
    block: u32,
    entry: u32,
}

impl<S: Source> Run<'_, S> {
    /// Once, when all blocks are laid.
    pub(super) fn index_made(&mut self) {
        if self.plan.made.is_empty() {
            return;
        }
        let source = self.source;
        let mut made: Vec<Made> = self
            .frames
            .iter()
            .filter_map(|frame| {
                Some(Made {
                    extent: source.span(frame.node),
                    block: frame.block,
                    entry: frame.entry?,
                })
            })
            .collect();
        // What holds others comes before them.
        made.sort_by_key(|made| {
            (
                made.extent.from,
                std::cmp::Reverse(made.extent.to),
                made.entry,
            )
        });
        self.made = made;
    }

    pub(super) fn references(
        &self,
        expression: &ExpressionPlan,
        made: u32,
        local: Local<'_, S::Node>,
    ) -> Vec<Value> {
        let (ExpressionPlan::Path(path), Some(plan)) =
            (expression, self.plan.made.get(index(made)))
        else {
            return Vec::new();
        };
        let Some(node) = self.node(path, local) else {
            return Vec::new();
        };
        let extent = self.source.span(node);
        let entries = if plan.is_within {
            self.made_within(extent, plan)
        } else {
            let here = self.made_of(extent, plan);
            here.or_else(|| self.made_of_twin(node, plan))
                .into_iter()
                .collect()
        };
        entries
            .into_iter()
            .filter(|entry| *entry != self.entry)
            .filter_map(|entry| self.reference(entry))
            .collect()
    }

    fn from(&self, extent: Span) -> &[Made] {
        let first = self
            .made
            .partition_point(|made| made.extent.from < extent.from);
        self.made.get(first..).unwrap_or_default()
    }

    /// By the first of the blocks that made something of this very node.
    fn made_of(&self, extent: Span, plan: &MadePlan) -> Option<u32> {
        let here = self
            .from(extent)
            .iter()
            .take_while(|made| made.extent.from == extent.from)
            .filter(|made| made.extent == extent);
        here.filter_map(|made| {
            let rank = plan.blocks.iter().position(|block| *block == made.block)?;
            Some((rank, made.entry))
        })
        .min()
        .map(|(_, entry)| entry)
    }

    /// What was made where the source speaks of the same thing, when that is one resource and not several.
    fn made_of_twin(&self, node: S::Node, plan: &MadePlan) -> Option<u32> {
        let twins = self.source.twins(node);
        let mut found = twins
            .into_iter()
            .filter_map(|twin| self.made_of(self.source.span(twin), plan))
            // What is contained is nobody else's.
            .filter(|entry| {
                let entry = self.entries.get(index(*entry));
                entry.is_some_and(|entry| !entry.contained)
            });
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)
    }

    /// The outermost of those that the blocks made inside.
    fn made_within(&self, extent: Span, plan: &MadePlan) -> Vec<u32> {
        let mut covered_to = extent.from;
        let inside = self
            .from(extent)
            .iter()
            .take_while(|made| made.extent.from < extent.to);
        inside
            .filter(|made| plan.blocks.contains(&made.block))
            .filter(|made| {
                let is_outer = made.extent.from >= covered_to;
                if is_outer {
                    covered_to = made.extent.to;
                }
                is_outer
            })
            .map(|made| made.entry)
            .collect()
    }
}
