//! The scenarios of `conformance-tests/scenarios`, held against the real program on both databases.

use std::path::Path;

use conformance_tests::oracle::Oracle;
use conformance_tests::scenario;

use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(every_scenario_holds);

fn every_scenario_holds(database: &Database) {
    let kiln = Kiln::start(database);
    let oracle = Oracle::from_env().map(Result::unwrap);
    if oracle.is_none() {
        println!("SKIPPED: answers are not held against the JSON schema of R4 (KILN_FHIR_SCHEMA)");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance-tests/scenarios");
    let base = format!("http://{}", kiln.address);
    let report = scenario::run_folder(&base, &folder, oracle.as_ref()).unwrap();
    assert!(report.held > 0);
    assert!(report.failures.is_empty(), "{}", report.failures.join("\n"));
}
