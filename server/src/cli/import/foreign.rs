//! Files of other formats on their way into an import: rows, messages and clinical documents, mapped as the maps say.

use std::io::{Error, Read};
use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};
use interop::formats::Format;
use interop::formats::delimited::{Dialect, Header, Outcome, Reading};
use interop::formats::hl7v2::{Text, Transmission};
use interop::host::{Origin, Submission};
use interop::mapping::{Entry, Occasion, Zone};
use interop::route::Facts;

use super::unpack::{Document, Take, trouble};
use crate::conversion;
use crate::documents;
use crate::limits;
use crate::maps::Translator;
use crate::store::Stage;

/// What a message or document says as resources, or how far it came and why no further.
pub(super) type Mapped = Result<Submission, (Stage, Vec<Issue>)>;

/// With what files of other formats are read.
#[derive(Debug)]
pub(super) struct Foreign {
    pub(super) translator: Translator,
    pub(super) map: Option<String>,
    pub(super) format: Option<Format>,
    pub(super) charset: Option<String>,
    pub(super) delimiter: Option<char>,
    pub(super) zone: Zone,
    /// The time of the import.
    pub(super) now: String,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum Matter {
    Fhir,
    Row(Row),
    Message,
    /// A clinical document.
    Clinical,
}

/// A row, mapped.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) table: Arc<Table>,
    pub(super) outcome: Result<Vec<Entry>, Vec<Issue>>,
}

/// What the rows of a file have in common.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) map: String,
    pub(super) dialect: Dialect,
    pub(super) header: Header,
}

impl Foreign {
    /// What a file is, when it is one of other formats.
    pub(super) fn format(&self, head: &[u8], name: &str) -> Option<Format> {
        let is_fhir = super::source::is_fhir(name);
        let found = Format::of(head, name).filter(|format| !is_fhir || *format != Format::Csv);
        self.format.filter(|_| !is_fhir).or(found)
    }

    /// Hands out the rows or messages of a file.
    pub(super) fn documents<E: From<Error>>(
        &self,
        format: Format,
        reader: impl Read,
        name: &str,
        member: Option<&Arc<str>>,
        take: Take<'_, E>,
    ) -> Result<(), E> {
        match format {
            Format::Csv => self.rows(reader, name, member, take),
            Format::Hl7v2 => self.messages(reader, member, take),
            Format::Cda => take(Document {
                member: member.cloned(),
                line: None,
                text: whole(reader)?,
                trouble: None,
                matter: Matter::Clinical,
            }),
        }
    }

    fn rows<E: From<Error>>(
        &self,
        reader: impl Read,
        name: &str,
        member: Option<&Arc<str>>,
        take: Take<'_, E>,
    ) -> Result<(), E> {
        let charset = self.charset.as_deref();
        let reading = Reading {
            map: self.map.as_deref(),
            charset: charset.and_then(interop::formats::delimited::Charset::named),
            dialect: conversion::dialect(self.delimiter, name),
        };
        let rows = self.translator.tables.open(reader, reading);
        let mut rows = rows.map_err(|error| trouble(super::super::chain(&error)))?;
        let table = Arc::new(Table {
            map: rows.runner().plan().name().to_owned(),
            dialect: rows.dialect().clone(),
            header: rows.header().clone(),
        });
        while let Some(outcome) = rows.next_row(&self.now, name)? {
            let raw = rows.raw().as_bytes().to_vec();
            let (line, outcome) = match outcome {
                Outcome::Good { line, mapped } => (line, Ok(mapped.entries)),
                Outcome::Bad(bad) => (bad.line, Err(bad.issues)),
            };
            take(Document {
                member: member.cloned(),
                line: Some(u64::from(line)),
                text: raw,
                trouble: None,
                matter: Matter::Row(Row {
                    table: Arc::clone(&table),
                    outcome,
                }),
            })?;
        }
        Ok(())
    }

    fn messages<E: From<Error>>(
        &self,
        reader: impl Read,
        member: Option<&Arc<str>>,
        take: Take<'_, E>,
    ) -> Result<(), E> {
        let bytes = whole(reader)?;
        let intake = conversion::intake(self.charset.as_deref())
            .map_err(|issue| trouble(issue.diagnostics))?;
        let transmission =
            Transmission::open(&bytes, intake).map_err(|error| trouble(error.to_string()))?;
        for place in 0..transmission.message_count() {
            let (Some(text), Some(bytes_of)) =
                (transmission.text(place), transmission.bytes(place))
            else {
                continue;
            };
            take(Document {
                member: member.cloned(),
                line: Some(u64::from(conversion::line_of(&bytes, text.at()))),
                text: bytes_of.to_vec(),
                trouble: None,
                matter: Matter::Message,
            })?;
        }
        Ok(())
    }

    /// What a clinical document says.
    pub(super) fn clinical(&self, bytes: &[u8], facts: &Facts, seed: &str) -> Mapped {
        let documents = &self.translator.documents;
        let converter = documents.get(self.map.as_deref());
        let converter =
            converter.map_err(|error| (Stage::Parsed, conversion::no_converter(&error)))?;
        let occasion = Occasion {
            now: &self.now,
            seed,
            trace: false,
        };
        let done = converter.convert(bytes, occasion);
        let done =
            done.map_err(|error| (Stage::Received, vec![conversion::undocumented(&error)]))?;
        let pack = pack(converter.runner().plan().name());
        Ok(documents::submission(facts, done, pack))
    }

    /// What a message says.
    pub(super) fn message(&self, text: &Text<'_>, facts: &Facts, seed: &str) -> Mapped {
        let message = text.message().map_err(|error| {
            let issue = Issue::error(IssueCode::Structure, error.to_string());
            (Stage::Received, vec![issue])
        })?;
        let occasion = Occasion {
            now: &self.now,
            seed,
            trace: false,
        };
        let messages = &self.translator.messages;
        let done = messages
            .convert(&message, self.map.as_deref(), occasion)
            .map_err(|error| (Stage::Parsed, conversion::unmapped(&error)))?;
        let issues = done.issues();
        if done.has_errors() {
            return Err((Stage::Parsed, issues));
        }
        Ok(Submission {
            origin: Origin {
                format: Format::Hl7v2.name().to_owned(),
                kind: facts.kind_text(),
                sender_application: facts.sender_application.clone(),
                sender_facility: facts.sender_facility.clone(),
                control_id: facts.control_id.clone(),
                // A file may bring what is long known otherwise.
                event_time_us: facts.event_time_us,
                pack: pack(done.map()),
                ..Origin::default()
            },
            entries: done.mapped.entries,
            issues,
        })
    }
}

/// A file that is read as a whole.
fn whole(reader: impl Read) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let most = limits::FILE_BYTES_MAX;
    reader.take(most + 1).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()).unwrap_or(u64::MAX) > most {
        true => Err(trouble(format!("such a file may have {most} bytes"))),
        false => Ok(bytes),
    }
}

/// Rows of a file as one submission.
pub(super) fn submission(table: &Table, entries: Vec<Entry>, place: String) -> Submission {
    Submission {
        entries,
        issues: Vec::new(),
        origin: Origin {
            format: Format::Csv.name().to_owned(),
            control_id: place,
            kind: table.map.clone(),
            pack: pack(&table.map),
            ..Origin::default()
        },
    }
}

fn pack(map: &str) -> String {
    format!("{map} of {}", env!("CARGO_PKG_VERSION"))
}
