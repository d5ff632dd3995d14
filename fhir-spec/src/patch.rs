//! Changing a document by telling the change. <https://hl7.org/fhir/R4/http.html#patch>
//!
//! Every patch is all or nothing: the document given is not touched, the changed one is handed back. The crate `json-patch`
//! works on `serde_json::Value`, which loses the digits of decimals and the place of values; so these work on our own tree.

pub mod fhirpath;
pub mod json;
pub mod merge;
mod pointer;
pub mod xml;

use crate::json::{Data, Value};
use crate::outcome::{Issue, IssueCode};

/// How many operations a patch may have.
pub const OPERATIONS_MAX: usize = 1000;

/// Why a patch was refused; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", place_text(*operation, path))]
pub struct Refused {
    /// Which operation, from 0; None when it is about the patch as a whole.
    pub operation: Option<usize>,
    /// The path that the operation names.
    pub path: String,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It is no patch.
    #[error("{0}")]
    Malformed(String),
    /// It is a patch, but this document has no such place, or not just one.
    #[error("{0}")]
    Target(String),
    /// A `test` did not hold.
    #[error("the test failed: {0}")]
    Test(String),
    /// It would make too much of a document.
    #[error("{0}")]
    TooCostly(String),
}

impl Problem {
    fn malformed(text: impl Into<String>) -> Self {
        Self::Malformed(text.into())
    }

    fn target(text: impl Into<String>) -> Self {
        Self::Target(text.into())
    }

    pub fn issue_code(&self) -> IssueCode {
        match self {
            Self::Malformed(_) => IssueCode::Structure,
            Self::Target(_) => IssueCode::Processing,
            Self::Test(_) => IssueCode::Conflict,
            Self::TooCostly(_) => IssueCode::TooCostly,
        }
    }

    fn in_operation(self, operation: usize, path: &str) -> Refused {
        Refused {
            operation: Some(operation),
            path: path.to_owned(),
            problem: self,
        }
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self {
            operation: None,
            path: String::new(),
            problem,
        }
    }
}

impl From<&Refused> for Issue {
    fn from(refused: &Refused) -> Self {
        Self::error(refused.problem.issue_code(), refused.to_string())
    }
}

fn place_text(operation: Option<usize>, path: &str) -> String {
    match operation {
        None => String::new(),
        Some(operation) if path.is_empty() => format!("operation {operation}: "),
        Some(operation) => format!("operation {operation}, path `{path}`: "),
    }
}

/// How many levels a value has; no deeper than documents may be, so this does not recurse far.
fn depth(value: &Value) -> usize {
    match &value.data {
        Data::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Data::Object(object) => {
            let inner = object.iter().map(|(_, value)| depth(value)).max();
            1 + inner.unwrap_or(0)
        }
        _ => 0,
    }
}
