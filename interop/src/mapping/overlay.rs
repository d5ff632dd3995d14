//! Overlays: what one sender does differently. Rows are added, replaced and removed by their ids; constants and code tables
//! are given anew. The pack below stays as it is.

use super::error::{BadMap, Problem};
use super::pack::Pack;
use super::parse::parse;
use super::row::outward::{OutChange, OutChangeKind, OutLine, OutOverlay, OutPart};
use super::row::{Block, Change, ChangeKind, Map, Overlay, Row, Word};
use std::sync::Arc;

/// A pack with an overlay laid over it.
#[derive(Debug, Clone)]
pub struct Laid {
    pub pack: Pack,
    /// Changes that have no row any more: the pack below has moved on. Told, and passed over.
    pub gone: Vec<Problem>,
}

impl Pack {
    /// Lays the overlays of a file over this pack; its code tables and type maps take the place of those of the same name.
    pub fn with_overlay(&self, file_name: &str, text: &str) -> Result<Laid, BadMap> {
        let (file, problems) = parse(file_name, text);
        if !problems.is_empty() {
            return Err(BadMap(problems));
        }
        let mut pack = self.clone();
        for table in file.tables {
            match pack
                .tables
                .iter_mut()
                .find(|below| below.name.text == table.name.text)
            {
                Some(below) => *below = table,
                None => pack.tables.push(table),
            }
        }
        for part in file.parts {
            let is_it = |below: &&mut super::row::Part| {
                below.name.text == part.name.text
                    && below.target.text == part.target.text
                    && below.is_type == part.is_type
            };
            match pack.parts.iter_mut().find(is_it) {
                Some(below) => *below = part,
                None => pack.parts.push(part),
            }
        }
        let mut gone = Vec::new();
        if let Some(map) = file.maps.first() {
            let expected = "no map: an overlay changes one that is there";
            return Err(BadMap(vec![
                Problem::new(map.name.at.clone(), expected).found(&map.name.text),
            ]));
        }
        for overlay in &file.overlays {
            pack.lay(overlay, &mut gone);
        }
        for part in file.out_parts {
            let is_it = |below: &&mut OutPart| {
                below.name.text == part.name.text && below.target.text == part.target.text
            };
            match pack.out_parts.iter_mut().find(is_it) {
                Some(below) => *below = part,
                None => pack.out_parts.push(part),
            }
        }
        for overlay in &file.out_overlays {
            pack.lay_outward(overlay, &mut gone);
        }
        Ok(Laid { pack, gone })
    }

    fn lay(&mut self, overlay: &Overlay, gone: &mut Vec<Problem>) {
        let Self { maps, parts, .. } = self;
        let Some(map) = maps
            .iter_mut()
            .find(|map| map.name.text == overlay.base.text)
        else {
            gone.push(
                Problem::new(overlay.base.at.clone(), "a map of the pack")
                    .found(&overlay.base.text),
            );
            return;
        };
        for constant in &overlay.constants {
            match map
                .constants
                .iter_mut()
                .find(|below| below.name.text == constant.name.text)
            {
                Some(below) => below.value.clone_from(&constant.value),
                // One that only rows of the overlay use.
                None => map.constants.push(constant.clone()),
            }
        }
        for change in &overlay.changes {
            let shared = shared_name(map, &change.block);
            let rows = match block_named(&mut map.blocks, &change.block.text) {
                // Its rows may stand in the segment map that it uses.
                Some(block) => match holds(&block.rows, &change.kind) {
                    true => Some(&mut block.rows),
                    false => {
                        let part = parts.iter_mut().find(|part| {
                            !part.is_type
                                && Some(&part.name.text) == shared.as_ref()
                                && holds(&part.rows, &change.kind)
                        });
                        Some(part.map_or(&mut block.rows, |part| &mut part.rows))
                    }
                },
                None => parts
                    .iter_mut()
                    .find(|part| part.name.text == change.block.text)
                    .map(|part| &mut part.rows),
            };
            match rows {
                Some(rows) => apply(rows, change, gone),
                None => gone.push(
                    Problem::new(change.block.at.clone(), "a block or type map of the pack")
                        .found(&change.block.text),
                ),
            }
        }
    }
}

impl Pack {
    /// What one receiver wants otherwise.
    fn lay_outward(&mut self, overlay: &OutOverlay, gone: &mut Vec<Problem>) {
        let base = &overlay.base;
        let mut messages = self.messages.iter_mut();
        let Some(message) = messages.find(|message| message.name.text == base.text) else {
            gone.push(Problem::new(base.at.clone(), "a message of the pack").found(&base.text));
            return;
        };
        for constant in &overlay.constants {
            let mut all = message.constants.iter_mut();
            match all.find(|below| below.name.text == constant.name.text) {
                Some(below) => below.value.clone_from(&constant.value),
                None => message.constants.push(constant.clone()),
            }
        }
        for word in &overlay.without {
            if !leave_out(&mut message.lines, &word.text) {
                let expected = "a segment or group of this message";
                gone.push(Problem::new(word.at.clone(), expected).found(&word.text));
            }
        }
        for change in &overlay.changes {
            self.change_outward(change, gone);
        }
    }

    fn change_outward(&mut self, change: &OutChange, gone: &mut Vec<Problem>) {
        let is_it = |name: &Word, target: &Word| {
            name.text == change.part.text
                && (change.target.as_ref()).is_none_or(|wanted| wanted.text == target.text)
        };
        let told = |at, expected: &str, found: &str| Problem::new(at, expected).found(found);
        let mut parts = self.out_parts.iter_mut();
        let out = parts.find(|part| is_it(&part.name, &part.target));
        let rows = out.map(|part| &mut part.rows);
        match (&change.kind, rows) {
            (OutChangeKind::Add(row), Some(rows)) => rows.insert(0, row.clone()),
            (OutChangeKind::Replace(row), Some(rows)) => {
                match rows.iter_mut().find(|below| below.id == row.id) {
                    Some(below) => *below = row.clone(),
                    None => gone.push(told(
                        change.at.clone(),
                        "the id of a row that is there",
                        &row.id,
                    )),
                }
            }
            (OutChangeKind::Remove(id), rows) => {
                let both = self.parts.iter_mut();
                let both = both.filter(|part| is_it(&part.name, &part.target));
                let place = rows
                    .as_ref()
                    .and_then(|rows| rows.iter().position(|row| row.id == *id));
                let mut is_there = false;
                if let (Some(rows), Some(place)) = (rows, place) {
                    rows.remove(place);
                    is_there = true;
                }
                // A row that goes both ways is called by its place and its element alike.
                let forward = id.replace("<->", "->");
                if !is_there {
                    for part in both {
                        let count = part.rows.len();
                        part.rows.retain(|row| row.id != forward);
                        is_there |= part.rows.len() < count;
                    }
                }
                if !is_there {
                    gone.push(told(change.at.clone(), "the id of a row that is there", id));
                }
            }
            (_, None) => gone.push(told(
                change.part.at.clone(),
                "a segment or type map for the way out",
                &change.part.text,
            )),
        }
    }
}

/// Takes lines out of a message; says whether there were any.
fn leave_out(lines: &mut Vec<OutLine>, name: &str) -> bool {
    let count = lines.len();
    lines.retain(|line| line.source.text != name);
    let inner: Vec<bool> = lines
        .iter_mut()
        .map(|line| leave_out(&mut line.lines, name))
        .collect();
    lines.len() < count || inner.contains(&true)
}

fn shared_name(map: &Map, block: &Word) -> Option<String> {
    fn find<'b>(blocks: &'b [Block], label: &str) -> Option<&'b Block> {
        blocks.iter().find_map(|block| {
            let is_it = block
                .resource
                .as_ref()
                .is_some_and(|head| head.label == label);
            if is_it {
                Some(block)
            } else {
                find(&block.children, label)
            }
        })
    }
    let block = find(&map.blocks, &block.text)?;
    let uses = block.resource.as_ref().and_then(|head| head.uses.as_ref());
    Some(uses.unwrap_or(&block.source).text.clone())
}

fn block_named<'b>(blocks: &'b mut [Block], label: &str) -> Option<&'b mut Block> {
    for block in blocks {
        if block
            .resource
            .as_ref()
            .is_some_and(|head| head.label == label)
        {
            return Some(block);
        }
        if let Some(found) = block_named(&mut block.children, label) {
            return Some(found);
        }
    }
    None
}

fn id_of(kind: &ChangeKind) -> &str {
    match kind {
        ChangeKind::Add(row) | ChangeKind::Replace(row) => &row.id,
        ChangeKind::Remove(id) => id,
    }
}

fn holds(rows: &[Arc<Row>], kind: &ChangeKind) -> bool {
    matches!(kind, ChangeKind::Add(_)) || rows.iter().any(|row| row.id == id_of(kind))
}

fn apply(rows: &mut Vec<Arc<Row>>, change: &Change, gone: &mut Vec<Problem>) {
    let place = rows.iter().position(|row| row.id == id_of(&change.kind));
    match (&change.kind, place) {
        // Before the others: the first row that has a value gives it.
        (ChangeKind::Add(row), None) => rows.insert(0, Arc::new(row.clone())),
        (ChangeKind::Add(row), Some(_)) => {
            gone.push(
                Problem::new(change.at.clone(), "replace: there is a row of this id")
                    .found(&row.id),
            );
        }
        (ChangeKind::Replace(row), Some(place)) => {
            if let Some(below) = rows.get_mut(place) {
                *below = Arc::new(row.clone());
            }
        }
        (ChangeKind::Remove(_), Some(place)) => {
            rows.remove(place);
        }
        (ChangeKind::Replace(_) | ChangeKind::Remove(_), None) => {
            gone.push(
                Problem::new(change.at.clone(), "the id of a row that is there")
                    .found(id_of(&change.kind)),
            );
        }
    }
}
