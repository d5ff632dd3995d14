//! Down the tree. <http://hl7.org/fhirpath/N1/#tree-navigation>

use super::invocation::Invocation;
use super::{Function, row};
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};

pub(super) const ALL: &[Function] = &[
    row("children", 0..=0, children),
    row("descendants", 0..=0, descendants),
];

fn children<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    children_of(call.run, call.at, &call.input)
}

fn children_of<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    items: &[Item<'a>],
) -> Result<Collection<'a>> {
    let mut children = Vec::new();
    for item in items {
        if let Item::Node(node) = item {
            node.children(run.context.types(), &mut |child| {
                children.push(Item::Node(child));
            });
        }
    }
    run.check_size(at, children.len())?;
    run.spend(at, children.len())?;
    Ok(children)
}

/// Level by level. A document is a tree: no element is met twice.
fn descendants<'a>(call: &mut Invocation<'_, '_, 'a>) -> Result<Collection<'a>> {
    let mut all = Vec::new();
    let mut level = children_of(call.run, call.at, &call.input)?;
    while !level.is_empty() {
        let next = children_of(call.run, call.at, &level)?;
        all.append(&mut level);
        call.run.check_size(call.at, all.len())?;
        level = next;
    }
    Ok(all)
}
