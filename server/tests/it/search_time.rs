//! A search that would take too long is ended in the database, and whoever comes after it is served.
//! <https://hl7.org/fhir/R4/search.html#errors>

use fhir_spec::json::Value;

use crate::client::{get, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::search::{FORM, patient};

on_both_databases!(a_search_ends_when_its_time_is_over);

const PATIENTS: usize = 2_000;
/// Each is looked for in every name.
const TEXTS: usize = 900;

fn a_search_ends_when_its_time_is_over(database: &Database) {
    let kiln = Kiln::start(database);
    let entries: Vec<String> = (0..PATIENTS)
        .map(|number| {
            let resource = patient(number);
            let id = resource.split('"').nth(7).unwrap();
            format!(
                r#"{{"resource":{resource},"request":{{"method":"PUT","url":"Patient/{id}"}}}}"#
            )
        })
        .collect();
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#,
        entries.join(",")
    );
    let json = [("Content-Type", "application/fhir+json")];
    let stored = send(kiln.address, "POST", "/fhir", &json, bundle.as_bytes()).unwrap();
    assert_eq!(stored.status, 200, "{}", stored.text());
    kiln.stop("TERM");

    let texts: Vec<String> = (0..TEXTS).map(|number| format!("nobody{number}")).collect();
    let body = format!("name:contains={}", texts.join(","));
    let ask = |kiln: &Kiln| {
        let path = "/fhir/Patient/_search";
        send(kiln.address, "POST", path, &[FORM], body.as_bytes()).unwrap()
    };
    let kiln = Kiln::configured(database, "[limits]\nstatement_ms = 10\n");
    for _ in 0..3 {
        let answer = ask(&kiln);
        assert_eq!(answer.issue_code(), "too-costly", "{}", answer.text());
        assert!(answer.text().contains("statement_ms"), "{}", answer.text());
    }
    // A busy machine may not do even this in so little time, at first.
    let read = || get(kiln.address, "/fhir/Patient/p01").status == 200;
    assert!((0..100).any(|_| read()));
    // What every resource must be asked for is refused before it begins, unless a page could be full without it.
    let genders: Vec<String> = (0..40)
        .map(|number| format!("gender:not=g{number}"))
        .collect();
    let all = format!("/fhir/Patient?{}", genders.join("&"));
    let counted = format!("{all}&_summary=count");
    let refused = get(kiln.address, &counted);
    assert_eq!(refused.issue_code(), "too-costly", "{}", refused.text());
    assert!(
        refused.text().contains("80000 questions"),
        "{}",
        refused.text()
    );
    kiln.stop("TERM");

    let kiln = Kiln::configured(database, "[limits]\nstatement_ms = 3600000\n");
    let answer = get(kiln.address, &counted);
    assert_eq!(
        answer.json().get("total").and_then(Value::as_u64),
        Some(2_000)
    );
    let answer = ask(&kiln);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json().items_of("entry").len(), 0);
}
