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

fn observation(inner: &str) -> Value {
    let made = convert(
        document(&format!(
            "<observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.2\"/><id root=\"1.2\" extension=\"o\"/>{inner}</observation>"
        ))
        .as_bytes(),
    )
    .unwrap();
    made.of_type("Observation")
        .first()
        .map(|found| (*found).clone())
        .unwrap()
}

#[test]
fn one_table_says_what_a_null_flavor_means() {
    for (flavor, reason) in [
        ("UNK", "unknown"),
        ("NASK", "not-asked"),
        ("ASKU", "asked-unknown"),
        ("MSK", "masked"),
        ("NA", "not-applicable"),
        ("NAV", "temp-unknown"),
        ("OTH", "unsupported"),
        ("NINF", "negative-infinity"),
    ] {
        let made = observation(&format!(
            "<code code=\"718-7\" codeSystem=\"2.16.840.1.113883.6.1\"/><value xsi:type=\"PQ\" nullFlavor=\"{flavor}\"/>"
        ));
        let absent = made.get("dataAbsentReason").map(|reason| {
            reason.items_of("coding")[0]
                .str_of("code")
                .unwrap()
                .to_owned()
        });
        assert_eq!(absent.as_deref(), Some(reason), "{flavor}");
    }
    // What is null and has words has a value.
    let made = observation(
        "<code code=\"718-7\" codeSystem=\"2.16.840.1.113883.6.1\"/><value xsi:type=\"CD\" nullFlavor=\"OTH\"><originalText>Odd</originalText></value>",
    );
    assert_eq!(
        made.get("valueCodeableConcept").unwrap().str_of("text"),
        Some("Odd")
    );
    assert!(made.get("dataAbsentReason").is_none());
}

#[test]
fn times_keep_their_precision_and_zone() {
    for (value, date) in [
        ("2024", "2024"),
        ("202403", "2024-03"),
        ("20240305", "2024-03-05"),
        ("20240305-0500", "2024-03-05"),
        ("202403050607", "2024-03-05T06:07:00-05:00"),
        ("20240305060708+0130", "2024-03-05T06:07:08+01:30"),
        ("20240705060708.250", "2024-07-05T06:07:08.250-04:00"),
    ] {
        let made = observation(&format!(
            "<code code=\"718-7\" codeSystem=\"2.16.840.1.113883.6.1\"/><effectiveTime value=\"{value}\"/>"
        ));
        assert_eq!(made.str_of("effectiveDateTime"), Some(date), "{value}");
    }
}

#[test]
fn an_indication_leads_to_the_problem_that_has_its_id() {
    let problem = "<entry><act classCode=\"ACT\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.3\"/><entryRelationship typeCode=\"SUBJ\">\
        <observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.4\"/><id root=\"1.2\" extension=\"p\"/>\
        <value xsi:type=\"CD\" code=\"38341003\" codeSystem=\"2.16.840.1.113883.6.96\"/></observation></entryRelationship></act></entry>";
    let procedure = "<entry><procedure classCode=\"PROC\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.14\"/><id root=\"1.2\" extension=\"x\"/>\
        <code code=\"73761001\" codeSystem=\"2.16.840.1.113883.6.96\"/><statusCode code=\"completed\"/><entryRelationship typeCode=\"RSON\">\
        <observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.19\"/><id root=\"1.2\" extension=\"p\"/>\
        <value xsi:type=\"CD\" code=\"38341003\" codeSystem=\"2.16.840.1.113883.6.96\"/></observation></entryRelationship></procedure></entry>";
    let made = convert(
        document(&format!(
            "<section><title>S</title>{problem}{procedure}</section>"
        ))
        .as_bytes(),
    )
    .unwrap();
    let url = made.bundle.items_of("entry").iter().find(|entry| {
        entry
            .get("resource")
            .and_then(|resource| resource.str_of("resourceType"))
            == Some("Condition")
    });
    let reasons = made.of_type("Procedure")[0].items_of("reasonReference");
    assert_eq!(
        reasons[0].str_of("reference"),
        url.unwrap().str_of("fullUrl")
    );
}

#[test]
fn sections_without_words_and_within_sections_are_kept() {
    let made = convert(
        document(
            "<section nullFlavor=\"NI\"><title>Empty</title><component><section><title>Within</title><text>Words</text>\
             <component><section><title>Deeper</title><text>More</text></section></component></section></component></section>",
        )
        .as_bytes(),
    )
    .unwrap();
    let outer = &made.of_type("Composition")[0].items_of("section")[0];
    assert_eq!(
        outer.get("emptyReason").unwrap().items_of("coding")[0].str_of("code"),
        Some("unavailable")
    );
    let within = &outer.items_of("section")[0];
    assert_eq!(within.str_of("title"), Some("Within"));
    assert_eq!(
        within.items_of("section")[0].str_of("title"),
        Some("Deeper")
    );
}

#[test]
fn a_security_observation_labels_its_entry_and_the_document() {
    let entry = |extension: &str, label: &str| {
        format!(
            "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.2\"/><id root=\"1.2\" extension=\"{extension}\"/>\
             <code code=\"718-7\" codeSystem=\"2.16.840.1.113883.6.1\"/><value xsi:type=\"INT\" value=\"1\"/>{label}</observation></entry>"
        )
    };
    let label = "<entryRelationship typeCode=\"COMP\"><organizer classCode=\"CLUSTER\" moodCode=\"EVN\"><component><observation classCode=\"OBS\" moodCode=\"EVN\">\
        <code code=\"SECCLASSOBS\"/><value xsi:type=\"CE\" code=\"R\" codeSystem=\"2.16.840.1.113883.5.25\"/></observation></component></organizer></entryRelationship>";
    // An organizer that is an entry by itself speaks of its section.
    let alone = label
        .replace("<entryRelationship typeCode=\"COMP\">", "<entry>")
        .replace("</entryRelationship>", "</entry>");
    let made = convert(
        document(&format!(
            "<section><title>S</title>{}{alone}</section>",
            entry("open", "")
        ))
        .as_bytes(),
    )
    .unwrap();
    let labels = made.of_type("Observation")[0]
        .get("meta")
        .unwrap()
        .items_of("security");
    assert_eq!(labels[0].str_of("code"), Some("R"));
    let section = entry("open", "") + &entry("closed", label);
    let made =
        convert(document(&format!("<section><title>S</title>{section}</section>")).as_bytes())
            .unwrap();
    for resource in made.resources() {
        let labels = resource
            .get("meta")
            .map(|meta| meta.items_of("security"))
            .unwrap_or_default();
        let code = labels.first().and_then(|label| label.str_of("code"));
        let id = resource
            .items_of("identifier")
            .first()
            .and_then(|identifier| identifier.str_of("value"));
        let expected = match resource.str_of("resourceType").unwrap() {
            "Composition" | "DocumentReference" | "Binary" => Some("R"),
            "Observation" if id == Some("closed") => Some("R"),
            _ => None,
        };
        assert_eq!(code, expected, "{resource:?}");
    }
}

#[test]
fn pictures_in_the_text_of_sections_are_kept() {
    let media = "<entry><observationMedia classCode=\"OBS\" moodCode=\"EVN\" ID=\"M1\"><id root=\"1.2\" extension=\"m\"/>\
        <value mediaType=\"image/png\" representation=\"B64\">iVBORw0K\nGgo=</value></observationMedia></entry>";
    let made = convert(document(&format!("<section><title>S</title><text><renderMultiMedia referencedObject=\"M1\"/>See</text>{media}</section>")).as_bytes()).unwrap();
    let media = made.of_type("Media");
    let content = media[0].get("content").unwrap();
    assert_eq!(content.str_of("contentType"), Some("image/png"));
    assert_eq!(content.str_of("data"), Some("iVBORw0KGgo="));
    assert_eq!(
        made.of_type("Composition")[0].items_of("section")[0]
            .items_of("entry")
            .len(),
        1
    );
    assert_eq!(crate::harness::errors(&made.bundle), [""; 0]);
}
