//! Text to rows: sections, and within them lines that stand deeper or less deep. What a line says is read by
//! [`line`]; the notation is taught in `interop/maps/README.md`.

mod condition;
mod expression;
mod line;
mod outward;
mod target;

use super::error::Problem;
use super::lex::{self, Line, Token};
use super::row::{
    Block, Change, ChangeKind, Constant, File, Ignored, Map, Overlay, Part, Row, Shared, Table,
    Word,
};
use line::{BlockLine, Cursor};
pub(super) use outward::target_of;
use std::sync::Arc;

/// Blocks within blocks; conditions within conditions have the same bound.
pub const DEPTH_MAX: u32 = 32;

const SECTIONS: &[&str] = &[
    "map", "blocks", "segment", "type", "codes", "overlay", "message", "lines",
];

type Read<T> = Result<T, Problem>;

/// Reads a file. Lines that are wrong are told and passed over, so that all of them are told.
pub fn parse(file_name: &str, text: &str) -> (File, Vec<Problem>) {
    let mut problems = Vec::new();
    let lines = lex::lines(file_name, text, &mut problems);
    let mut file = File::default();
    let mut rest = lines.as_slice();
    while let Some((head, after)) = rest.split_first() {
        let end = after.iter().position(is_section).unwrap_or(after.len());
        let (body, next) = after.split_at(end);
        let mut section = Section {
            file: &mut file,
            problems: &mut problems,
        };
        if let Err(problem) = section.read(head, body) {
            problems.push(problem);
        }
        rest = next;
    }
    (file, problems)
}

fn is_section(line: &Line) -> bool {
    line.indent == 0
        && line.tokens.first().is_some_and(
            |first| matches!(&first.token, Token::Word(word) if SECTIONS.contains(&word.as_str())),
        )
}

struct Section<'f> {
    file: &'f mut File,
    problems: &'f mut Vec<Problem>,
}

impl Section<'_> {
    fn read(&mut self, head: &Line, body: &[Line]) -> Read<()> {
        let mut cursor = Cursor::new(head);
        let keyword =
            cursor.word("map, blocks, segment, type, codes, overlay, message or lines")?;
        match keyword.text.as_str() {
            "map" => self.map(cursor, body),
            "blocks" => self.shared(cursor, body),
            "segment" => self.part(cursor, false, body),
            "type" => self.part(cursor, true, body),
            "codes" => self.table(cursor, body),
            "overlay" => self.overlay(cursor, body),
            "message" => self.message(cursor, body),
            "lines" => self.shared_lines(cursor, body),
            other => Err(Problem::new(
                keyword.at,
                "map, blocks, segment, type, codes, overlay, message or lines",
            )
            .found(other)),
        }
    }

    fn told<T>(&mut self, read: Read<T>) -> Option<T> {
        read.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn map(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let name = cursor.word("the name of the map")?;
        cursor.sign(":")?;
        let format = cursor.word("the format of its source, such as csv or hl7v2")?;
        cursor.end()?;
        let mut map = Map {
            name,
            format,
            serves: Vec::new(),
            columns: Vec::new(),
            constants: Vec::new(),
            ignored: Vec::new(),
            blocks: Vec::new(),
        };
        let mut rest = body;
        while let Some((line, after)) = rest.split_first() {
            let mut cursor = Cursor::new(line);
            rest = after;
            if cursor.take_keyword("for") {
                let names = cursor.names("what the map is for, in quotes");
                map.serves.extend(self.told(names).unwrap_or_default());
            } else if cursor.take_keyword("columns") {
                let names = cursor.names("the names of columns");
                map.columns.extend(self.told(names).unwrap_or_default());
            } else if cursor.take_keyword("constant") {
                let constant = constant(&mut cursor);
                map.constants.extend(self.told(constant));
            } else if cursor.take_keyword("ignore") {
                let ignored = ignored(&mut cursor);
                map.ignored.extend(self.told(ignored).unwrap_or_default());
            } else if cursor.take_keyword("include") {
                let include = cursor.include();
                map.blocks.extend(self.told(include));
            } else {
                let deeper = deeper(line, after);
                let (inner, next) = after.split_at(deeper);
                rest = next;
                match cursor.block_or_row() {
                    Ok(BlockLine::Block(block)) => {
                        let block = self.block(*block, inner, 1);
                        map.blocks.push(block);
                    }
                    Ok(BlockLine::Row(row)) => self.problems.push(Problem::new(
                        row.at,
                        "a row to stand below a resource, such as row -> Patient",
                    )),
                    Err(problem) => self.problems.push(problem),
                }
            }
        }
        self.file.maps.push(map);
        Ok(())
    }

    fn shared(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let name = cursor.word("the name of the blocks")?;
        cursor.end()?;
        let all = self.block(Block::new(name.clone()), body, 0);
        self.file.shared.push(Shared {
            name,
            ignored: all.ignored,
            blocks: all.children,
        });
        Ok(())
    }

    fn block(&mut self, mut block: Block, body: &[Line], depth: u32) -> Block {
        if depth > DEPTH_MAX {
            let at = block.source.at.clone();
            self.problems.push(Problem::new(
                at,
                format!("no more than {DEPTH_MAX} blocks in one another"),
            ));
            return block;
        }
        let mut rest = body;
        while let Some((line, after)) = rest.split_first() {
            let deeper = deeper(line, after);
            let (inner, next) = after.split_at(deeper);
            rest = next;
            let mut cursor = Cursor::new(line);
            if cursor.take_keyword("ignore") {
                let ignored = ignored(&mut cursor);
                block.ignored.extend(self.told(ignored).unwrap_or_default());
                continue;
            }
            if cursor.take_keyword("include") {
                let include = cursor.include();
                block.children.extend(self.told(include));
                continue;
            }
            match cursor.block_or_row() {
                Ok(BlockLine::Block(child)) => {
                    let child = self.block(*child, inner, depth + 1);
                    block.children.push(child);
                }
                Ok(BlockLine::Row(row)) => {
                    if let Some(line) = inner.first() {
                        self.problems.push(Problem::new(
                            line.at.clone(),
                            "nothing that stands deeper than the row before it",
                        ));
                    }
                    if block.resource.is_none() {
                        self.problems.push(Problem::new(
                            row.at.clone(),
                            "a row to stand below a resource, such as PID -> Patient",
                        ));
                    }
                    block.rows.push(Arc::new(*row));
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        block
    }

    fn part(&mut self, mut cursor: Cursor<'_>, is_type: bool, body: &[Line]) -> Read<()> {
        let source = cursor.word("the name of a segment or type of the source")?;
        if cursor.take_sign("<-") {
            return self.out_part(cursor, source, is_type, body);
        }
        cursor.sign("->")?;
        let target = cursor.word("a FHIR type")?;
        let name = if cursor.take_keyword("as") {
            cursor.word("a name for this map")?
        } else {
            source.clone()
        };
        cursor.end()?;
        let mut part = Part {
            is_type,
            name,
            source,
            target,
            rows: Vec::new(),
            ignored: Vec::new(),
        };
        for line in body {
            let mut cursor = Cursor::new(line);
            if cursor.take_keyword("ignore") {
                let ignored = ignored(&mut cursor);
                part.ignored.extend(self.told(ignored).unwrap_or_default());
            } else {
                let row = cursor.row();
                part.rows.extend(self.told(row).map(Arc::new));
            }
        }
        self.file.parts.push(part);
        Ok(())
    }

    fn table(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let mut table = Table {
            name: cursor.word("the name of the table")?,
            from_system: None,
            to_system: None,
            keeps: false,
            rows: Vec::new(),
        };
        while !cursor.is_done() {
            if cursor.take_keyword("from") {
                table.from_system = Some(cursor.word("a code system")?.text);
            } else if cursor.take_keyword("to") {
                table.to_system = Some(cursor.word("a code system")?.text);
            } else if cursor.take_keyword("keep") {
                table.keeps = true;
            } else {
                return Err(cursor.expected("from, to, keep or the end of the line"));
            }
        }
        for line in body {
            let row = Cursor::new(line).table_row();
            table.rows.extend(self.told(row));
        }
        self.file.tables.push(table);
        Ok(())
    }

    fn overlay(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let name = cursor.word("the name of the overlay")?;
        if cursor.take_keyword("to") {
            return self.out_overlay(cursor, name, body);
        }
        cursor.sign(":")?;
        let base = cursor.word("the name of the map it changes")?;
        cursor.end()?;
        let mut overlay = Overlay {
            name,
            base,
            changes: Vec::new(),
            constants: Vec::new(),
        };
        let mut block: Option<Word> = None;
        for line in body {
            let mut cursor = Cursor::new(line);
            if cursor.take_keyword("in") {
                let word = cursor.word("the name of a block, such as Patient, or of a type map");
                block = self.told(word);
            } else if cursor.take_keyword("constant") {
                let constant = constant(&mut cursor);
                overlay.constants.extend(self.told(constant));
            } else if let Some(block) = &block {
                let change = change(&mut cursor, block);
                overlay.changes.extend(self.told(change));
            } else {
                self.problems
                    .push(cursor.expected("constant, or in and the name of a block"));
            }
        }
        self.file.overlays.push(overlay);
        Ok(())
    }
}

/// How many of the lines after `line` stand deeper.
fn deeper(line: &Line, after: &[Line]) -> usize {
    after
        .iter()
        .position(|next| next.indent <= line.indent)
        .unwrap_or(after.len())
}

fn change(cursor: &mut Cursor<'_>, block: &Word) -> Read<Change> {
    let at = cursor.at();
    let kind = if cursor.take_keyword("add") {
        ChangeKind::Add(cursor.row()?)
    } else if cursor.take_keyword("replace") {
        ChangeKind::Replace(cursor.row()?)
    } else if cursor.take_keyword("remove") {
        ChangeKind::Remove(cursor.row_id()?)
    } else {
        return Err(cursor.expected("add, replace, remove, in or constant"));
    };
    Ok(Change {
        block: block.clone(),
        at,
        kind,
    })
}

fn constant(cursor: &mut Cursor<'_>) -> Read<Constant> {
    let name = cursor.word("the name of the constant")?;
    let value = if cursor.is_done() {
        None
    } else {
        cursor.sign("=")?;
        Some(cursor.word("a text in quotes")?.text)
    };
    cursor.end()?;
    Ok(Constant { name, value })
}

fn ignored(cursor: &mut Cursor<'_>) -> Read<Vec<Ignored>> {
    let mut paths = Vec::new();
    loop {
        paths.push(cursor.path()?);
        if !cursor.take_sign(",") {
            break;
        }
    }
    cursor.sign(":")?;
    let reason = cursor.quoted("the reason, in quotes")?;
    cursor.end()?;
    Ok(paths
        .into_iter()
        .map(|path| Ignored {
            path,
            reason: reason.clone(),
        })
        .collect())
}

/// A row alone, for those who keep rows elsewhere.
pub fn parse_row(file_name: &str, text: &str) -> Result<Row, Vec<Problem>> {
    let mut problems = Vec::new();
    let lines = lex::lines(file_name, text, &mut problems);
    let row = match lines.as_slice() {
        [line] => Cursor::new(line).row(),
        _ => Err(Problem::new(
            lines
                .first()
                .map(|line| line.at.clone())
                .unwrap_or_default(),
            "one row",
        )),
    };
    match row {
        Ok(row) if problems.is_empty() => Ok(row),
        Ok(_) => Err(problems),
        Err(problem) => {
            problems.push(problem);
            Err(problems)
        }
    }
}
