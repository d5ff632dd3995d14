//! Create and read, as a FHIR client sees them.
//! <https://hl7.org/fhir/R4/http.html>

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use fhir_spec::definitions::Definitions;

use server::interactions;

use crate::client::{FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;
use crate::smallest::smallest;

on_both_databases!(
    what_was_created_can_be_read,
    every_resource_type_can_be_created_and_read,
    official_examples_can_be_created_and_read,
    decimals_keep_their_digits,
    a_reader_who_holds_the_version_gets_no_body,
    head_answers_as_get_without_a_body,
    the_client_prefers_what_comes_back,
    ids_are_the_servers_choice,
    a_resource_outlives_a_restart,
    metadata_lists_what_is_offered,
    paths_are_decoded,
);

const POTTER: &str = r#"{"resourceType":"Patient","name":[{"family":"Potter"}]}"#;

const SUBSCRIPTION: &str = r#"{"resourceType":"Subscription","status":"requested","reason":"r","criteria":"Patient?active=true",
    "channel":{"type":"rest-hook","endpoint":"https://example.org/hook"}}"#;

const ASKING: (&str, &str) = ("Accept", "application/fhir+json");

/// The path of a resource out of its Location header.
fn path_of(location: &str) -> String {
    let (address, _) = location.split_once("/_history/").unwrap();
    let (_, path) = address.split_once("/fhir/").unwrap();
    format!("/fhir/{path}")
}

fn what_was_created_can_be_read(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", POTTER);
    assert_eq!(created.status, 201);
    assert_eq!(created.header("ETag"), Some("W/\"1\""));
    assert!(created.header("Last-Modified").unwrap().ends_with(" GMT"));
    assert!(created.header("X-Request-Id").is_some());
    let location = created.header("Location").unwrap();
    assert!(
        location.starts_with(&format!("http://{}/fhir/Patient/", kiln.address)),
        "{location}"
    );
    assert!(location.ends_with("/_history/1"), "{location}");

    assert_eq!(created.header("Content-Location"), Some(location));

    let read = get(kiln.address, &path_of(location));
    assert_eq!(read.status, 200);
    assert_eq!(read.body, created.body);
    assert_eq!(read.header("ETag"), created.header("ETag"));
    assert_eq!(
        read.header("Last-Modified"),
        created.header("Last-Modified")
    );
    assert_eq!(read.header("Content-Type"), Some("application/fhir+json"));
    let patient = read.json();
    assert!(location.contains(patient.str_of("id").unwrap()));
    let meta = patient.get("meta").unwrap();
    assert_eq!(meta.str_of("versionId"), Some("1"));
    assert!(meta.str_of("lastUpdated").unwrap().ends_with('Z'));
    assert_eq!(patient.items_of("name")[0].str_of("family"), Some("Potter"));
}

fn every_resource_type_can_be_created_and_read(database: &Database) {
    let kiln = Kiln::start(database);
    let types: Vec<&str> = Definitions::r4().resource_types().collect();
    assert_eq!(types.len(), 146, "all of R4 that are not abstract");
    let mut refused = Vec::new();
    for resource_type in types {
        let body = match resource_type {
            // One that tells nobody of anything is refused.
            "Subscription" => SUBSCRIPTION.to_owned(),
            _ => smallest(resource_type).to_string(),
        };
        let created = post(kiln.address, &format!("/fhir/{resource_type}"), &body);
        if created.status != 201 {
            refused.push(format!("{body}\n  {}", created.text()));
            continue;
        }
        let path = path_of(created.header("Location").unwrap());
        // Without this the content of a Binary would come.
        let read = send(kiln.address, "GET", &path, &[ASKING], b"").unwrap();
        assert_eq!(read.body, created.body, "{resource_type}");
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

/// One official example of each type that has one in the shared material. A few are not valid: those of them that are
/// known and why stand with the suites in `conformance-tests`; here they must be judged and not break anything.
fn official_examples_can_be_created_and_read(database: &Database) {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        Into::into,
    );
    let folder = shared.join("testdata/fhir-r4-examples/loose");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!(
            "SKIPPED: the examples of R4 are not in {}",
            folder.display()
        );
        return;
    };
    let kiln = Kiln::start(database);
    let mut examples = BTreeMap::new();
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let resource_type = name.split(['-', '.']).next().unwrap().to_owned();
        examples.insert(resource_type, path);
    }
    let mut stored = 0;
    for (resource_type, path) in &examples {
        let body = fs::read_to_string(path).unwrap();
        let created = post(kiln.address, &format!("/fhir/{resource_type}"), &body);
        if created.status == 201 {
            let place = path_of(created.header("Location").unwrap());
            let read = send(kiln.address, "GET", &place, &[ASKING], b"").unwrap();
            assert_eq!(read.body, created.body, "{}", path.display());
            stored += 1;
        } else {
            assert_eq!(
                created.status,
                422,
                "{}: {}",
                path.display(),
                created.text()
            );
        }
    }
    let refused = examples.len() - stored;
    assert!(
        stored > 100 && refused <= 5,
        "{stored} stored, {refused} refused"
    );
}

fn decimals_keep_their_digits(database: &Database) {
    let kiln = Kiln::start(database);
    let body = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.0500e-2}}"#;
    let created = post(kiln.address, "/fhir/Observation", body);
    let read = get(kiln.address, &path_of(created.header("Location").unwrap()));
    assert!(
        read.text().contains(r#"{"value":1.0500e-2}"#),
        "{}",
        read.text()
    );
}

fn a_reader_who_holds_the_version_gets_no_body(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", POTTER);
    let path = path_of(created.header("Location").unwrap());
    let holding = |tag| send(kiln.address, "GET", &path, &[("If-None-Match", tag)], b"").unwrap();
    let same = holding("W/\"1\"");
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(same.header("ETag"), Some("W/\"1\""));
    assert_eq!(holding("W/\"2\"").status, 200);
}

fn head_answers_as_get_without_a_body(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", POTTER);
    let path = path_of(created.header("Location").unwrap());
    let head = send(kiln.address, "HEAD", &path, &[], b"").unwrap();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("ETag"), Some("W/\"1\""));
    let length: usize = head.header("Content-Length").unwrap().parse().unwrap();
    assert_eq!(length, created.body.len());
}

fn the_client_prefers_what_comes_back(database: &Database) {
    let kiln = Kiln::start(database);
    let preferring = |wish| {
        let headers = [FHIR_JSON, ("Prefer", wish)];
        let answer = send(
            kiln.address,
            "POST",
            "/fhir/Patient",
            &headers,
            POTTER.as_bytes(),
        )
        .unwrap();
        assert_eq!(answer.status, 201);
        assert!(answer.header("Location").is_some());
        answer
    };
    assert!(preferring("return=minimal").body.is_empty());
    let whole = preferring("respond-async, return=representation").json();
    assert_eq!(whole.str_of("resourceType"), Some("Patient"));
    assert_eq!(
        preferring("return=OperationOutcome").issue_code(),
        "informational"
    );
}

fn ids_are_the_servers_choice(database: &Database) {
    let kiln = Kiln::start(database);
    let body = r#"{"resourceType":"Patient","id":"mine","meta":{"versionId":"7"}}"#;
    let created = post(kiln.address, "/fhir/Patient", body).json();
    assert_ne!(created.str_of("id"), Some("mine"));
    assert_eq!(created.get("meta").unwrap().str_of("versionId"), Some("1"));
    assert_eq!(get(kiln.address, "/fhir/Patient/mine").status, 404);
}

fn a_resource_outlives_a_restart(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/Patient", POTTER);
    assert!(kiln.stop("TERM").0.success());
    let kiln = Kiln::start(database);
    let read = get(kiln.address, &path_of(created.header("Location").unwrap()));
    assert_eq!(read.body, created.body);
}

fn metadata_lists_what_is_offered(database: &Database) {
    let kiln = Kiln::start(database);
    let statement = get(kiln.address, "/fhir/metadata").json();
    assert_eq!(
        statement.str_of("resourceType"),
        Some("CapabilityStatement")
    );
    assert_eq!(statement.str_of("fhirVersion"), Some("4.0.1"));
    let url = statement
        .get("implementation")
        .unwrap()
        .str_of("url")
        .unwrap();
    assert_eq!(url, format!("http://{}/fhir", kiln.address));
    let rest = &statement.items_of("rest")[0];
    let listed: Vec<&str> = rest
        .items_of("resource")
        .iter()
        .map(|resource| {
            let offered: Vec<_> = resource
                .items_of("interaction")
                .iter()
                .map(|interaction| interaction.str_of("code").unwrap())
                .collect();
            let mut declared: Vec<_> = interactions::ALL
                .iter()
                .filter(|interaction| interaction.is_of_a_type())
                .map(|interaction| interaction.code())
                .collect();
            // By id and by criteria are one interaction here.
            let mut seen = HashSet::new();
            declared.retain(|code| seen.insert(*code));
            assert_eq!(offered, declared);
            resource.str_of("type").unwrap()
        })
        .collect();
    assert_eq!(
        listed,
        Definitions::r4().resource_types().collect::<Vec<_>>()
    );
}

fn paths_are_decoded(database: &Database) {
    let kiln = Kiln::start(database);
    let created = post(kiln.address, "/fhir/P%61tient", POTTER);
    assert_eq!(created.status, 201);
    let path = path_of(created.header("Location").unwrap()).replace('-', "%2D");
    assert_eq!(get(kiln.address, &path).status, 200);
}
