//! What a document should say and does not: told by name, and taken all the same.

use std::sync::LazyLock;

use fhir_spec::{Issue, IssueCode, Severity};

use crate::mapping::source::{Cell, Schema, Source, Step};

use super::super::schema::{CdaSchema, Test};
use super::super::source::{DocumentSource, Node};

const EXPECTED: &str = include_str!("../../../../data/cda/expected.txt");

/// Told one by one; a sender that forgets a template forgets it everywhere.
const TOLD_MAX: usize = 200;

#[derive(Debug)]
struct Rule {
    from: Vec<Step>,
    to: Vec<Step>,
    words: &'static str,
}

#[derive(Debug)]
struct Rules {
    all: Vec<Rule>,
    tests: std::sync::Arc<[Test]>,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let schema = CdaSchema::new();
    // A test sees to it that every line is right.
    let all = lines()
        .filter_map(|line| rule(&schema, line).ok())
        .collect();
    Rules {
        all,
        tests: schema.tests(),
    }
});

fn lines() -> impl Iterator<Item = &'static str> {
    EXPECTED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

fn rule(schema: &CdaSchema, line: &'static str) -> Result<Rule, String> {
    let mut parts = line.splitn(3, " : ");
    let (Some(from), Some(to), Some(words)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("from : to : words".to_owned());
    };
    let found = schema.path(schema.root(), from.trim())?;
    let to = schema.path(found.kind, to.trim())?;
    Ok(Rule {
        from: found.steps,
        to: to.steps,
        words,
    })
}

pub(super) fn tell(source: &DocumentSource<'_>, issues: &mut Vec<Issue>) {
    let source = source.asking(&RULES.tests);
    let mut told = 0;
    for rule in &RULES.all {
        each(&source, source.root(), &rule.from, &mut |node| {
            let is_met = source
                .walk(node, &rule.to)
                .is_some_and(|end| source.cell(end) != Cell::Absent);
            if !is_met && told < TOLD_MAX {
                told += 1;
                let text = format!(": expected {}", rule.words);
                let kind = (Severity::Warning, IssueCode::BusinessRule);
                super::tell(issues, &source, source.span(node), kind, &text);
            }
        });
    }
}

fn each(source: &DocumentSource<'_>, from: Node, steps: &[Step], visit: &mut dyn FnMut(Node)) {
    let Some((step, deeper)) = steps.split_first() else {
        visit(from);
        return;
    };
    let mut node = source.first(from, step.number);
    while let Some(found) = node {
        each(source, found, deeper, visit);
        node = source.next(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_right() {
        let schema = CdaSchema::new();
        for line in lines() {
            if let Err(expected) = rule(&schema, line) {
                panic!("{line}: expected {expected}");
            }
        }
        assert!(RULES.all.len() > 40);
    }
}
