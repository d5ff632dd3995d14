//! The file of a backup: a line that says what it is, then records packed with zstd. Numbers are little endian.
//!
//! ```text
//! kiln backup 2⏎
//! H  versions u64
//! V  type, id (u8 length each), version u64, at i64, change u8, is current u8, body (u32 length)     in the order of the feed
//! T  table (u8 length), columns u8, the name of each (u8 length)                                  what goes along:
//! R  a value for each column of the last T: n | i and i64 | r and f64 | t or b and bytes (u32 length)    its rows
//! F  follower of the feed (u32 length), versions it has handled u64
//! E  versions u64, CRC-32 of all before it u32
//! ```

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::Crc;

use crate::cli::draft::{self, Draft};
use crate::cli::refill::Loader;
use crate::instant::Instant;
use crate::store::carried::{Carried, Table, Value};
use crate::store::{Change, Copied};

const TITLE: &[u8] = b"kiln backup 2\n";
const HEADER: u8 = b'H';
const VERSION: u8 = b'V';
const TABLE: u8 = b'T';
const ROW: u8 = b'R';
const FOLLOWER: u8 = b'F';
const END: u8 = b'E';
const NULL: u8 = b'n';
const INT: u8 = b'i';
const REAL: u8 = b'r';
const TEXT: u8 = b't';
const BYTES: u8 = b'b';
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
    /// Whose rows come.
    table: Option<Arc<Table>>,
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
            table: None,
            record: Vec::new(),
        };
        writer.record(HEADER, |record| record.extend(versions.to_le_bytes()))?;
        Ok(writer)
    }

    pub(super) fn version(&mut self, version: &Copied) -> Result<(), draft::Error> {
        self.versions += 1;
        let change = u8::try_from(version.change.number()).unwrap_or_default();
        self.record(VERSION, |record| {
            short(record, &version.resource_type);
            short(record, &version.id);
            record.extend(version.version.to_le_bytes());
            record.extend(version.at.micros().to_le_bytes());
            record.extend([change, u8::from(version.is_head)]);
            long(record, &version.body);
        })
    }

    pub(super) fn carried(&mut self, carried: &Carried) -> Result<(), draft::Error> {
        let is_known = |table: &Arc<Table>| Arc::ptr_eq(table, &carried.table);
        if !self.table.as_ref().is_some_and(is_known) {
            self.table = Some(Arc::clone(&carried.table));
            self.record(TABLE, |record| {
                short(record, carried.table.name);
                record.push(u8::try_from(carried.table.columns.len()).unwrap_or_default());
                for column in &carried.table.columns {
                    short(record, column);
                }
            })?;
        }
        self.record(ROW, |record| {
            for value in &carried.values {
                match value {
                    Value::Null => record.push(NULL),
                    Value::Int(number) => {
                        record.push(INT);
                        record.extend(number.to_le_bytes());
                    }
                    Value::Real(number) => {
                        record.push(REAL);
                        record.extend(number.to_le_bytes());
                    }
                    Value::Text(text) => {
                        record.push(TEXT);
                        long(record, text.as_bytes());
                    }
                    Value::Bytes(bytes) => {
                        record.push(BYTES);
                        long(record, bytes);
                    }
                }
            }
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

fn short(record: &mut Vec<u8>, name: &str) {
    record.push(u8::try_from(name.len()).unwrap_or_default());
    record.extend(name.as_bytes());
}

fn long(record: &mut Vec<u8>, bytes: &[u8]) {
    record.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    record.extend(bytes);
}

pub(super) struct Reader {
    input: Box<dyn BufRead + Send>,
    crc: Crc,
    told: u64,
    table: Option<Arc<Table>>,
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
            table: None,
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

    /// Hands out the versions and what goes along, then answers how far followers were. `Ok` means that everything was
    /// there and right.
    pub(super) fn each(mut self, loader: &mut Loader<'_>) -> Result<Vec<(String, u64)>, Error> {
        let mut followers = Vec::new();
        let mut versions = 0_u64;
        loop {
            let sum = self.crc.sum();
            match self.byte()? {
                VERSION => {
                    versions += 1;
                    if !loader.add(self.version()?) {
                        return Ok(followers);
                    }
                }
                TABLE => self.table = Some(self.table()?),
                ROW => {
                    if !loader.carry(self.row()?) {
                        return Ok(followers);
                    }
                }
                FOLLOWER => {
                    let name = text(self.long()?)?;
                    let handled = u64::from_le_bytes(self.array()?);
                    followers.push((name, handled));
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
                    return Ok(followers);
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

    fn table(&mut self) -> Result<Arc<Table>, Error> {
        let name = self.short()?;
        let count = self.byte()?;
        let columns: Result<_, Error> = (0..count).map(|_| self.short()).collect();
        let table = Table::new(&name, columns?);
        table
            .map(Arc::new)
            .ok_or(Error::Damaged("a table that does not go along"))
    }

    fn row(&mut self) -> Result<Carried, Error> {
        let table = self.table.clone();
        let table = table.ok_or(Error::Damaged("a row of no table"))?;
        let mut values = Vec::with_capacity(table.columns.len());
        for _ in &table.columns {
            values.push(match self.byte()? {
                NULL => Value::Null,
                INT => Value::Int(i64::from_le_bytes(self.array()?)),
                REAL => Value::Real(f64::from_le_bytes(self.array()?)),
                TEXT => Value::Text(text(self.long()?)?),
                BYTES => Value::Bytes(self.long()?),
                _ => return Err(Error::Damaged("a value of an unknown kind")),
            });
        }
        Ok(Carried { table, values })
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
