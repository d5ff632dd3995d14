//! How it went when it was looked for files: what `/api/routes/{name}` shows.

use fhir_spec::json::{Object, Value};

use crate::instant::Instant;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub began: Instant,
    pub ended: Instant,
    /// Files that were done with, the last of them.
    pub files: u64,
    pub last_file: String,
    /// Messages, documents or rows: those that are in the store,
    pub accepted: u64,
    /// and those that are in the folder of errors.
    pub refused: u64,
    /// Files that are still being written, and those beyond what is looked at.
    pub waiting: u64,
    pub is_cut: bool,
    /// Links, hidden files, other names.
    pub passed_over: u64,
    /// Why it went no further.
    pub error: String,
}

impl Report {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            ended: began,
            files: 0,
            last_file: String::new(),
            accepted: 0,
            refused: 0,
            waiting: 0,
            is_cut: false,
            passed_over: 0,
            error: String::new(),
        }
    }

    /// JSON, as it is kept and shown.
    pub(super) fn text(&self) -> String {
        let mut object = Object::from_iter([
            ("began", Value::from(self.began.to_string())),
            ("ended", Value::from(self.ended.to_string())),
        ]);
        for (name, count) in [
            ("files", self.files),
            ("accepted", self.accepted),
            ("refused", self.refused),
            ("waiting", self.waiting),
            ("passedOver", self.passed_over),
        ] {
            object.set(name, Value::number(count));
        }
        if self.is_cut {
            object.set("hasMore", true);
        }
        for (name, text) in [("lastFile", &self.last_file), ("error", &self.error)] {
            if !text.is_empty() {
                object.set(name, text.as_str());
            }
        }
        Value::from(object).to_string()
    }
}
