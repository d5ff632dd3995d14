//! What can be wrong with an expression, and where.

use std::fmt;

use crate::json::place;

/// Trouble with an expression: its kind, the place in the text, and what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FhirPathError {
    pub kind: ErrorKind,
    /// Byte offset in the text of the expression.
    pub at: u32,
    /// From 1; 0 while the text is not known.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// No FHIRPath.
    Syntax,
    /// FHIRPath, but it can mean nothing: an unknown function, an element that the type has not.
    Semantic,
    /// It went wrong with this input: many items where one is wanted, a text where a number is.
    Execution,
    /// It would have cost more than the budget allows.
    Budget,
}

pub(crate) type Result<T> = std::result::Result<T, FhirPathError>;

impl FhirPathError {
    pub(super) fn new(kind: ErrorKind, at: u32, message: impl Into<String>) -> Self {
        Self {
            kind,
            at,
            line: 0,
            column: 0,
            message: message.into(),
        }
    }

    pub(super) fn syntax(at: u32, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, at, message)
    }

    pub(super) fn semantic(at: u32, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Semantic, at, message)
    }

    pub(super) fn execution(at: u32, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Execution, at, message)
    }

    pub(super) fn budget(at: u32, what: &str, max: usize) -> Self {
        Self::new(ErrorKind::Budget, at, format!("more than {max} {what}"))
    }

    #[must_use]
    pub(super) fn in_text(mut self, text: &str) -> Self {
        (self.line, self.column) = place(text, self.at);
        self
    }
}

impl fmt::Display for FhirPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.line > 0 {
            write!(f, " (line {}, column {})", self.line, self.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for FhirPathError {}
