//! The file of a backup: a line that says what it is, then records packed with zstd. Numbers are little endian.
//!
//! ```text
//! kiln backup 1⏎
//! H  versions u64
//! V  type, id (u8 length each), version u64, at i64, change u8, is current u8, body (u32 length)     in the order of the feed
//! I  source (u32 length), documents u64, entries u64, bytes u64, checksum u32
//! F  follower of the feed (u32 length), versions it has handled u64
//! E  versions u64, CRC-32 of all before it u32
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;

use crate::cli::draft::{self, Draft};
use crate::cli::refill::Loader;
use crate::instant::Instant;
use crate::store::{Change, Copied, Reached};

const TITLE: &[u8] = b"kiln backup 1\n";
const HEADER: u8 = b'H';
const VERSION: u8 = b'V';
const IMPORT: u8 = b'I';
const FOLLOWER: u8 = b'F';
const END: u8 = b'E';
const BUFFER_BYTES: usize = 256 * 1024;

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Error {
    #[error("it cannot be read")]
    Io(#[from] std::io::Error),
    #[error("it is no backup that this Kiln can read")]
    Strange,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

pub(super) struct Writer {
    path: PathBuf,
    out: BufWriter<zstd::Encoder<'static, Draft>>,
    crc: Crc,
    versions: u64,
    record: Vec<u8>,
}

impl Writer {
    /// `versions` is how many will follow.
    pub(super) fn create(path: &Path, versions: u64) -> Result<Self, draft::Error> {
        let failed = draft::Error::of(path);
        let mut draft = Draft::create(path)?;
        draft.write_all(TITLE).map_err(&failed)?;
        let mut encoder =
            zstd::Encoder::new(draft, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(&failed)?;
        encoder.include_checksum(true).map_err(&failed)?;
        let mut writer = Self {
            path: path.to_owned(),
            out: BufWriter::with_capacity(BUFFER_BYTES, encoder),
            crc: Crc::new(),
            versions: 0,
            record: Vec::new(),
        };
        writer.record(HEADER, |record| record.extend(versions.to_le_bytes()))?;
        Ok(writer)
    }

    pub(super) fn version(&mut self, version: &Copied) -> Result<(), draft::Error> {
        self.versions += 1;
        let change = u8::try_from(version.change.number()).unwrap_or_default();
        self.record(VERSION, |record| {
            for name in [&version.resource_type, &version.id] {
                record.push(u8::try_from(name.len()).unwrap_or_default());
                record.extend(name.as_bytes());
            }
            record.extend(version.version.to_le_bytes());
            record.extend(version.at.micros().to_le_bytes());
            record.extend([change, u8::from(version.is_head)]);
            long(record, &version.body);
        })
    }

    pub(super) fn import(&mut self, source: &str, reached: Reached) -> Result<(), draft::Error> {
        self.record(IMPORT, |record| {
            long(record, source.as_bytes());
            for number in [reached.documents, reached.entries, reached.bytes] {
                record.extend(number.to_le_bytes());
            }
            record.extend(reached.checksum.to_le_bytes());
        })
    }

    pub(super) fn follower(&mut self, name: &str, handled: u64) -> Result<(), draft::Error> {
        self.record(FOLLOWER, |record| {
            long(record, name.as_bytes());
            record.extend(handled.to_le_bytes());
        })
    }

    /// The file is complete.
    pub(super) fn finish(mut self) -> Result<(), draft::Error> {
        let (versions, sum) = (self.versions, self.crc.sum());
        self.record(END, |record| {
            record.extend(versions.to_le_bytes());
            record.extend(sum.to_le_bytes());
        })?;
        let failed = draft::Error::of(&self.path);
        let encoder = self
            .out
            .into_inner()
            .map_err(|error| failed(error.into_error()))?;
        encoder.finish().map_err(failed)?.finish()
    }

    fn record(&mut self, tag: u8, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), draft::Error> {
        self.record.clear();
        self.record.push(tag);
        fill(&mut self.record);
        self.crc.update(&self.record);
        self.out
            .write_all(&self.record)
            .map_err(draft::Error::of(&self.path))
    }
}

fn long(record: &mut Vec<u8>, bytes: &[u8]) {
    record.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    record.extend(bytes);
}

/// What a backup holds beside versions.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) imports: Vec<(String, Reached)>,
    pub(super) followers: Vec<(String, u64)>,
}

pub(super) struct Reader {
    input: Box<dyn BufRead + Send>,
    crc: Crc,
    told: u64,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let mut title = Vec::new();
        let most = u64::try_from(TITLE.len()).unwrap_or(u64::MAX);
        file.by_ref().take(most).read_to_end(&mut title)?;
        if title != TITLE {
            return Err(Error::Strange);
        }
        let decoder = zstd::Decoder::with_buffer(file)?;
        let mut reader = Self {
            input: Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)),
            crc: Crc::new(),
            told: 0,
        };
        if reader.byte()? != HEADER {
            return Err(Error::Strange);
        }
        reader.told = u64::from_le_bytes(reader.array()?);
        Ok(reader)
    }

    /// How many versions it says it holds.
    pub(super) fn versions(&self) -> u64 {
        self.told
    }

    /// Hands out the versions, then answers the rest. `Ok` means that everything was there and right.
    pub(super) fn each(mut self, loader: &mut Loader<'_>) -> Result<Notes, Error> {
        let mut notes = Notes::default();
        let mut versions = 0_u64;
        loop {
            let sum = self.crc.sum();
            match self.byte()? {
                VERSION => {
                    versions += 1;
                    if !loader.add(self.version()?) {
                        return Ok(notes);
                    }
                }
                IMPORT => notes.imports.push(self.import()?),
                FOLLOWER => {
                    let name = text(self.long()?)?;
                    let handled = u64::from_le_bytes(self.array()?);
                    notes.followers.push((name, handled));
                }
                END => {
                    let counted = u64::from_le_bytes(self.array()?);
                    if u32::from_le_bytes(self.array()?) != sum {
                        return Err(Error::Damaged("its checksum is another one"));
                    }
                    if counted != versions || self.told != versions {
                        return Err(Error::Damaged("versions are missing"));
                    }
                    if !self.input.fill_buf()?.is_empty() {
                        return Err(Error::Damaged("it goes on behind its end"));
                    }
                    return Ok(notes);
                }
                _ => return Err(Error::Damaged("a record of an unknown kind")),
            }
        }
    }

    fn version(&mut self) -> Result<Copied, Error> {
        let resource_type = self.short()?;
        let id = self.short()?;
        let version = u64::from_le_bytes(self.array()?);
        let at = Instant::from_micros(i64::from_le_bytes(self.array()?));
        let change = Change::of_number(i16::from(self.byte()?))
            .ok_or(Error::Damaged("a change of an unknown kind"))?;
        let is_head = self.byte()? == 1;
        let body = self.long()?;
        Ok(Copied {
            resource_type,
            id,
            version,
            at,
            change,
            is_head,
            body,
        })
    }

    fn import(&mut self) -> Result<(String, Reached), Error> {
        let source = text(self.long()?)?;
        let reached = Reached {
            documents: u64::from_le_bytes(self.array()?),
            entries: u64::from_le_bytes(self.array()?),
            bytes: u64::from_le_bytes(self.array()?),
            checksum: u32::from_le_bytes(self.array()?),
        };
        Ok((source, reached))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.crc.update(&bytes);
        Ok(bytes)
    }

    fn short(&mut self) -> Result<String, Error> {
        let length = u64::from(self.byte()?);
        text(self.bytes(length)?)
    }

    fn long(&mut self) -> Result<Vec<u8>, Error> {
        let length = u64::from(u32::from_le_bytes(self.array()?));
        self.bytes(length)
    }

    /// Memory is taken as bytes come, not as they are promised.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(length).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()) != Ok(length) {
            return Err(Error::Damaged("it ends too early"));
        }
        self.crc.update(&bytes);
        Ok(bytes)
    }
}

fn text(bytes: Vec<u8>) -> Result<String, Error> {
    String::from_utf8(bytes).map_err(|_| Error::Damaged("a name is no text"))
}
