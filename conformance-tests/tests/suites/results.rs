//! The table of results: one row a suite, whose counts must not fall.

use std::path::PathBuf;
use std::sync::Mutex;

/// One at a time may rewrite the table.
static TABLE: Mutex<()> = Mutex::new(());

const HEAD: &str = "# Results

Suites of others, run by `cargo test -p conformance-tests --test suites`. A case counts as explained when the suite and the
specification disagree; the runner names it with the reason. A case waits when it needs what the server does not offer, as its
CapabilityStatement says. Counts must not fall; `KILN_RECORD=1` writes them down. The reasons for HL7 v2 are in
`tests/suites/hl7v2/explained.tsv` and `tests/suites/hl7v2_out/explained.tsv`, with the places where a value is kept instead.

| suite | passed | total | explained | waiting |
|---|---:|---:|---:|---:|
";

/// The count of a run over a suite.
pub(crate) struct Tally {
    suite: &'static str,
    /// Cases where the specification says otherwise, with the reason.
    explanations: &'static [(&'static str, &'static str)],
    passed: usize,
    explained: usize,
    waiting: usize,
    failures: Vec<String>,
}

impl Tally {
    pub(crate) fn new(
        suite: &'static str,
        explanations: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self {
            suite,
            explanations,
            passed: 0,
            explained: 0,
            waiting: 0,
            failures: Vec::new(),
        }
    }

    pub(crate) fn count(&mut self, case: &str, outcome: Result<(), String>) {
        let Err(problem) = outcome else {
            self.passed += 1;
            return;
        };
        let explanation = self.explanations.iter().find(|(name, _)| *name == case);
        if let Some((_, reason)) = explanation {
            self.explained += 1;
            println!("{}: {case} explained: {reason}", self.suite);
        } else {
            self.failures.push(format!("{case}: {problem}"));
        }
    }

    /// A case that differs for a reason that the runner found itself.
    pub(crate) fn explain(&mut self, case: &str, reason: &str) {
        self.explained += 1;
        println!("{}: {case} explained: {reason}", self.suite);
    }

    /// A case that differs for a reason that is told elsewhere.
    pub(crate) fn explained(&mut self) {
        self.explained += 1;
    }

    /// A case that cannot be decided before the server offers what it needs.
    pub(crate) fn wait(&mut self, case: &str, need: &str) {
        self.waiting += 1;
        println!("{}: {case} waits: needs {need}", self.suite);
    }

    fn total(&self) -> usize {
        self.passed + self.explained + self.waiting + self.failures.len()
    }

    /// Prints what failed, and compares with the recorded row (or records it).
    pub(crate) fn finish(self) {
        const FAILURES_SHOWN_MAX: usize = 400;
        for failure in self.failures.iter().take(FAILURES_SHOWN_MAX) {
            println!("{}: FAILED {failure}", self.suite);
        }
        let (passed, total) = (self.passed, self.total());
        let (explained, waiting) = (self.explained, self.waiting);
        println!(
            "{}: {passed} of {total}, {explained} explained, {waiting} waiting",
            self.suite
        );
        let _guard = TABLE
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("RESULTS.md");
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let mut rows = rows(&text);
        let row = (self.suite.to_owned(), [passed, total, explained, waiting]);
        if std::env::var_os("KILN_RECORD").is_some() {
            rows.retain(|(suite, _)| suite != self.suite);
            rows.push(row);
            rows.sort();
            let lines: String = rows
                .iter()
                .map(|(suite, counts)| {
                    let counts = counts.map(|count| count.to_string()).join(" | ");
                    format!("| {suite} | {counts} |\n")
                })
                .collect();
            std::fs::write(&path, format!("{HEAD}{lines}")).unwrap();
            return;
        }
        let recorded = rows.iter().find(|(suite, _)| suite == self.suite);
        let Some((_, [passed_before, total_before, ..])) = recorded else {
            panic!(
                "{} has no row in RESULTS.md: run with KILN_RECORD=1",
                self.suite
            );
        };
        assert!(
            passed >= *passed_before && total >= *total_before,
            "{}: {passed} of {total} passed, before it were {passed_before} of {total_before}",
            self.suite
        );
    }
}

fn rows(text: &str) -> Vec<(String, [usize; 4])> {
    text.lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split('|').map(str::trim);
            let suite = cells.next()?.to_owned();
            let mut number = || cells.next()?.parse().ok();
            Some((suite, [number()?, number()?, number()?, number()?]))
        })
        .collect()
}
