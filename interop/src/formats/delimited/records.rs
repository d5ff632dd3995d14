//! Bytes to records, one at a time: whatever the size of the file, one record and one block of bytes are held.

use std::borrow::Cow;
use std::io::{self, Read};

use super::charset::Charset;
use super::dialect::{Dialect, Layout};

/// A record longer than this is no record: most likely a quote was never closed.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

const BLOCK_BYTES: usize = 64 * 1024;

/// One row of the file as it stood there.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The line it begins on, from 1.
    pub line: u32,
    /// Its text without the end of the line.
    pub raw: String,
    fields: Vec<Field>,
    quote: Option<char>,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    from: usize,
    to: usize,
    is_quoted: bool,
}

/// Why a record cannot be read; the others can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    #[error("a quote that is not closed, or closes in the middle of a value")]
    OpenQuote,
    #[error("a row of more than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    #[error("bytes that are no {0}")]
    Malformed(&'static str),
    #[error("{found} values instead of {expected}")]
    Count { expected: usize, found: usize },
}

impl Record {
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// A value by its place from zero, without its quotes.
    pub fn get(&self, place: usize) -> Option<Cow<'_, str>> {
        let field = self.fields.get(place)?;
        let text = self.raw.get(field.from..field.to)?;
        match self.quote {
            Some(quote) if field.is_quoted && text.contains(quote) => {
                let (doubled, single) = (format!("{quote}{quote}"), quote.to_string());
                Some(Cow::Owned(text.replace(&doubled, &single)))
            }
            _ => Some(Cow::Borrowed(text)),
        }
    }

    /// Takes the last value away, with the delimiter before it.
    pub(super) fn drop_last(&mut self) {
        self.fields.pop();
        let end = self.fields.last().map_or(0, |field| {
            field.to + usize::from(field.is_quoted) * self.quote.map_or(0, char::len_utf8)
        });
        self.raw.truncate(end);
    }

    pub fn values(&self) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// The column of characters at which a value begins, from 1; of one that begins on the record's first line.
    pub fn column(&self, place: usize) -> Option<u32> {
        let before = self.raw.get(..self.fields.get(place)?.from)?;
        u32::try_from(before.chars().count() + 1).ok()
    }
}

/// The records of a file, good and bad; blank lines are passed over.
#[derive(Debug)]
pub struct Records<R> {
    input: R,
    decoder: encoding_rs::Decoder,
    charset: Charset,
    layout: Layout,
    /// Decoded and not yet used, from `at` on.
    text: String,
    at: usize,
    line: u32,
    bytes: Vec<u8>,
    is_done: bool,
}

impl<R: Read> Records<R> {
    /// Reads the first block, and finds out what was not told.
    pub fn new(
        mut input: R,
        charset: Option<Charset>,
        dialect: Option<Dialect>,
    ) -> io::Result<(Self, Dialect)> {
        let mut bytes = vec![0; BLOCK_BYTES];
        let count = fill(&mut input, &mut bytes)?;
        let sample = bytes.get(..count).unwrap_or_default();
        let charset = charset.unwrap_or_else(|| Charset::detect(sample));
        let mut records = Self {
            input,
            decoder: charset.decoder(),
            charset,
            layout: Layout::Widths(Vec::new()),
            text: String::new(),
            at: 0,
            line: 1,
            bytes,
            is_done: count < BLOCK_BYTES,
        };
        records.decode(count);
        let dialect = dialect.unwrap_or_else(|| Dialect::detect(&records.text));
        records.layout = dialect.layout.clone();
        Ok((records, dialect))
    }

    pub fn charset(&self) -> Charset {
        self.charset
    }

    fn decode(&mut self, count: usize) {
        let bytes = self.bytes.get(..count).unwrap_or_default();
        let needed = self
            .decoder
            .max_utf8_buffer_length(bytes.len())
            .unwrap_or(bytes.len() * 3 + 16);
        self.text.reserve(needed);
        // What is malformed becomes U+FFFD here; the record that it stands in is refused.
        drop(
            self.decoder
                .decode_to_string(bytes, &mut self.text, self.is_done),
        );
    }

    fn more(&mut self) -> io::Result<()> {
        self.text.drain(..self.at);
        self.at = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        let count = fill(&mut self.input, &mut bytes);
        self.bytes = bytes;
        let count = count?;
        self.is_done = count < BLOCK_BYTES;
        self.decode(count);
        Ok(())
    }

    /// The next record into `record`; false at the end. An error in the record leaves its first line there.
    pub fn read(&mut self, record: &mut Record) -> io::Result<Option<Result<(), RowError>>> {
        loop {
            let end = loop {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let found = record_end(rest, &self.layout);
                match found {
                    End::At(end) => break Ok(end),
                    End::Open | End::Missing if !self.is_done && rest.len() <= RECORD_BYTES_MAX => {
                        self.more()?;
                    }
                    End::Missing if rest.is_empty() => return Ok(None),
                    End::Missing if rest.len() <= RECORD_BYTES_MAX => break Ok(rest.len()),
                    End::Missing => break Err(RowError::TooLong),
                    End::Open | End::Misquoted => break Err(RowError::OpenQuote),
                }
            };
            let rest = self.text.get(self.at..).unwrap_or_default();
            let (length, error) = match end {
                Ok(length) => (length, None),
                // The first line alone is bad; the next one begins anew.
                Err(error) => {
                    let line = rest.find('\n').unwrap_or(rest.len());
                    (line, Some(error))
                }
            };
            let raw = rest.get(..length).unwrap_or_default();
            let lines = u32::try_from(raw.matches('\n').count()).unwrap_or(0) + 1;
            record.line = self.line;
            record.raw.clear();
            let kept = if error.is_some() { shortened(raw) } else { raw };
            record.raw.push_str(kept.strip_suffix('\r').unwrap_or(kept));
            self.line += lines;
            self.at = (self.at + length + 1).min(self.text.len());
            if record.raw.trim().is_empty() && error.is_none() {
                continue;
            }
            if let Some(error) = error {
                record.fields.clear();
                return Ok(Some(Err(error)));
            }
            split(record, &self.layout);
            if record.raw.contains('\u{fffd}') {
                return Ok(Some(Err(RowError::Malformed(self.charset.name()))));
            }
            return Ok(Some(Ok(())));
        }
    }
}

/// Of a line that is too long by itself, as much as a person wants to see.
fn shortened(line: &str) -> &str {
    if line.len() <= RECORD_BYTES_MAX {
        return line;
    }
    let end = line
        .char_indices()
        .map(|(place, _)| place)
        .take_while(|place| *place <= 1_000)
        .last()
        .unwrap_or(0);
    line.get(..end).unwrap_or_default()
}

enum End {
    At(usize),
    /// In the middle of quotes.
    Open,
    /// Behind a quote that closes in the middle of a value.
    Misquoted,
    Missing,
}

/// Where the line ends that the text begins with. A closing quote must end its value: one that does not shows that the
/// opening one was never meant to, and the row is refused before it takes others with it.
fn record_end(text: &str, layout: &Layout) -> End {
    let Layout::Delimiter {
        delimiter,
        quote: Some(quote),
    } = layout
    else {
        return text.find('\n').map_or(End::Missing, End::At);
    };
    let (mut delimiter_bytes, mut quote_bytes) = ([0; 4], [0; 4]);
    let delimiter = delimiter.encode_utf8(&mut delimiter_bytes).as_bytes();
    let quote = quote.encode_utf8(&mut quote_bytes).as_bytes();
    let bytes = text.as_bytes();
    let starts =
        |at: usize, with: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(with));
    let (mut at, mut is_start) = (0, true);
    while let Some(byte) = bytes.get(at) {
        if is_start && starts(at, quote) {
            at += quote.len();
            loop {
                let Some(close) = text.get(at..).and_then(|rest| find(rest.as_bytes(), quote))
                else {
                    return End::Open;
                };
                at += close + quote.len();
                if !starts(at, quote) {
                    break;
                }
                at += quote.len();
            }
            match bytes.get(at) {
                None => return End::Missing,
                Some(b'\n' | b'\r') => {}
                Some(_) if starts(at, delimiter) => {}
                Some(_) => return End::Misquoted,
            }
            is_start = false;
        } else if *byte == b'\n' {
            return End::At(at);
        } else if starts(at, delimiter) {
            at += delimiter.len();
            is_start = true;
        } else {
            at += 1;
            is_start = false;
        }
    }
    End::Missing
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn split(record: &mut Record, layout: &Layout) {
    record.fields.clear();
    record.quote = None;
    match layout {
        Layout::Delimiter { delimiter, quote } => {
            record.quote = *quote;
            split_at(&record.raw, *delimiter, *quote, &mut record.fields);
        }
        Layout::Widths(widths) => split_widths(&record.raw, widths, &mut record.fields),
    }
}

fn split_at(raw: &str, delimiter: char, quote: Option<char>, fields: &mut Vec<Field>) {
    let mut from = 0;
    loop {
        let rest = raw.get(from..).unwrap_or_default();
        let quoted = quote.filter(|quote| rest.starts_with(*quote));
        let Some(quote) = quoted else {
            let to = rest.find(delimiter).map(|length| from + length);
            fields.push(Field {
                from,
                to: to.unwrap_or(raw.len()),
                is_quoted: false,
            });
            match to {
                Some(to) => from = to + delimiter.len_utf8(),
                None => return,
            }
            continue;
        };
        let inner = from + quote.len_utf8();
        let mut end = inner;
        let close = loop {
            let Some(found) = raw.get(end..).and_then(|rest| rest.find(quote)) else {
                break raw.len();
            };
            let after = end + found + quote.len_utf8();
            if raw.get(after..).is_some_and(|rest| rest.starts_with(quote)) {
                end = after + quote.len_utf8();
            } else {
                break end + found;
            }
        };
        fields.push(Field {
            from: inner,
            to: close,
            is_quoted: true,
        });
        // Whatever stands between the closing quote and the delimiter is passed over.
        match raw.get(close..).and_then(|rest| rest.find(delimiter)) {
            Some(length) => from = close + length + delimiter.len_utf8(),
            None => return,
        }
    }
}

fn split_widths(raw: &str, widths: &[usize], fields: &mut Vec<Field>) {
    let mut starts = raw.char_indices().map(|(place, _)| place);
    let mut from = 0;
    for (number, width) in widths.iter().enumerate() {
        let is_last = number + 1 == widths.len();
        let mut to = raw.len();
        if !is_last && *width > 0 {
            // The first letter of this column was counted as the end of the one before.
            let skipped = if number == 0 { *width } else { *width - 1 };
            to = starts.nth(skipped).unwrap_or(raw.len());
        }
        let text = raw.get(from..to).unwrap_or_default();
        let lead = text.len() - text.trim_start().len();
        let length = text.trim().len();
        fields.push(Field {
            from: from + lead,
            to: from + lead + length,
            is_quoted: false,
        });
        from = to;
    }
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = bytes.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
