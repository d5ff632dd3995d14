//! From a file to the texts of its documents: unpacked as its first bytes say, member by member, line by line.
//!
//! Nothing is ever written to disk, so names in archives lead nowhere; sizes that archives claim are not believed.

use std::io::{BufRead, BufReader, Cursor, Error, ErrorKind, Read};
use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};

use super::foreign::{Foreign, Matter};
use super::source::{is_of_lines, is_wanted, plain_name};
use crate::limits;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// Where a tar archive names itself.
const USTAR: (usize, &[u8]) = (257, b"ustar");
const HEAD_BYTES: usize = 16 * 1024;
const BUFFER_BYTES: usize = 64 * 1024;

/// A document as it stands in a file.
#[derive(Debug)]
pub(super) struct Document {
    /// The file in an archive.
    pub(super) member: Option<Arc<str>>,
    /// The line, when each is a document.
    pub(super) line: Option<u64>,
    /// The beginning of it when it is too long.
    pub(super) text: Vec<u8>,
    /// Why there is no whole text.
    pub(super) trouble: Option<Issue>,
    pub(super) matter: Matter,
}

/// Whoever takes a document may want no more.
pub(super) type Take<'a, E> = &'a mut dyn FnMut(Document) -> Result<(), E>;

/// Hands out the documents of a file. `Err` from reading is trouble with the file itself: what came before it counts.
pub(super) fn documents<E: From<Error>>(
    file: impl Read,
    name: &str,
    foreign: &Foreign,
    take: Take<'_, E>,
) -> Result<(), E> {
    let mut reader = unpacked(file)?;
    let head = peek(&mut reader)?;
    let is_archive = head
        .get(USTAR.0..)
        .is_some_and(|rest| rest.starts_with(USTAR.1));
    let format = foreign.format(&head, plain_name(name));
    let reader = Cursor::new(head).chain(reader);
    if is_archive {
        return members(reader, foreign, take);
    }
    if let Some(format) = format {
        return foreign.documents(format, reader, plain_name(name), None, take);
    }
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    texts(&mut reader, is_of_lines(name), None, take)
}

fn members<E: From<Error>>(
    reader: impl Read,
    foreign: &Foreign,
    take: Take<'_, E>,
) -> Result<(), E> {
    let mut archive = tar::Archive::new(reader);
    for (index, member) in (0..).zip(archive.entries()?) {
        let member = member?;
        if index == limits::IMPORT_MEMBERS_MAX {
            let limit = limits::IMPORT_MEMBERS_MAX;
            return Err(trouble(format!("the archive holds more than {limit} files")).into());
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        if !member.header().entry_type().is_file() || !is_wanted(&name) {
            continue;
        }
        let shared = Arc::from(name.as_str());
        let mut reader = unpacked(member)?;
        let head = peek(&mut reader)?;
        if head
            .get(USTAR.0..)
            .is_some_and(|rest| rest.starts_with(USTAR.1))
        {
            let issue = "an archive inside an archive is not opened";
            take(Document {
                member: Some(shared),
                line: None,
                text: Vec::new(),
                trouble: Some(Issue::error(IssueCode::NotSupported, issue)),
                matter: Matter::Fhir,
            })?;
            continue;
        }
        if let Some(format) = foreign.format(&head, plain_name(&name)) {
            let reader = Cursor::new(head).chain(reader);
            foreign.documents(format, reader, plain_name(&name), Some(&shared), take)?;
            continue;
        }
        let mut reader = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(head).chain(reader));
        texts(&mut reader, is_of_lines(&name), Some(&shared), take)?;
    }
    Ok(())
}

/// One document, or one a line.
fn texts<E: From<Error>>(
    reader: &mut impl BufRead,
    is_of_lines: bool,
    member: Option<&Arc<str>>,
    take: Take<'_, E>,
) -> Result<(), E> {
    let document = |line, mut text: Vec<u8>| {
        let trouble = too_long(&text);
        // The last line may get its end later.
        if text.ends_with(b"\n") {
            text.pop();
        }
        Document {
            member: member.cloned(),
            line,
            text,
            trouble,
            matter: Matter::Fhir,
        }
    };
    let mut text = line(reader)?;
    let mut next = Vec::new();
    if is_of_lines || is_whole(&text) {
        next = line(reader)?;
    } else {
        rest(reader, &mut text)?;
    }
    if !is_of_lines && next.is_empty() {
        if !text.trim_ascii().is_empty() {
            take(document(None, text))?;
        }
        return Ok(());
    }
    for number in 1.. {
        if text.is_empty() {
            break;
        }
        if !text.trim_ascii().is_empty() {
            take(document(Some(number), text))?;
        }
        text = next;
        next = line(reader)?;
    }
    Ok(())
}

/// Whether the first line looks like a document of its own.
fn is_whole(line: &[u8]) -> bool {
    let line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
    let line = line.trim_ascii();
    line.starts_with(b"{") && line.ends_with(b"}") && line.len() > 2
}

fn limit() -> usize {
    usize::try_from(limits::FILE_BYTES_MAX).unwrap_or(usize::MAX)
}

/// The next line; of one that is too long one byte more than is allowed.
fn line(reader: &mut impl BufRead) -> Result<Vec<u8>, Error> {
    let mut line = Vec::new();
    let most = limits::FILE_BYTES_MAX + 1;
    reader.by_ref().take(most).read_until(b'\n', &mut line)?;
    if line.len() > limit() && !line.ends_with(b"\n") {
        reader.skip_until(b'\n')?;
    }
    Ok(line)
}

fn rest(reader: &mut impl BufRead, text: &mut Vec<u8>) -> Result<(), Error> {
    let left = (limit() + 1).saturating_sub(text.len());
    let left = u64::try_from(left).unwrap_or(u64::MAX);
    reader.by_ref().take(left).read_to_end(text)?;
    Ok(())
}

fn too_long(text: &[u8]) -> Option<Issue> {
    (text.len() > limit()).then(|| {
        let diagnostics = format!("a document may have {} bytes", limits::FILE_BYTES_MAX);
        Issue::error(IssueCode::TooLong, diagnostics)
    })
}

/// What is in a packed file; anything else as it is.
fn unpacked<'a>(mut reader: impl Read + 'a) -> Result<Box<dyn Read + 'a>, Error> {
    let head = peek(&mut reader)?;
    let (is_gzip, is_zstd) = (head.starts_with(GZIP), head.starts_with(ZSTD));
    let reader = Counted::new(Cursor::new(head).chain(reader));
    if is_gzip {
        let reader = BufReader::with_capacity(BUFFER_BYTES, reader);
        return Ok(Box::new(Guarded::new(
            flate2::bufread::MultiGzDecoder::new(reader),
            |decoder| decoder.get_ref().get_ref().count,
        )));
    }
    if is_zstd {
        let decoder = zstd::Decoder::new(reader)?;
        let read =
            |decoder: &zstd::Decoder<'_, BufReader<Counted<_>>>| decoder.get_ref().get_ref().count;
        return Ok(Box::new(Guarded::new(decoder, read)));
    }
    Ok(Box::new(reader))
}

/// The first bytes: all there are, or enough to tell what it is.
fn peek(reader: &mut impl Read) -> Result<Vec<u8>, Error> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    let most = u64::try_from(HEAD_BYTES).unwrap_or(u64::MAX);
    reader.by_ref().take(most).read_to_end(&mut head)?;
    Ok(head)
}

/// Knows how much was read through it.
struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R> Counted<R> {
    fn new(reader: R) -> Self {
        Self { reader, count: 0 }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let bytes = self.reader.read(buffer)?;
        self.count += u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(bytes)
    }
}

/// Ends a decompressor that makes far too much of far too little.
struct Guarded<D> {
    decoder: D,
    /// How much the decoder has read.
    read: fn(&D) -> u64,
    made: u64,
}

impl<D> Guarded<D> {
    fn new(decoder: D, read: fn(&D) -> u64) -> Self {
        Self {
            decoder,
            read,
            made: 0,
        }
    }
}

impl<D: Read> Read for Guarded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let bytes = self.decoder.read(buffer)?;
        self.made += u64::try_from(bytes).unwrap_or(u64::MAX);
        let fair = (self.read)(&self.decoder).saturating_mul(limits::IMPORT_EXPANSION_MAX);
        if self.made > limits::IMPORT_UNPACKED_BYTES_FREE.max(fair) {
            let times = limits::IMPORT_EXPANSION_MAX;
            return Err(trouble(format!(
                "unpacking makes more than {times} times of what is there"
            )));
        }
        Ok(bytes)
    }
}

pub(super) fn trouble(text: String) -> Error {
    Error::new(ErrorKind::InvalidData, text)
}
