//! What it costs to write and to search the index in SQLite. `cargo bench -p search --bench index [observations]`
//!
//! Vital signs as Synthea writes them, 70 to a patient, 100 resources to a commit, `synchronous=FULL`, on a file.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::parse;
use rusqlite::types::Value as Column;
use rusqlite::{Connection, params_from_iter};
use search::query::{Handling, Settings};
use search::sql::{Dialect, SortedPage, Statement, count, measures, sorted};
use search::{Registry, Rows, extract, query, table};

const OBSERVATIONS: usize = 100_000;
const PER_PATIENT: usize = 70;
const PER_COMMIT: usize = 100;

fn main() {
    let wanted = std::env::args().filter_map(|arg| arg.parse().ok()).next();
    let wanted = wanted.unwrap_or(OBSERVATIONS);
    let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
    let registry = Registry::new(definitions);
    let path = std::env::temp_dir().join("kiln-search-bench.db");
    for end in ["", "-wal", "-shm"] {
        let _gone = std::fs::remove_file(format!("{}{end}", path.display()));
    }
    let connection = Connection::open(&path).unwrap();
    let flags = rusqlite::functions::FunctionFlags::SQLITE_UTF8;
    connection
        .create_scalar_function(search::sql::IN_TIME, 1, flags, |_| Ok(true))
        .unwrap();
    for migration in [
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4000; PRAGMA mmap_size = 1000000000",
        include_str!("../../migrations/sqlite/0001_resources/up.sql"),
        include_str!("../../migrations/sqlite/0002_history/up.sql"),
        include_str!("../../migrations/sqlite/0003_search/up.sql"),
    ] {
        connection.execute_batch(migration).unwrap();
    }
    fill(&connection, &registry, wanted);
    let size = std::fs::metadata(&path).unwrap().len();
    println!(
        "{} bytes on disk for a resource, bodies left out",
        size / u64::try_from(wanted).unwrap()
    );
    searches(&connection, &registry);
}

/// What this thread has had of the processor: others on the machine do not count.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: f64 = told.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

fn observation(number: usize) -> String {
    let patient = number / PER_PATIENT;
    let (code, unit) = *[
        ("8302-2", "cm"),
        ("29463-7", "kg"),
        ("8867-4", "/min"),
        ("8310-5", "Cel"),
        ("9279-1", "/min"),
        ("72514-3", "{score}"),
        ("2708-6", "%"),
    ]
    .get(number % 7)
    .unwrap();
    let day = number * 7919 % 3650;
    let (year, month, day) = (2014 + day / 365, day % 365 / 31 + 1, day % 28 + 1);
    format!(
        r#"{{"resourceType": "Observation", "id": "{number:08x}-8295-499c-bf2d-f58a85b8a9f2", "status": "final",
  "category": [{{"coding": [{{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}}]}}],
  "code": {{"coding": [{{"system": "http://loinc.org", "code": "{code}"}}]}},
  "subject": {{"reference": "Patient/{patient:08x}-8ec3-4f50-ac3c-9109374a1609"}},
  "encounter": {{"reference": "Encounter/{:08x}-8295-499c-bf2d-f58a85b8a9f2"}},
  "effectiveDateTime": "{year}-{month:02}-{day:02}T03:43:05+00:00",
  "valueQuantity": {{"value": {}.{}, "unit": "{unit}", "system": "http://unitsofmeasure.org", "code": "{unit}"}}}}"#,
        number / 7,
        number * 31 % 200,
        number * 17 % 10
    )
}

fn patient(number: usize) -> String {
    format!(
        r#"{{"resourceType": "Patient", "id": "{number:08x}-8ec3-4f50-ac3c-9109374a1609", "gender": "{}", "birthDate": "19{:02}-03-30",
  "identifier": [{{"system": "http://hospital.smarthealthit.org", "value": "{number}"}}],
  "name": [{{"family": "Family{}", "given": ["Given{}"]}}]}}"#,
        if number.is_multiple_of(2) {
            "male"
        } else {
            "female"
        },
        number % 100,
        number % 500,
        number % 300
    )
}

fn fill(connection: &Connection, registry: &Registry, wanted: usize) {
    let mut rows = 0;
    let (mut extraction, mut writing) = (0.0, 0.0);
    let all: Vec<usize> = (0..wanted).collect();
    for group in all.chunks(PER_COMMIT) {
        let texts = group.iter().flat_map(|number| {
            let patient = (number % PER_PATIENT == 0).then(|| patient(number / PER_PATIENT));
            patient.into_iter().chain([observation(*number)])
        });
        let documents: Vec<_> = texts.map(|text| parse(text.as_bytes()).unwrap()).collect();
        let start = cpu_seconds();
        let extracted: Vec<Rows> = documents
            .iter()
            .map(|document| extract::rows(registry, document).rows)
            .collect();
        extraction += cpu_seconds() - start;
        let start = cpu_seconds();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        let first: i64 = connection
            .query_row(
                "SELECT COALESCE(MAX(key), 0) + 1 FROM versions",
                [],
                |row| row.get(0),
            )
            .unwrap();
        for (rid, document) in (first..).zip(&documents) {
            let text = |name: &str| document.str_of(name).unwrap().to_owned();
            let (name, id) = (text("resourceType"), text("id"));
            connection
                .prepare_cached("INSERT INTO versions VALUES (?1, ?2, ?3, ?4, 1, ?1 * 7, 1, 0, '')")
                .unwrap()
                .execute((rid, rid, &name, &id))
                .unwrap();
            connection
                .prepare_cached("INSERT INTO resources VALUES (?, ?, ?, ?)")
                .unwrap()
                .execute((&name, &id, rid, rid))
                .unwrap();
        }
        for table in table::ALL {
            let mut values: Vec<Column> = Vec::new();
            for (rid, extracted) in (first..).zip(&extracted) {
                extracted.each(table.kind, |row| {
                    values.extend(row.iter().map(|value| column(*value)));
                    values.push(rid.into());
                });
            }
            rows += values.len() / (table.columns.len() + 1);
            insert(connection, table, values);
        }
        connection.execute_batch("COMMIT").unwrap();
        writing += cpu_seconds() - start;
    }
    let micros = |seconds: f64| seconds * 1e6 / f64::from(u32::try_from(wanted).unwrap());
    println!(
        "{wanted} observations, {rows} rows: {:.1} us extraction, {:.1} us writing for each (time of the processor)",
        micros(extraction),
        micros(writing)
    );
}

/// As many rows to a statement as make few statements.
fn insert(connection: &Connection, table: &table::Table, values: Vec<Column>) {
    let width = table.columns.len() + 1;
    let row = format!("({})", vec!["?"; width].join(", "));
    let mut values = values.into_iter();
    while values.len() > 0 {
        let count = if values.len() / width >= 32 { 32 } else { 1 };
        let sql = format!(
            "INSERT INTO {} ({}, rid) VALUES {}",
            table.name,
            table.columns.join(", "),
            vec![row.as_str(); count].join(", ")
        );
        let mut statement = connection.prepare_cached(&sql).unwrap();
        statement
            .execute(params_from_iter(values.by_ref().take(count * width)))
            .unwrap();
    }
}

fn column(value: table::Value<'_>) -> Column {
    match value {
        table::Value::Int(number) => number.into(),
        table::Value::Real(number) => number.into(),
        table::Value::Text(text) => text.to_owned().into(),
    }
}

const PATIENT: &str = "Patient/00000005-8ec3-4f50-ac3c-9109374a1609";

/// A type and the parameters of a search.
type Search = (&'static str, &'static [(&'static str, &'static str)]);

const SEARCHES: &[Search] = &[
    (
        "Patient",
        &[("identifier", "http://hospital.smarthealthit.org|7")],
    ),
    ("Patient", &[("family", "family77")]),
    (
        "Observation",
        &[
            ("patient", PATIENT),
            ("code", "http://loinc.org|8302-2"),
            ("date", "ge2015"),
            ("date", "lt2018"),
        ],
    ),
    ("Observation", &[("date", "2016-05-17")]),
    (
        "Observation",
        &[("date", "ge2016-05-17"), ("date", "lt2016-05-18")],
    ),
    ("Observation", &[("code", "8302-2")]),
    ("Observation", &[("code-value-quantity", "8302-2$gt198")]),
    (
        "Observation",
        &[("value-quantity", "gt1.98|http://unitsofmeasure.org|m")],
    ),
    (
        "Observation",
        &[("status", "final"), ("category", "vital-signs")],
    ),
    ("Observation", &[("code:not", "8302-2")]),
    ("Observation", &[("_sort", "-date")]),
    ("Observation", &[("code", "8302-2"), ("_sort", "-date")]),
    (
        "Observation",
        &[("patient", PATIENT), ("_sort", "-date,code")],
    ),
    ("Observation", &[("_sort", "-_lastUpdated")]),
    ("Patient", &[("_sort", "family")]),
    (
        "Observation",
        &[("patient.family", "family77"), ("_sort", "-date")],
    ),
    ("Observation", &[("patient.gender", "male")]),
    ("Patient", &[("_has:Observation:patient:code", "8302-2")]),
    (
        "Patient",
        &[("_has:Observation:patient:date", "2016-05-17")],
    ),
];

fn searches(connection: &Connection, registry: &Registry) {
    let settings = Settings {
        handling: Handling::Strict,
        now: 0,
    };
    for (resource_type, parameters) in SEARCHES {
        let pairs: Vec<(String, String)> = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut query = query::parse(registry, resource_type, &pairs, settings).unwrap();
        let start = Instant::now();
        for measure in measures(&query, Dialect::Sqlite) {
            let counted = run(connection, &measure.statement);
            query.measured(measure.criterion, *counted.first().unwrap());
        }
        let measured = start.elapsed();
        let page = SortedPage {
            after: None,
            limit: 50,
        };
        let mut shown = format!("{resource_type}?{parameters:?}: measured in {measured:?},");
        for (what, statement) in [
            ("page", sorted(&query, Dialect::Sqlite, &page).first),
            ("count", count(&query, Dialect::Sqlite)),
        ] {
            let found = run(connection, &statement);
            let rounds = 20;
            let start = Instant::now();
            for _ in 0..rounds {
                run(connection, &statement);
            }
            let spent = start.elapsed() / rounds;
            let found = match what {
                "page" => i64::try_from(found.len()).unwrap(),
                _ => *found.first().unwrap(),
            };
            write!(shown, " {what} {found} in {spent:?},").unwrap();
        }
        println!("{shown}");
    }
}

fn run(connection: &Connection, statement: &Statement) -> Vec<i64> {
    let mut prepared = connection.prepare_cached(&statement.text).unwrap();
    let values = statement.binds.iter().map(|bind| column(bind.value()));
    let rows = prepared.query_map(params_from_iter(values), |row| row.get(0));
    rows.unwrap().map(Result::unwrap).collect()
}
