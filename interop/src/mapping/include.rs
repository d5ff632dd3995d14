//! Blocks that several maps share are put where the maps include them. Labels may get a word before them, so that one map can
//! have the same blocks twice.

use std::collections::HashSet;
use std::sync::Arc;

use super::error::Problem;
use super::pack::Pack;
use super::row::outward::{OutLine, SharedLines};
use super::row::{
    Assigned, Assignment, Block, Expression, Ignored, Include, ResourceHead, Shared, Word,
};

/// Shared blocks that include others.
const INCLUDE_DEPTH_MAX: usize = 8;

impl Pack {
    /// Puts shared blocks into all maps.
    pub(super) fn include(&mut self, problems: &mut Vec<Problem>) {
        let mut expander = Expander {
            shared: &self.shared,
            used: HashSet::new(),
            problems,
        };
        for map in &mut self.maps {
            let blocks = std::mem::take(&mut map.blocks);
            map.blocks = expander.expand(blocks, &mut map.ignored, 0);
        }
        // What shared blocks say of blocks that a map does not have does not concern it.
        let mut shared_labels = HashSet::new();
        for shared in &mut self.shared.clone() {
            each_head(&mut shared.blocks, &mut |head| {
                shared_labels.insert(head.label.clone());
            });
        }
        for map in &mut self.maps {
            let mut labels = shared_labels.clone();
            each_head(&mut map.blocks, &mut |head| {
                labels.remove(&head.label);
            });
            forget(&mut map.blocks, &labels);
        }
        let used = expander.used;
        self.never_included = self
            .shared
            .iter()
            .filter(|shared| !used.contains(&shared.name.text))
            .map(|shared| shared.name.clone())
            .collect();
    }
}

impl Pack {
    /// Puts shared lines into all messages.
    pub(super) fn include_lines(&mut self, problems: &mut Vec<Problem>) {
        let shared = &self.shared_lines;
        for message in &mut self.messages {
            let lines = std::mem::take(&mut message.lines);
            message.lines = expand_lines(lines, shared, problems, 0);
        }
    }
}

fn expand_lines(
    lines: Vec<OutLine>,
    shared: &[SharedLines],
    problems: &mut Vec<Problem>,
    depth: usize,
) -> Vec<OutLine> {
    let mut all = Vec::with_capacity(lines.len());
    for mut line in lines {
        if !line.include {
            let inner = std::mem::take(&mut line.lines);
            line.lines = expand_lines(inner, shared, problems, depth);
            all.push(line);
            continue;
        }
        let found = shared.iter().find(|one| one.name.text == line.source.text);
        match found.filter(|_| depth < INCLUDE_DEPTH_MAX) {
            Some(found) => all.append(&mut expand_lines(
                found.lines.clone(),
                shared,
                problems,
                depth + 1,
            )),
            None => problems.push(
                Problem::new(
                    line.source.at.clone(),
                    "the name of lines that the pack shares",
                )
                .found(&line.source.text),
            ),
        }
    }
    all
}

struct Expander<'s> {
    shared: &'s [Shared],
    used: HashSet<String>,
    problems: &'s mut Vec<Problem>,
}

impl Expander<'_> {
    fn expand(
        &mut self,
        blocks: Vec<Block>,
        ignored: &mut Vec<Ignored>,
        depth: usize,
    ) -> Vec<Block> {
        let mut all = Vec::with_capacity(blocks.len());
        for mut block in blocks {
            let Some(include) = block.include.take() else {
                let children = std::mem::take(&mut block.children);
                block.children = self.expand(children, &mut block.ignored, depth);
                all.push(block);
                continue;
            };
            if depth >= INCLUDE_DEPTH_MAX {
                let expected = "no shared blocks that include themselves";
                self.told(&include.name, expected);
                continue;
            }
            let found = self
                .shared
                .iter()
                .find(|shared| shared.name.text == include.name.text);
            let Some(found) = found else {
                self.told(&include.name, "the name of blocks that the pack shares");
                continue;
            };
            self.used.insert(include.name.text.clone());
            ignored.extend(found.ignored.iter().cloned());
            let mut inner = self.expand(found.blocks.clone(), ignored, depth + 1);
            let without = include.without.iter().map(|word| word.text.clone());
            forget(&mut inner, &without.collect());
            prefix(&mut inner, &include);
            all.append(&mut inner);
        }
        all
    }

    fn told(&mut self, name: &Word, expected: &str) {
        self.problems
            .push(Problem::new(name.at.clone(), expected).found(&name.text));
    }
}

fn prefix(blocks: &mut [Block], include: &Include) {
    if include.prefix.is_empty() {
        return;
    }
    let mut labels = HashSet::new();
    each_head(blocks, &mut |head| {
        labels.insert(head.label.clone());
    });
    let renamed = |word: &mut String| {
        if labels.contains(word) {
            word.insert_str(0, &include.prefix);
        }
    };
    each_head(blocks, &mut |head| {
        renamed(&mut head.label);
        if let Some(owner) = &mut head.contained_in {
            renamed(&mut owner.text);
        }
    });
    each_assignment(blocks, &mut |assignment| {
        if let Some(word) = &mut assignment.elsewhere {
            renamed(&mut word.text);
        }
        match &mut assignment.value {
            Assigned::Value(Expression::Path(word), conversions) if conversions.is_empty() => {
                renamed(&mut word.text);
            }
            Assigned::Without(word) => renamed(&mut word.text),
            _ => {}
        }
    });
}

/// Leaves out the assignments that are about blocks of these names.
fn forget(blocks: &mut [Block], missing: &HashSet<String>) {
    for block in blocks {
        let stays = |assignment: &Assignment| {
            let elsewhere = assignment.elsewhere.as_ref();
            let refers = match &assignment.value {
                Assigned::Value(Expression::Path(word), conversions) if conversions.is_empty() => {
                    Some(word)
                }
                _ => None,
            };
            let mut words = elsewhere.into_iter().chain(refers);
            !words.any(|word| missing.contains(&word.text))
        };
        if let Some(head) = &mut block.resource {
            head.assignments.retain(stays);
        }
        block.assignments.retain(stays);
        for row in &mut block.rows {
            if !row.assignments.iter().all(stays) {
                Arc::make_mut(row).assignments.retain(stays);
            }
        }
        forget(&mut block.children, missing);
    }
}

fn each_head(blocks: &mut [Block], visit: &mut dyn FnMut(&mut ResourceHead)) {
    for block in blocks {
        if let Some(head) = &mut block.resource {
            visit(head);
        }
        each_head(&mut block.children, visit);
    }
}

fn each_assignment(blocks: &mut [Block], visit: &mut dyn FnMut(&mut Assignment)) {
    for block in blocks {
        let heads = block.resource.iter_mut();
        let of_head = heads.flat_map(|head| &mut head.assignments);
        let of_rows = block.rows.iter_mut();
        let of_rows = of_rows.filter(|row| !row.assignments.is_empty());
        let of_rows = of_rows.flat_map(|row| &mut Arc::make_mut(row).assignments);
        of_head
            .chain(of_rows)
            .chain(&mut block.assignments)
            .for_each(&mut *visit);
        each_assignment(&mut block.children, visit);
    }
}
