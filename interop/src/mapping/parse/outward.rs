//! Messages that are made of resources: `message`, `lines`, and `segment` and `type` maps with the arrow turned round.

use super::super::error::Problem;
use super::super::lex::{Line, Token};
use super::super::row::outward::{
    From, Message, Occasion, OutChange, OutChangeKind, OutLine, OutOverlay, OutPart, OutRow,
    SharedLines, Start, Told,
};
use super::super::row::{Target, Word};
use super::line::Cursor;
use super::{DEPTH_MAX, Read, Section, constant, deeper};

impl Section<'_> {
    pub(super) fn message(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let name = cursor.word("the name of a structure of messages")?;
        cursor.end()?;
        let mut message = Message {
            name,
            serves: Vec::new(),
            start: None,
            occasions: Vec::new(),
            constants: Vec::new(),
            rows: Vec::new(),
            lines: Vec::new(),
        };
        let mut rest = body;
        while let Some((line, after)) = rest.split_first() {
            let (inner, next) = after.split_at(deeper(line, after));
            rest = next;
            let mut cursor = Cursor::new(line);
            if cursor.take_keyword("for") {
                let names = cursor.names("what the message is, in quotes");
                message.serves.extend(self.told(names).unwrap_or_default());
            } else if cursor.take_keyword("start") {
                let start = cursor.start();
                message.start = self.told(start);
            } else if cursor.take_keyword("on") {
                let occasion = cursor.occasion();
                message.occasions.extend(self.told(occasion));
            } else if cursor.take_keyword("constant") {
                let constant = constant(&mut cursor);
                message.constants.extend(self.told(constant));
            } else if cursor.begins_row() {
                let row = cursor.out_row();
                message.rows.extend(self.told(row));
            } else {
                let line = cursor.out_line();
                if let Some(line) = self.told(line) {
                    let line = self.out_line(line, inner, 1);
                    message.lines.push(line);
                }
            }
        }
        self.file.messages.push(message);
        Ok(())
    }

    pub(super) fn shared_lines(&mut self, mut cursor: Cursor<'_>, body: &[Line]) -> Read<()> {
        let name = cursor.word("the name of the lines")?;
        cursor.end()?;
        let all = self.out_line(OutLine::new(name.clone()), body, 0);
        if let Some(row) = all.rows.first() {
            let expected = "a group or segment around this row";
            self.problems
                .push(Problem::new(row.at.clone(), expected).found(&row.id));
        }
        self.file.shared_lines.push(SharedLines {
            name,
            lines: all.lines,
        });
        Ok(())
    }

    fn out_line(&mut self, mut line: OutLine, body: &[Line], depth: u32) -> OutLine {
        if depth > DEPTH_MAX {
            let expected = format!("no more than {DEPTH_MAX} lines in one another");
            self.problems
                .push(Problem::new(line.source.at.clone(), expected));
            return line;
        }
        let mut rest = body;
        while let Some((head, after)) = rest.split_first() {
            let (inner, next) = after.split_at(deeper(head, after));
            rest = next;
            let mut cursor = Cursor::new(head);
            if cursor.begins_row() {
                let row = cursor.out_row();
                line.rows.extend(self.told(row));
                continue;
            }
            let read = cursor.out_line();
            if let Some(read) = self.told(read) {
                let read = self.out_line(read, inner, depth + 1);
                line.lines.push(read);
            }
        }
        line
    }

    /// `segment PID <- Patient`: its head is read up to the arrow.
    pub(super) fn out_part(
        &mut self,
        mut cursor: Cursor<'_>,
        source: Word,
        is_type: bool,
        body: &[Line],
    ) -> Read<()> {
        let target = cursor.word("a FHIR type")?;
        let name = if cursor.take_keyword("as") {
            cursor.word("a name for this map")?
        } else {
            source.clone()
        };
        cursor.end()?;
        let mut rows = Vec::new();
        for line in body {
            let row = Cursor::new(line).out_row();
            rows.extend(self.told(row));
        }
        self.file.out_parts.push(OutPart {
            is_type,
            name,
            source,
            target,
            rows,
        });
        Ok(())
    }
}

impl Section<'_> {
    /// `overlay lab7 to ORU_R01`
    pub(super) fn out_overlay(
        &mut self,
        mut cursor: Cursor<'_>,
        name: Word,
        body: &[Line],
    ) -> Read<()> {
        let base = cursor.word("the message that it changes")?;
        cursor.end()?;
        let mut overlay = OutOverlay {
            name,
            base,
            constants: Vec::new(),
            without: Vec::new(),
            changes: Vec::new(),
        };
        let mut part: Option<(Word, Option<Word>)> = None;
        for line in body {
            let mut cursor = Cursor::new(line);
            if cursor.take_keyword("in") {
                let read = cursor.part_named();
                part = self.told(read);
            } else if cursor.take_keyword("constant") {
                let constant = constant(&mut cursor);
                overlay.constants.extend(self.told(constant));
            } else if cursor.take_keyword("without") {
                let names = cursor.names("the names of segments and groups");
                overlay.without.extend(self.told(names).unwrap_or_default());
            } else if let Some((part, target)) = &part {
                let at = cursor.at();
                let kind = cursor.out_change();
                overlay
                    .changes
                    .extend(self.told(kind).map(|kind| OutChange {
                        part: part.clone(),
                        target: target.clone(),
                        at,
                        kind,
                    }));
            } else {
                let expected = "without, constant, or in and the name of a segment or type map";
                self.problems.push(cursor.expected(expected));
            }
        }
        self.file.out_overlays.push(overlay);
        Ok(())
    }
}

impl OutLine {
    fn new(source: Word) -> Self {
        Self {
            source,
            from: From::Nothing,
            label: None,
            uses: None,
            condition: None,
            rows: Vec::new(),
            lines: Vec::new(),
            include: false,
        }
    }
}

impl Cursor<'_> {
    /// `PID`, or `OBX <- Observation` where several types become one.
    fn part_named(&mut self) -> Read<(Word, Option<Word>)> {
        let part = self.word("the name of a segment or type map")?;
        let target = match self.take_sign("<-") {
            true => Some(self.word("a FHIR type")?),
            false => None,
        };
        self.end()?;
        Ok((part, target))
    }

    fn out_change(&mut self) -> Read<OutChangeKind> {
        if self.take_keyword("add") {
            return self.out_row().map(OutChangeKind::Add);
        }
        if self.take_keyword("replace") {
            return self.out_row().map(OutChangeKind::Replace);
        }
        if self.take_keyword("remove") {
            return match self.label() {
                Some(label) => Ok(OutChangeKind::Remove(label)),
                None => {
                    let begin = self.next;
                    self.next = self.tokens.len();
                    Ok(OutChangeKind::Remove(self.text_since(begin)))
                }
            };
        }
        Err(self.expected("add, replace, remove, in, without or constant"))
    }

    fn start(&mut self) -> Read<Start> {
        let type_name = self.word("a resource type")?;
        let together = self.take_sign("+");
        let label = match self.take_keyword("as") {
            true => self.word("a name for it")?.text,
            false => type_name.text.clone(),
        };
        self.end()?;
        Ok(Start {
            type_name,
            label,
            together,
        })
    }

    fn occasion(&mut self) -> Read<Occasion> {
        let event = self.word("an event, such as A03")?;
        let condition = self.condition_clause()?;
        self.end()?;
        Ok(Occasion { event, condition })
    }

    /// A field stands left of the arrow, or something is asked; not the name of a segment or group.
    fn begins_row(&self) -> bool {
        match self.peek().map(|placed| &placed.token) {
            Some(Token::Label(_)) => true,
            Some(Token::Word(word)) => word.contains('-') || word == "all",
            _ => false,
        }
    }

    fn out_line(&mut self) -> Read<OutLine> {
        if self.take_keyword("include") {
            let mut line = OutLine::new(self.word("the name of lines")?);
            line.include = true;
            self.end()?;
            return Ok(line);
        }
        let mut line = OutLine::new(self.path()?);
        for sign in ["*", "?", "+"] {
            if self.take_sign(sign) {
                break;
            }
        }
        if self.take_sign("<-") {
            line.from = self.from()?;
        }
        while !self.is_done() {
            if self.take_keyword("as") {
                line.label = Some(self.word("what others call it")?.text);
            } else if self.take_keyword("use") {
                line.uses = Some(self.word("the name of a segment map")?);
            } else if self.is_keyword("if") || self.is_keyword("unless") {
                line.condition = self.condition_clause()?;
            } else {
                return Err(self.expected("<-, as, use, if, unless or the end of the line"));
            }
        }
        Ok(line)
    }

    fn from(&mut self) -> Read<From> {
        let target = self.target()?;
        if !self.joined_sign("(") {
            return Ok(From::Path(target));
        }
        self.sign("(")?;
        let element = self.target()?;
        self.sign("=")?;
        let to = self.word("the label of what is referred to")?;
        self.sign(")")?;
        let type_name = Word {
            text: target.text,
            at: target.at,
        };
        Ok(From::Referring {
            type_name,
            element,
            to,
        })
    }

    /// `PID-7 <- birthDate : conversion if condition`
    pub(super) fn out_row(&mut self) -> Read<OutRow> {
        let at = self.at();
        let label = self.label();
        let begin = self.next;
        let mut place = self.path()?;
        let mut between = None;
        if place.text == "all" && self.take_sign("(") {
            place = self.path()?;
            self.sign(",")?;
            between = Some(self.quoted("the text between the parts")?);
            self.sign(")")?;
        }
        let told = self.text_since(begin);
        self.sign("<-")?;
        let begin = self.next;
        let value = self.told_value(between)?;
        let id = label.unwrap_or_else(|| format!("{told} <- {}", self.text_since(begin)));
        let mut row = OutRow {
            id,
            at,
            place,
            value,
            conversions: Vec::new(),
            condition: None,
        };
        while !self.is_done() {
            if self.take_sign(":") {
                row.conversions = self.conversions()?;
            } else if self.is_keyword("if") || self.is_keyword("unless") {
                row.condition = self.condition_clause()?;
            } else {
                return Err(self.expected(": and a conversion, if, unless or the end of the line"));
            }
        }
        Ok(row)
    }

    fn told_value(&mut self, between: Option<String>) -> Read<Told> {
        let at = self.at();
        match (self.peek().map(|placed| placed.token.clone()), between) {
            (Some(Token::Text(text)), None) => {
                self.next += 1;
                Ok(Told::Text(text))
            }
            (Some(Token::Constant(text)), None) => {
                self.next += 1;
                Ok(Told::Constant(Word { text, at }))
            }
            (_, Some(between)) => Ok(Told::Parts(self.target()?, between)),
            (_, None) => Ok(Told::Path(self.target()?)),
        }
    }
}

/// A path in FHIR that was read as one word: in conditions.
pub(in super::super) fn target_of(word: &Word) -> Result<Target, Problem> {
    let mut problems = Vec::new();
    let lines = super::super::lex::lines(&word.at.file, &word.text, &mut problems);
    let told = || Problem::new(word.at.clone(), "a path in FHIR, such as status").found(&word.text);
    let [line] = lines.as_slice() else {
        return Err(told());
    };
    let mut cursor = Cursor::new(line);
    let mut target = cursor.target().map_err(|_| told())?;
    if !cursor.is_done() {
        return Err(told());
    }
    target.at = word.at.clone();
    for step in &mut target.steps {
        step.name.at = word.at.clone();
    }
    Ok(target)
}
