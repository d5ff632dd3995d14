//! Every kind of search goes by indexes: on SQLite without statistics its plans are those of `search_plans.txt`, on
//! PostgreSQL, with and without statistics, no table that grows is read as a whole.
//!
//! `KILN_RECORD=1` writes the plans of SQLite down anew.
//! <https://hl7.org/fhir/R4/search.html>

use std::fmt::Write;
use std::path::PathBuf;

use crate::client::get;
use crate::commands::Files;
use crate::databases::Database;
use crate::kiln::{Kiln, command};

on_both_databases!(searches_go_by_indexes);

const PATIENTS: usize = 400;
const OBSERVATIONS: usize = 20;

/// The kinds of the load kit first, then one for each type of parameter and way to combine them.
const SEARCHES: &[&str] = &[
    "Patient?identifier=urn:mrn%7C7",
    "Patient?family=Fam7&_count=50",
    "Observation?patient=p7&code=http://loinc.org%7C8867-4&date=ge2010-01-01&date=lt2013-01-01&_sort=-date&_count=50",
    "Observation?patient.family=Fam7&_count=50",
    "Patient?_has:Observation:patient:code=http://loinc.org%7Crare-7&_count=50",
    "Observation?patient=p7&_count=10&_include=Observation:patient",
    "Patient?identifier=urn:mrn%7C7&_revinclude=Observation:patient",
    "Observation?code=http://loinc.org%7C8867-4&_summary=count",
    "Observation?code=http://loinc.org%7C8867-4&_count=100",
    "Observation?_sort=-date&_count=10",
    "Observation?code=http://loinc.org%7C8867-4&_sort=date&_count=10",
    "Patient?_sort=family,-birthdate&_count=10",
    "Patient?_count=10",
    "Patient?_sort=-_lastUpdated&_count=10",
    "Patient?_id=p7,p8",
    "Patient?family:exact=Fam7",
    "Patient?family:contains=am7",
    "Patient?gender=male&_count=10",
    "Patient?gender:not=male&_count=10",
    "Patient?birthdate=1980-01-01",
    "Patient?birthdate=gt1979&_count=10",
    "Patient?birthdate:missing=true&_count=10",
    "Observation?value-quantity=gt170&_count=10",
    "Observation?value-quantity=72%7Chttp://unitsofmeasure.org%7C/min&_count=10",
    "Observation?code-value-quantity=http://loinc.org%7C8867-4$gt170&_count=10",
    "Observation?subject=Patient/p7&_count=5",
    "Observation?subject:Patient.identifier=urn:mrn%7C7&_count=5",
    "Patient?_lastUpdated=gt2020-01-01&_count=5",
    "Patient?_has:Observation:patient:date=2010-03-01&_count=5",
    "Patient?_profile=http://example.org/q7&_count=5",
    "Patient?_tag=http://example.org/t%7Ct7&_count=5",
    "Patient/p7/Observation?_count=5",
    "Patient?_filter=family%20eq%20%22Fam7%22%20or%20gender%20eq%20female&_count=5",
];

fn searches_go_by_indexes(database: &Database) {
    let files = Files::new();
    let path = files.put("many.ndjson", lines().as_bytes());
    let imported = command()
        .args(["import", &path, "--database", &database.url])
        .output()
        .unwrap();
    assert!(imported.status.success(), "{imported:?}");
    if database.is_postgres() {
        // To read all of such small tables is cheap: here it is not, as if they were large.
        let name = database.url.split('?').next().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        database.execute(&format!("ALTER DATABASE \"{name}\" SET seq_page_cost = 25"));
        // Before the database has statistics, and after.
        explained(database, &on_postgres);
        database.execute("ANALYZE");
        explained(database, &on_postgres);
        return;
    }
    let told = explained(database, &on_sqlite);
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/search_plans.txt");
    if std::env::var_os("KILN_RECORD").is_some() {
        std::fs::write(&kept, &told).unwrap();
    }
    let before = std::fs::read_to_string(&kept).unwrap_or_default();
    let (before, told): (Vec<&str>, Vec<&str>) = (before.lines().collect(), told.lines().collect());
    for (number, pair) in before.iter().zip(&told).enumerate() {
        assert_eq!(pair.0, pair.1, "line {}", number + 1);
    }
    assert_eq!(before.len(), told.len());
}

/// Observations of every patient, one a year; one in a hundred has a rare code.
fn lines() -> String {
    let mut text = String::new();
    for patient in 0..PATIENTS {
        let gender = ["male", "female"][patient % 2];
        let family = patient % 40;
        let born = 1950 + patient % 60;
        writeln!(
            text,
            r#"{{"resourceType":"Patient","id":"p{patient}","meta":{{"profile":["http://example.org/q{patient}"],"tag":[{{"system":"http://example.org/t","code":"t{patient}"}}]}},"identifier":[{{"system":"urn:mrn","value":"{patient}"}}],"name":[{{"family":"Fam{family}","given":["G{patient}"]}}],"gender":"{gender}","birthDate":"{born}-01-01"}}"#
        )
        .unwrap();
        for year in 0..OBSERVATIONS {
            let number = patient * OBSERVATIONS + year;
            let code = match number % 100 {
                0 => format!("rare-{}", number / 100),
                even if even % 2 == 0 => "8867-4".to_owned(),
                _ => "8480-6".to_owned(),
            };
            let (at, value) = (2005 + year, 60 + number % 120);
            writeln!(
                text,
                r#"{{"resourceType":"Observation","id":"o{number}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},"subject":{{"reference":"Patient/p{patient}"}},"effectiveDateTime":"{at}-03-01","valueQuantity":{{"value":{value},"unit":"/min","system":"http://unitsofmeasure.org","code":"/min"}}}}"#
            )
            .unwrap();
        }
    }
    text
}

/// What is told of the statements of each search, held against a rule.
fn explained(database: &Database, rule: &dyn Fn(&str, &str)) -> String {
    let kiln = Kiln::start(database);
    let mut all = String::new();
    for search in SEARCHES {
        writeln!(all, "{search}").unwrap();
        let answer = get(kiln.address, &format!("/fhir/{search}&_explain=true"));
        assert_eq!(answer.status, 200, "{search}: {}", answer.text());
        let bundle = answer.json();
        let outcome = bundle.items_of("entry").last().unwrap();
        let outcome = outcome.get("resource").unwrap();
        assert_eq!(
            outcome.str_of("resourceType"),
            Some("OperationOutcome"),
            "{search}"
        );
        for issue in outcome.items_of("issue") {
            let told = issue.str_of("diagnostics").unwrap();
            rule(search, told);
            let mut told = told.lines();
            // `2. hits: 10 rows in 41 us ...`: which step it is stays the same.
            let step = told.next().unwrap_or_default();
            let step = step.split_once(". ").map_or(step, |(_, step)| step);
            let step = step.split_once(": ").map_or(step, |(step, _)| step);
            writeln!(all, "  {step}").unwrap();
            for line in told.filter(|line| is_of_plan(line)) {
                writeln!(all, "    {line}").unwrap();
            }
        }
    }
    kiln.stop("TERM");
    all
}

fn is_of_plan(line: &str) -> bool {
    const WORDS: &[&str] = &[
        "SCAN",
        "SEARCH",
        "USE TEMP",
        "CO-ROUTINE",
        "COMPOUND",
        "CORRELATED",
        "MERGE",
        "UNION",
        "LEFT",
        "RIGHT",
        "MATERIALIZE",
        "SCALAR",
        "LIST",
    ];
    WORDS.iter().any(|word| line.trim_start().starts_with(word))
}

/// Tables are searched by an index. Walked through are only lists of values and what other parts of the statement found.
fn on_sqlite(search: &str, told: &str) {
    for line in told.lines().map(str::trim_start) {
        let Some(walked) = line.strip_prefix("SCAN ") else {
            continue;
        };
        let name = walked.split(' ').next().unwrap_or_default();
        let is_found_before = walked == name && told.contains(&format!(") {name}"));
        assert!(
            is_found_before || walked.ends_with("VALUES CLAUSE") || walked == "CONSTANT ROW",
            "{search} walks through a table: {told}"
        );
    }
}

/// Of the tables that grow none is read as a whole.
fn on_postgres(search: &str, told: &str) {
    for line in told.lines().filter(|line| line.contains("Seq Scan on ")) {
        let table = line.split("Seq Scan on ").nth(1).unwrap_or_default();
        let table = table.split(' ').next().unwrap_or_default();
        let grows = table.starts_with("search_") && table != "search_state"
            || ["resources", "versions"].contains(&table);
        assert!(!grows, "{search} reads all of {table}: {told}");
    }
}
