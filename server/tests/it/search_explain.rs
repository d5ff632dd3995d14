//! What the database does for a search, for those who want to know why it takes its time.
//! <https://hl7.org/fhir/R4/search.html>

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{FORM, link, observation, patient, put, target};

on_both_databases!(
    a_search_is_explained,
    clients_who_vary_their_searches_are_served,
    a_slow_search_is_logged_without_what_was_looked_for,
);

fn a_search_is_explained(database: &Database) {
    let kiln = Kiln::start(database);
    for number in 0..6 {
        put(kiln.address, &patient(number));
        put(kiln.address, &observation(number, "p00"));
    }
    let search =
        "/fhir/Observation?patient.family=Fox&_sort=-value-quantity&_count=2&_total=accurate";
    let answer = get(kiln.address, search);
    assert!(!answer.text().contains("outcome"), "{}", answer.text());
    let explained = format!("{search}&_include=Observation:patient&_explain=true");
    let answer = get(kiln.address, &explained);
    let bundle = answer.json();
    let entries = bundle.items_of("entry");
    let modes: Vec<&str> = entries
        .iter()
        .map(|entry| entry.get("search").unwrap().str_of("mode").unwrap())
        .collect();
    assert_eq!(modes, ["match", "match", "include", "outcome"]);
    let outcome = entries[3].get("resource").unwrap();
    let told: Vec<&str> = outcome
        .items_of("issue")
        .iter()
        .map(|issue| {
            assert_eq!(issue.str_of("severity"), Some("information"));
            issue.str_of("diagnostics").unwrap()
        })
        .collect();
    for step in ["hits", "total", "bodies", "included"] {
        let is_told = |told: &&str| told.contains(&format!(". {step}: "));
        assert!(told.iter().any(is_told), "{step}: {told:#?}");
    }
    let all = told.join("\n");
    assert!(all.contains("[Patient.name.family]"), "{all}");
    assert!(all.contains("search_string"), "{all}");
    if database.url.contains("postgres") {
        assert!(
            all.contains("actual rows=") || all.contains("actual time"),
            "{all}"
        );
    } else {
        assert!(all.contains("resources visited"), "{all}");
        // PostgreSQL's plans name the values.
        assert!(!all.to_lowercase().contains("fox"), "{all}");
        // By key, also before the database has statistics: a walk through the type would find the same.
        for key in [
            "SEARCH r USING INDEX resources_of_type (type=? AND rid=?)",
            "(type=? AND id=?)",
        ] {
            assert!(all.contains(key), "{all}");
        }
    }
    // The next page is explained too, and a later one can do without.
    let next = link(&bundle, "next").unwrap();
    assert!(get(kiln.address, target(&next)).text().contains("outcome"));
    let plain = next.replace("&_explain=true", "");
    assert!(!get(kiln.address, target(&plain)).text().contains("outcome"));
    let wrong = get(kiln.address, "/fhir/Patient?_explain=maybe");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("_explain"), "{}", wrong.text());
}

/// More statements than a connection keeps.
fn clients_who_vary_their_searches_are_served(database: &Database) {
    let kiln = Kiln::start(database);
    put(kiln.address, &patient(0));
    for number in 0..700 {
        // A `_has` more or less, a value more or less: each is another statement.
        let values = vec!["Fox"; number % 70 + 1];
        let values: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(index, value)| {
                if index == 0 {
                    (*value).to_owned()
                } else {
                    format!("x{index}")
                }
            })
            .collect();
        let more = "&active:missing=true".repeat(number / 70);
        let body = format!("family={}{more}", values.join(","));
        let path = "/fhir/Patient/_search";
        let answer = send(kiln.address, "POST", path, &[FORM], body.as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json().items_of("entry").len(), 1, "{body}");
    }
}

fn a_slow_search_is_logged_without_what_was_looked_for(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\nsearch_slow_ms = 0\n");
    put(kiln.address, &patient(0));
    let path = "/fhir/Patient?family=Secretson&birthdate=1912-12-12&_sort=-birthdate";
    assert_eq!(get(kiln.address, path).status, 200);
    let log = kiln.stop_and_read_log();
    assert!(log.contains("Patient?family&birthdate&_sort"), "{log}");
    assert!(!log.contains("Secretson"), "{log}");
    assert!(!log.contains("1912"), "{log}");
}
