//! What a walk found: issues in document order, capped, with line and column at the end.

use crate::json::Places;
use crate::outcome::{Issue, IssueCode, Severity};

use super::path::Path;

/// How many issues are told; more are counted.
pub const ISSUES_MAX: usize = 500;

/// How much text an issue may have: a message repeats what it found, and that may be as long as the document.
const DIAGNOSTICS_BYTES_MAX: usize = 4 * 1024;

#[derive(Debug)]
struct Found {
    at: u32,
    issue: Issue,
}

#[derive(Debug, Default)]
pub(super) struct Report {
    found: Vec<Found>,
    /// Issues beyond the cap, and the worst of them.
    untold: usize,
    untold_worst: Option<Severity>,
    errors: usize,
    /// A probe only asks whether there are errors: it keeps none and writes no text.
    is_probe: bool,
}

impl Report {
    pub(super) fn probe() -> Self {
        Self {
            is_probe: true,
            ..Self::default()
        }
    }

    pub(super) fn is_probe(&self) -> bool {
        self.is_probe
    }

    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// A probe that has failed need not go on.
    pub(super) fn is_decided(&self) -> bool {
        self.is_probe && self.errors > 0
    }

    pub(super) fn error(
        &mut self,
        path: &Path<'_>,
        at: u32,
        code: IssueCode,
        say: impl FnOnce() -> String,
    ) {
        self.tell(Severity::Error, path, at, code, say);
    }

    pub(super) fn warning(
        &mut self,
        path: &Path<'_>,
        at: u32,
        code: IssueCode,
        say: impl FnOnce() -> String,
    ) {
        self.tell(Severity::Warning, path, at, code, say);
    }

    pub(super) fn note(
        &mut self,
        path: &Path<'_>,
        at: u32,
        code: IssueCode,
        say: impl FnOnce() -> String,
    ) {
        self.tell(Severity::Information, path, at, code, say);
    }

    pub(super) fn tell(
        &mut self,
        severity: Severity,
        path: &Path<'_>,
        at: u32,
        code: IssueCode,
        say: impl FnOnce() -> String,
    ) {
        if severity >= Severity::Error {
            self.errors += 1;
        }
        if self.is_probe {
            return;
        }
        if self.found.len() >= ISSUES_MAX {
            self.untold += 1;
            self.untold_worst = self.untold_worst.max(Some(severity));
            return;
        }
        let issue = Issue::new(severity, code, within_bounds(say())).at(path.to_string());
        self.found.push(Found { at, issue });
    }

    /// The issues in the order of the document, each told once; those of one place in the order they were found.
    pub(super) fn finish(mut self, source: Option<&str>) -> Vec<Issue> {
        self.found.sort_by_key(|found| found.at);
        if let Some(source) = source {
            let mut places = Places::new(source);
            for found in &mut self.found {
                found.issue.place = Some(places.of(found.at));
            }
        }
        let mut issues: Vec<Issue> = Vec::with_capacity(self.found.len());
        for Found { issue, .. } in self.found {
            if !issues.contains(&issue) {
                issues.push(issue);
            }
        }
        if let Some(severity) = self.untold_worst {
            let untold = self.untold;
            issues.push(Issue::new(
                severity,
                IssueCode::TooCostly,
                format!("{untold} more issues are not told: {ISSUES_MAX} are enough"),
            ));
        }
        issues
    }
}

/// A text, or the beginning of one that is too long.
fn within_bounds(mut text: String) -> String {
    if text.len() > DIAGNOSTICS_BYTES_MAX {
        text.truncate(text.floor_char_boundary(DIAGNOSTICS_BYTES_MAX));
        text.push_str(" … (cut short)");
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;

    fn root() -> Path<'static> {
        let types = Definitions::r4().types();
        Path::root("Patient", types.by_name("Patient").unwrap())
    }

    #[test]
    fn issues_come_in_document_order_with_their_places() {
        let source = "ab\nc\u{e9}x\ny";
        let mut report = Report::default();
        for (at, text) in [(8, "y"), (0, "a"), (6, "x")] {
            report.error(&root(), at, IssueCode::Value, || text.to_owned());
        }
        let told: Vec<_> = report
            .finish(Some(source))
            .into_iter()
            .map(|issue| (issue.diagnostics, issue.place.unwrap()))
            .collect();
        assert_eq!(
            told,
            [
                ("a".to_owned(), (1, 1)),
                ("x".to_owned(), (2, 3)),
                ("y".to_owned(), (3, 1))
            ]
        );
        for (at, place) in [(0, (1, 1)), (6, (2, 3)), (8, (3, 1))] {
            assert_eq!(crate::json::place(source, at), place);
        }
    }

    #[test]
    fn a_flood_is_counted_not_kept() {
        let mut report = Report::default();
        for number in 0..ISSUES_MAX + 7 {
            report.warning(&root(), 0, IssueCode::Value, || number.to_string());
        }
        let issues = report.finish(None);
        assert_eq!(issues.len(), ISSUES_MAX + 1);
        let last = issues.last().unwrap();
        assert!(last.diagnostics.starts_with("7 more"), "{last:?}");
        assert_eq!(last.severity, Severity::Warning);
    }

    #[test]
    fn a_message_that_repeats_a_long_text_is_cut_short() {
        let mut report = Report::default();
        report.error(&root(), 0, IssueCode::Value, || "\u{e9}".repeat(1_000_000));
        let [issue] = report.finish(None).try_into().unwrap();
        let said = &issue.diagnostics;
        assert!(said.len() < DIAGNOSTICS_BYTES_MAX + 100 && said.ends_with("(cut short)"));
    }

    #[test]
    fn a_probe_counts_and_says_nothing() {
        let mut report = Report::probe();
        report.warning(&root(), 0, IssueCode::Value, || {
            panic!("a probe asks for no text")
        });
        assert!(!report.is_decided());
        report.error(&root(), 0, IssueCode::Value, || {
            panic!("a probe asks for no text")
        });
        assert!(report.is_decided());
    }
}
