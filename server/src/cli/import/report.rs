//! What was refused, a line each: where it stood and what is wrong with it.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use fhir_spec::Issue;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;

use super::read::Origin;
use crate::cli::draft::Error;

/// A file that is made with the first line. An import that goes on adds to it.
#[derive(Debug)]
pub(super) struct Report {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    lines: u64,
}

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            lines: 0,
        }
    }

    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn add(
        &mut self,
        origin: &Origin,
        entry: Option<usize>,
        issues: &[Issue],
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
        match &mut self.file {
            Some(file) => file.flush().map_err(Error::of(&self.path)),
            None => Ok(()),
        }
    }
}
