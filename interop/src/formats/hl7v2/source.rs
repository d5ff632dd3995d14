//! A message for the mapping engine: groups and segments are nodes of the grouped tree, everything below is a piece of the
//! text, found when it is asked for.

use std::borrow::Cow;
use std::fmt::Write;

use crate::mapping::source::{Cell, Source, Span};

use super::grammar::Groups;
use super::tree::{Message, Segment, is_header};
use super::{escape, find_byte, narrow, slice, wide};

/// Below a field things are told apart by how deep they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// One value of a field; `end` is where the field ends.
    Repetition {
        end: u32,
    },
    Component,
    Subcomponent,
    /// MSH-1 and MSH-2, which are not taken apart.
    Opaque,
}

#[derive(Debug, Clone, Copy)]
pub enum Node {
    /// A group or a segment, by its place in the tree.
    Item(u32),
    Piece(Piece),
}

/// A piece of the text of the message.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    from: u32,
    to: u32,
    level: Level,
}

/// A message under its groups.
#[derive(Debug, Clone, Copy)]
pub struct MessageSource<'g, 'm, 't> {
    pub message: &'m Message<'t>,
    pub groups: &'g Groups<'m, 't>,
}

impl<'t> MessageSource<'_, '_, 't> {
    fn text(&self, piece: Piece) -> &'t str {
        slice(self.message.text(), wide(piece.from), wide(piece.to))
    }

    /// The first value of a field.
    fn field(&self, segment: Segment<'_, 't>, number: u16) -> Option<Node> {
        let field = segment.field(usize::from(number))?;
        let (from, length) = (field.at(), field.raw().len());
        if length == 0 {
            return None;
        }
        if number <= 2 && is_header(segment.name()) {
            return Some(piece(from, from + length, Level::Opaque));
        }
        let end = from + length;
        let to = self.end_of(from, end, self.message.delimiters().repetition);
        Some(piece(from, to, Level::Repetition { end: narrow(end) }))
    }

    fn end_of(&self, from: usize, end: usize, delimiter: u8) -> usize {
        let text = slice(self.message.text(), from, end).as_bytes();
        find_byte(text, delimiter, 0).map_or(end, |place| from + place)
    }

    /// The part of that number, as a delimiter divides it.
    fn part(&self, whole: Piece, number: u16, delimiter: u8, level: Level) -> Option<Node> {
        let (mut from, end) = (wide(whole.from), wide(whole.to));
        for _ in 1..number {
            let to = self.end_of(from, end, delimiter);
            if to >= end {
                return None;
            }
            from = to + 1;
        }
        let to = self.end_of(from, end, delimiter);
        (from < to).then(|| piece(from, to, level))
    }

    /// Which parts are not empty, a bit for each number.
    fn parts(&self, whole: Piece, delimiter: u8) -> u64 {
        let (mut present, mut bit) = (0, 1 << 1);
        for byte in self.text(whole).bytes() {
            if byte == delimiter && delimiter != 0 {
                bit <<= 1;
            } else {
                present |= bit;
            }
        }
        present
    }

    /// The next subcomponent that says something, `""` among them, taken from the rest.
    fn next_leaf(&self, rest: &mut Option<Piece>) -> Option<Piece> {
        let delimiters = self.message.delimiters();
        while let Some(piece) = *rest {
            let (one, other) = match piece.level {
                Level::Opaque | Level::Subcomponent => (0, 0),
                Level::Component => (delimiters.subcomponent, 0),
                Level::Repetition { .. } => (delimiters.component, delimiters.subcomponent),
            };
            let end = find_byte(self.text(piece).as_bytes(), one, other);
            let to = end.map_or(piece.to, |end| piece.from + narrow(end));
            *rest = end.map(|_| Piece {
                from: to + 1,
                ..piece
            });
            if piece.from < to {
                return Some(Piece { to, ..piece });
            }
        }
        None
    }

    /// The first leaf that says more than `""`.
    fn first_said(&self, piece: Piece) -> (Option<(usize, usize)>, bool) {
        let (mut is_null, mut rest) = (false, Some(piece));
        while let Some(leaf) = self.next_leaf(&mut rest) {
            if self.text(leaf) != "\"\"" {
                return (Some((wide(leaf.from), wide(leaf.to))), is_null);
            }
            is_null = true;
        }
        (None, is_null)
    }

    fn value(&self, raw: &'t str, level: Level) -> Cow<'t, str> {
        match level {
            Level::Opaque => Cow::Borrowed(raw),
            _ => escape::unescape(raw, &self.message.delimiters(), self.message.charset()),
        }
    }
}

fn piece(from: usize, to: usize, level: Level) -> Node {
    Node::Piece(Piece {
        from: narrow(from),
        to: narrow(to),
        level,
    })
}

impl Source for MessageSource<'_, '_, '_> {
    type Node = Node;

    fn root(&self) -> Node {
        Node::Item(0)
    }

    fn first(&self, from: Node, number: u16) -> Option<Node> {
        let delimiters = self.message.delimiters();
        match from {
            Node::Item(at) => match self.groups.segment_at(at) {
                Some(segment) => self.field(segment, number),
                None => self.groups.first_of(at, number).map(Node::Item),
            },
            Node::Piece(whole) => match whole.level {
                Level::Repetition { .. } => {
                    self.part(whole, number, delimiters.component, Level::Component)
                }
                Level::Component => {
                    self.part(whole, number, delimiters.subcomponent, Level::Subcomponent)
                }
                Level::Subcomponent | Level::Opaque => (number == 1).then_some(from),
            },
        }
    }

    fn next(&self, node: Node) -> Option<Node> {
        match node {
            Node::Item(at) => self.groups.next_alike(at).map(Node::Item),
            Node::Piece(piece) => {
                let Level::Repetition { end } = piece.level else {
                    return None;
                };
                let end = wide(end);
                let from = wide(piece.to) + 1;
                // An empty repetition is one, so that the second stays the second.
                (from <= end && wide(piece.to) < end).then(|| {
                    let to = self.end_of(from, end, self.message.delimiters().repetition);
                    self::piece(from, to, piece.level)
                })
            }
        }
    }

    fn cell(&self, node: Node) -> Cell<'_> {
        self.read(node).0
    }

    /// Of what has parts: the first that says something.
    fn read(&self, node: Node) -> (Cell<'_>, Span) {
        let Node::Piece(piece) = node else {
            return (Cell::Valued(Cow::Borrowed("")), self.span(node));
        };
        match self.first_said(piece) {
            (Some((from, to)), _) => {
                let raw = slice(self.message.text(), from, to);
                let span = Span {
                    from: narrow(from),
                    to: narrow(to),
                };
                (Cell::Valued(self.value(raw, piece.level)), span)
            }
            (None, true) => (Cell::Null, self.span(node)),
            (None, false) => (Cell::Absent, self.span(node)),
        }
    }

    fn present(&self, node: Node) -> u64 {
        let delimiters = self.message.delimiters();
        match node {
            Node::Item(at) => match self.groups.segment_at(at) {
                Some(segment) => segment.present(),
                None => u64::MAX,
            },
            Node::Piece(whole) => match whole.level {
                Level::Repetition { .. } => self.parts(whole, delimiters.component),
                Level::Component => self.parts(whole, delimiters.subcomponent),
                Level::Subcomponent | Level::Opaque => 1 << 1,
            },
        }
    }

    fn said(&self, node: Node) -> Span {
        self.read(node).1
    }

    fn span(&self, node: Node) -> Span {
        match node {
            Node::Piece(piece) => Span {
                from: piece.from,
                to: piece.to,
            },
            // What a segment says is in its fields.
            Node::Item(at) => {
                let segment = self.groups.segment_at(at);
                let from = narrow(segment.map_or(0, |segment| segment.at()));
                Span { from, to: from }
            }
        }
    }

    /// Segments are the lines.
    fn place(&self, span: Span) -> Option<(u32, u32)> {
        let before = self.message.text().get(..wide(span.from))?;
        let bytes = before.as_bytes();
        let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            byte => **byte == b'\n',
        });
        let line = before.rsplit(['\r', '\n']).next().unwrap_or_default();
        Some((narrow(ends.count() + 1), narrow(line.chars().count() + 1)))
    }

    fn leaves(&self, visit: &mut dyn FnMut(Span)) {
        let divides = self.message.delimiters().dividing();
        for segment in self.message.segments() {
            // The delimiters themselves say nothing.
            let first = if is_header(segment.name()) { 3 } else { 1 };
            let Some(field) = segment.field(first) else {
                continue;
            };
            let (start, end) = (field.at(), segment.at() + segment.raw().len());
            let mut from = start;
            let mut leaf = |from: usize, to: usize| {
                if from < to && slice(self.message.text(), from, to) != "\"\"" {
                    let (from, to) = (narrow(from), narrow(to));
                    visit(Span { from, to });
                }
            };
            for (place, byte) in slice(self.message.text(), start, end).bytes().enumerate() {
                if divides.get(usize::from(byte)) == Some(&true) {
                    leaf(from, start + place);
                    from = start + place + 1;
                }
            }
            leaf(from, end);
        }
    }

    fn describe(&self, span: Span) -> String {
        let at = wide(span.from);
        let segments = self.message.segments();
        let Some(segment) = segments.take_while(|segment| segment.at() <= at).last() else {
            return "the message".to_owned();
        };
        let name = segment.name();
        let alike = self.message.segments_named(name);
        let before = alike
            .filter(|other| other.index() < segment.index())
            .count();
        let several = self.message.segments_named(name).nth(1).is_some();
        let mut told = name.to_owned();
        // Writing to a String cannot fail.
        let mut say = |text: std::fmt::Arguments<'_>| {
            let _written = told.write_fmt(text);
        };
        if several {
            say(format_args!("[{}]", before + 1));
        }
        let fields = segment.fields().enumerate();
        let Some((number, field)) = fields.take_while(|(_, field)| field.at() <= at).last() else {
            return told;
        };
        say(format_args!("-{}", number + 1));
        if at == field.at() && wide(span.to) == at + field.raw().len() {
            return told;
        }
        let repetitions: Vec<_> = field.repetitions().collect();
        let found = repetitions.iter().enumerate();
        let found = found.take_while(|(_, repetition)| repetition.at() <= at);
        let Some((number, repetition)) = found.last() else {
            return told;
        };
        if repetitions.len() > 1 {
            say(format_args!("[{}]", number + 1));
        }
        let is_all = |from: usize, raw: &str| at == from && wide(span.to) == at + raw.len();
        if is_all(repetition.at(), repetition.raw()) {
            return told;
        }
        let components = repetition.components().enumerate();
        let Some((number, component)) = components.take_while(|(_, part)| part.at() <= at).last()
        else {
            return told;
        };
        say(format_args!(".{}", number + 1));
        if is_all(component.at(), component.raw()) {
            return told;
        }
        let parts = component.subcomponents().enumerate();
        if let Some((number, _)) = parts.take_while(|(_, part)| part.at() <= at).last() {
            say(format_args!(".{}", number + 1));
        }
        told
    }
}
