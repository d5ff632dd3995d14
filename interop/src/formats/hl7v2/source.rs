//! A message for the mapping engine: groups and segments are nodes of the grouped tree, everything below is a piece of the
//! text, found when it is asked for.

use std::borrow::Cow;
use std::fmt::Write;

use crate::mapping::source::{Cell, Source, Span};

use super::grammar::Groups;
use super::tree::{Message, Segment, is_header};
use super::{escape, narrow, slice, wide};

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
        if is_header(segment.name()) && number <= 2 {
            return Some(piece(from, from + length, Level::Opaque));
        }
        let end = from + length;
        let to = self.end_of(from, end, self.message.delimiters().repetition);
        Some(piece(from, to, Level::Repetition { end: narrow(end) }))
    }

    fn end_of(&self, from: usize, end: usize, delimiter: u8) -> usize {
        if delimiter == 0 {
            return end;
        }
        let text = slice(self.message.text(), from, end).as_bytes();
        let place = text.iter().position(|byte| *byte == delimiter);
        place.map_or(end, |place| from + place)
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

    /// The subcomponents that say something, `""` among them.
    fn each_leaf(&self, whole: Piece, visit: &mut dyn FnMut(usize, usize)) {
        let delimiters = self.message.delimiters();
        let divides = |byte: u8| match whole.level {
            Level::Opaque | Level::Subcomponent => false,
            Level::Component => byte == delimiters.subcomponent,
            Level::Repetition { .. } => {
                byte == delimiters.component || byte == delimiters.subcomponent
            }
        };
        let start = wide(whole.from);
        let mut from = start;
        for (place, byte) in self.text(whole).bytes().enumerate() {
            if byte != 0 && divides(byte) {
                if from < start + place {
                    visit(from, start + place);
                }
                from = start + place + 1;
            }
        }
        if from < wide(whole.to) {
            visit(from, wide(whole.to));
        }
    }

    /// The first leaf that says more than `""`.
    fn first_said(&self, piece: Piece) -> (Option<(usize, usize)>, bool) {
        let (mut is_null, mut found) = (false, None);
        self.each_leaf(
            piece,
            &mut |from, to| match slice(self.message.text(), from, to) {
                "\"\"" => is_null = true,
                _ => found = found.or(Some((from, to))),
            },
        );
        (found, is_null)
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

    /// Of what has parts: the first that says something.
    fn cell(&self, node: Node) -> Cell<'_> {
        let Node::Piece(piece) = node else {
            return Cell::Valued(Cow::Borrowed(""));
        };
        match self.first_said(piece) {
            (Some((from, to)), _) => {
                let raw = slice(self.message.text(), from, to);
                Cell::Valued(self.value(raw, piece.level))
            }
            (None, true) => Cell::Null,
            (None, false) => Cell::Absent,
        }
    }

    fn said(&self, node: Node) -> Span {
        match node {
            Node::Piece(piece) => match self.first_said(piece).0 {
                Some((from, to)) => Span {
                    from: narrow(from),
                    to: narrow(to),
                },
                None => self.span(node),
            },
            Node::Item(_) => self.span(node),
        }
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
        for segment in self.message.segments() {
            let is_header = is_header(segment.name());
            for (number, field) in segment.fields().enumerate() {
                if is_header && number < 2 {
                    continue;
                }
                for repetition in field.repetitions() {
                    let from = repetition.at();
                    let to = from + repetition.raw().len();
                    let end = narrow(to);
                    let whole = Piece {
                        from: narrow(from),
                        to: end,
                        level: Level::Repetition { end },
                    };
                    self.each_leaf(whole, &mut |from, to| {
                        if slice(self.message.text(), from, to) != "\"\"" {
                            visit(Span {
                                from: narrow(from),
                                to: narrow(to),
                            });
                        }
                    });
                }
            }
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
