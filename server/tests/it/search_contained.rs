//! What is contained in other resources, in stores of before, damaged ones and copies.
//! <https://hl7.org/fhir/R4/search.html#contained>

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fhir_spec::definitions::Definitions;

use crate::client::get;
use crate::commands::{Files, stderr, stdout};
use crate::databases::{self, Database};
use crate::kiln::{Kiln, output};
use crate::parameters::{PATIENCE, SLOWLY, stored, verified};
use crate::search::{link, target};

on_both_databases!(
    a_store_of_before_finds_what_is_contained,
    contained_rows_are_verified_repaired_and_moved,
    pages_of_containers_have_no_gaps,
);

/// Above all numbers of stored resources.
const CONTAINED: &str = "rid >= 4611686018427387904";
const TABLES: [&str; 5] = ["token", "string", "reference", "date", "uri"];

fn request(id: &str, codes: &[&str]) -> String {
    let medication = |(number, code): (usize, &&str)| {
        format!(
            r#"{{"resourceType":"Medication","id":"m{number}","code":{{"coding":[{{"code":"{code}"}}]}},
            "manufacturer":{{"reference":"Organization/o"}}}}"#
        )
    };
    let contained: Vec<String> = codes.iter().enumerate().map(medication).collect();
    let links = (1..codes.len()).map(|number| format!(r##"{{"reference":"#m{number}"}}"##));
    let links = links.collect::<Vec<String>>().join(",");
    let links = match links.is_empty() {
        true => String::new(),
        false => format!(r#","supportingInformation":[{links}]"#),
    };
    format!(
        r##"{{"resourceType":"MedicationRequest","id":"{id}","status":"active","intent":"order","contained":[{}],
        "medicationReference":{{"reference":"#m0"}},"subject":{{"reference":"Patient/p"}}{links}}}"##,
        contained.join(",")
    )
}

fn plain(id: &str) -> String {
    format!(
        r#"{{"resourceType":"MedicationRequest","id":"{id}","status":"active","intent":"order",
        "medicationCodeableConcept":{{"text":"x"}},"subject":{{"reference":"Patient/p"}}}}"#
    )
}

fn fill(address: SocketAddr) {
    for number in 0..20 {
        let id = format!("r{number:02}");
        stored(
            address,
            "MedicationRequest",
            &id,
            &request(&id, &["salve", "pill"]),
        );
        let id = format!("x{number:02}");
        stored(address, "MedicationRequest", &id, &plain(&id));
    }
}

/// The addresses of all hits, page by page; None: the index is not ready.
fn found(address: SocketAddr, query: &str) -> Option<Vec<String>> {
    let mut addresses = Vec::new();
    let mut next = format!("/fhir/{query}");
    loop {
        let answer = get(address, &next);
        if answer.status == 503 {
            assert_eq!(answer.issue_code(), "incomplete");
            return None;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        let bundle = answer.json();
        for entry in bundle.items_of("entry") {
            let url = entry.str_of("fullUrl").unwrap();
            let path = target(url).trim_start_matches("/fhir/").to_owned();
            assert!(!addresses.contains(&path), "{path} comes twice");
            addresses.push(path);
        }
        match link(&bundle, "next") {
            Some(url) => next = target(&url).to_owned(),
            None => return Some(addresses),
        }
    }
}

/// The path that stands for what resources of a type contain.
fn marker(resource_type: &str) -> Option<i32> {
    let definitions = Arc::new(Definitions::r4().with_packages(Vec::new()).0);
    search::Registry::new(definitions)
        .of(resource_type)?
        .contained()
}

fn a_store_of_before_finds_what_is_contained(database: &Database) {
    let kiln = Kiln::start(database);
    fill(kiln.address);
    assert!(kiln.stop("TERM").0.success());
    // As if it had been written by a version that did not look into resources.
    for table in TABLES {
        database.execute(&format!("DELETE FROM search_{table} WHERE {CONTAINED}"));
    }
    for name in ["MedicationRequest", "Patient", "Medication"] {
        let marker = marker(name).unwrap();
        database.execute(&format!(
            "UPDATE search_paths SET paths = replace(replace(paths, '{marker},', ''), ',{marker}', '') WHERE type = '{name}'"
        ));
    }
    database.execute("UPDATE search_state SET fingerprint = 1");
    let kiln = Kiln::configured(database, SLOWLY);
    let salve = "Medication?code=salve&_contained=true";
    assert_eq!(found(kiln.address, salve), None);
    // Nobody else waits.
    let all = found(kiln.address, "MedicationRequest?status=active").unwrap();
    assert_eq!(all.len(), 40);
    drop(kiln);
    let kiln = Kiln::start(database);
    let until = Instant::now() + PATIENCE;
    let hits = loop {
        if let Some(hits) = found(kiln.address, salve) {
            break hits;
        }
        assert!(Instant::now() < until, "it is never ready");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(hits.len(), 20);
    assert_eq!(hits[0], "MedicationRequest/r00");
    verified(database);
}

fn contained_rows_are_verified_repaired_and_moved(database: &Database) {
    let kiln = Kiln::start(database);
    fill(kiln.address);
    verified(database);
    let salve = "Medication?code=salve&_contained=true";
    database.execute(&format!(
        "DELETE FROM search_token WHERE {CONTAINED} AND code = 'salve' AND rid IN (SELECT min(rid) FROM search_token WHERE {CONTAINED})"
    ));
    database.execute(&format!(
        "UPDATE search_token SET code = 'ghost' WHERE {CONTAINED} AND code = 'pill'"
    ));
    // What contains nothing any more.
    database.execute(
        "INSERT INTO search_token (path, code, system, rid) SELECT 5, 'ghost', 0, 4611686018427387904 + rid * 1048576 \
         FROM resources WHERE id = 'x07'",
    );
    assert_eq!(found(kiln.address, salve).unwrap().len(), 19);
    let wrong = output(&["verify", "--database", &database.url]);
    assert_eq!(wrong.status.code(), Some(1));
    let told = stdout(&wrong);
    assert!(
        told.contains(".contained[1]: the index lacks: search_token"),
        "{told}"
    );
    let right = output(&[
        "reindex",
        "--type",
        "MedicationRequest",
        "--database",
        &database.url,
    ]);
    assert!(right.status.success(), "{}", stderr(&right));
    verified(database);
    assert_eq!(found(kiln.address, salve).unwrap().len(), 20);
    drop(kiln);
    let files = Files::new();
    let backup = files.0.join("all.backup").display().to_string();
    let backed_up = output(&["backup", "--database", &database.url, &backup]);
    assert!(backed_up.status.success(), "{}", stderr(&backed_up));
    let fresh = databases::sqlite();
    let restored = output(&["restore", "--database", &fresh.url, &backup]);
    assert!(restored.status.success(), "{}", stderr(&restored));
    verified(&fresh);
    let kiln = Kiln::start(&fresh);
    assert_eq!(found(kiln.address, salve).unwrap().len(), 20);
}

/// Many of one container are one hit; an organization within an organization is found twice and stands on a page once.
fn pages_of_containers_have_no_gaps(database: &Database) {
    let kiln = Kiln::start(database);
    let address = kiln.address;
    let many = vec!["salve"; 30];
    for number in 0..7 {
        let id = format!("r{number}");
        stored(address, "MedicationRequest", &id, &request(&id, &many));
    }
    for count in [1, 2, 3, 6, 7, 8] {
        let query = format!("Medication?code=salve&_contained=true&_count={count}");
        let mut hits = found(address, &query).unwrap();
        // Several connections to PostgreSQL take their numbers in blocks.
        hits.sort_unstable();
        let wanted: Vec<String> = (0..7).map(|n| format!("MedicationRequest/r{n}")).collect();
        assert_eq!(hits, wanted, "{query}");
        let query = format!("{query}&_containedType=contained");
        assert_eq!(found(address, &query).unwrap().len(), 210, "{query}");
    }
    let counted = get(address, "/fhir/Medication?_contained=true&_summary=count").json();
    assert_eq!(counted.get("total").unwrap().as_u64(), Some(7));
    stored(
        address,
        "Organization",
        "o",
        r##"{"resourceType":"Organization","id":"o","name":"Fox","partOf":{"reference":"#inner"},
        "contained":[{"resourceType":"Organization","id":"inner","name":"Fox"}]}"##,
    );
    let both = found(address, "Organization?name=fox&_contained=both").unwrap();
    assert_eq!(both, ["Organization/o"]);
    let both = "Organization?name=fox&_contained=both&_containedType=contained";
    assert_eq!(
        found(address, both).unwrap(),
        ["Organization/o", "Organization/o#inner"]
    );
}
