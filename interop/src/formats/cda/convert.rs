//! A document to resources: read, mapped, made findable, labelled, with the document itself beside them.

mod checks;
mod expect;
mod labels;
mod original;
mod settle;

pub(super) use settle::uuid;

use std::collections::HashSet;
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use fhir_spec::{Issue, IssueCode, Severity};

use crate::mapping::source::{Source, Span};
use crate::mapping::{
    BadMap, BadSettings, Mapped, Note, Occasion, Pack, Runner, Zone, shipped_cda,
};

use super::reader::Unreadable;
use super::schema::{CdaSchema, Test};
use super::source::DocumentSource;
use super::tree::Document;

/// The map that documents go through when nothing else is said.
pub(super) const MAP: &str = "ccda";

/// A compiled map for documents, shared by all threads.
#[derive(Debug, Clone)]
pub struct Converter {
    runner: Runner,
    tests: Arc<[Test]>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadConverter {
    #[error("the maps do not compile")]
    Map(#[from] BadMap),
    #[error("the settings do not fit the map")]
    Settings(#[from] BadSettings),
}

/// What became of a document.
#[derive(Debug)]
pub struct Converted {
    pub mapped: Mapped,
    /// The loss report, with places; nothing of it keeps the document out.
    pub issues: Vec<Issue>,
    /// A line for each element, when the occasion asked for it.
    pub trace: String,
}

impl Converter {
    /// The shipped map.
    pub fn shipped(zone: Zone) -> Result<Self, BadConverter> {
        Self::new(shipped_cda()?, MAP, zone, &[])
    }

    /// `constants`: values by name; the map takes those that it has.
    pub fn new(
        pack: &Pack,
        map: &str,
        zone: Zone,
        constants: &[(&str, &str)],
    ) -> Result<Self, BadConverter> {
        let schema = CdaSchema::new();
        let plan = pack.compile(map, &schema, Definitions::r4())?;
        let is_known = |(name, _): &&(&str, &str)| plan.constants().any(|known| known == *name);
        let constants: Vec<(&str, &str)> = constants.iter().filter(is_known).copied().collect();
        let runner = Runner::new(Arc::new(plan), zone, &constants)?;
        Ok(Self {
            runner,
            tests: schema.tests(),
        })
    }

    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// Bytes as they came.
    pub fn convert(&self, bytes: &[u8], occasion: Occasion<'_>) -> Result<Converted, Unreadable> {
        let text = super::decode(bytes)?;
        let document = Document::read(&text)?;
        let source = DocumentSource::new(&document, &self.tests);
        let mut mapped = self.runner.run(&source, occasion);
        // Everything is found again, and what stands for something else is told once.
        mapped
            .notes
            .retain(|note| !matches!(note, Note::NoKey { .. }));
        let mut assumed = HashSet::new();
        mapped.notes.retain(|note| match note {
            Note::Assumed { row } => assumed.insert(*row),
            _ => true,
        });
        let mut issues: Vec<Issue> = mapped
            .notes
            .iter()
            .map(|note| issue(note, &self.runner, &source))
            .collect();
        let trace = mapped.trace_text(self.runner.plan(), &source);
        expect::tell(&source, &mut issues);
        original::keep(&mut mapped, bytes);
        settle::settle(&mut mapped, &source, &mut issues);
        Ok(Converted {
            mapped,
            issues,
            trace,
        })
    }
}

/// What is told with its place one by one; a document that goes wrong everywhere says so often enough.
const TOLD_MAX: usize = 1_000;

/// Tells something about a part of a document.
fn tell(
    issues: &mut Vec<Issue>,
    source: &DocumentSource<'_>,
    span: Span,
    (severity, code): (Severity, IssueCode),
    text: &str,
) {
    if issues.len() >= TOLD_MAX {
        return;
    }
    let issue = Issue::new(severity, code, format!("{}{text}", source.describe(span)));
    issues.push(match source.place(span) {
        Some(place) => issue.placed(place),
        None => issue,
    });
}

/// What would keep a row of a table out is a warning here: the rest of a document is worth having.
fn issue(note: &Note, runner: &Runner, source: &DocumentSource<'_>) -> Issue {
    let mut issue = note.issue(runner.plan(), source);
    if issue.severity == Severity::Error {
        issue.severity = Severity::Warning;
    }
    issue
}
