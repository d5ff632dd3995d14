//! The official R4 examples: valid, save for those that the data file explains.

use fhir_spec::json;
use fhir_spec::validate::{Request, Validator};

use crate::material::{explained, folder, unpacked};
use crate::results::Tally;

const SUITE: &str = "fhir-r4-examples: valid";
const EXPLAINED: &str = include_str!("examples-explained.tsv");

#[test]
fn official_examples_are_valid() {
    let Some(folder) = folder("fhir-r4-examples") else {
        return;
    };
    let explained = explained(EXPLAINED);
    let mut tally = Tally::new(SUITE, &[]);
    for (name, bytes) in unpacked(&folder.join("official-r4-examples-json.tar.zst")) {
        let document = json::parse(&bytes).unwrap();
        let request = Request {
            source: std::str::from_utf8(&bytes).ok(),
            ..Request::default()
        };
        let issues = Validator::r4().validate(&document, &request);
        match super::unexplained(&name, &issues, explained) {
            Ok(Some(reason)) => tally.explain(&name, reason),
            Ok(None) => tally.count(&name, Ok(())),
            Err(problem) => tally.count(&name, Err(problem)),
        }
    }
    tally.finish();
}
