//! A file of rows: many to a transaction, which notes how far it goes. Killed at any moment it goes on exactly there. Rows
//! that are refused come back in a file of their own, each with its reason.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use fhir_spec::Issue;
use interop::formats::Format;
use interop::formats::delimited::{
    BadRow, BadRows, Charset, Dialect, Header, NoRows, Outcome, Reading,
};
use interop::host::{Origin, Submission};
use interop::mapping::Entry;
use interop::route::Facts;
use tokio::sync::mpsc;

use super::names;
use super::place::{Found, Writing};
use super::poll::{Look, Stop, Taken};
use crate::auth::{Action, Caller, may};
use crate::conversion;
use crate::facade;
use crate::fault::Fault;
use crate::limits;
use crate::maps::Translator;
use crate::messages::Mode;
use crate::shelf::Sender;
use crate::store::{self, Reached, Step};

/// Groups of rows that are mapped while one before them is written.
const GROUPS_AHEAD: usize = 2;

/// Under which name it is noted how far a file was taken. Another file of the name has another time or size.
pub(super) fn note(route: &str, found: &Found) -> String {
    let (name, modified_us, size) = (&found.name, found.modified_us, found.size);
    format!("route:{route}/{name}@{modified_us}:{size}")
}

/// Between which texts all notes of a route are.
pub(super) fn notes(route: &str) -> (String, String) {
    // What comes after the slash.
    (format!("route:{route}/"), format!("route:{route}0"))
}

/// What all rows of a file have in common.
#[derive(Debug, Clone)]
struct Table {
    map: String,
    dialect: Dialect,
    header: Header,
}

#[derive(Debug)]
struct Row {
    line: u32,
    raw: String,
    said: Result<Vec<Entry>, Vec<Issue>>,
}

/// What is read of a file, in its order.
#[derive(Debug)]
enum Read {
    Table(Table),
    Rows(Vec<Row>),
    /// Nothing of it can be read.
    Spoilt(Vec<Issue>),
}

/// A file on its way into the store.
struct Writer<'a> {
    look: &'a Look<'a>,
    found: &'a Found,
    note: String,
    /// None: nothing is noted yet.
    noted: Option<Reached>,
    /// Rows that are done, and those of them that were refused.
    at: Reached,
    table: Option<Table>,
}

pub(super) async fn take(look: &Look<'_>, found: &Found, bytes: Vec<u8>) -> Result<Taken, Stop> {
    let mut checksum = flate2::Crc::new();
    checksum.update(&bytes);
    let note = note(look.running.name(), found);
    let begin = Reached {
        bytes: found.size,
        checksum: checksum.sum(),
        ..Reached::default()
    };
    let noted = look.begun.get(&note).copied();
    // What is there now may be something else under the old name, size and time.
    let is_same = |noted: &Reached| (noted.bytes, noted.checksum) == (begin.bytes, begin.checksum);
    let at = noted.filter(is_same).unwrap_or(begin);
    let mut writer = Writer {
        look,
        found,
        note,
        noted,
        at,
        table: None,
    };
    let (sender, mut read) = mpsc::channel(GROUPS_AHEAD);
    let reading = reader(look, found)?;
    let now = (look.desk.app.clock)().to_string();
    let reader = tokio::task::spawn_blocking(move || reading.run(&bytes, &now, &sender));
    let mut place = 0;
    while let Some(some) = read.recv().await {
        match some {
            Read::Spoilt(issues) => {
                return Ok(Taken {
                    refused: 1,
                    spoilt: Some(told(&issues)),
                    accepted: 0,
                });
            }
            Read::Table(table) => writer.table = Some(table),
            Read::Rows(mut rows) => {
                let done = usize::try_from(writer.at.documents).unwrap_or(usize::MAX);
                let known = done.saturating_sub(place).min(rows.len());
                place += rows.len();
                let rows = rows.split_off(known);
                if look.running.mode() != Mode::Started {
                    return Err(Stop::Told);
                }
                writer.write(rows).await?;
            }
        }
    }
    if reader.await.is_err() {
        return Err(Stop::Store("the maps failed on this file".to_owned()));
    }
    writer.finish().await
}

/// What is to be known to read a file.
struct Reader {
    translator: Arc<Translator>,
    map: Option<String>,
    charset: Option<Charset>,
    dialect: Option<Dialect>,
    name: String,
}

fn reader(look: &Look<'_>, found: &Found) -> Result<Reader, Stop> {
    let (settings, route) = (&look.running.settings, &look.running.route);
    let shelf = &look.desk.app.shelf;
    let named = route.overlay.clone().or_else(|| {
        shelf.overlay_for(&Sender {
            file: Some(found.name.clone()),
            ..Sender::default()
        })
    });
    let translator = shelf.translator(&route.zone, &route.constants, named.as_deref())?;
    let delimiter = settings.delimiter.as_deref();
    let delimiter = delimiter.and_then(|text| conversion::delimiter(text).ok());
    Ok(Reader {
        translator,
        map: settings.map.clone(),
        charset: settings.charset.as_deref().and_then(Charset::named),
        dialect: conversion::dialect(delimiter, &found.name),
        name: found.name.clone(),
    })
}

impl Reader {
    /// Until nobody wants more.
    fn run(self, bytes: &[u8], now: &str, to: &mpsc::Sender<Read>) {
        let spoilt = match self.rows(bytes, now, to) {
            Ok(()) => return,
            Err(error) => conversion::refused(&error),
        };
        // Whoever is gone has said why.
        let _told = to.blocking_send(Read::Spoilt(spoilt));
    }

    fn rows(&self, bytes: &[u8], now: &str, to: &mpsc::Sender<Read>) -> Result<(), NoRows> {
        let reading = Reading {
            map: self.map.as_deref(),
            charset: self.charset,
            dialect: self.dialect.clone(),
        };
        let mut rows = self.translator.tables.open(bytes, reading)?;
        let table = Table {
            map: rows.runner().plan().name().to_owned(),
            dialect: rows.dialect().clone(),
            header: rows.header().clone(),
        };
        if to.blocking_send(Read::Table(table)).is_err() {
            return Ok(());
        }
        let mut group = Vec::with_capacity(limits::IMPORT_ROWS_MAX);
        let broken = |error| NoRows::Header(error);
        while let Some(outcome) = rows
            .next_row(now, &self.name)
            .map_err(|error| broken(error.into()))?
        {
            let raw = rows.raw().to_owned();
            let (line, said) = match outcome {
                Outcome::Good { line, mapped } => (line, Ok(mapped.entries)),
                Outcome::Bad(bad) => (bad.line, Err(bad.issues)),
            };
            group.push(Row { line, raw, said });
            if group.len() >= limits::IMPORT_ROWS_MAX {
                let full =
                    std::mem::replace(&mut group, Vec::with_capacity(limits::IMPORT_ROWS_MAX));
                if to.blocking_send(Read::Rows(full)).is_err() {
                    return Ok(());
                }
            }
        }
        // Whoever is gone has said why.
        let _told = to.blocking_send(Read::Rows(group));
        Ok(())
    }
}

impl Writer<'_> {
    /// Rows whole or not at all; where some are refused by the store, halves of them, until it is known which.
    async fn write(&mut self, mut rows: Vec<Row>) -> Result<(), Stop> {
        let base = self.at.documents;
        let bad: Vec<BadRow> = rows.iter().filter_map(unmapped).collect();
        self.refuse(&bad).await?;
        let mut ranges = VecDeque::new();
        ranges.push_back(0..rows.len());
        while let Some(range) = ranges.pop_front() {
            let end = u64::try_from(range.end).unwrap_or(u64::MAX);
            let to = Reached {
                documents: base + end,
                ..self.at
            };
            let Some(submission) = self.submission(&rows, &range) else {
                self.advance(to).await?;
                continue;
            };
            match self.apply(submission, to).await {
                Ok(()) => {}
                Err(fault) if !is_of_rows(&fault) => return Err(fault.into()),
                Err(_) if range.len() > 1 => {
                    let middle = range.start + range.len() / 2;
                    ranges.push_front(middle..range.end);
                    ranges.push_front(range.start..middle);
                }
                Err(fault) => {
                    if let Some(row) = rows.get_mut(range.start) {
                        let bad = BadRow {
                            line: row.line,
                            raw: std::mem::take(&mut row.raw),
                            issues: fault.issues,
                        };
                        self.refuse(&[bad]).await?;
                    }
                    self.advance(Reached {
                        documents: base + end,
                        ..self.at
                    })
                    .await?;
                }
            }
        }
        Ok(())
    }

    /// What good rows of a range say; None: there are none.
    fn submission(&self, rows: &[Row], range: &Range<usize>) -> Option<Submission> {
        let rows = rows.get(range.clone())?;
        let good = rows
            .iter()
            .filter_map(|row| Some((row.line, row.said.as_ref().ok()?)));
        let good: Vec<_> = good.collect();
        let ((first, _), (last, _)) = (good.first()?, good.last()?);
        let map = self.table.as_ref().map(|table| table.map.clone());
        let map = map.unwrap_or_default();
        Some(Submission {
            origin: Origin {
                format: Format::Csv.name().to_owned(),
                route: self.look.running.name().to_owned(),
                control_id: format!("{} lines {first} to {last}", self.found.name),
                pack: format!("{map} of {}", env!("CARGO_PKG_VERSION")),
                kind: map,
                ..Origin::default()
            },
            entries: good
                .iter()
                .flat_map(|(_, entries)| entries.iter().cloned())
                .collect(),
            issues: Vec::new(),
        })
    }

    async fn apply(&mut self, submission: Submission, to: Reached) -> Result<(), Fault> {
        let step = self.step(to);
        let facts = Facts::default();
        let cx = (self.look.desk).cx_of(self.look.running, &facts, "");
        let also =
            move |tx: &mut store::Tx<'_>, _: &_| tx.advance_import(&step).map_err(Fault::from);
        facade::apply(&cx, submission, &[Action::Maintain], also).await?;
        self.reached(to);
        Ok(())
    }

    fn step(&self, to: Reached) -> Step {
        Step {
            source: self.note.clone(),
            from: self.noted,
            to,
        }
    }

    fn reached(&mut self, to: Reached) {
        (self.noted, self.at) = (Some(to), to);
    }

    /// Notes it without anything being written.
    async fn advance(&mut self, to: Reached) -> Result<(), Stop> {
        if self.noted == Some(to) {
            return Ok(());
        }
        let step = self.step(to);
        let permit = may(&Caller::Kiln, Action::Maintain).map_err(Fault::from)?;
        let store = &self.look.desk.app.store;
        let written = store.write(permit, move |tx| tx.advance_import(&step));
        written.await.map_err(Fault::from)?;
        self.reached(to);
        Ok(())
    }

    /// Rows into the file of errors, before it is noted that they are done: killed in between they are there twice, never
    /// not at all.
    async fn refuse(&mut self, bad: &[BadRow]) -> Result<(), Stop> {
        let (Some(table), false) = (&self.table, bad.is_empty()) else {
            return Ok(());
        };
        let mut text = Vec::new();
        let writing = match self.at.entries {
            0 => Writing::Anew,
            _ => Writing::On,
        };
        let mut out = match writing {
            Writing::Anew => BadRows::new(&mut text, &table.dialect, &table.header),
            Writing::On => Ok(BadRows::going_on(&mut text, &table.dialect)),
        }
        .map_err(super::error::Error::of("to write a row"))?;
        for row in bad {
            out.write(row)
                .map_err(super::error::Error::of("to write a row"))?;
        }
        let part = names::part(&names::refused(&self.found.name));
        self.look.place.write(&part, text, writing).await?;
        self.at.entries += u64::try_from(bad.len()).unwrap_or_default();
        Ok(())
    }

    async fn finish(self) -> Result<Taken, Stop> {
        let (all, refused) = (self.at.documents, self.at.entries);
        if refused > 0 {
            let reason = format!("{refused} of {all} rows refused: the last column says why");
            self.look.publish(&self.found.name, &reason).await?;
        }
        Ok(Taken {
            accepted: all - refused.min(all),
            refused,
            spoilt: None,
        })
    }
}

/// A row that no map could read.
fn unmapped(row: &Row) -> Option<BadRow> {
    let issues = row.said.as_ref().err()?;
    Some(BadRow {
        line: row.line,
        raw: row.raw.clone(),
        issues: issues.clone(),
    })
}

fn told(issues: &[Issue]) -> String {
    let told: Vec<&str> = issues
        .iter()
        .map(|issue| issue.diagnostics.as_str())
        .collect();
    told.join("\n")
}

/// Whether rows are at fault, not the server and not another node that is at the same file.
fn is_of_rows(fault: &Fault) -> bool {
    let source = fault
        .source
        .as_ref()
        .and_then(|source| source.downcast_ref());
    let is_others = matches!(
        source,
        Some(store::Error::Taken(_) | store::Error::Overtaken(_))
    );
    fault.kind.row().status < 500 && !is_others
}
