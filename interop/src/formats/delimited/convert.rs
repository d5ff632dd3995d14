//! A file through a map, row by row: good rows become resources, bad ones keep their text and the reasons.

use std::io::{self, Read};

use fhir_spec::{Issue, IssueCode};

use crate::mapping::{Mapped, Occasion, Runner};

use super::charset::Charset;
use super::dialect::Dialect;
use super::records::{Record, Records, RowError};
use super::row::RowSource;
use super::write::REASON;

/// The columns of a file, and where those of a map are among them.
#[derive(Debug, Clone, Default)]
pub struct Header {
    names: Vec<String>,
    /// By the place in the map.
    places: Vec<Option<u32>>,
    /// It is a file of rows that were refused: the last column says why, and is none of the sender's.
    is_mended: bool,
}

/// What a map wants to find.
#[derive(Debug, Clone, Default)]
pub struct Columns(Vec<(String, bool)>);

#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error("the file has no columns {}; it has {}", .missing.join(", "), .found.join(", "))]
    Missing {
        missing: Vec<String>,
        found: Vec<String>,
    },
    #[error("the file is empty")]
    Empty,
    #[error("the header cannot be read: {0}")]
    Header(RowError),
    #[error("the file has the column {0} twice")]
    Twice(String),
}

impl Columns {
    /// As a map declares them: a `?` at the end says that one may be missing.
    pub fn new<'c>(columns: impl IntoIterator<Item = &'c str>) -> Self {
        let columns = columns
            .into_iter()
            .map(|name| match name.strip_suffix('?') {
                Some(name) => (name.to_owned(), true),
                None => (name.to_owned(), false),
            });
        Self(columns.collect())
    }

    fn find(&self, mut names: Vec<String>) -> Result<Header, HeaderError> {
        let is_mended = names.last().is_some_and(|name| name == REASON);
        if is_mended {
            names.pop();
        }
        let mut missing = Vec::new();
        let mut places = Vec::new();
        for (wanted, is_optional) in &self.0 {
            let exact = names.iter().position(|name| name == wanted);
            let alike = || names.iter().position(|name| folded(name) == folded(wanted));
            let place = exact.or_else(alike);
            if place.is_none() && !is_optional {
                missing.push(wanted.clone());
            }
            places.push(place.and_then(|place| u32::try_from(place).ok()));
        }
        let mut used: Vec<u32> = places.iter().flatten().copied().collect();
        used.sort_unstable();
        if let Some([twice, _]) = names.iter().enumerate().find_map(|(place, name)| {
            let other = names
                .iter()
                .skip(place + 1)
                .position(|other| other == name && !name.is_empty())?;
            Some([place, other])
        }) {
            return Err(HeaderError::Twice(
                names.get(twice).cloned().unwrap_or_default(),
            ));
        }
        if missing.is_empty() {
            Ok(Header {
                names,
                places,
                is_mended,
            })
        } else {
            Err(HeaderError::Missing {
                missing,
                found: names,
            })
        }
    }

    /// How many of these it knows, when none is missing.
    pub(super) fn fit(&self, names: &[String]) -> Option<usize> {
        let mut found = 0;
        for (wanted, is_optional) in &self.0 {
            let is_there = names.iter().any(|name| folded(name) == folded(wanted));
            if !is_there && !is_optional {
                return None;
            }
            found += usize::from(is_there);
        }
        Some(found)
    }

    fn by_place(&self) -> Header {
        Header {
            names: self.0.iter().map(|(name, _)| name.clone()).collect(),
            places: (0..self.0.len())
                .map(|place| u32::try_from(place).ok())
                .collect(),
            is_mended: false,
        }
    }
}

/// `Last Name`, `last_name` and `LAST-NAME` are one.
fn folded(name: &str) -> String {
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

impl Header {
    pub(super) fn place(&self, number: u16) -> Option<u32> {
        self.places.get(usize::from(number)).copied().flatten()
    }

    pub(super) fn name(&self, place: u32) -> &str {
        let name = usize::try_from(place)
            .ok()
            .and_then(|place| self.names.get(place));
        name.map_or("?", String::as_str)
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// What became of a row.
#[derive(Debug)]
pub enum Outcome {
    Good { line: u32, mapped: Mapped },
    Bad(BadRow),
}

/// A row that does not go in, as it was, and why.
#[derive(Debug, Clone)]
pub struct BadRow {
    pub line: u32,
    pub raw: String,
    pub issues: Vec<Issue>,
}

/// A file being converted.
#[derive(Debug)]
pub struct Rows<'r, R> {
    records: Records<R>,
    dialect: Dialect,
    header: Header,
    runner: &'r Runner,
    record: Record,
    is_traced: bool,
}

impl<'r, R: Read> Rows<'r, R> {
    /// Opens a file: what is not told about it is found out, and its header is held against the map.
    pub fn open(
        input: R,
        runner: &'r Runner,
        columns: &Columns,
        charset: Option<Charset>,
        dialect: Option<Dialect>,
    ) -> Result<Self, HeaderError> {
        Self::open_by(input, charset, dialect, |_| Ok((runner, columns)))
    }

    /// Opens a file with the map that is chosen by its header, where it has one.
    pub(super) fn open_by<'c, E: From<HeaderError>>(
        input: R,
        charset: Option<Charset>,
        dialect: Option<Dialect>,
        choose: impl FnOnce(Option<&[String]>) -> Result<(&'r Runner, &'c Columns), E>,
    ) -> Result<Self, E> {
        let (mut records, dialect) =
            Records::new(input, charset, dialect).map_err(HeaderError::from)?;
        let mut record = Record::default();
        let (header, runner) = if dialect.has_header {
            let names: Vec<String> = match records.read(&mut record).map_err(HeaderError::from)? {
                None => return Err(HeaderError::Empty.into()),
                Some(Err(error)) => return Err(HeaderError::Header(error).into()),
                Some(Ok(())) => record.values().map(|name| name.trim().to_owned()).collect(),
            };
            let (runner, columns) = choose(Some(&names))?;
            (columns.find(names)?, runner)
        } else {
            let (runner, columns) = choose(None)?;
            (columns.by_place(), runner)
        };
        Ok(Self {
            records,
            dialect,
            header,
            runner,
            record,
            is_traced: false,
        })
    }

    /// With what made what.
    #[must_use]
    pub fn traced(self, is_traced: bool) -> Self {
        Self { is_traced, ..self }
    }

    /// What the rows go through.
    pub fn runner(&self) -> &'r Runner {
        self.runner
    }

    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    pub fn charset(&self) -> Charset {
        self.records.charset()
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The row that was read last, for who wants its loss report or trace.
    pub fn source(&self) -> RowSource<'_> {
        RowSource {
            record: &self.record,
            header: &self.header,
            null: self.dialect.null.as_deref(),
        }
    }

    /// The row that was read last, as it stood there.
    pub fn raw(&self) -> &str {
        &self.record.raw
    }

    /// The next row; nothing at the end. `seed` tells this file from others.
    pub fn next_row(&mut self, now: &str, seed: &str) -> io::Result<Option<Outcome>> {
        let Some(read) = self.records.read(&mut self.record)? else {
            return Ok(None);
        };
        let line = self.record.line;
        let expected = self.header.names.len();
        if self.header.is_mended && self.record.len() == expected + 1 {
            self.record.drop_last();
        }
        let count = self.record.len();
        let read = read.and(if count == expected {
            Ok(())
        } else {
            Err(RowError::Count {
                expected,
                found: count,
            })
        });
        if let Err(error) = read {
            let issue = Issue::error(IssueCode::Structure, error.to_string()).placed((line, 1));
            return Ok(Some(Outcome::Bad(BadRow {
                line,
                raw: self.record.raw.clone(),
                issues: vec![issue],
            })));
        }
        let source = self.source();
        let seed = format!("{seed}#{line}");
        let mapped = self.runner.run(
            &source,
            Occasion {
                now,
                seed: &seed,
                trace: self.is_traced,
            },
        );
        if mapped.notes.iter().any(crate::mapping::Note::is_error) {
            let errors = mapped.notes.iter().filter(|note| note.is_error());
            let issues = errors
                .map(|note| note.issue(self.runner.plan(), &source))
                .collect();
            return Ok(Some(Outcome::Bad(BadRow {
                line,
                raw: self.record.raw.clone(),
                issues,
            })));
        }
        Ok(Some(Outcome::Good { line, mapped }))
    }
}
