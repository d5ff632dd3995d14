//! Which element stands below which, from the order of a snapshot: parents first, slices after what they slice.

use std::collections::HashMap;

use super::ElementDef;

/// Fills in `children` and `slices` of each element.
pub(super) fn link(elements: &mut [ElementDef]) {
    // The last element seen at each path: what follows below that path belongs to it.
    let mut last_at: HashMap<Box<str>, usize> = HashMap::new();
    // Parent, name and slice name -> element.
    let mut seen: HashMap<(usize, Box<str>, Box<str>), usize> = HashMap::new();
    for index in 0..elements.len() {
        let Some(element) = elements.get(index) else {
            continue;
        };
        let path = element.path.clone();
        let name = element.name.clone();
        let slice_name = element.slice_name.clone().unwrap_or_default();
        let parent = path
            .rsplit_once('.')
            .and_then(|(parent, _)| last_at.get(parent).copied());
        last_at.insert(path, index);
        let Some(parent) = parent else { continue };
        let sliced = sliced_names(&slice_name)
            .find_map(|of| seen.get(&(parent, name.clone(), of.into())).copied());
        seen.insert((parent, name, slice_name), index);
        match sliced {
            Some(of) => push(elements, of, |element| &mut element.slices, index),
            None => push(elements, parent, |element| &mut element.children, index),
        }
    }
}

/// What a slice of that name may slice, nearest first: `a/b` slices `a`, `a` slices the element itself (the empty name).
pub(in crate::definitions) fn sliced_names(slice_name: &str) -> impl Iterator<Item = &str> {
    let is_slice = !slice_name.is_empty();
    let shorter = std::iter::successors(slice_name.rsplit_once('/'), |(outer, _)| {
        outer.rsplit_once('/')
    })
    .map(|(outer, _)| outer);
    shorter.chain(is_slice.then_some(""))
}

fn push(
    elements: &mut [ElementDef],
    index: usize,
    list: fn(&mut ElementDef) -> &mut Vec<usize>,
    item: usize,
) {
    if let Some(element) = elements.get_mut(index) {
        list(element).push(item);
    }
}
