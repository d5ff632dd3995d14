//! Where links stand, and what becomes of them.

use crate::bundle::{Found, Kind, Links, Target};
use crate::definitions::Definitions;
use crate::json::parse;

const A: &str = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9";
const DIV: &str = r#"<div xmlns=\"http://www.w3.org/1999/xhtml\">"#;

fn links(kind: Kind) -> Links {
    let mut links = Links::new(kind, Definitions::r4().types());
    links.add(A, Target::new("Patient", "p", Some(3)));
    links.add("urn:oid:1.2.3", Target::new("Binary", "b", Some(1)));
    links
}

fn with_http() -> Links {
    let mut links = links(Kind::Transaction);
    links.add(
        "http://h/r4/Patient/9",
        Target::new("Patient", "nine", None),
    );
    links
}

fn run(links: &Links, full_url: Option<&str>, text: &str) -> (String, Found) {
    let mut document = parse(text.as_bytes()).unwrap();
    let place = || "Bundle.entry[4].resource".to_owned();
    let types = Definitions::r4().types();
    let found = links.rewrite(&mut document, full_url, place, types);
    let written = document.to_string();
    assert_eq!(found.changed, written != text, "{text}");
    (written, found)
}

/// What becomes of a resource, `~` standing for the full url; it has no other faults.
fn becomes(text: &str, expected: &str) {
    let text = text.replace('~', A);
    let (written, found) = run(&with_http(), Some("http://h/r4/Observation/1"), &text);
    assert_eq!(written, expected.replace('~', A));
    assert_eq!(found.issues, []);
}

fn stays(text: &str) {
    becomes(text, text);
}

#[test]
fn references_are_rewritten_wherever_they_stand() {
    becomes(
        r#"{"resourceType":"Observation","subject":{"reference":"~"},"performer":[{"display":"x"},{"reference":"~"}]}"#,
        r#"{"resourceType":"Observation","subject":{"reference":"Patient/p"},"performer":[{"display":"x"},{"reference":"Patient/p"}]}"#,
    );
    becomes(
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Observation","subject":{"reference":"~"},"focus":[{"reference":"\#"}]}]}"#
            .replace("\\#", "#")
            .as_str(),
        r##"{"resourceType":"Patient","contained":[{"resourceType":"Observation","subject":{"reference":"Patient/p"},"focus":[{"reference":"#"}]}]}"##,
    );
    becomes(
        r#"{"resourceType":"Patient","extension":[{"url":"http://x","extension":[{"url":"y","valueReference":{"reference":"~"}}]}],"_birthDate":{"extension":[{"url":"http://z","valueReference":{"reference":"~"}}]}}"#,
        r#"{"resourceType":"Patient","extension":[{"url":"http://x","extension":[{"url":"y","valueReference":{"reference":"Patient/p"}}]}],"_birthDate":{"extension":[{"url":"http://z","valueReference":{"reference":"Patient/p"}}]}}"#,
    );
    becomes(
        r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Observation","subject":{"reference":"~"}}}]}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"a","part":[{"name":"b","resource":{"resourceType":"Observation","subject":{"reference":"Patient/p"}}}]}]}"#,
    );
}

#[test]
fn letter_case_fragments_and_versions_are_understood() {
    let subject = |link: &str| {
        format!(r#"{{"resourceType":"Observation","subject":{{"reference":"{link}"}}}}"#)
    };
    for (link, expected) in [
        (A.to_uppercase(), "Patient/p"),
        (A.replace("urn:uuid", "Urn:UuId"), "Patient/p"),
        (format!("{A}#c1"), "Patient/p#c1"),
        (format!("{A}/_history/77"), "Patient/p/_history/3"),
        ("http://h/r4/Patient/9".to_owned(), "Patient/nine"),
        (
            "http://h/r4/Patient/9/_history/5".to_owned(),
            "Patient/nine/_history/5",
        ),
        ("Patient/9".to_owned(), "Patient/nine"),
        (
            "Patient/9/_history/5#x".to_owned(),
            "Patient/nine/_history/5#x",
        ),
        ("urn:OID:1.2.3".to_owned(), "Binary/b"),
        ("Patient/8".to_owned(), "Patient/8"),
        (
            "http://elsewhere/r4/Patient/9".to_owned(),
            "http://elsewhere/r4/Patient/9",
        ),
    ] {
        becomes(&subject(&link), &subject(expected));
    }
    // A relative reference is meant from the base of its own entry: this one has none.
    let relative = subject("Patient/9");
    assert_eq!(run(&with_http(), Some(A), &relative).0, relative);
    assert_eq!(run(&with_http(), None, &relative).0, relative);
}

#[test]
fn an_entry_without_a_full_url_is_known_by_type_and_id() {
    let mut links = links(Kind::Transaction);
    links.add_relative("Patient", "9", Target::new("Patient", "new", Some(1)));
    let subject = |link: &str| {
        format!(
            r#"{{"resourceType":"Observation","subject":{{"reference":"{link}"}},"note":[{{"text":"{link}"}}]}}"#
        )
    };
    for full_url in [None, Some(A), Some("http://h/r4/Observation/1")] {
        let (written, _) = run(&links, full_url, &subject("Patient/9/_history/4"));
        assert!(
            written.contains(r#""reference":"Patient/new/_history/1""#),
            "{written}"
        );
        assert!(
            written.contains(r#""text":"Patient/9/_history/4""#),
            "{written}"
        );
        for other in [
            "Patient/8",
            "Group/9",
            "http://h/r4/Patient/9",
            "#Patient/9",
        ] {
            assert_eq!(run(&links, full_url, &subject(other)).0, subject(other));
        }
    }
    let stored = subject("Patient/9");
    assert_eq!(run(&links.of_stored(), None, &stored).0, stored);
    let nested = r#"{"resourceType":"Bundle","type":"document","entry":[{"resource":{"resourceType":"List","subject":{"reference":"Patient/9"}}}]}"#;
    assert_eq!(run(&links, None, nested).0, nested);
}

#[test]
fn elements_that_hold_uris_are_links_and_strings_are_not() {
    becomes(
        r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"urn:oid:1.2.3"}},{"attachment":{"url":"Patient/9"}}]}"#,
        r#"{"resourceType":"DocumentReference","content":[{"attachment":{"url":"Binary/b"}},{"attachment":{"url":"Patient/nine"}}]}"#,
    );
    becomes(
        r#"{"resourceType":"PlanDefinition","library":["~"],"instantiatesUri":["~"],"extension":[{"url":"http://x","valueUri":"~"},{"url":"http://x","valueCanonical":"~"},{"url":"http://x","valueString":"~"}]}"#
            .replace("\"instantiatesUri\":[\"~\"],", "")
            .as_str(),
        r#"{"resourceType":"PlanDefinition","library":["~"],"extension":[{"url":"http://x","valueUri":"Patient/p"},{"url":"http://x","valueCanonical":"~"},{"url":"http://x","valueString":"~"}]}"#,
    );
    becomes(
        r#"{"resourceType":"CarePlan","instantiatesUri":["http://x","~"]}"#,
        r#"{"resourceType":"CarePlan","instantiatesUri":["http://x","Patient/p"]}"#,
    );
    stays(
        r#"{"resourceType":"Patient","identifier":[{"system":"urn:ietf:rfc:3986","value":"~"}],"name":[{"text":"~"}]}"#,
    );
    stays(r#"{"resourceType":"Patient","reference":"~","made-up":{"reference":"~"}}"#);
    stays(r#"{"resourceType":"Elephant","subject":{"reference":"~"}}"#);
    stays(r#"{"subject":{"reference":"~"}}"#);
}

#[test]
fn a_link_in_an_element_that_is_too_narrow_for_its_target_makes_it_a_uri() {
    becomes(
        r#"{"resourceType":"Patient","extension":[{"url":"http://x","valueUuid":"~","_valueUuid":{"id":"i"}},{"url":"http://y","valueOid":"urn:oid:1.2.3"},{"url":"http://y","valueOid":"urn:oid:9"}]}"#,
        r#"{"resourceType":"Patient","extension":[{"url":"http://x","valueUri":"Patient/p","_valueUri":{"id":"i"}},{"url":"http://y","valueUri":"Binary/b"},{"url":"http://y","valueOid":"urn:oid:9"}]}"#,
    );
    // They stand nowhere but in choices that have a uri too.
    let definitions = Definitions::r4();
    for definition in definitions.types().iter() {
        for element in &definition.elements {
            let has = |name| {
                let id = definitions.types().by_name(name);
                element.types.iter().any(|kind| Some(kind.id) == id)
            };
            assert!(
                !(has("oid") || has("uuid")) || (element.is_choice && has("uri")),
                "{}",
                element.path
            );
        }
    }
}

#[test]
fn a_full_url_that_is_a_canonical_too_stays_where_it_names() {
    let mut links = Links::new(Kind::Transaction, Definitions::r4().types());
    let url = "http://h/StructureDefinition/x";
    let text = format!(r#"{{"resourceType":"StructureDefinition","url":"{url}"}}"#);
    let resource = parse(text.as_bytes()).unwrap();
    let target = Target::new("StructureDefinition", "new", Some(1)).of(url, &resource);
    links.add(url, target);
    assert_eq!(run(&links, Some(url), &text).0, text);
    let uses = format!(
        r#"{{"resourceType":"List","extension":[{{"url":"{url}","valueReference":{{"reference":"{url}"}}}}]}}"#
    );
    let expected = format!(
        r#"{{"resourceType":"List","extension":[{{"url":"{url}","valueReference":{{"reference":"StructureDefinition/new"}}}}]}}"#
    );
    assert_eq!(run(&links, None, &uses).0, expected);
}

#[test]
fn narratives_link_too() {
    let narrative = |inner: &str| {
        format!(
            r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"{DIV}{inner}</div>"}}}}"#
        )
    };
    becomes(
        &narrative(
            r#"<a title='~' href='~'>~</a> &amp; <img alt=\"~\" src = \"urn:oid:1.2.3\"/><a href=\"http://h/r4/Patient/9#a\"/>"#,
        ),
        &narrative(
            r#"<a title='~' href='Patient/p'>~</a> &amp; <img alt=\"~\" src = \"Binary/b\"/><a href=\"Patient/nine#a\"/>"#,
        ),
    );
    becomes(
        &narrative(r#"<a href=\"urn:oid:1&#46;2.3\">x</a>"#),
        &narrative(r#"<a href=\"Binary/b\">x</a>"#),
    );
    for inner in [
        r#"<a name=\"~\" href=\"\#x\">href</a><p src=\"~\"/>"#.replace("\\#", "#"),
        r#"<a href=\"http://elsewhere\">x</a>"#.to_owned(),
        r#"<a href=\"~\">not closed"#.to_owned(),
    ] {
        stays(&narrative(&inner));
    }
    stays(r#"{"resourceType":"Patient","name":[{"text":"<a href='~'/>"}],"div":"<a href='~'/>"}"#);
}

#[test]
fn a_bundle_within_means_its_own_entries_first() {
    let nested = |own: &str, link: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"document","entry":[{{"fullUrl":"{own}","resource":{{"resourceType":"Composition","subject":{{"reference":"{link}"}}}}}}]}}"#
        )
    };
    stays(&nested(&A.to_uppercase(), "~"));
    becomes(
        &nested("urn:uuid:00000000-0000-0000-0000-000000000001", "~"),
        &nested("urn:uuid:00000000-0000-0000-0000-000000000001", "Patient/p"),
    );
    // What it does not resolve itself is its own affair.
    stays(&nested("http://h/r4/Composition/1", "urn:uuid:other"));
    stays(&nested("http://h/r4/Composition/1", "Patient/9"));
    stays(&nested("http://h/r4/Composition/1", "Patient?a=b"));
}

#[test]
fn links_that_lead_nowhere_are_told_with_their_place() {
    let text = r#"{"resourceType":"Observation","subject":{"reference":"urn:uuid:none"},"component":[{"extension":[{"url":"http://x","valueReference":{"reference":"urn:oid:9"}}]}],"_status":{"extension":[{"url":"http://x","valueReference":{"reference":"Urn:Uuid:None"}}]},"derivedFrom":[{"identifier":{"system":"urn:oid:4"}}]}"#;
    let (written, found) = run(&links(Kind::Transaction), None, text);
    assert_eq!(written, text);
    let places: Vec<&str> = found
        .issues
        .iter()
        .filter_map(|issue| issue.expression.as_deref())
        .collect();
    assert_eq!(
        places,
        [
            "Bundle.entry[4].resource.subject.reference",
            "Bundle.entry[4].resource.component[0].extension[0].value.reference",
            "Bundle.entry[4].resource.status.extension[0].value.reference",
        ]
    );
}

#[test]
fn a_batch_has_no_links() {
    let text = format!(
        r#"{{"resourceType":"Observation","subject":{{"reference":"{A}"}},"focus":[{{"reference":"urn:uuid:other"}}],"instantiatesUri":"{A}"}}"#
    );
    let (written, found) = run(&links(Kind::Batch), None, &text);
    assert_eq!(written, text);
    assert_eq!(found.issues.len(), 1);
    assert!(found.issues[0].diagnostics.contains("a batch has no links"));
}

#[test]
fn references_by_criteria_are_collected_and_then_written() {
    let text = r#"{"resourceType":"Encounter","subject":{"reference":"Patient?identifier=s|1"},"participant":[{"individual":{"reference":"Practitioner?identifier=2"}},{"individual":{"reference":"Practitioner?identifier=2"}}],"serviceProvider":{"reference":"Elephant?x"}}"#;
    for kind in [Kind::Transaction, Kind::Batch] {
        let mut links = links(kind);
        let (_, found) = run(&links, None, text);
        assert_eq!(
            found.criteria,
            [
                "Patient?identifier=s|1",
                "Practitioner?identifier=2",
                "Practitioner?identifier=2"
            ]
        );
        links.add_criteria(
            "Practitioner?identifier=2",
            Target::new("Practitioner", "x", None),
        );
        let (written, found) = run(&links, None, text);
        assert_eq!(found.criteria, ["Patient?identifier=s|1"]);
        let expected = text.replace("Practitioner?identifier=2", "Practitioner/x");
        assert_eq!(written, expected);
    }
}
