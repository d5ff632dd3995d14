//! The maps that Kiln comes with compile, are fast to compile, and every key of theirs can be searched for.

use fhir_spec::definitions::Definitions;
use fhir_spec::json::Value;
use interop::formats::delimited::{Dialect, TableSchema};
use interop::mapping::{Pack, shipped, source::Schema};

use crate::cases::errors;
use crate::harness::convert;

#[test]
fn shipped_maps_compile_and_use_all_they_have() {
    let pack = shipped().unwrap_or_else(|bad| panic!("{bad}"));
    let schemas: Vec<(String, TableSchema)> = pack
        .maps()
        .map(|(name, _)| (name.to_owned(), TableSchema::new(pack.columns(name))))
        .collect();
    let schema_of = |name: &str| {
        schemas
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, schema)| -> &dyn Schema { schema })
    };
    let plans = pack
        .check_all(schema_of, Definitions::r4())
        .unwrap_or_else(|bad| panic!("{bad}"));
    assert_eq!(plans.len(), schemas.len());
    println!(
        "{} maps, {} rows",
        plans.len(),
        plans
            .iter()
            .map(interop::mapping::Plan::row_count)
            .sum::<usize>()
    );
}

#[test]
fn a_patient_goes_in() {
    let text = "mrn,last_name,first_name,birth_date,sex,phone,email,city\n\
                0815,Doe,Jane,1974-03,F,555-123,jane@example.org,Bertfurt\n";
    let converted = convert(shipped().unwrap(), "patients", text.as_bytes(), None);
    assert_eq!(converted.bad, []);
    let bundle = converted.bundle.to_string();
    assert_eq!(errors(&converted.bundle), "", "{bundle}");
    let entry = &converted.bundle.items_of("entry")[0];
    assert_eq!(
        entry.get("request").unwrap().str_of("url"),
        Some("Patient?identifier=urn:kiln:mrn|0815")
    );
    let patient = entry.get("resource").unwrap();
    assert_eq!(patient.str_of("birthDate"), Some("1974-03"));
    assert_eq!(patient.str_of("gender"), Some("female"));
    assert_eq!(patient.items_of("telecom").len(), 2);
    assert_eq!(converted.issues, []);
}

/// One row for every row of every map: each column that the map names is valued, and what comes out is valid.
#[test]
fn every_row_of_every_map_makes_something() {
    let pack = shipped().unwrap();
    for (map, _) in pack.maps() {
        let columns: Vec<&str> = pack
            .columns(map)
            .iter()
            .map(|name| name.trim_end_matches('?'))
            .collect();
        let values: Vec<String> = columns.iter().map(|name| sample(map, name)).collect();
        let text = format!("{}\n{}\n", columns.join(","), values.join(","));
        let converted = convert(pack, map, text.as_bytes(), Some(Dialect::csv()));
        assert_eq!(converted.bad, [], "{map}");
        assert_eq!(errors(&converted.bundle), "", "{map}: {}", converted.bundle);
        let lost: Vec<&str> = converted
            .issues
            .iter()
            .map(|issue| issue.diagnostics.as_str())
            .filter(|told| told.contains("not carried"))
            .collect();
        // What is not carried because another column says it better.
        let expected: &[&str] = match map {
            "patients" => &["deceased"],
            "immunisations" => &[],
            _ => &[],
        };
        assert_eq!(lost.len(), expected.len(), "{map}: {lost:?}");
        for (told, column) in lost.iter().zip(expected) {
            assert!(told.contains(&format!("column {column} ")), "{map}: {told}");
        }
    }
}

fn sample(map: &str, column: &str) -> String {
    let folded = column.to_lowercase();
    let value = match (map, folded.as_str()) {
        ("appointments", "status") => "booked",
        ("lab_results", "status") => "F",
        ("immunisations", "status") => "given",
        ("synthea_allergies", "type") => "allergy",
        ("synthea_allergies", "category") => "food",
        ("synthea_allergies", "system") => "SNOMED-CT",
        ("synthea_observations", "type") => "numeric",
        ("synthea_observations", "category") => "vital-signs",
        (_, "severity1" | "severity2") => "MILD",
        (_, "encounterclass") => "wellness",
        (_, "sex" | "gender") => "F",
        (_, "marital_status" | "marital") => "M",
        (_, "flag") => "H",
        (_, "active" | "deceased") => "Y",
        (_, "language") => "en",
        (_, "code" | "test_code") => "8302-2",
        (_, "cvx_code") => "8",
        (_, "reasoncode" | "reaction1" | "reaction2") => "36971009",
        (_, "value" | "dose" | "lat" | "lon") => "1.50",
        (_, "unit" | "units" | "dose_unit") => "cm",
        (_, "minutes" | "dispenses") => "15",
        (_, "start" | "collected_at" | "given_at" | "date") => "2024-01-31T10:00:00Z",
        (_, "end" | "stop" | "reported_at") => "2024-01-31T10:15:00Z",
        (_, name) if name.contains("date") || name == "deceased_at" || name == "expires" => {
            "2024-01-31"
        }
        _ => "some text",
    };
    value.to_owned()
}

#[test]
fn every_key_can_be_searched_for() {
    let pack = shipped().unwrap();
    for (map, _) in pack.maps() {
        let columns: Vec<&str> = pack
            .columns(map)
            .iter()
            .map(|name| name.trim_end_matches('?'))
            .collect();
        let values: Vec<String> = columns.iter().map(|name| sample(map, name)).collect();
        let text = format!("{}\n{}\n", columns.join(","), values.join(","));
        let converted = convert(pack, map, text.as_bytes(), Some(Dialect::csv()));
        for entry in converted.bundle.items_of("entry") {
            let kind = entry
                .get("resource")
                .and_then(|resource| resource.str_of("resourceType"))
                .unwrap();
            let Some((_, query)) = entry
                .get("request")
                .and_then(|request| request.str_of("url"))
                .and_then(|url| url.split_once('?'))
            else {
                continue;
            };
            for part in query.split('&') {
                let name = part.split('=').next().unwrap();
                let is_known = Definitions::r4()
                    .search_parameters_for(kind)
                    .any(|parameter| *parameter.code == *name);
                assert!(is_known, "{map}: {kind}?{name}");
            }
        }
    }
}

#[test]
fn compiling_again_gives_the_same_bundle() {
    let text = "mrn,last_name,first_name,birth_date,sex\n1,A,B,2000,M\n2,C,D,2001,F\n";
    let first = convert(shipped().unwrap(), "patients", text.as_bytes(), None).bundle;
    let pack = Pack::read(interop::mapping::DELIMITED.iter().copied()).unwrap();
    let second = convert(&pack, "patients", text.as_bytes(), None).bundle;
    assert_eq!(first.to_string(), second.to_string());
    let urls: Vec<&str> = first
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("fullUrl").and_then(Value::as_str))
        .collect();
    assert_ne!(urls[0], urls[1]);
}
