//! What was refused, a line each: where it stood and what is wrong with it.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fhir_spec::Issue;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;

use super::batch::Raw;
use super::read::Origin;
use super::spoilt::Spoilt;
use crate::cli::draft::Error;

/// A file that is made with the first line. An import that goes on adds to it.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    lines: u64,
    spoilt: Spoilt,
}

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            lines: 0,
            spoilt: Spoilt::beside(path),
        }
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Files of rows and messages that were refused.
    pub(super) fn spoilt(&self) -> Vec<&Path> {
        self.spoilt.paths()
    }

    /// A row or message comes back in a file, too.
    pub(super) fn add_raw(
        &mut self,
        origin: &Origin,
        raw: &Raw,
        issues: &[Issue],
    ) -> Result<(), Error> {
        // A clinical document is a file by itself: it is mended where it is.
        if matches!(raw, Raw::Clinical) {
            return self.add(origin, None, issues);
        }
        let file = self.spoilt.add(&origin.source, origin.line, raw, issues)?;
        self.line(origin, None, issues, Some(&file))
    }

    pub(super) fn add(
        &mut self,
        origin: &Origin,
        entry: Option<usize>,
        issues: &[Issue],
    ) -> Result<(), Error> {
        self.line(origin, entry, issues, None)
    }

    fn line(
        &mut self,
        origin: &Origin,
        entry: Option<usize>,
        issues: &[Issue],
        returned: Option<&Path>,
    ) -> Result<(), Error> {
        let mut line = Object::from_iter([("source", Value::from(&*origin.source))]);
        if let Some(member) = &origin.member {
            line.set("member", Value::from(&**member));
        }
        if let Some(number) = origin.line {
            line.set("line", Value::number(number));
        }
        if let Some(entry) = entry {
            line.set("entry", Value::number(entry));
        }
        if let Some(file) = returned {
            line.set("returned", file.display().to_string());
        }
        line.set("outcome", operation_outcome(issues));
        let text = format!("{}\n", Value::from(line));
        if self.file.is_none() {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path);
            self.file = Some(BufWriter::new(file.map_err(Error::of(&self.path))?));
        }
        if let Some(file) = &mut self.file {
            file.write_all(text.as_bytes())
                .map_err(Error::of(&self.path))?;
        }
        self.lines += 1;
        Ok(())
    }

    /// Before it is noted that something was refused, the report says so: a kill in between says it twice, never not at all.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        self.spoilt.flush()?;
        match &mut self.file {
            Some(file) => file.flush().map_err(Error::of(&self.path)),
            None => Ok(()),
        }
    }
}
