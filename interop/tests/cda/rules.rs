//! Rules that hold whatever the document: identity, confidentiality, sections, nullFlavors.

use fhir_spec::json::Value;

use crate::harness::{convert, document};

const EVERYTHING: &str = include_str!("golden/everything/input.xml");

fn urls(bundle: &Value) -> Vec<String> {
    let requests = bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("request"));
    requests
        .map(|request| {
            let url = request.str_of("url").unwrap_or_default();
            format!(
                "{url} {}",
                request.str_of("ifNoneExist").unwrap_or_default()
            )
        })
        .collect()
}

#[test]
fn the_same_document_twice_is_found_again_whole() {
    let (first, second) = (
        convert(EVERYTHING.as_bytes()).unwrap(),
        convert(EVERYTHING.as_bytes()).unwrap(),
    );
    let first = urls(&first.bundle);
    assert_eq!(first, urls(&second.bundle));
    // Nothing is created blindly.
    for url in &first {
        assert!(
            url.contains('?') || url.contains("identifier=") || url.starts_with("Binary/"),
            "{url}"
        );
    }
}

#[test]
fn two_things_with_one_id_stay_two() {
    let observation = |code: &str, value: &str| {
        format!(
            "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.2\"/>\
             <id root=\"1.2\" extension=\"same\"/><code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.1\"/><statusCode code=\"completed\"/>\
             <effectiveTime value=\"2024\"/><value xsi:type=\"PQ\" value=\"{value}\" unit=\"g/dL\"/></observation></entry>"
        )
    };
    let section = |inner: String| document(&format!("<section><title>R</title>{inner}</section>"));
    let made =
        convert(section(observation("718-7", "13") + &observation("4544-3", "40")).as_bytes())
            .unwrap();
    assert_eq!(made.of_type("Observation").len(), 2);
    assert!(made.tells("has an id that something else of this document has"));
    let made =
        convert(section(observation("718-7", "13") + &observation("718-7", "13")).as_bytes())
            .unwrap();
    assert_eq!(made.of_type("Observation").len(), 1);
}

#[test]
fn what_is_confidential_says_so() {
    let restricted = EVERYTHING.replacen(
        "<confidentialityCode code=\"N\"",
        "<confidentialityCode code=\"R\"",
        1,
    );
    let made = convert(restricted.as_bytes()).unwrap();
    for resource in made.resources() {
        let kind = resource.str_of("resourceType").unwrap();
        let label = resource
            .get("meta")
            .map(|meta| meta.items_of("security"))
            .unwrap_or_default();
        let is_open = [
            "Patient",
            "Practitioner",
            "PractitionerRole",
            "Organization",
            "Location",
            "Device",
        ]
        .contains(&kind);
        assert_eq!(
            label.first().and_then(|label| label.str_of("code")),
            (!is_open).then_some("R"),
            "{kind}"
        );
    }
}
