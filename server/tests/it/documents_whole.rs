//! Documents that are out of the ordinary: plain CDA R2 without the templates of C-CDA, and very long ones.

use crate::client::send;
use crate::databases::Database;
use crate::documents::{SMALL, found, taken};
use crate::kiln::Kiln;

on_both_databases!(a_plain_document_keeps_its_header_its_words_and_what_is_attached,);

/// CDA R2 without any template of C-CDA: who and when, the words of each section, pictures, and the document itself.
fn a_plain_document_keeps_its_header_its_words_and_what_is_attached(database: &Database) {
    let kiln = Kiln::start(database);
    let plain = "<ClinicalDocument xmlns=\"urn:hl7-org:v3\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\
        <typeId root=\"2.16.840.1.113883.1.3\" extension=\"POCD_HD000040\"/><id root=\"9.9.1\" extension=\"plain\"/>\
        <code code=\"11488-4\" codeSystem=\"2.16.840.1.113883.6.1\" displayName=\"Consult note\"/><title>A letter</title>\
        <effectiveTime value=\"20240102\"/><confidentialityCode code=\"N\" codeSystem=\"2.16.840.1.113883.5.25\"/>\
        <recordTarget><patientRole><id root=\"9.9.2\" extension=\"p\"/><patient><name><given>Ann</given><family>Plain</family></name></patient></patientRole></recordTarget>\
        <author><time value=\"20240102\"/><assignedAuthor><id root=\"9.9.3\" extension=\"dr\"/><assignedPerson><name><family>Feder</family></name></assignedPerson></assignedAuthor></author>\
        <dataEnterer><assignedEntity><id root=\"9.9.3\" extension=\"typist\"/><assignedPerson><name><family>Tipp</family></name></assignedPerson></assignedEntity></dataEnterer>\
        <custodian><assignedCustodian><representedCustodianOrganization><id root=\"9.9.4\"/><name>Haus</name></representedCustodianOrganization></assignedCustodian></custodian>\
        <component><structuredBody><component><section><title>Findings</title><text><paragraph>All is <content styleCode=\"Bold\">well</content>.</paragraph>\
        <renderMultiMedia referencedObject=\"PIC\"/></text><entry><observationMedia classCode=\"OBS\" moodCode=\"EVN\" ID=\"PIC\"><id root=\"9.9.5\" extension=\"pic\"/>\
        <value mediaType=\"image/png\" representation=\"B64\">iVBORw0KGgo=</value></observationMedia></entry></section></component></structuredBody></component></ClinicalDocument>";
    let xml = [("Content-Type", "application/xml")];
    let answer = send(
        kiln.address,
        "POST",
        "/api/documents",
        &xml,
        plain.as_bytes(),
    )
    .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let composition = &found(&kiln, "Composition")[0];
    assert_eq!(composition.str_of("title"), Some("A letter"));
    let text = composition.items_of("section")[0].get("text").unwrap();
    let div = text.str_of("div").unwrap();
    assert!(
        div.contains("All is <span class=\"Bold\">well</span>."),
        "{div}"
    );
    let extensions = composition.items_of("extension").iter();
    let entered = extensions.filter(|one| {
        let url = one.str_of("url");
        url.is_some_and(|url| url.ends_with("/DataEntererExtension"))
    });
    assert_eq!(entered.count(), 1, "{composition}");
    let media = &found(&kiln, "Media")[0];
    let content = media.get("content").unwrap();
    assert_eq!(content.str_of("data"), Some("iVBORw0KGgo="), "{media}");
    let names: Vec<_> = found(&kiln, "Practitioner")
        .iter()
        .map(|one| one.items_of("name")[0].str_of("family").unwrap().to_owned())
        .collect();
    assert!(
        names.contains(&"Feder".to_owned()) && names.contains(&"Tipp".to_owned()),
        "{names:?}"
    );
    let reference = &found(&kiln, "DocumentReference")[0];
    let attachment = reference.items_of("content")[0].get("attachment").unwrap();
    let url = attachment.str_of("url").unwrap();
    let accepts = [("Accept", "application/hl7-v3+xml")];
    let original = send(kiln.address, "GET", &format!("/fhir/{url}"), &accepts, b"").unwrap();
    assert_eq!(original.body, plain.as_bytes());
}

/// Words make most of such a document: so do they here, beside some thousand entries.
#[test]
fn a_document_of_thirty_megabytes_takes_no_more_than_a_few_times_that() {
    const TIMES_MAX: u64 = 20;
    const BYTES: usize = 30 * 1024 * 1024;
    let database = crate::databases::sqlite();
    let kiln = Kiln::start(&database);
    let text = SMALL.text();
    let (before, after) = text.split_once("<text>").unwrap();
    let row = "<tr><td>Aspirin 81 MG Delayed Release Oral Tablet</td><td>81 mg by mouth once daily</td></tr>\n";
    let rows = row.repeat(BYTES / row.len());
    let long = format!("{before}<text><table><tbody>{rows}</tbody></table>{after}");
    let idle = kiln.memory_peak_kib();
    let document = taken(&kiln, &long);
    assert_eq!(document.str_of("status"), Some("applied"));
    let grown = kiln.memory_peak_kib() - idle;
    println!("{grown} KiB for {} KiB", long.len() / 1024);
    // Its bytes, its text, the tree, the resources with the original among them, and what the database is given.
    assert!(grown < TIMES_MAX * 30 * 1024, "{grown} KiB");
    assert_eq!(found(&kiln, "Composition").len(), 1);
}
