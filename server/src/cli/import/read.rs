//! The reading side: documents of the sources, one after another, from where an earlier import has stopped.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use fhir_spec::Issue;

use super::foreign::{Foreign, Matter};
use super::source::Source;
use super::unpack::{Document, documents};
use crate::limits;
use crate::store::Reached;

/// Documents that travel together: small ones cost less that way.
const CHUNK_DOCUMENTS: usize = 64;
const CHUNK_BYTES: usize = 256 * 1024;

/// A document on its way, with where it came from.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) origin: Origin,
    pub(super) text: Vec<u8>,
    pub(super) trouble: Option<Issue>,
    pub(super) matter: Matter,
    /// Entries that an earlier import has done.
    pub(super) skip: u64,
    /// What is noted of the source so far.
    pub(super) known: Option<Reached>,
    /// Where the source stands before this document, but for bytes and checksum, which count it.
    pub(super) at: Reached,
}

#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) source: Arc<str>,
    pub(super) member: Option<Arc<str>>,
    pub(super) line: Option<u64>,
}

/// What is given away together, and how much of all files had been read by then.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) items: Vec<Item>,
    pub(super) bytes: usize,
    /// A source that could not be read to its end.
    pub(super) broken: Option<(Origin, String)>,
    pub(super) read: u64,
}

/// Why reading stopped.
#[derive(Debug)]
enum Stop {
    /// Nobody wants more.
    Unwanted,
    /// The source is not the one that was noted under its name.
    Differs,
    Read(std::io::Error),
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Self::Read(error)
    }
}

/// The text that is read and not yet written is bounded.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    is_over: bool,
}

impl Ahead {
    /// Waits until there is room; false when nobody wants more.
    fn add(&self, bytes: usize) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // What alone is larger than the bound goes when nothing else is under way.
        let is_full = |state: &mut State| {
            let all = state.bytes + bytes;
            !state.is_over && state.bytes > 0 && all > limits::IMPORT_AHEAD_BYTES_MAX
        };
        let mut state = self
            .changed
            .wait_while(state, is_full)
            .unwrap_or_else(PoisonError::into_inner);
        state.bytes += bytes;
        !state.is_over
    }

    pub(super) fn remove(&self, bytes: usize) {
        self.change(|state| state.bytes -= bytes);
    }

    /// Nobody wants more.
    pub(super) fn end(&self) {
        self.change(|state| state.is_over = true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// Reads the sources, from where they were left unless it is to be done `again`. `known` says where that is; `give` answers false when nobody wants more.
pub(super) fn all(
    sources: &[Source],
    ahead: &Ahead,
    again: bool,
    known: &HashMap<String, Reached>,
    foreign: &Foreign,
    give: &mut dyn FnMut(Chunk) -> bool,
) {
    let read = AtomicU64::new(0);
    for source in sources {
        let known = known.get(&source.name).copied();
        let before = read.load(Ordering::Relaxed);
        let from = known.filter(|_| !again);
        let mut reading = Reading::new(source, known, from, ahead, &read, give);
        let mut done = reading.run(foreign);
        if matches!(done, Err(Stop::Differs)) && source.path.is_some() {
            read.store(before, Ordering::Relaxed);
            reading = Reading::new(source, known, None, ahead, &read, give);
            done = reading.run(foreign);
        }
        match done {
            Ok(()) => {}
            Err(Stop::Unwanted) => return,
            Err(Stop::Differs) => reading.give_broken(
                "this is not what was imported from standard input before: --again imports it as something new"
                    .to_owned(),
            ),
            Err(Stop::Read(error)) => reading.give_broken(error.to_string()),
        }
    }
}

struct Reading<'a> {
    source: &'a Source,
    name: Arc<str>,
    /// What is noted of the source.
    known: Option<Reached>,
    /// Where to go on.
    from: Reached,
    at: Reached,
    checksum: flate2::Crc,
    chunk: Chunk,
    ahead: &'a Ahead,
    read: &'a AtomicU64,
    give: &'a mut dyn FnMut(Chunk) -> bool,
}

impl<'a> Reading<'a> {
    fn new(
        source: &'a Source,
        known: Option<Reached>,
        from: Option<Reached>,
        ahead: &'a Ahead,
        read: &'a AtomicU64,
        give: &'a mut dyn FnMut(Chunk) -> bool,
    ) -> Self {
        Self {
            name: Arc::from(source.name.as_str()),
            source,
            known,
            from: from.unwrap_or_default(),
            at: Reached::default(),
            checksum: flate2::Crc::new(),
            chunk: Chunk::default(),
            ahead,
            read,
            give,
        }
    }

    fn run(&mut self, foreign: &Foreign) -> Result<(), Stop> {
        let file: Box<dyn Read> = match &self.source.path {
            Some(path) => Box::new(File::open(path)?),
            None => Box::new(std::io::stdin()),
        };
        let file = Counting {
            file,
            read: self.read,
        };
        let name = self.source.name.clone();
        documents(file, &name, foreign, &mut |document| self.take(document))?;
        // It is shorter than what was imported.
        if self.at.documents < self.from.documents + u64::from(self.from.entries > 0) {
            return Err(Stop::Differs);
        }
        self.give()
    }

    fn take(&mut self, document: Document) -> Result<(), Stop> {
        self.checksum.update(&document.text);
        let at = Reached {
            documents: self.at.documents,
            entries: 0,
            bytes: self.at.bytes + u64::try_from(document.text.len()).unwrap_or(u64::MAX),
            checksum: self.checksum.sum(),
        };
        self.at = Reached {
            documents: at.documents + 1,
            ..at
        };
        // Of this document only some entries may be left to do.
        let is_begun = self.from.entries > 0 && at.documents == self.from.documents;
        let is_last_known =
            is_begun || (self.from.entries == 0 && self.at.documents == self.from.documents);
        if is_last_known && (at.bytes, at.checksum) != (self.from.bytes, self.from.checksum) {
            return Err(Stop::Differs);
        }
        if at.documents < self.from.documents {
            return Ok(());
        }
        self.chunk.bytes += document.text.len();
        self.chunk.items.push(Item {
            origin: Origin {
                source: Arc::clone(&self.name),
                member: document.member,
                line: document.line,
            },
            text: document.text,
            trouble: document.trouble,
            matter: document.matter,
            skip: if is_begun { self.from.entries } else { 0 },
            known: self.known,
            at,
        });
        if self.chunk.items.len() >= CHUNK_DOCUMENTS || self.chunk.bytes >= CHUNK_BYTES {
            self.give()?;
        }
        Ok(())
    }

    fn give(&mut self) -> Result<(), Stop> {
        let mut chunk = std::mem::take(&mut self.chunk);
        chunk.read = self.read.load(Ordering::Relaxed);
        match self.ahead.add(chunk.bytes) && (self.give)(chunk) {
            true => Ok(()),
            false => Err(Stop::Unwanted),
        }
    }

    fn give_broken(&mut self, why: String) {
        let origin = Origin {
            source: Arc::clone(&self.name),
            member: None,
            line: None,
        };
        self.chunk.broken = Some((origin, why));
        // When nobody wants it, the next source will find that out.
        let _wanted = self.give();
    }
}

struct Counting<'a, R> {
    file: R,
    read: &'a AtomicU64,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.read.fetch_add(count, Ordering::Relaxed);
        Ok(bytes)
    }
}
