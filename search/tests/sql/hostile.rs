//! Searches made to cost much: refused, or answered with statements that both databases take.

use fhir_spec::outcome::IssueCode;
use search::query::{CHAIN_WAYS_MAX, parse};
use search::sql::{Dialect, Page, SortedPage, select, sorted};

use super::database::{Database, R4, STRICT, pairs};

/// What SQLite takes in a statement.
const SQLITE_BINDS_MAX: usize = 32_766;

/// `based-on` of many types refers to any type that has a `based-on`: each step would multiply what a chain means.
#[test]
fn chains_do_not_multiply() {
    for steps in 1..=7 {
        let name = format!("{}status", "based-on.".repeat(steps));
        let query = format!("{name}=active");
        match parse(&R4, "Observation", &pairs(&query), STRICT) {
            Ok(query) => {
                let links = format!("{:?}", query.criteria).matches("Refers(").count();
                assert!(links <= CHAIN_WAYS_MAX * steps, "{name}: {links}");
            }
            Err(issues) => {
                assert!(steps > 1, "{issues:?}");
                assert_eq!(issues.len(), 1);
                assert!(issues[0].diagnostics.contains("based-on"), "{issues:?}");
            }
        }
    }
    let last = pairs(&format!("{}status=active", "based-on.".repeat(7)));
    let issues = parse(&R4, "Observation", &last, STRICT).unwrap_err();
    assert_eq!(issues[0].code, IssueCode::TooCostly);
}

/// Whatever is not refused fits into a statement, and the database takes it.
#[test]
fn what_is_long_fits_or_is_refused() {
    let many = |count: usize, make: &dyn Fn(usize) -> String| {
        let values: Vec<String> = (0..count).map(make).collect();
        values.join(",")
    };
    let names = format!("name={}", many(1_000, &|n| format!("n{n}x")));
    let dates = format!("birthdate={}", many(1_000, &|n| format!("{}", 1_000 + n)));
    let ranges = format!("birthdate={}", many(1_000, &|n| format!("ge{}", 1_000 + n)));
    let codes = format!("code={}", many(1_000, &|n| format!("http://s|c{n}")));
    let amounts = format!("value-quantity={}", many(500, &|n| format!("gt{n}||mg")));
    let tuples = format!(
        "component-code-value-quantity={}",
        many(1_000, &|n| format!("http://s|c{n}$gt{n}||mg"))
    );
    let database = Database::of(&[]);
    for (resource_type, query, is_refused) in [
        ("Patient", names.clone(), false),
        ("Patient", ranges, false),
        ("Observation", codes.clone(), false),
        ("Observation", amounts.clone(), false),
        ("Observation", format!("{codes}&{amounts}"), false),
        ("Observation", tuples, false),
        (
            "Observation",
            format!("{codes}&subject:Patient.{names}"),
            false,
        ),
        ("Observation", [&*amounts; 2].join("&"), true),
        ("Patient", vec![dates; 99].join("&"), true),
        ("Patient", vec![names; 10].join("&"), true),
    ] {
        let shown: String = query.chars().take(40).collect();
        let parsed = parse(&R4, resource_type, &pairs(&query), STRICT);
        assert_eq!(parsed.is_err(), is_refused, "{shown}");
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(issues) => {
                assert_eq!(issues.len(), 1, "{shown}");
                assert_eq!(issues[0].code, IssueCode::TooCostly, "{shown}");
                continue;
            }
        };
        let page = Page {
            after: None,
            limit: 10,
        };
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            let binds = select(&parsed, dialect, page).binds.len();
            assert!(binds <= SQLITE_BINDS_MAX, "{shown}: {binds}");
        }
        assert_eq!(database.found(&parsed), [""; 0], "{shown}");
        let by_date = format!(
            "{query}&_sort={}",
            if resource_type == "Patient" {
                "birthdate"
            } else {
                "date"
            }
        );
        let by_date = parse(&R4, resource_type, &pairs(&by_date), STRICT).unwrap();
        let page = SortedPage {
            after: None,
            limit: 10,
        };
        let sorted = sorted(&by_date, Dialect::Sqlite, &page);
        assert!(sorted.first.binds.len() <= SQLITE_BINDS_MAX, "{shown}");
    }
}
