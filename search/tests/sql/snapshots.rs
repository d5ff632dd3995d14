//! The statements themselves, in both dialects, and the indexes that SQLite takes for them.
//!
//! `KILN_SNAPSHOTS=write cargo test -p search --test sql` writes them anew, to be read before they are kept.

use std::fmt::Write;

use search::query::{KeyKind, parse};
use search::sql::{
    Dialect, MEASURED_MAX, Page, Position, SortedPage, Statement, count, measures, select, sorted,
};

use super::database::{Database, R4, STRICT, pairs};

const STATEMENTS: &str = include_str!("statements.txt");
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sql/statements.txt");
const PAGE: Page = Page {
    after: Some(7),
    limit: 10,
};

/// At least one for each type of parameter, each modifier, each way to drive.
const SEARCHES: &[(&str, &str)] = &[
    ("Patient", ""),
    ("Patient", "_id=a,b"),
    ("Patient", "_id:not=a&identifier=1"),
    ("Patient", "_lastUpdated=ge2024"),
    ("Patient", "identifier=http://mrn|1&_lastUpdated=ge2024"),
    ("Patient", "identifier=http://mrn|1,http://mrn|2,3"),
    ("Patient", "identifier=http://mrn|"),
    ("Patient", "identifier:of-type=http://t|MR|1"),
    ("Patient", "phone=555"),
    ("Patient", "gender:not=male"),
    ("Patient", "gender:missing=true"),
    ("Patient", "name:missing=false&gender=male"),
    ("Patient", "family=smi&given=jo"),
    ("Patient", "family:exact=Smith"),
    ("Patient", "name:contains=mit"),
    ("Patient", "birthdate=1970-03-30"),
    ("Patient", "birthdate=ge1970-01-01&birthdate=lt1980"),
    ("Patient", "general-practitioner:identifier=http://npi|9"),
    ("Observation", "subject=Patient/1/_history/2"),
    ("Observation", "subject=http://other/Patient/1"),
    (
        "Observation",
        "patient=1&code=http://loinc.org|8302-2&date=ge2024-01-01&date=lt2024-02-01",
    ),
    (
        "Observation",
        "value-quantity=gt5.4|http://unitsofmeasure.org|mg",
    ),
    ("Observation", "value-quantity=5.4||mg&status=final"),
    ("Observation", "code-value-quantity=8302-2$gt160"),
    ("Observation", "combo-code-value-quantity=8480-6$gt140"),
    ("Observation", "component-code-value-concept=a$b"),
    ("Observation", "patient.name=smith&status=final"),
    ("Observation", "patient=1&encounter.status=finished"),
    ("Patient", "_has:Observation:patient:code=a"),
    ("Patient", "identifier=1&_has:Observation:patient:code=a"),
    ("RiskAssessment", "probability=ne0.5"),
    ("Location", "near=50|7|10|km"),
    (
        "Encounter",
        "_list=l1&class:below=http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB",
    ),
    ("ValueSet", "url=http://a"),
    ("ValueSet", "url:below=http://a"),
    ("ValueSet", "url:above=http://a/b"),
    ("CarePlan", "instantiates-canonical=http://a|1"),
];

/// The text with the names of paths for their numbers.
fn named(text: &str) -> String {
    let types = [
        "Patient",
        "Observation",
        "Encounter",
        "EpisodeOfCare",
        "RiskAssessment",
        "ValueSet",
        "CarePlan",
    ];
    let name_of = |path| types.iter().find_map(|name| R4.of(name)?.path_name(path));
    let ends = [' ', ',', ')'];
    let words = text.split_inclusive(&ends[..]).map(|word| {
        let number = word.trim_end_matches(&ends[..]).trim_start_matches('(');
        let name = number.parse().ok().and_then(name_of);
        name.map_or(word.to_owned(), |name| {
            word.replace(number, &format!("[{name}]"))
        })
    });
    words.collect()
}

/// Few hits are sorted, many are come by in the order that is wanted.
const SORTED: &[(&str, &str)] = &[
    ("Patient", "identifier=1&_sort=family,-birthdate"),
    ("Observation", "_sort=-date"),
    ("Observation", "code=a&_sort=date,_id"),
    ("Patient", "_sort=-_lastUpdated&gender=male"),
    ("Patient", "_sort=-family"),
];

/// A statement with its values and the plan of SQLite.
fn show(all: &mut String, database: &Database, sqlite: &Statement, postgres: &Statement) {
    writeln!(all, "{}\n{:?}", named(&sqlite.text), sqlite.binds).unwrap();
    if postgres.text != sqlite.text {
        writeln!(all, "--- postgres\n{}", named(&postgres.text)).unwrap();
    }
    if postgres.binds != sqlite.binds {
        writeln!(all, "{:?}", postgres.binds).unwrap();
    }
    writeln!(all, "--- plan\n{}\n", database.plan(sqlite)).unwrap();
}

fn all() -> String {
    let database = Database::new();
    let mut all = String::new();
    for (resource_type, search) in SEARCHES {
        let query = parse(&R4, resource_type, &pairs(search), STRICT).unwrap();
        writeln!(all, "=== {resource_type}?{search}").unwrap();
        let sqlite = select(&query, Dialect::Sqlite, PAGE);
        let postgres = select(&query, Dialect::Postgres, PAGE);
        show(&mut all, &database, &sqlite, &postgres);
    }
    for (resource_type, search) in SORTED {
        let query = parse(&R4, resource_type, &pairs(search), STRICT).unwrap();
        writeln!(all, "=== {resource_type}?{search}").unwrap();
        let keys = query.sort.iter().map(|key| match key.by.kind() {
            KeyKind::Int => Some(5_i64.into()),
            KeyKind::Real => Some(5.0.into()),
            KeyKind::Text => Some("x".into()),
        });
        let page = SortedPage {
            after: Some(Position {
                keys: keys.collect(),
                rid: 7,
            }),
            limit: 10,
        };
        let sqlite = sorted(&query, Dialect::Sqlite, &page);
        let postgres = sorted(&query, Dialect::Postgres, &page);
        show(&mut all, &database, &sqlite.first, &postgres.first);
        if let (Some(sqlite), Some(postgres)) = (sqlite.rest, postgres.rest) {
            writeln!(all, "--- rest").unwrap();
            show(&mut all, &database, &sqlite, &postgres);
        }
    }
    all
}

#[test]
fn statements_are_what_they_were() {
    let all = all();
    if std::env::var_os("KILN_SNAPSHOTS").is_some() {
        std::fs::write(FILE, &all).unwrap();
        return;
    }
    let blocks = |text: &'static str| text.split("=== ").map(str::to_owned);
    let mut wanted = blocks(STATEMENTS);
    for block in all.split("=== ") {
        assert_eq!(block, wanted.next().unwrap_or_default());
    }
    assert_eq!(wanted.next(), None);
}

/// No search reads a whole table: every step of every plan goes by an index.
#[test]
fn every_step_uses_an_index() {
    for line in STATEMENTS.lines() {
        let is_scan = line.starts_with("SCAN ");
        let is_own = ["SCAN d", "SCAN i", "SCAN u", "SCAN (subquery"]
            .iter()
            .any(|own| line.starts_with(own));
        assert!(!is_scan || is_own, "{line}");
    }
}

#[test]
fn counting_sorts_nothing() {
    let query = parse(&R4, "Patient", &pairs("gender=male"), STRICT).unwrap();
    let statement = count(&query, Dialect::Sqlite);
    let text = "SELECT COUNT(*) FROM (SELECT DISTINCT d.rid FROM search_token d WHERE d.path = [Patient.gender] AND d.code = ? AND (d.rid & 15 OR in_time(d.rid))) counted";
    assert_eq!(named(&statement.text), text);
    assert!(!Database::new().plan(&statement).contains("ORDER BY"));
}

/// Which table drives, before and after the conditions were measured.
fn drivers(resource_type: &str, search: &str, counts: &[i64]) -> [String; 2] {
    let mut query = parse(&R4, resource_type, &pairs(search), STRICT).unwrap();
    let driver = |query: &search::query::Query| {
        let text = named(&select(query, Dialect::Sqlite, PAGE).text);
        let from = text
            .rsplit("FROM (")
            .next()
            .unwrap()
            .split(" FROM ")
            .find(|part| part.contains("d WHERE"));
        let from = from.unwrap_or_default();
        from.split(" AND ").next().unwrap_or_default().to_owned()
    };
    let before = driver(&query);
    let measures = measures(&query, Dialect::Sqlite);
    assert_eq!(measures.len(), counts.len());
    for (measure, count) in measures.iter().zip(counts) {
        query.measured(measure.criterion, *count);
    }
    [before, driver(&query)]
}

#[test]
fn what_finds_less_drives() {
    let rare_code = drivers("Observation", "date=2024-01-01&code=a", &[MEASURED_MAX, 3]);
    assert_eq!(
        rare_code[0],
        "search_date d WHERE d.path = [Observation.effective]"
    );
    assert_eq!(
        rare_code[1],
        "search_token d WHERE d.path = [Observation.code]"
    );
    // A chain that begins with half of all patients is followed from the observations.
    let chain = drivers(
        "Observation",
        "patient.birthdate=1970&code=a",
        &[MEASURED_MAX, 100],
    );
    assert_eq!(chain[1], "search_token d WHERE d.path = [Observation.code]");
    let chain = drivers(
        "Observation",
        "patient.name=smith&code=a",
        &[3, MEASURED_MAX],
    );
    assert!(
        chain[1].starts_with("search_string d WHERE d.path IN ([Patient.name"),
        "{}",
        chain[1]
    );
    // Nothing to ask where the choice is clear.
    for search in [
        "",
        "code=a",
        "subject=Patient/1&code=a&_sort=date",
        "_id=1&code=a",
    ] {
        drivers("Observation", search, &[]);
    }
}

#[test]
fn measuring_is_bounded() {
    let query = parse(&R4, "Observation", &pairs("code=a&date=gt2024"), STRICT).unwrap();
    let texts: Vec<String> = measures(&query, Dialect::Sqlite)
        .iter()
        .map(|measure| named(&measure.statement.text))
        .collect();
    assert_eq!(
        texts[0],
        "SELECT COUNT(*) FROM (SELECT 1 FROM search_token WHERE path = [Observation.code] AND code = ? AND (rid & 15 OR in_time(rid)) LIMIT ? + 0) m"
    );
    assert_eq!(texts[1].matches("UNION ALL").count(), 2);
}
