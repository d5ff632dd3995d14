//! Clinical documents of others: all that can be read is converted, what comes out is R4, and US Core where a profile applies.

#[path = "../../../interop/tests/cda/harness.rs"]
#[expect(
    dead_code,
    reason = "shared with the tests of the maps, which use more of it"
)]
mod harness;
#[path = "../../../interop/tests/cda/leaves.rs"]
mod leaves;
mod out;
mod pairs;
mod us_core;

use crate::results::Tally;
use harness::{Output, convert, document, errors, files};

/// The documents of a folder as they are converted; fragments are wrapped.
fn converted(folder: &str) -> Vec<(String, Result<Output, String>)> {
    let all = files(folder).into_iter();
    let documents = all.filter(|(name, _)| name.to_ascii_lowercase().ends_with(".xml"));
    let made = documents.map(|(name, bytes)| {
        let text = String::from_utf8_lossy(&bytes);
        let made = match text.contains("<ClinicalDocument") {
            true => convert(&bytes),
            false => convert(document(&text).as_bytes()),
        };
        (name, made.map_err(|refused| refused.to_string()))
    });
    made.collect()
}

fn suite(name: &'static str, folder: &str) {
    let mut tally = Tally::new(name, &[]);
    let all = converted(folder);
    if all.is_empty() {
        return;
    }
    for (name, made) in all {
        let outcome = made.and_then(|made| match errors(&made.bundle).first() {
            None => Ok(()),
            Some(error) => Err(error.clone()),
        });
        tally.count(&name, outcome);
    }
    tally.finish();
}

#[test]
fn documents_of_others_become_valid_r4() {
    suite("ccda-documents: converted, valid R4", "ccda-documents");
    suite(
        "ccda-examples-hl7: converted, valid R4",
        "ccda-examples-hl7",
    );
    suite("ccda-fragments: converted, valid R4", "ccda-fragments");
    suite(
        "ccda-onc: positive, converted, valid R4",
        "ccda-onc/positive",
    );
    suite("ccda-to-fhir: converted, valid R4", "ccda-to-fhir");
}

/// What is wrong with a document is told (the tests of the maps know what must be told of which), and it is taken.
#[test]
fn wrong_documents_are_told() {
    let mut tally = Tally::new("ccda-onc: negative, taken and told", &[]);
    let all = converted("ccda-onc/negative");
    if all.is_empty() {
        return;
    }
    for (name, made) in all {
        let outcome = made.and_then(|made| {
            let told = made
                .issues
                .iter()
                .any(|issue| issue.diagnostics.contains(": expected "));
            match (errors(&made.bundle).first(), told) {
                (Some(error), _) => Err(error.clone()),
                (None, false) => Err("nothing is told of it".to_owned()),
                (None, true) => Ok(()),
            }
        });
        tally.count(&name, outcome);
    }
    tally.finish();
}

/// What the tests of ONC's validator are made of: documents are converted, what is none is refused by name.
#[test]
fn what_a_validator_is_tested_with() {
    const NONE: &[(&str, &str)] = &[
        (
            "Sample_basicHTML.xml",
            "a document type (DOCTYPE) is not allowed",
        ),
        ("Sample_invalid-SnippetOnly.xml", "not component"),
        ("logback-test.xml", "not configuration"),
        ("severityLevelLimitTestConfig.xml", "not configurations"),
    ];
    let mut tally = Tally::new(
        "ccda-onc: validator tests, converted or refused by name",
        &[],
    );
    let all = files("ccda-onc/validator-tests");
    if all.is_empty() {
        return;
    }
    for (name, bytes) in all.iter().filter(|(name, _)| name.ends_with(".xml")) {
        let none = NONE.iter().find(|(other, _)| other == name);
        let outcome = match (convert(bytes), none) {
            (Ok(made), None) => errors(&made.bundle)
                .first()
                .map_or(Ok(()), |error| Err(error.clone())),
            (Err(refused), Some((_, told))) if refused.to_string().ends_with(told) => Ok(()),
            (Ok(_), Some(_)) => Err("taken".to_owned()),
            (Err(refused), _) => Err(refused.to_string()),
        };
        tally.count(name, outcome);
    }
    tally.finish();
}
