//! What is wrong with a map: where, and what was expected instead. All problems of a pack come back at once.

use std::fmt;

use super::row::At;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub at: At,
    pub expected: String,
    pub found: Option<String>,
}

impl Problem {
    pub(super) fn new(at: At, expected: impl Into<String>) -> Self {
        Self {
            at,
            expected: expected.into(),
            found: None,
        }
    }

    pub(super) fn found(mut self, found: &str) -> Self {
        self.found = Some(found.chars().take(80).collect());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let At { file, line, column } = &self.at;
        write!(f, "{file}:{line}:{column}: expected {}", self.expected)?;
        match &self.found {
            Some(found) => write!(f, ", found '{found}'"),
            None => Ok(()),
        }
    }
}

/// A pack that does not compile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct BadMap(pub Vec<Problem>);
