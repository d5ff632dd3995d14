//! Documents of older editions (CCD R1, C32), and templates of other guides: diagnostic imaging, data segmentation.

use fhir_spec::json::Value;

use crate::harness::{Output, convert, document, errors};

/// Sections with a code and an entry each.
fn made(sections: &[(&str, &str)]) -> Output {
    let sections: String = sections
        .iter()
        .map(|(code, entry)| {
            format!(
                "<component><section><code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>S</title><text>T</text><entry>{entry}</entry></section></component>"
            )
        })
        .collect();
    let body = format!("<component><structuredBody>{sections}</structuredBody></component>");
    let made = convert(document(&body).as_bytes()).unwrap();
    assert_eq!(errors(&made.bundle), [""; 0]);
    made
}

fn template(root: &str) -> String {
    format!("<templateId root=\"2.16.840.1.113883.10.20.{root}\"/>")
}

fn code(resource: &Value, name: &str) -> String {
    let concept = resource.get(name).unwrap();
    concept.items_of("coding")[0]
        .str_of("code")
        .unwrap()
        .to_owned()
}

const SNOMED: &str = "codeSystem=\"2.16.840.1.113883.6.96\"";

/// A concern of the first CCD around a statement.
fn concern(kind: &str, id: &str, rest: &str) -> String {
    format!(
        "<act classCode=\"ACT\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"c{id}\"/><entryRelationship typeCode=\"SUBJ\">\
         <observation classCode=\"OBS\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"{id}\"/>{rest}</observation></entryRelationship></act>",
        template("1.27"),
        template(kind)
    )
}

fn given(id: &str) -> String {
    format!(
        "<substanceAdministration classCode=\"SBADM\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"{id}\"/><consumable><manufacturedProduct>\
         <manufacturedMaterial><code code=\"X\" codeSystem=\"2.16.840.1.113883.6.88\"/></manufacturedMaterial></manufacturedProduct></consumable></substanceAdministration>",
        template("1.24")
    )
}

#[test]
fn entries_of_the_first_ccd_are_known() {
    let allergy = concern(
        "1.18",
        "a",
        &format!(
            "<value xsi:type=\"CD\" code=\"416098002\" {SNOMED}/><participant typeCode=\"CSM\"><participantRole><playingEntity>\
             <code code=\"70618\" codeSystem=\"2.16.840.1.113883.6.88\"/></playingEntity></participantRole></participant>"
        ),
    );
    let problem = concern(
        "1.28",
        "p",
        &format!("<value xsi:type=\"CD\" code=\"195967001\" {SNOMED}/>"),
    );
    let family = format!(
        "<organizer classCode=\"CLUSTER\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"f\"/><subject><relatedSubject classCode=\"PRS\"><code code=\"FTH\" codeSystem=\"2.16.840.1.113883.5.111\"/></relatedSubject></subject>\
         <component><observation classCode=\"OBS\" moodCode=\"EVN\">{}<value xsi:type=\"CD\" code=\"22298006\" {SNOMED}/></observation></component></organizer>",
        template("1.23"),
        template("1.22")
    );
    let payer = format!(
        "<act classCode=\"ACT\" moodCode=\"DEF\">{}<entryRelationship typeCode=\"COMP\"><act classCode=\"ACT\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"cov\"/></act></entryRelationship></act>",
        template("1.20"),
        template("1.26")
    );
    let plan = format!(
        "<observation classCode=\"OBS\" moodCode=\"RQO\">{}<id root=\"1.1\" extension=\"plan\"/><code code=\"2951-2\" codeSystem=\"2.16.840.1.113883.6.1\"/></observation>",
        template("1.25")
    );
    let done = format!(
        "<act classCode=\"ACT\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"done\"/><code code=\"71388002\" {SNOMED}/></act>",
        template("1.29")
    );
    let result = format!(
        "<organizer classCode=\"BATTERY\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"r\"/><component><observation classCode=\"OBS\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"r1\"/>\
         <code code=\"718-7\" codeSystem=\"2.16.840.1.113883.6.1\"/><value xsi:type=\"PQ\" value=\"13\" unit=\"g/dL\"/></observation></component></organizer>",
        template("1.32"),
        template("1.31")
    );
    let vital = result
        .replace("\"r", "\"v")
        .replace("718-7", "8867-4")
        .replace("1.32", "1.35");
    let made = made(&[
        ("48765-2", &allergy),
        ("11450-4", &problem),
        ("10160-0", &given("m")),
        ("11369-6", &given("i")),
        ("10157-6", &family),
        ("48768-6", &payer),
        ("18776-5", &plan),
        ("47519-4", &done),
        ("30954-2", &result),
        ("8716-3", &vital),
    ]);
    for (kind, count) in [
        ("AllergyIntolerance", 1),
        ("Condition", 1),
        ("MedicationRequest", 1),
        ("Immunization", 1),
        ("FamilyMemberHistory", 1),
        ("Coverage", 1),
        ("ServiceRequest", 1),
        ("Procedure", 1),
        ("DiagnosticReport", 1),
        // A result, a vital sign and their panel.
        ("Observation", 3),
    ] {
        assert_eq!(made.of_type(kind).len(), count, "{kind}");
    }
    assert_eq!(code(made.of_type("AllergyIntolerance")[0], "code"), "70618");
    assert_eq!(code(made.of_type("Condition")[0], "code"), "195967001");
    assert_eq!(
        made.of_type("FamilyMemberHistory")[0]
            .items_of("condition")
            .len(),
        1
    );
}

#[test]
fn a_study_of_pictures_and_what_is_measured_on_them() {
    let picture = |number: u32| {
        format!(
            "<entryRelationship typeCode=\"COMP\"><observation classCode=\"DGIMG\" moodCode=\"EVN\">{}<id root=\"1.2.840.99.3.{number}\"/>\
             <code code=\"1.2.840.10008.5.1.4.1.1.1\" codeSystem=\"1.2.840.10008.2.6.1\"/><effectiveTime value=\"20060823223232\"/></observation></entryRelationship>",
            template("6.2.8")
        )
    };
    let study = format!(
        "<act classCode=\"ACT\" moodCode=\"EVN\">{}<id root=\"1.2.840.99.1\"/><code code=\"113014\" codeSystem=\"1.2.840.10008.2.16.4\"/><effectiveTime value=\"20060823222400+0000\"/>\
         <entryRelationship typeCode=\"COMP\"><act classCode=\"ACT\" moodCode=\"EVN\"><id root=\"1.2.840.99.2\"/><code code=\"113015\" codeSystem=\"1.2.840.10008.2.16.4\">\
         <qualifier><name code=\"121139\" codeSystem=\"1.2.840.10008.2.16.4\"/><value code=\"CR\" codeSystem=\"1.2.840.10008.2.16.4\"/></qualifier></code>{}{}</act></entryRelationship></act>",
        template("6.2.6"),
        picture(1),
        picture(2)
    );
    let measured = format!(
        "<observation classCode=\"OBS\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"q\"/><code code=\"439984002\" codeSystem=\"2.16.840.1.113883.6.96\"/>\
         <value xsi:type=\"PQ\" value=\"45\" unit=\"mm\"/></observation>",
        template("6.2.14")
    );
    let told = format!(
        "<observation classCode=\"OBS\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"t\"/><code code=\"121071\" codeSystem=\"1.2.840.10008.2.16.4\"/><value xsi:type=\"ED\">A nodule</value></observation>",
        template("6.2.12")
    );
    let made = made(&[("121181", &study), ("121070", &measured), ("121070", &told)]);
    let studies = made.of_type("ImagingStudy");
    assert_eq!(studies.len(), 1);
    assert_eq!(
        studies[0].items_of("identifier")[0].str_of("value"),
        Some("urn:oid:1.2.840.99.1")
    );
    assert_eq!(studies[0].str_of("started"), Some("2006-08-23T22:24:00Z"));
    let series = &studies[0].items_of("series")[0];
    assert_eq!(series.str_of("uid"), Some("1.2.840.99.2"));
    let modality = series.get("modality").unwrap();
    assert_eq!(
        modality.str_of("system"),
        Some("http://dicom.nema.org/resources/ontology/DCM")
    );
    let pictures = series.items_of("instance");
    assert_eq!(pictures.len(), 2);
    assert_eq!(pictures[1].str_of("uid"), Some("1.2.840.99.3.2"));
    let class = pictures[0].get("sopClass").unwrap();
    assert_eq!(
        class.str_of("code"),
        Some("urn:oid:1.2.840.10008.5.1.4.1.1.1")
    );
    let found = made.of_type("Observation");
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .any(|one| one.str_of("valueString") == Some("A nodule"))
    );
    for one in found {
        let category = &one.items_of("category")[0].items_of("coding")[0];
        assert_eq!(category.str_of("code"), Some("imaging"));
    }
}

#[test]
fn how_something_is_to_be_handled_is_a_label() {
    let security = |kind: &str, code: &str, system: &str| {
        format!(
            "<component><observation classCode=\"OBS\" moodCode=\"EVN\"><code code=\"{kind}\" codeSystem=\"2.16.840.1.113883.1.11.20457\"/><value xsi:type=\"CE\" code=\"{code}\" codeSystem=\"{system}\"/></observation></component>"
        )
    };
    let organizer = format!(
        "<organizer classCode=\"CLUSTER\" moodCode=\"EVN\">{}{}{}</organizer>",
        security("SECCLASSOBS", "R", "2.16.840.1.113883.5.25"),
        security("SECCONOBS", "NORDSCLCD", "2.16.840.1.113883.5.1063"),
        security("SECCATOBS", "ETH", "2.16.840.1.113883.5.4"),
    );
    let statement = |id: &str, more: &str| {
        format!(
            "<observation classCode=\"OBS\" moodCode=\"EVN\">{}<id root=\"1.1\" extension=\"{id}\"/><value xsi:type=\"CD\" code=\"195967001\" codeSystem=\"2.16.840.1.113883.6.96\"/>{more}</observation>",
            template("22.4.4")
        )
    };
    let inside = format!("<entryRelationship typeCode=\"COMP\">{organizer}</entryRelationship>");
    let made = made(&[
        ("11450-4", &statement("a", &inside)),
        ("11450-4", &statement("b", "")),
    ]);
    let labels = |resource: &Value| -> Vec<String> {
        let labels = resource.get("meta").map(|meta| meta.items_of("security"));
        let labels = labels.unwrap_or_default().iter();
        labels
            .map(|label| label.str_of("code").unwrap().to_owned())
            .collect()
    };
    let mut found: Vec<Vec<String>> = made.of_type("Condition").into_iter().map(labels).collect();
    found.sort();
    assert_eq!(found, [vec![], vec!["R", "NORDSCLCD", "ETH"]]);
    // The document is as confidential as the most confidential of what is in it, and says how that is to be handled.
    for kind in ["Composition", "DocumentReference", "Binary"] {
        assert_eq!(
            labels(made.of_type(kind)[0]),
            ["R", "NORDSCLCD", "ETH"],
            "{kind}"
        );
    }
    let system = made.of_type("Binary")[0]
        .get("meta")
        .unwrap()
        .items_of("security")[1]
        .clone();
    assert_eq!(
        system.str_of("system"),
        Some("http://terminology.hl7.org/CodeSystem/v3-ActCode")
    );
}

#[test]
fn doses_that_follow_each_other_are_one_request() {
    let dose = |id: &str, from: &str, dose: &str, inside: &str| {
        format!(
            "<substanceAdministration classCode=\"SBADM\" moodCode=\"INT\">{}<id root=\"1.1\" extension=\"{id}\"/><effectiveTime xsi:type=\"IVL_TS\"><low value=\"{from}\"/></effectiveTime>\
             <doseQuantity value=\"{dose}\" unit=\"mg\"/><consumable><manufacturedProduct><manufacturedMaterial><code code=\"312617\" codeSystem=\"2.16.840.1.113883.6.88\"/></manufacturedMaterial></manufacturedProduct></consumable>{inside}</substanceAdministration>",
            template("22.4.16")
        )
    };
    let step = |number: u32, inner: String| {
        format!(
            "<entryRelationship typeCode=\"COMP\"><sequenceNumber value=\"{number}\"/>{inner}</entryRelationship>"
        )
    };
    let steps =
        step(1, dose("s1", "20240101", "40", "")) + &step(2, dose("s2", "20240108", "20", ""));
    let made = made(&[("10160-0", &dose("all", "20240101", "40", &steps))]);
    let requests = made.of_type("MedicationRequest");
    assert_eq!(requests.len(), 1);
    let doses = requests[0].items_of("dosageInstruction");
    let sequences: Vec<String> = doses
        .iter()
        .filter_map(|dose| Some(dose.get("sequence")?.to_string()))
        .collect();
    assert_eq!(
        (doses.len(), sequences),
        (3, vec!["1".to_owned(), "2".to_owned()])
    );
    assert!(doses[2].to_string().contains("20"));
}
