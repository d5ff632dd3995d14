//! One line of a map: blocks, rows, targets, expressions, conditions. A condition is read by [`super::condition`]'s
//! grammar: `or` of `and` of tests.

use super::super::error::Problem;
use super::super::lex::{Line, Placed, Token};
use super::super::row::{
    At, Block, Direction, Expression, Identity, Include, Join, ResourceHead, Row, TableRow, Target,
    Word,
};
use super::{DEPTH_MAX, Read};

pub(super) enum BlockLine {
    Block(Box<Block>),
    Row(Box<Row>),
}

/// `@name source -> target`
struct RowHead {
    id: String,
    source: Expression,
    direction: Direction,
    target: Target,
}

#[derive(Clone)]
pub(super) struct Cursor<'l> {
    pub(super) tokens: &'l [Placed],
    pub(super) next: usize,
    begin: &'l At,
    pub(super) depth: u32,
}

impl<'l> Cursor<'l> {
    pub(super) fn new(line: &'l Line) -> Self {
        Self {
            tokens: &line.tokens,
            next: 0,
            begin: &line.at,
            depth: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&'l Placed> {
        self.tokens.get(self.next)
    }

    pub(super) fn is_done(&self) -> bool {
        self.peek().is_none()
    }

    pub(super) fn at(&self) -> At {
        let here = self.peek().or(self.tokens.last());
        here.map_or_else(|| self.begin.clone(), |placed| placed.at.clone())
    }

    pub(super) fn expected(&self, what: &str) -> Problem {
        let problem = Problem::new(self.at(), what);
        match self.peek() {
            Some(placed) => problem.found(&spelled(&placed.token)),
            None => problem.found("the end of the line"),
        }
    }

    pub(super) fn end(&self) -> Read<()> {
        if self.is_done() {
            Ok(())
        } else {
            Err(self.expected("the end of the line"))
        }
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found =
            matches!(self.peek(), Some(Placed { token: Token::Sign(found), .. }) if *found == sign);
        self.next += usize::from(found);
        found
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        self.clone().take_sign(sign)
    }

    pub(super) fn sign(&mut self, sign: &str) -> Read<()> {
        if self.take_sign(sign) {
            Ok(())
        } else {
            Err(self.expected(sign))
        }
    }

    /// A keyword is one only when a name, text or constant follows: a column may have its name.
    pub(super) fn take_keyword(&mut self, keyword: &str) -> bool {
        let is_it =
            matches!(self.peek(), Some(Placed { token: Token::Word(word), .. }) if word == keyword);
        let arrow = self.tokens.get(self.next + 1);
        let is_source = matches!(
            arrow,
            Some(Placed {
                token: Token::Sign("->" | "<->" | "<-" | "+"),
                ..
            })
        );
        let taken = is_it && !is_source;
        self.next += usize::from(taken);
        taken
    }

    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        self.clone().take_keyword(keyword)
    }

    /// A word, in quotes or backticks or bare.
    pub(super) fn word(&mut self, what: &str) -> Read<Word> {
        match self.peek() {
            Some(Placed {
                token: Token::Word(text) | Token::Text(text) | Token::Name(text),
                at,
                ..
            }) => {
                self.next += 1;
                Ok(Word {
                    text: text.clone(),
                    at: at.clone(),
                })
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(super) fn quoted(&mut self, what: &str) -> Read<String> {
        match self.peek() {
            Some(Placed {
                token: Token::Text(text),
                ..
            }) => {
                self.next += 1;
                Ok(text.clone())
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Names between commas; a `?` behind one stays with it.
    pub(super) fn names(&mut self, what: &str) -> Read<Vec<Word>> {
        let mut names = Vec::new();
        loop {
            let mut name = self.word(what)?;
            if self.take_sign("?") {
                name.text.push('?');
            }
            names.push(name);
            if !self.take_sign(",") {
                break;
            }
        }
        self.end()?;
        Ok(names)
    }

    /// A path of the source: `PID-3[2].1`, `last_name`, or in backticks.
    pub(super) fn path(&mut self) -> Read<Word> {
        let (mut text, at) = match self.peek() {
            Some(Placed {
                token: Token::Word(text),
                at,
                ..
            }) => (text.clone(), at.clone()),
            Some(Placed {
                token: Token::Name(text),
                at,
                ..
            }) => {
                self.next += 1;
                return Ok(Word {
                    text: text.clone(),
                    at: at.clone(),
                });
            }
            _ => return Err(self.expected("a path of the source")),
        };
        self.next += 1;
        while self.joined_sign("[") {
            self.next += 1;
            text.push('[');
            self.bracketed(&mut text)?;
            if let Some(Placed {
                token: Token::Word(more),
                joined: true,
                ..
            }) = self.peek()
            {
                text.push_str(more);
                self.next += 1;
            }
        }
        Ok(Word { text, at })
    }

    /// What stands in the brackets of a path: a repetition, or what the format reads there.
    fn bracketed(&mut self, text: &mut String) -> Read<()> {
        let begin = self.next;
        while !self.take_sign("]") {
            match self.peek().map(|placed| &placed.token) {
                Some(Token::Word(part) | Token::Text(part) | Token::Name(part)) => {
                    text.push_str(part);
                }
                Some(Token::Sign(sign @ ("=" | "!=" | "|" | ":"))) => text.push_str(sign),
                _ => return Err(self.expected("]")),
            }
            self.next += 1;
        }
        if self.next == begin + 1 {
            return Err(self.expected("the number of a repetition, or a condition, before ]"));
        }
        text.push(']');
        Ok(())
    }

    pub(super) fn joined_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Placed { token: Token::Sign(found), joined: true, .. }) if *found == sign)
    }

    pub(super) fn block_or_row(&mut self) -> Read<BlockLine> {
        let begin = self.next;
        if let Ok(source) = self.path() {
            for sign in ["*", "?", "+"] {
                if self.take_sign(sign) {
                    break;
                }
            }
            let is_group = ["if", "unless", "join"]
                .iter()
                .any(|keyword| self.is_keyword(keyword));
            if self.is_done() || is_group || self.is_sign("{") {
                return self
                    .group(source)
                    .map(|block| BlockLine::Block(Box::new(block)));
            }
            if self.take_sign("->")
                && matches!(self.peek(), Some(Placed { token: Token::Word(word), .. }) if word.starts_with(|first: char| first.is_ascii_uppercase()))
            {
                return self
                    .resource(source)
                    .map(|block| BlockLine::Block(Box::new(block)));
            }
        }
        self.next = begin;
        self.row().map(|row| BlockLine::Row(Box::new(row)))
    }

    /// What a block without a resource says behind its source.
    fn group(&mut self, source: Word) -> Read<Block> {
        let mut block = Block::new(source);
        block.condition = self.condition_clause()?;
        block.join = self.join()?;
        if self.take_sign("{") {
            block.assignments = self.assignments()?;
        }
        self.end()?;
        Ok(block)
    }

    fn join(&mut self) -> Read<Option<Join>> {
        if !self.take_keyword("join") {
            return Ok(None);
        }
        let mut paths = vec![self.path()?];
        while self.take_sign("+") {
            paths.push(self.path()?);
        }
        let condition = self.condition_clause()?;
        Ok(Some(Join { paths, condition }))
    }

    pub(super) fn include(&mut self) -> Read<Block> {
        let name = self.word("the name of blocks that the pack shares")?;
        let prefix = if self.take_keyword("as") {
            self.word("a word to stand before the names of the blocks")?
                .text
        } else {
            String::new()
        };
        let mut without = Vec::new();
        if self.take_keyword("without") {
            without = self.names("the names of blocks")?;
        }
        self.end()?;
        let mut block = Block::new(name.clone());
        block.include = Some(Include {
            name,
            prefix,
            without,
        });
        Ok(block)
    }

    fn resource(&mut self, source: Word) -> Read<Block> {
        let type_name = self.word("a resource type")?;
        let mut head = ResourceHead {
            label: type_name.text.clone(),
            type_name,
            uses: None,
            identity: None,
            contained_in: None,
            assignments: Vec::new(),
        };
        let mut block = Block::new(source);
        while !self.is_done() {
            if self.take_keyword("as") {
                head.label = self.word("what other blocks call this one")?.text;
            } else if self.take_keyword("use") {
                head.uses = Some(self.word("the name of a segment map")?);
            } else if self.is_keyword("key") || self.is_keyword("once") {
                let updates = self.take_keyword("key");
                if !updates {
                    self.next += 1;
                }
                let mut elements = vec![self.target()?];
                while self.take_sign("+") {
                    elements.push(self.target()?);
                }
                head.identity = Some(Identity { updates, elements });
            } else if self.take_keyword("contained") {
                head.contained_in = Some(self.word("the block that contains it")?);
            } else if self.is_keyword("if") || self.is_keyword("unless") {
                block.condition = self.condition_clause()?;
            } else if self.is_keyword("join") {
                block.join = self.join()?;
            } else if self.take_sign("{") {
                head.assignments = self.assignments()?;
            } else {
                return Err(self.expected(
                    "as, use, key, once, contained, if, unless, join, { or the end of the line",
                ));
            }
        }
        block.resource = Some(head);
        Ok(block)
    }

    pub(super) fn row(&mut self) -> Read<Row> {
        let at = self.at();
        let head = self.row_head()?;
        let mut row = Row {
            id: head.id,
            at,
            source: head.source,
            direction: head.direction,
            target: head.target,
            conversions: Vec::new(),
            condition: None,
            assignments: Vec::new(),
        };
        while !self.is_done() {
            if self.take_sign(":") {
                row.conversions = self.conversions()?;
            } else if self.is_keyword("if") || self.is_keyword("unless") {
                row.condition = self.condition_clause()?;
            } else if self.take_sign("{") {
                row.assignments = self.assignments()?;
            } else {
                return Err(
                    self.expected(": and a conversion, if, unless, { or the end of the line")
                );
            }
        }
        Ok(row)
    }

    /// `@name`, or source and target of the row that is meant.
    pub(super) fn row_id(&mut self) -> Read<String> {
        let begin = self.next;
        if let Some(label) = self.label()
            && self.is_done()
        {
            return Ok(label);
        }
        self.next = begin;
        let head = self.row_head()?;
        self.end()?;
        Ok(head.id)
    }

    pub(super) fn label(&mut self) -> Option<String> {
        let Some(Placed {
            token: Token::Label(label),
            ..
        }) = self.peek()
        else {
            return None;
        };
        self.next += 1;
        Some(format!("@{label}"))
    }

    fn row_head(&mut self) -> Read<RowHead> {
        let label = self.label();
        let begin = self.next;
        let source = self.expression()?;
        let source_text = self.text_since(begin);
        let direction = if self.take_sign("<->") {
            Direction::Both
        } else if self.take_sign("->") {
            Direction::Forward
        } else if self.take_sign("<-") {
            Direction::Backward
        } else {
            return Err(self.expected("->, <- or <->"));
        };
        let target = self.target()?;
        let id = label.unwrap_or_else(|| format!("{source_text} -> {}", target.text));
        Ok(RowHead {
            id,
            source,
            direction,
            target,
        })
    }

    /// What the tokens since there say, with a space wherever there was some.
    pub(super) fn text_since(&self, begin: usize) -> String {
        let mut text = String::new();
        for placed in self.tokens.get(begin..self.next).unwrap_or_default() {
            if !placed.joined && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&spelled(&placed.token));
        }
        text
    }

    pub(super) fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Problem::new(
                self.at(),
                format!("no more than {DEPTH_MAX} brackets in one another"),
            ));
        }
        Ok(())
    }

    pub(super) fn table_row(&mut self) -> Read<TableRow> {
        let at = self.at();
        let sources = if self.take_sign("*") {
            Vec::new()
        } else {
            let mut sources = vec![self.word("a code of the source, or *")?.text];
            while self.take_sign(",") {
                sources.push(self.word("a code of the source")?.text);
            }
            sources
        };
        self.sign("=")?;
        let code = self.word("a code")?.text;
        let display = match self.peek() {
            Some(_) => Some(self.quoted("what the code means, in quotes")?),
            None => None,
        };
        self.end()?;
        Ok(TableRow {
            at,
            sources,
            code,
            display,
        })
    }
}

pub(super) fn spelled(token: &Token) -> String {
    match token {
        Token::Word(text) => text.clone(),
        Token::Text(text) => format!("\"{text}\""),
        Token::Name(text) => format!("`{text}`"),
        Token::Constant(text) => format!("${text}"),
        Token::Label(text) => format!("@{text}"),
        Token::Sign(sign) => (*sign).to_owned(),
    }
}
