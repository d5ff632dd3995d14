//! The loss report: what of a source was not carried, and what had to be assumed. Nothing is lost in silence.

use fhir_spec::json::{Text, Value};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode, Severity};

use super::plan::Plan;
use super::run::Mapped;
use super::source::{Source, Span};

/// Losses told one by one; how many more there are is told as well.
pub const LOSSES_MAX: usize = 500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A valued leaf that no row carried.
    Lost(Span),
    /// So many more of them.
    MoreLost(usize),
    /// A code without a row in its table.
    Unmapped {
        row: u32,
        span: Option<Span>,
        table: Box<str>,
        code: Box<str>,
        kept: bool,
    },
    /// A value that a row could not make anything of.
    Refused {
        row: u32,
        span: Option<Span>,
        expected: Box<str>,
    },
    /// A constant stands for what the source does not say.
    Assumed { row: u32 },
    /// Times without a zone were read in this one.
    Zone(Box<str>),
    /// A resource without an element that FHIR demands.
    Missing { resource: Text, element: Text },
    /// A resource that cannot be found again: its key is not whole.
    NoKey { resource: Text },
}

impl Note {
    /// For people, with rows and places by name.
    pub fn issue<S: Source>(&self, plan: &Plan, source: &S) -> Issue {
        let row = |number: &u32| {
            plan.row(*number).map_or_else(String::new, |row| {
                format!("{} ({}:{})", row.id, row.at.file, row.at.line)
            })
        };
        let place = |span: &Option<Span>| {
            span.map_or_else(|| "the map".to_owned(), |span| source.describe(span))
        };
        let (severity, code, text, span) = match self {
            Self::Lost(span) => {
                let text = format!(
                    "{} is valued and was not carried: no row takes it",
                    source.describe(*span)
                );
                (Severity::Warning, IssueCode::Incomplete, text, Some(*span))
            }
            Self::MoreLost(count) => (
                Severity::Warning,
                IssueCode::Incomplete,
                format!("{count} more values were not carried"),
                None,
            ),
            Self::Unmapped {
                row: number,
                span,
                table,
                code,
                kept,
            } => {
                let end = if *kept {
                    "the table's way for all others was taken"
                } else {
                    "nothing was written"
                };
                let text = format!(
                    "{}: the code '{code}' has no row in the table {table}; {end}; {}",
                    place(span),
                    row(number)
                );
                (Severity::Warning, IssueCode::CodeInvalid, text, *span)
            }
            Self::Refused {
                row: number,
                span,
                expected,
            } => (
                Severity::Error,
                IssueCode::Value,
                format!("{}: expected {expected}; {}", place(span), row(number)),
                *span,
            ),
            Self::Assumed { row: number } => {
                let text = format!("assumed, because the source does not say: {}", row(number));
                (Severity::Information, IssueCode::Informational, text, None)
            }
            Self::Zone(zone) => {
                let text = format!("times without a zone were taken to be in {zone}");
                (Severity::Information, IssueCode::Informational, text, None)
            }
            Self::Missing { resource, element } => {
                let text = format!("the {resource} has no {element}, which FHIR demands");
                (Severity::Error, IssueCode::Required, text, None)
            }
            Self::NoKey { resource } => {
                let text = format!("the {resource} is created: its key is not in the source");
                (Severity::Information, IssueCode::Informational, text, None)
            }
        };
        let issue = Issue::new(severity, code, text);
        match span.and_then(|span| source.place(span)) {
            Some(place) => issue.placed(place),
            None => issue,
        }
    }

    /// The resources cannot be stored as they are.
    pub fn is_error(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Missing { .. })
    }
}

impl Mapped {
    pub fn issues<S: Source>(&self, plan: &Plan, source: &S) -> Vec<Issue> {
        self.notes
            .iter()
            .map(|note| note.issue(plan, source))
            .collect()
    }

    /// The loss report as a resource.
    pub fn loss_report<S: Source>(&self, plan: &Plan, source: &S) -> Value {
        operation_outcome(&self.issues(plan, source))
    }
}

/// The leaves that no consumed span covers.
pub(super) fn losses<S: Source>(source: &S, consumed: &mut [Span], notes: &mut Vec<Note>) {
    // As one number: to compare that takes no branch.
    consumed.sort_unstable_by_key(|span| (u64::from(span.from) << 32) | u64::from(span.to));
    let mut next = 0;
    let mut covered_to = 0;
    let mut count = 0;
    source.leaves(&mut |leaf| {
        while let Some(span) = consumed.get(next).filter(|span| span.from <= leaf.from) {
            covered_to = covered_to.max(span.to);
            next += 1;
        }
        if covered_to < leaf.to {
            count += 1;
            if count <= LOSSES_MAX {
                notes.push(Note::Lost(leaf));
            }
        }
    });
    if count > LOSSES_MAX {
        notes.push(Note::MoreLost(count - LOSSES_MAX));
    }
}
