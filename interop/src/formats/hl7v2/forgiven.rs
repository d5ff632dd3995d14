//! What was not as the standard has it, but could be read; and what could not.

use std::fmt;

use super::{Charset, FIELDS_MAX, FORGIVEN_MAX, MESSAGES_MAX, SEGMENTS_MAX};

/// One thing that was forgiven, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgiven {
    pub what: Leniency,
    /// The segment it was found in, counted from one; zero before the first.
    pub segment: u32,
    /// The byte in the decoded text of the message, or in the transmission for what concerns more than one message.
    pub at: u32,
}

impl fmt::Display for Forgiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} (segment {}, byte {})",
            self.what, self.segment, self.at
        )
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leniency {
    /// Bytes of MLLP around the message.
    Framed,
    ByteOrderMark,
    /// Blank lines or blanks before, between or after segments.
    Blanks,
    /// Segments end with line feeds, or with both, where a carriage return was due.
    LineFeeds,
    /// The last segment is not ended.
    LastNotEnded,
    /// A line that is no segment was taken to go on with the one before.
    LineBreakInside,
    /// The name of a segment is not in capitals.
    SmallName,
    NoEncodingCharacters,
    EncodingCharactersTooMany,
    EscapeCharacterTwice,
    /// MSH-18 names a character set in other words than table 0211, or one that is not known.
    CharsetName(String),
    /// MSH-18 says one character set, the bytes are in another.
    CharsetWrong {
        declared: Charset,
        found: Charset,
    },
    /// So many bytes or sequences mean nothing in the character set; U+FFFD stands for them.
    Undecodable(usize),
    /// An escape that is not closed, or not known: taken as text.
    Escape,
    /// BTS-1 or FTS-1 does not say what there is.
    Count {
        said: u64,
        found: u64,
    },
    /// A trailer without its header, or the other way round.
    Envelope(&'static str),
    /// ADD segments were joined to the segments that they continue.
    Joined(usize),
    /// Elements or attributes of XML that mean nothing here.
    Xml(String),
    /// A segment stands where the structure of the message does not have it.
    OutOfOrder(String),
    /// A segment comes more often than the structure has it.
    TooOften(String),
    /// A segment that the structure does not have; it stays with the group before it.
    NotInStructure(String),
    /// The structure demands a segment before this one.
    Missing(String),
}

impl fmt::Display for Leniency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Framed => f.write_str("the message still has its MLLP frame around it"),
            Self::ByteOrderMark => f.write_str("the message begins with a byte order mark"),
            Self::Blanks => f.write_str("blanks or blank lines beside segments"),
            Self::LineFeeds => f.write_str("segments end with line feeds, not carriage returns"),
            Self::LastNotEnded => f.write_str("the last segment is not ended by a carriage return"),
            Self::LineBreakInside => {
                f.write_str("a line that is no segment goes on with the one before")
            }
            Self::SmallName => f.write_str("the name of the segment is not in capitals"),
            Self::NoEncodingCharacters => f.write_str("MSH-2 is empty, the usual ones are taken"),
            Self::EncodingCharactersTooMany => f.write_str("MSH-2 has more than five characters"),
            Self::EscapeCharacterTwice => f.write_str("MSH-2 has the escape character twice"),
            Self::CharsetName(name) => {
                write!(f, "MSH-18 says '{name}', which table 0211 does not have")
            }
            Self::CharsetWrong { declared, found } => {
                write!(f, "MSH-18 says {declared}, but the bytes are {found}")
            }
            Self::Undecodable(count) => write!(
                f,
                "{count} sequences of bytes mean nothing in the character set"
            ),
            Self::Escape => {
                f.write_str("an escape that is not closed or not known is taken as text")
            }
            Self::Count { said, found } => {
                write!(f, "the trailer counts {said}, there are {found}")
            }
            Self::Envelope(what) => f.write_str(what),
            Self::Joined(count) => write!(f, "{count} ADD segments were joined to the ones before"),
            Self::Xml(what) => write!(f, "in the XML {what} means nothing"),
            Self::OutOfOrder(name) => {
                write!(f, "{name} stands where the structure does not have it")
            }
            Self::TooOften(name) => write!(f, "{name} comes more often than the structure has it"),
            Self::NotInStructure(name) => write!(f, "{name} is not part of the structure"),
            Self::Missing(name) => write!(f, "{name} is missing before this segment"),
        }
    }
}

/// A list of what was forgiven that does not grow without bounds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) list: Vec<Forgiven>,
    pub(crate) untold: usize,
}

impl Told {
    pub(crate) fn tell(&mut self, what: Leniency, segment: usize, at: usize) {
        if self.list.len() < FORGIVEN_MAX {
            self.list.push(Forgiven {
                what,
                segment: super::narrow(segment),
                at: super::narrow(at),
            });
        } else {
            self.untold += 1;
        }
    }

    /// Tells what is the same throughout a message only where it is met first.
    pub(crate) fn tell_once(&mut self, what: Leniency, segment: usize, at: usize) {
        if !self.list.iter().any(|known| known.what == what) {
            self.tell(what, segment, at);
        }
    }
}

/// What cannot be read, where, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("there are {bytes} bytes, {max} is the most")]
    TooLarge { bytes: usize, max: usize },
    #[error("there is no message, only blanks")]
    Empty,
    #[error("byte {at}: expected MSH, FHS or BHS, found '{found}'")]
    NoHeader { at: usize, found: String },
    #[error("MSH, byte {at}: {problem}")]
    Delimiters { at: usize, problem: &'static str },
    #[error("byte {at}: more than {MESSAGES_MAX} messages")]
    TooManyMessages { at: usize },
    #[error("byte {at}: more than {SEGMENTS_MAX} segments")]
    TooManySegments { at: usize },
    #[error("{segment} (segment {number}), byte {at}: more than {FIELDS_MAX} fields")]
    TooManyFields {
        segment: String,
        number: usize,
        at: usize,
    },
    #[error("expected one message, found {0}")]
    NotOne(usize),
    #[error("XML, byte {at}: {problem}")]
    Xml { at: usize, problem: String },
    #[error("the parts of a continued message do not fit: {0}")]
    Continuation(String),
}

impl Unreadable {
    /// The byte where reading ended.
    pub fn at(&self) -> usize {
        match self {
            Self::NoHeader { at, .. }
            | Self::Delimiters { at, .. }
            | Self::TooManyMessages { at }
            | Self::TooManySegments { at }
            | Self::TooManyFields { at, .. }
            | Self::Xml { at, .. } => *at,
            Self::TooLarge { max, .. } => *max,
            Self::Empty | Self::NotOne(_) | Self::Continuation(_) => 0,
        }
    }

    /// The segment and field to name in ERR-2, where one is to blame.
    pub fn location(&self) -> Option<(&str, usize, Option<usize>)> {
        match self {
            Self::Delimiters { at, .. } => Some(("MSH", 1, Some(if *at < 4 { 1 } else { 2 }))),
            Self::NoHeader { .. } | Self::Empty => Some(("MSH", 1, None)),
            Self::TooManyFields {
                segment, number, ..
            } => Some((segment, *number, Some(FIELDS_MAX + 1))),
            _ => None,
        }
    }
}
