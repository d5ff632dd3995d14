//! Text to tree: one pass over the bytes that notes where segments and fields begin.
//!
//! hl7-parser builds a list for every field, repetition and component: 32 µs for a message of 1 KB where this pass, with
//! finding and decoding the message, takes 2 µs; and it ends at the first blank line. The tests hold the two against each
//! other.

use super::forgiven::{Leniency, Told, Unreadable};
use super::tree::{Message, Span, is_header};
use super::{Charset, Delimiters, FIELDS_MAX, SEGMENTS_MAX, escape, narrow, slice, wide};

/// Bytes of a text for each segment and each field, to begin with room enough for most messages.
const BYTES_A_SEGMENT: usize = 80;
const BYTES_A_FIELD: usize = 6;
const FIELDS_AT_FIRST_MAX: usize = 4096;

pub(crate) fn message(text: &str, charset: Charset, told: Told) -> Result<Message<'_>, Unreadable> {
    let start = text.find(|letter: char| !letter.is_ascii_whitespace());
    let start = start.ok_or(Unreadable::Empty)?;
    let header = slice(text, start, text.len());
    if !is_header(header.get(..3).unwrap_or_default()) {
        let found = header.chars().take(10).collect();
        return Err(Unreadable::NoHeader { at: start, found });
    }
    let (delimiters, forgiven) =
        Delimiters::read(header.as_bytes()).map_err(|fault| match fault {
            Unreadable::Delimiters { at, problem } => Unreadable::Delimiters {
                at: at + start,
                problem,
            },
            other => other,
        })?;
    let mut tokens = Tokens {
        text,
        delimiters,
        at: start,
        spans: Vec::with_capacity((text.len() / BYTES_A_SEGMENT + 1).min(FIELDS_AT_FIRST_MAX)),
        fields: Vec::with_capacity((text.len() / BYTES_A_FIELD + 8).min(FIELDS_AT_FIRST_MAX)),
        escapes: false,
        told,
    };
    if start > 0 {
        tokens.told.tell(Leniency::Blanks, 1, 0);
    }
    if let Some(what) = forgiven {
        tokens.told.tell(what, 1, start + 4);
    }
    tokens.read()?;
    let mut message = Message {
        text,
        delimiters,
        charset,
        spans: tokens.spans,
        fields: tokens.fields,
        told: tokens.told,
    };
    if tokens.escapes {
        tell_escapes(&mut message);
    }
    Ok(message)
}

struct Tokens<'t> {
    text: &'t str,
    delimiters: Delimiters,
    at: usize,
    spans: Vec<Span>,
    fields: Vec<u32>,
    escapes: bool,
    told: Told,
}

/// What a line begins with.
enum Line {
    Segment { separated: bool },
    Continuation,
    Blank,
}

impl Tokens<'_> {
    fn read(&mut self) -> Result<(), Unreadable> {
        while self.at < self.text.len() {
            let begin = self.at;
            self.skip_blanks();
            match self.line() {
                Line::Blank => {
                    self.told
                        .tell_once(Leniency::Blanks, self.spans.len(), begin);
                }
                Line::Continuation => {
                    self.told
                        .tell(Leniency::LineBreakInside, self.spans.len(), self.at);
                    self.fields_to_the_end_of_the_line()?;
                }
                Line::Segment { separated } => {
                    if self.at > begin {
                        self.told
                            .tell_once(Leniency::Blanks, self.spans.len() + 1, begin);
                    }
                    self.segment(separated)?;
                }
            }
            self.line_end();
        }
        Ok(())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.byte(self.at), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn line(&self) -> Line {
        if matches!(self.byte(self.at), None | Some(b'\r' | b'\n')) {
            return Line::Blank;
        }
        let begins = |offset, with: fn(&u8) -> bool| {
            self.byte(self.at + offset).is_some_and(|byte| with(&byte))
        };
        let named = begins(0, u8::is_ascii_alphabetic)
            && begins(1, u8::is_ascii_alphanumeric)
            && begins(2, u8::is_ascii_alphanumeric);
        if !named {
            return Line::Continuation;
        }
        match self.byte(self.at + 3) {
            Some(byte) if byte == self.delimiters.field => Line::Segment { separated: true },
            // A name alone is a segment without fields; in small letters it rather is a word.
            None | Some(b'\r' | b'\n') if self.is_capital() => Line::Segment { separated: false },
            _ => Line::Continuation,
        }
    }

    fn is_capital(&self) -> bool {
        let name = slice(self.text, self.at, self.at + 3);
        !name.bytes().any(|byte| byte.is_ascii_lowercase())
    }

    fn segment(&mut self, separated: bool) -> Result<(), Unreadable> {
        if self.spans.len() == SEGMENTS_MAX {
            return Err(Unreadable::TooManySegments { at: self.at });
        }
        if !self.is_capital() {
            self.told
                .tell(Leniency::SmallName, self.spans.len() + 1, self.at);
        }
        let from = self.at;
        let header = is_header(slice(self.text, from, from + 3));
        self.spans.push(Span {
            from: narrow(from),
            to: narrow(from + 3),
            first_field: narrow(self.fields.len()),
            fields: 0,
        });
        self.at += 3;
        if separated {
            if header {
                self.fields.push(narrow(self.at));
            }
            self.fields.push(narrow(self.at + 1));
            self.at += 1;
            if header {
                self.skip_encoding_characters();
            }
        }
        self.fields_to_the_end_of_the_line()
    }

    /// MSH-2 is not looked at: it is full of escapes that are none.
    fn skip_encoding_characters(&mut self) {
        while let Some(byte) = self.byte(self.at) {
            if byte == self.delimiters.field || byte == b'\r' || byte == b'\n' {
                break;
            }
            self.at += 1;
        }
    }

    fn fields_to_the_end_of_the_line(&mut self) -> Result<(), Unreadable> {
        let bytes = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let (separator, escape) = (self.delimiters.field, self.delimiters.escape);
        let first = self.spans.last().map_or(0, |span| wide(span.first_field));
        let mut length = bytes.len();
        let mut escapes = false;
        for (offset, &byte) in bytes.iter().enumerate() {
            if byte == separator {
                if self.fields.len() - first >= FIELDS_MAX {
                    return Err(self.too_many_fields());
                }
                self.fields.push(narrow(self.at + offset + 1));
            } else if byte == b'\r' || byte == b'\n' {
                length = offset;
                break;
            } else if byte == escape {
                escapes = true;
            }
        }
        self.escapes |= escapes && escape != 0;
        self.at += length;
        if let Some(span) = self.spans.last_mut() {
            span.to = narrow(self.at);
            span.fields = narrow(self.fields.len() - first);
        }
        Ok(())
    }

    fn too_many_fields(&self) -> Unreadable {
        let at = self.spans.last().map_or(0, |span| wide(span.from));
        Unreadable::TooManyFields {
            segment: slice(self.text, at, at + 3).to_owned(),
            number: self.spans.len(),
            at,
        }
    }

    fn line_end(&mut self) {
        match (self.byte(self.at), self.byte(self.at + 1)) {
            (None, _) => self
                .told
                .tell(Leniency::LastNotEnded, self.spans.len(), self.at),
            (Some(b'\r'), Some(b'\n')) => {
                self.told
                    .tell_once(Leniency::LineFeeds, self.spans.len(), self.at);
                self.at += 2;
            }
            (Some(b'\r'), _) => self.at += 1,
            (Some(_), _) => {
                self.told
                    .tell_once(Leniency::LineFeeds, self.spans.len(), self.at);
                self.at += 1;
            }
        }
    }
}

/// Escapes that will be taken as text are told now, with their places. No escape reaches over a delimiter, so the text can be
/// looked at as a whole, after MSH-2.
fn tell_escapes(message: &mut Message<'_>) {
    let header = message.header().and_then(|header| header.field(2));
    let begin = header.map_or(0, |field| field.at() + field.raw().len());
    let rest = slice(message.text, begin, message.text.len());
    for at in escape::misused(rest, &message.delimiters) {
        let at = narrow(begin + at);
        let segment = message.spans.partition_point(|span| span.from <= at);
        message.told.tell(Leniency::Escape, segment, wide(at));
    }
}
