//! Documents that mean harm, or are none: refused by name, and nothing else happens.

use crate::harness::convert;

fn refusal(document: &[u8]) -> String {
    convert(document).map_or_else(|refused| refused.to_string(), |_| "taken".to_owned())
}

const ROOT: &str = "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"";

#[test]
fn hostile_xml_is_refused() {
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>";
    let deep = format!("{ROOT}>{}", "<a>".repeat(100_000));
    let attributes: String = (0..10_000)
        .map(|number| format!(" a{number}=\"x\""))
        .collect();
    let long = format!("{ROOT} a=\"{}\"/>", "x".repeat(100_000));
    for (document, reason) in [
        (format!("{bomb}{ROOT}>&b;</ClinicalDocument>"), "DOCTYPE"),
        (
            "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><x/>".to_owned(),
            "DOCTYPE",
        ),
        (
            format!("{ROOT}>&nbsp;</ClinicalDocument>"),
            "an entity that XML does not have",
        ),
        (
            format!("{ROOT}><title x=\"&nbsp;\"/></ClinicalDocument>"),
            "nbsp",
        ),
        (deep, "more than 200 deep"),
        (format!("{ROOT}{attributes}/>"), "a tag of more than"),
        (
            format!(
                "{ROOT}{}/>",
                attributes.get(..2_000).unwrap().rsplit_once(' ').unwrap().0
            ),
            "more than 64 attributes",
        ),
        (long, "a tag of more than 65536 bytes"),
        (
            format!("{ROOT}><a></b></ClinicalDocument>"),
            "line 1, column",
        ),
        (format!("{ROOT}><a>"), "ends while an element is open"),
        (
            format!("{ROOT}>{}", "<section/>".repeat(10_001)),
            "more than 10000 sections",
        ),
        (
            format!("{ROOT}>{}", "<act/>".repeat(100_001)),
            "more than 100000 statements",
        ),
        (
            format!("{ROOT}>{}", "<a/>".repeat(2_000_001)),
            "more than 2000000 elements",
        ),
        (format!("{ROOT}/><x/>"), "a second root"),
        (format!("{ROOT} a=\"1\" a=\"2\"/>"), "duplicated"),
        (format!("{ROOT}><x:y/></ClinicalDocument>"), "prefix"),
        ("<html xmlns=\"urn:hl7-org:v3\"/>".to_owned(), "not html"),
        (
            "<ClinicalDocument xmlns=\"urn:other\"/>".to_owned(),
            "not ClinicalDocument",
        ),
        ("MSH|^~\\&|".to_owned(), "outside of the document"),
        (String::new(), "there is no element in it"),
    ] {
        let told = refusal(document.as_bytes());
        assert!(told.contains(reason), "{told}, wanted {reason}");
    }
    assert!(refusal(b"<?xml version=\"1.0\"?><ClinicalDocument>\xff\xfe\xfa").contains("encoding"));
}

#[test]
fn whatever_is_cut_off_or_changed_is_read_or_refused() {
    let whole = include_bytes!("golden/everything/input.xml");
    for place in (0..whole.len()).step_by(211) {
        drop(convert(&whole[..place]));
        let mut changed = whole.to_vec();
        changed[place] = b"<>&\"/ \0\xff"[place % 8];
        drop(convert(&changed));
    }
}

#[test]
fn a_document_that_says_one_thing_for_ever_is_told_and_not_endless() {
    let entry = "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.2\"/><id root=\"1.2\" extension=\"same\"/>";
    let entries: String = (0..5_000)
        .map(|number| format!("{entry}<code code=\"x{number}\" codeSystem=\"1.2.3\"/><value xsi:type=\"INT\" value=\"{number}\"/></observation></entry>"))
        .collect();
    let document = format!(
        "{ROOT} xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><component><structuredBody><component><section><title>S</title>{entries}</section></component></structuredBody></component></ClinicalDocument>"
    );
    let made = convert(document.as_bytes()).unwrap();
    assert_eq!(made.of_type("Observation").len(), 5_000);
    assert!(made.issues.len() <= 1_000);
}
