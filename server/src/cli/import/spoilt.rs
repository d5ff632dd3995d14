//! Rows and messages that were refused, in files of their own: mended, they can be imported again.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_spec::Issue;
use interop::formats::delimited::{BadRow, BadRows};

use super::batch::Raw;
use super::foreign::Table;
use crate::cli::draft::Error;

/// A file that is made with the first that is refused. An import that goes on adds to it.
#[derive(Debug)]
pub(super) struct Spoilt {
    folder: PathBuf,
    open: HashMap<Arc<str>, (PathBuf, Open)>,
}

#[derive(Debug)]
enum Open {
    Rows(BadRows<BufWriter<File>>),
    Messages(BufWriter<File>),
}

/// Files of one name that are looked at before it is given up.
const NUMBERS: std::ops::Range<u32> = 1..1_000;

impl Spoilt {
    /// Beside the report.
    pub(super) fn beside(report: &Path) -> Self {
        Self {
            folder: report.parent().map(Path::to_owned).unwrap_or_default(),
            open: HashMap::new(),
        }
    }

    /// Answers the file that it went to.
    pub(super) fn add(
        &mut self,
        source: &Arc<str>,
        line: Option<u64>,
        raw: &Raw,
        issues: &[Issue],
    ) -> Result<PathBuf, Error> {
        if !self.open.contains_key(source) {
            let made = self.make(source, raw)?;
            self.open.insert(Arc::clone(source), made);
        }
        let Some((path, open)) = self.open.get_mut(source) else {
            return Ok(PathBuf::new());
        };
        let failed = Error::of(path);
        match (open, raw) {
            (Open::Rows(rows), Raw::Row(_, text)) => rows.write(&BadRow {
                line: line.and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
                raw: String::from_utf8_lossy(text).into_owned(),
                issues: issues.to_vec(),
            }),
            (Open::Messages(out), Raw::Message(text)) => {
                let ended = text.ends_with(b"\r") || text.ends_with(b"\n");
                out.write_all(text)
                    .and_then(|()| out.write_all(if ended { b"" } else { b"\r" }))
            }
            // A file holds rows or messages, never both.
            _ => Ok(()),
        }
        .map_err(failed)?;
        Ok(path.clone())
    }

    pub(super) fn flush(&mut self) -> Result<(), Error> {
        for (path, open) in self.open.values_mut() {
            let flushed = match open {
                Open::Rows(rows) => rows.flush(),
                Open::Messages(out) => out.flush(),
            };
            flushed.map_err(Error::of(path))?;
        }
        Ok(())
    }

    /// Every file that something went to.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let mut paths: Vec<&Path> = self.open.values().map(|(path, _)| path.as_path()).collect();
        paths.sort();
        paths
    }

    /// `patients.csv` becomes `patients.refused.csv`. One with other columns that is there already is left alone.
    fn make(&self, source: &str, raw: &Raw) -> Result<(PathBuf, Open), Error> {
        let name = super::source::plain_name(source.rsplit('/').next().unwrap_or_default());
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, "txt"));
        let stem = stem.strip_suffix(".refused").unwrap_or(stem);
        let named = |number: u32| match number {
            1 => self.folder.join(format!("{stem}.refused.{ending}")),
            _ => self
                .folder
                .join(format!("{stem}.refused-{number}.{ending}")),
        };
        let own = fs::canonicalize(source).ok();
        let is_source = |path: &Path| own.is_some() && fs::canonicalize(path).ok() == own;
        let head = match raw {
            Raw::Row(table, _) => header(table)?,
            Raw::Message(_) | Raw::Clinical => String::new(),
        };
        let mut numbers = NUMBERS;
        let path = numbers
            .find_map(|number| {
                let path = named(number);
                (!is_source(&path) && fits(&path, &head)).then_some(path)
            })
            .unwrap_or_else(|| named(0));
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::of(&path))?;
        let is_new = file.metadata().map_err(Error::of(&path))?.len() == 0;
        let out = BufWriter::new(file);
        let open = match raw {
            Raw::Message(_) | Raw::Clinical => Open::Messages(out),
            Raw::Row(table, _) => {
                let made = match is_new {
                    true => BadRows::new(out, &table.dialect, &table.header),
                    false => Ok(BadRows::going_on(out, &table.dialect)),
                };
                Open::Rows(made.map_err(Error::of(&path))?)
            }
        };
        Ok((path, open))
    }
}

fn header(table: &Table) -> Result<String, Error> {
    let mut head = Vec::new();
    BadRows::new(&mut head, &table.dialect, &table.header)
        .map_err(Error::of(Path::new("header")))?;
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Whether the file is not there, or begins as this one would.
fn fits(path: &Path, head: &str) -> bool {
    let Ok(file) = File::open(path) else {
        return true;
    };
    let mut line = String::new();
    match BufReader::new(file).read_line(&mut line) {
        Ok(0) => true,
        Ok(_) => head.is_empty() || line == head,
        Err(_) => false,
    }
}
