//! What came, from the first byte: frames and marks around it, files, batches, and the messages in them.

use std::borrow::Cow;
use std::ops::Range;

use super::continuation;
use super::delimiters::Delimiters;
use super::forgiven::{Forgiven, Leniency, Told, Unreadable};
use super::tree::Message;
use super::{Charset, MESSAGES_MAX, TRANSMISSION_BYTES_MAX, charset, tokens, xml};

/// What the route says about what it takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Intake {
    /// What messages are in whose MSH-18 is empty.
    pub charset: Charset,
    pub bytes_max: usize,
}

impl Default for Intake {
    fn default() -> Self {
        Self {
            charset: Charset::Ascii,
            bytes_max: TRANSMISSION_BYTES_MAX,
        }
    }
}

/// The messages of a transmission, found but not yet decoded: each may be in a character set of its own.
#[derive(Debug)]
pub struct Transmission<'b> {
    bytes: Cow<'b, [u8]>,
    /// What the bytes were in before they were made UTF-8 to find messages in them.
    was: Option<Charset>,
    intake: Intake,
    messages: Vec<Found>,
    envelopes: Vec<Envelope>,
    told: Told,
}

#[derive(Debug, Clone)]
struct Found {
    range: Range<usize>,
    envelope: Option<usize>,
}

/// A file (FHS to FTS) or a batch (BHS to BTS).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub is_file: bool,
    /// The envelope it is in, by its place among all.
    pub inside: Option<usize>,
    /// The bytes of its header and trailer, empty where there is none.
    pub header: Range<usize>,
    pub trailer: Range<usize>,
    /// Messages of a batch, or messages and batches directly in a file.
    pub count: u64,
}

impl<'b> Transmission<'b> {
    pub fn open(bytes: &'b [u8], intake: Intake) -> Result<Self, Unreadable> {
        if bytes.len() > intake.bytes_max.min(TRANSMISSION_BYTES_MAX) {
            let max = intake.bytes_max.min(TRANSMISSION_BYTES_MAX);
            return Err(Unreadable::TooLarge {
                bytes: bytes.len(),
                max,
            });
        }
        let mut told = Told::default();
        let (inner, offset) = unwrapped(bytes, &mut told);
        let (inner, was) = readable(inner, &mut told)?;
        let mut finder = Finder {
            told,
            envelopes: Vec::new(),
            messages: Vec::new(),
            open: Vec::new(),
        };
        finder.find(&inner)?;
        let transmission = Self {
            bytes: inner,
            was,
            intake,
            messages: finder.messages,
            envelopes: finder.envelopes,
            told: finder.told,
        };
        if transmission.messages.is_empty() && transmission.envelopes.is_empty() {
            return Err(transmission.without_header(offset));
        }
        Ok(transmission)
    }

    fn without_header(&self, offset: usize) -> Unreadable {
        let bytes = &self.bytes;
        let Some(start) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            return Unreadable::Empty;
        };
        let found = bytes.get(start..).unwrap_or_default();
        let found = String::from_utf8_lossy(found.get(..found.len().min(12)).unwrap_or_default());
        Unreadable::NoHeader {
            at: start + offset,
            found: found.escape_debug().to_string(),
        }
    }

    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// Files and batches in the order of their headers.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// The batch or file that a message is in.
    pub fn envelope_of(&self, message: usize) -> Option<usize> {
        self.messages.get(message)?.envelope
    }

    /// What concerns more than one message.
    pub fn forgiven(&self) -> &[Forgiven] {
        &self.told.list
    }

    /// A message as it came, or in UTF-8 when what came was XML or wide characters.
    pub fn bytes(&self, message: usize) -> Option<&[u8]> {
        self.bytes.get(self.messages.get(message)?.range.clone())
    }

    /// Decodes a message, or the header or trailer of an envelope by its bytes.
    pub fn text(&self, message: usize) -> Option<Text<'_>> {
        Some(self.decoded(self.messages.get(message)?.range.clone()))
    }

    /// The segment that opens or closes an envelope, as text.
    pub fn envelope_text(&self, range: Range<usize>) -> Text<'_> {
        self.decoded(range)
    }

    fn decoded(&self, range: Range<usize>) -> Text<'_> {
        let at = range.start;
        let bytes = Cow::Borrowed(self.bytes.get(range).unwrap_or_default());
        text_of(bytes, self.was, self.intake.charset, self.around(at), at)
    }

    /// Frames and marks were around the first message.
    fn around(&self, at: usize) -> Told {
        let mut told = Told::default();
        if at == 0 {
            let first = |forgiven: &&Forgiven| {
                matches!(
                    forgiven.what,
                    Leniency::Framed | Leniency::ByteOrderMark | Leniency::Xml(_)
                )
            };
            told.list
                .extend(self.told.list.iter().filter(first).cloned());
        }
        told
    }
}

fn text_of(
    bytes: Cow<'_, [u8]>,
    was: Option<Charset>,
    usual: Charset,
    mut told: Told,
    at: usize,
) -> Text<'_> {
    let declared = declared(&bytes, &mut told);
    let (text, charset) = match (bytes, was) {
        (Cow::Borrowed(bytes), None) => {
            let decoded = charset::decode(bytes, &declared, usual);
            for what in decoded.forgiven {
                let lost = matches!(what, Leniency::Undecodable(_));
                let place = lost.then(|| decoded.text.find(char::REPLACEMENT_CHARACTER));
                told.tell(what, 1, place.flatten().unwrap_or(0));
            }
            (decoded.text, decoded.charset)
        }
        (Cow::Borrowed(bytes), Some(was)) => (String::from_utf8_lossy(bytes), was),
        (Cow::Owned(bytes), was) => {
            let text = String::from_utf8(bytes)
                .unwrap_or_else(|fault| String::from_utf8_lossy(fault.as_bytes()).into_owned());
            (Cow::Owned(text), was.unwrap_or(Charset::Utf8))
        }
    };
    let text = continuation::join_added(text, &mut told);
    Text {
        text,
        charset,
        declared,
        at,
        told,
    }
}

/// A message in characters; the tree borrows from it.
#[derive(Debug)]
pub struct Text<'b> {
    text: Cow<'b, str>,
    charset: Charset,
    declared: Vec<Charset>,
    at: usize,
    told: Told,
}

impl<'b> Text<'b> {
    /// The one message that is in these bytes.
    pub fn read(bytes: &'b [u8], intake: Intake) -> Result<Text<'b>, Unreadable> {
        let transmission = Transmission::open(bytes, intake)?;
        if transmission.message_count() != 1 {
            return Err(Unreadable::NotOne(transmission.message_count()));
        }
        let told = transmission.around(0);
        let range = transmission
            .messages
            .first()
            .map(|found| found.range.clone())
            .unwrap_or_default();
        // What the caller has is borrowed on; what had to be made moves along.
        let bytes = match transmission.bytes {
            Cow::Borrowed(all) => Cow::Borrowed(all.get(range).unwrap_or_default()),
            Cow::Owned(all) => Cow::Owned(all.get(range).unwrap_or_default().to_vec()),
        };
        Ok(text_of(bytes, transmission.was, intake.charset, told, 0))
    }

    fn of(text: Cow<'b, str>, charset: Charset) -> Self {
        Text {
            text,
            charset,
            declared: vec![charset],
            at: 0,
            told: Told::default(),
        }
    }

    /// A text that is characters already, such as one that was stored decoded.
    pub fn decoded(text: &'b str) -> Self {
        Self::of(Cow::Borrowed(text), Charset::Utf8)
    }

    pub fn message(&self) -> Result<Message<'_>, Unreadable> {
        tokens::message(&self.text, self.charset, self.told.clone())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// All that MSH-18 lists, as far as it is known.
    pub fn declared(&self) -> &[Charset] {
        &self.declared
    }

    /// Its first byte in the transmission.
    pub fn at(&self) -> usize {
        self.at
    }
}

/// Takes off a frame of MLLP and the mark of UTF-8; says how many bytes that were at the beginning.
fn unwrapped<'b>(bytes: &'b [u8], told: &mut Told) -> (&'b [u8], usize) {
    let mut inner = bytes;
    if let [0x0b, rest @ ..] = inner {
        inner = rest;
        told.tell(Leniency::Framed, 0, 0);
    }
    while let [rest @ .., 0x1c | 0x0b] | [rest @ .., 0x1c, b'\r' | b'\n'] = inner {
        inner = rest;
        told.tell_once(Leniency::Framed, 0, bytes.len().saturating_sub(2));
    }
    if let [0xef, 0xbb, 0xbf, rest @ ..] = inner {
        inner = rest;
        told.tell(Leniency::ByteOrderMark, 0, 0);
    }
    let offset = bytes.len() - inner.len();
    (inner, offset.min(4))
}

/// Bytes in which MSH can be looked for: wide characters and XML are turned into the usual form.
fn readable<'b>(
    bytes: &'b [u8],
    told: &mut Told,
) -> Result<(Cow<'b, [u8]>, Option<Charset>), Unreadable> {
    if let Some((charset, text, marked)) = charset::wide(bytes) {
        if marked {
            told.tell(Leniency::ByteOrderMark, 0, 0);
        }
        let text = if text.trim_start().starts_with('<') {
            xml::to_delimited(text.as_bytes(), told)?
        } else {
            text
        };
        return Ok((Cow::Owned(text.into_bytes()), Some(charset)));
    }
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first == Some(&b'<') {
        let text = xml::to_delimited(bytes, told)?;
        return Ok((Cow::Owned(text.into_bytes()), Some(Charset::Utf8)));
    }
    Ok((Cow::Borrowed(bytes), None))
}

/// What MSH-18 lists, found in the bytes, as every set but the wide ones has ASCII below 128.
fn declared(bytes: &[u8], told: &mut Told) -> Vec<Charset> {
    let start = bytes
        .iter()
        .position(|byte| !byte.is_ascii_whitespace())
        .unwrap_or(0);
    let header = bytes.get(start..).unwrap_or_default();
    let end = header
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'))
        .unwrap_or(header.len());
    let header = header.get(..end).unwrap_or_default();
    let Ok((delimiters, _)) = Delimiters::read(header) else {
        return Vec::new();
    };
    let Some(field) = header.split(|&byte| byte == delimiters.field).nth(17) else {
        return Vec::new();
    };
    let mut charsets = Vec::new();
    for (index, name) in field
        .split(|&byte| byte == delimiters.repetition)
        .enumerate()
    {
        let name = String::from_utf8_lossy(name);
        let name = name.trim();
        match charset::named(name) {
            Some((charset, exact)) => {
                if !exact {
                    told.tell(Leniency::CharsetName(name.to_owned()), 1, 0);
                }
                charsets.push(charset);
            }
            // An empty first value is the basic set when others follow.
            None if name.is_empty() && index == 0 => charsets.push(Charset::Ascii),
            None if name.is_empty() || name == "\"\"" => {}
            None => told.tell(Leniency::CharsetName(name.chars().take(40).collect()), 1, 0),
        }
    }
    if field.is_empty() || field == b"\"\"" {
        Vec::new()
    } else {
        charsets
    }
}

struct Finder {
    told: Told,
    envelopes: Vec<Envelope>,
    messages: Vec<Found>,
    /// Envelopes that are not closed yet, by their places.
    open: Vec<usize>,
}

impl Finder {
    fn find(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        let mut at = 0;
        let mut unfinished = false;
        while at < bytes.len() {
            let rest = bytes.get(at..).unwrap_or_default();
            let length = rest
                .iter()
                .position(|byte| matches!(byte, b'\r' | b'\n'))
                .map_or(rest.len(), |end| end + 1);
            let line = at..at + length;
            let blanks = rest
                .iter()
                .take_while(|byte| matches!(byte, b' ' | b'\t'))
                .count();
            let name = rest.get(blanks..).unwrap_or_default();
            let begins = line.start + blanks;
            match header_name(name) {
                Some(b"MSH") => {
                    if self.messages.len() == MESSAGES_MAX {
                        return Err(Unreadable::TooManyMessages { at });
                    }
                    let envelope = self.open.last().copied();
                    self.count_in(envelope);
                    let start = if self.messages.is_empty() && self.envelopes.is_empty() {
                        0
                    } else {
                        line.start
                    };
                    self.messages.push(Found {
                        range: start..line.end,
                        envelope,
                    });
                    unfinished = true;
                }
                Some(b"FHS" | b"BHS") => {
                    self.opened(name.first() == Some(&b'F'), begins..line.end);
                    unfinished = false;
                }
                Some(_) => {
                    self.closed(name.first() == Some(&b'F'), begins..line.end, bytes);
                    unfinished = false;
                }
                None if unfinished => {
                    if let Some(last) = self.messages.last_mut() {
                        last.range.end = line.end;
                    }
                }
                None if blank(rest.get(..length).unwrap_or_default()) => {}
                None if self.envelopes.is_empty() => return Ok(()),
                None => self.told.tell(
                    Leniency::Envelope("a line between messages that belongs to none"),
                    0,
                    at,
                ),
            }
            at = line.end;
        }
        for _ in 0..self.open.len() {
            self.told.tell(
                Leniency::Envelope("a file or batch is not closed by its trailer"),
                0,
                bytes.len(),
            );
        }
        Ok(())
    }

    fn count_in(&mut self, envelope: Option<usize>) {
        if let Some(envelope) = envelope.and_then(|place| self.envelopes.get_mut(place)) {
            envelope.count += 1;
        }
    }

    fn opened(&mut self, is_file: bool, header: Range<usize>) {
        let innermost_is_batch = |finder: &Self| {
            finder
                .open
                .last()
                .and_then(|&place| finder.envelopes.get(place))
                .is_some_and(|envelope| !envelope.is_file)
        };
        // Batches do not nest: one that begins ends the one before.
        if innermost_is_batch(self) {
            self.open.pop();
            self.told.tell(
                Leniency::Envelope("a batch is not closed by BTS before the next begins"),
                0,
                header.start,
            );
        }
        if is_file && !self.open.is_empty() {
            self.open.clear();
            self.told.tell(
                Leniency::Envelope("a file is not closed by FTS before the next begins"),
                0,
                header.start,
            );
        }
        let inside = self.open.last().copied();
        self.count_in(inside);
        self.open.push(self.envelopes.len());
        self.envelopes.push(Envelope {
            is_file,
            inside,
            header,
            trailer: 0..0,
            count: 0,
        });
    }

    fn closed(&mut self, is_file: bool, trailer: Range<usize>, bytes: &[u8]) {
        let place = self.open.iter().rposition(|&place| {
            self.envelopes
                .get(place)
                .is_some_and(|envelope| envelope.is_file == is_file)
        });
        let Some(place) = place else {
            let what = if is_file {
                "FTS without FHS"
            } else {
                "BTS without BHS"
            };
            self.told.tell(Leniency::Envelope(what), 0, trailer.start);
            return;
        };
        let index = self.open.get(place).copied().unwrap_or_default();
        self.open.truncate(place);
        let Some(envelope) = self.envelopes.get_mut(index) else {
            return;
        };
        envelope.trailer = trailer.clone();
        let header = bytes.get(envelope.header.clone()).unwrap_or_default();
        let separator = Delimiters::read(header).map_or(b'|', |(delimiters, _)| delimiters.field);
        let line = bytes.get(trailer.clone()).unwrap_or_default();
        let said = line
            .split(|byte| *byte == separator || matches!(byte, b'\r' | b'\n'))
            .nth(1);
        let said = said.and_then(|digits| std::str::from_utf8(digits).ok()?.trim().parse().ok());
        let found = envelope.count;
        if let Some(said) = said.filter(|said| *said != found) {
            self.told
                .tell(Leniency::Count { said, found }, 0, trailer.start);
        }
    }
}

fn blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The name of a line that begins or ends something.
fn header_name(line: &[u8]) -> Option<&[u8]> {
    let name = line.get(..3)?;
    let known = matches!(name, b"MSH" | b"FHS" | b"BHS" | b"FTS" | b"BTS");
    let next = line.get(3);
    let ends = match name {
        b"FTS" | b"BTS" => next.is_none_or(|byte| !byte.is_ascii_alphanumeric()),
        // A header that ends here is one, though it cannot be read: that is to be said of it.
        _ => next.is_none_or(|byte| !byte.is_ascii_alphanumeric() && *byte != b' '),
    };
    (known && ends).then_some(name)
}
