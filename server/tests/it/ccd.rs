//! `Patient/[id]/$ccd`: what is stored of a patient leaves as a clinical document, and says the same when it comes back.

use fhir_spec::json::{Value, parse};

use crate::authorised::{Holder, guarded, key};
use crate::client::{Answer, FHIR_JSON, get, post, send};
use crate::databases::Database;
use crate::kiln::Kiln;

on_both_databases!(
    a_summary_says_what_is_stored,
    a_summary_in_fhir_is_a_document,
    a_summary_is_the_same_until_something_is_new,
    a_discharge_and_a_referral_have_their_sections,
    what_is_asked_wrongly_is_refused_by_name,
    a_summary_has_its_bounds,
    what_may_not_be_seen_is_withheld_by_name,
);

/// Of one patient, with somebody else beside; ids are those of the tests.
pub(crate) const STORED: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
 {"resource":{"resourceType":"Organization","id":"o","name":"Community Health","identifier":[{"system":"urn:oid:1.2.3.4","value":"org"}],
   "telecom":[{"system":"phone","value":"555-1000"}],"address":[{"line":["1 Main St"],"city":"Boston","state":"MA","postalCode":"02101","country":"US"}]},"request":{"method":"PUT","url":"Organization/o"}},
 {"resource":{"resourceType":"Patient","id":"p","name":[{"use":"official","family":"Jones","given":["Isabella"]}],"gender":"female","birthDate":"1975-05-01",
   "identifier":[{"system":"urn:oid:1.2.3.4.5","value":"4711"}],"managingOrganization":{"reference":"Organization/o"}},"request":{"method":"PUT","url":"Patient/p"}},
 {"resource":{"resourceType":"Patient","id":"q","name":[{"family":"Other"}]},"request":{"method":"PUT","url":"Patient/q"}},
 {"resource":{"resourceType":"AllergyIntolerance","id":"a","patient":{"reference":"Patient/p"},
   "clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},
   "code":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"7980","display":"Penicillin G"}]},
   "reaction":[{"manifestation":[{"coding":[{"system":"http://snomed.info/sct","code":"247472004","display":"Hives"}]}],"severity":"moderate"}]},"request":{"method":"PUT","url":"AllergyIntolerance/a"}},
 {"resource":{"resourceType":"Condition","id":"c","subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},
   "clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},
   "code":{"coding":[{"system":"http://snomed.info/sct","code":"195967001","display":"Asthma"}]},"onsetDateTime":"2011-03"},"request":{"method":"PUT","url":"Condition/c"}},
 {"resource":{"resourceType":"Condition","id":"own","subject":{"reference":"Patient/p"},
   "code":{"coding":[{"system":"http://hospital.example/codes","code":"X7","display":"House code"}]}},"request":{"method":"PUT","url":"Condition/own"}},
 {"resource":{"resourceType":"Encounter","id":"e","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP"},
   "subject":{"reference":"Patient/p"},"period":{"start":"2024-02-01T08:00:00Z","end":"2024-02-05T10:00:00Z"}},"request":{"method":"PUT","url":"Encounter/e"}},
 {"resource":{"resourceType":"Encounter","id":"f","status":"finished","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"},
   "subject":{"reference":"Patient/q"}},"request":{"method":"PUT","url":"Encounter/f"}},
 {"resource":{"resourceType":"Observation","id":"old","status":"final","subject":{"reference":"Patient/p"},"effectiveDateTime":"2010-01-01",
   "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
   "code":{"coding":[{"system":"http://loinc.org","code":"718-7","display":"Hemoglobin"}]},"valueQuantity":{"value":13.20,"unit":"g/dL"}},"request":{"method":"PUT","url":"Observation/old"}},
 {"resource":{"resourceType":"Observation","id":"new","status":"final","subject":{"reference":"Patient/p"},"effectiveDateTime":"2024-02-02T09:00:00+01:00",
   "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],
   "code":{"coding":[{"system":"http://loinc.org","code":"2345-7","display":"Glucose"}]},"valueQuantity":{"value":99,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}},"request":{"method":"PUT","url":"Observation/new"}},
 {"resource":{"resourceType":"Observation","id":"theirs","status":"final","subject":{"reference":"Patient/q"},"performer":[{"reference":"Patient/p"}],
   "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
   "code":{"text":"Weight of somebody else"}},"request":{"method":"PUT","url":"Observation/theirs"}},
 {"resource":{"resourceType":"Device","id":"d","patient":{"reference":"Patient/p"},"type":{"coding":[{"system":"http://snomed.info/sct","code":"14106009","display":"Pacemaker"}]}},"request":{"method":"PUT","url":"Device/d"}},
 {"resource":{"resourceType":"MedicationRequest","id":"m","status":"active","intent":"order","subject":{"reference":"Patient/p"},"encounter":{"reference":"Encounter/e"},
   "medicationCodeableConcept":{"coding":[{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"745679","display":"Albuterol 0.09 MG/ACTUAT"}]},
   "dosageInstruction":[{"text":"2 puffs twice a day","timing":{"repeat":{"frequency":2,"period":1,"periodUnit":"d"}}}]},"request":{"method":"PUT","url":"MedicationRequest/m"}},
 {"resource":{"resourceType":"ServiceRequest","id":"s","status":"active","intent":"order","subject":{"reference":"Patient/p"},
   "code":{"coding":[{"system":"http://snomed.info/sct","code":"103696004","display":"Patient referral to specialist"}]},
   "reasonCode":[{"text":"Shortness of breath"}],"performer":[{"display":"Dr. Lung"}]},"request":{"method":"PUT","url":"ServiceRequest/s"}}
]}"#;

fn stocked(database: &Database) -> Kiln {
    let kiln = Kiln::start(database);
    let answer = post(kiln.address, "/fhir", STORED);
    assert_eq!(answer.status, 200, "{}", answer.text());
    kiln
}

fn asked(kiln: &Kiln, query: &str, headers: &[(&str, &str)]) -> Answer {
    let path = format!("/fhir/Patient/p/$ccd{query}");
    send(kiln.address, "GET", &path, headers, b"").unwrap()
}

/// The document read back, by the door for documents of others.
fn again(kiln: &Kiln, document: &Answer) -> Value {
    let path = "/api/convert?from=ccda";
    let answer = send(kiln.address, "POST", path, &[], &document.body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn of_type<'v>(bundle: &'v Value, kind: &str) -> Vec<&'v Value> {
    let entries = bundle.items_of("entry").iter();
    let resources = entries.filter_map(|entry| entry.get("resource"));
    resources
        .filter(|one| one.str_of("resourceType") == Some(kind))
        .collect()
}

/// What stands in the section with that code, down to the next one.
fn section<'t>(text: &'t str, code: &str) -> &'t str {
    let begin = format!(
        "<code code=\"{code}\" codeSystem=\"2.16.840.1.113883.6.1\" codeSystemName=\"LOINC\""
    );
    let Some((_, rest)) = text.split_once(&begin) else {
        panic!("no section {code}");
    };
    rest.split_once("</section>").unwrap().0
}

fn a_summary_says_what_is_stored(database: &Database) {
    let kiln = stocked(database);
    let made = asked(&kiln, "", &[]);
    assert_eq!(made.status, 200, "{}", made.text());
    let media = made.header("Content-Type").unwrap();
    assert_eq!(media, "application/cda+xml; charset=utf-8");
    let text = made.text();
    assert!(text.contains(
        "<templateId root=\"2.16.840.1.113883.10.20.22.1.2\" extension=\"2015-08-01\"/>"
    ));
    // For people: a row that the entry refers to.
    let allergies = section(&text, "48765-2");
    assert!(allergies.contains("<td>Penicillin G</td>"), "{allergies}");
    assert!(allergies.contains("<tr ID=\"allergies-1\">"), "{allergies}");
    assert!(
        allergies.contains("<reference value=\"#allergies-1\"/>"),
        "{allergies}"
    );
    // A code that only the hospital knows is none of another system.
    let problems = section(&text, "11450-4");
    assert!(
        problems.contains("<value xsi:type=\"CD\" nullFlavor=\"OTH\">"),
        "{problems}"
    );
    assert!(
        problems.contains("codeSystemName=\"http://hospital.example/codes\""),
        "{problems}"
    );
    assert!(section(&text, "46264-8").contains("Pacemaker"));
    assert!(!text.contains("Weight of somebody else"));
    // Nothing is known of it, and the section is there: it has to be.
    let (_, empty) = text.split_once("nullFlavor=\"NI\"").unwrap();
    assert!(empty.contains("<text>No information</text>"));
    let back = again(&kiln, &made);
    let patient = of_type(&back, "Patient")[0];
    assert_eq!(
        patient.items_of("identifier")[0].str_of("value"),
        Some("4711")
    );
    assert_eq!(patient.str_of("birthDate"), Some("1975-05-01"));
    assert_eq!(of_type(&back, "AllergyIntolerance").len(), 1);
    assert_eq!(of_type(&back, "Condition").len(), 2);
    let own = of_type(&back, "Condition").into_iter().any(|condition| {
        let code = condition.get("code").unwrap();
        code.items_of("coding")
            .iter()
            .any(|coding| coding.str_of("system") == Some("http://hospital.example/codes"))
    });
    assert!(own, "a system without an OID comes back");
    let mut values: Vec<String> = of_type(&back, "Observation")
        .iter()
        .filter_map(|one| {
            one.get("valueQuantity")?
                .get("value")
                .map(ToString::to_string)
        })
        .collect();
    values.sort();
    assert_eq!(values, ["13.20", "99"]);
    assert_eq!(
        of_type(&back, "Device")
            .iter()
            .filter(|one| one.get("patient").is_some())
            .count(),
        1
    );
}

fn a_summary_in_fhir_is_a_document(database: &Database) {
    let kiln = stocked(database);
    // A document Bundle that is valid and has its Composition first.
    let fhir = asked(&kiln, "", &[("Accept", "application/fhir+json")]);
    assert_eq!(fhir.header("Content-Type"), Some("application/fhir+json"));
    let bundle = fhir.json();
    assert_eq!(bundle.str_of("type"), Some("document"));
    let first = bundle.items_of("entry")[0].get("resource").unwrap();
    assert_eq!(first.str_of("resourceType"), Some("Composition"));
    let judged = send(
        kiln.address,
        "POST",
        "/fhir/Bundle/$validate",
        &[FHIR_JSON],
        &fhir.body,
    )
    .unwrap();
    let outcome = judged.json();
    let errors = outcome
        .items_of("issue")
        .iter()
        .filter(|issue| issue.str_of("severity") == Some("error"));
    assert_eq!(errors.count(), 0, "{}", judged.text());
}

fn a_summary_is_the_same_until_something_is_new(database: &Database) {
    let kiln = stocked(database);
    let text = asked(&kiln, "", &[]).text();
    // Asked twice it is the same document; with something new it is another version of it.
    let id = |text: &str| {
        text.split("<id root=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let set = |text: &str| {
        text.split("<setId root=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(id(&asked(&kiln, "", &[]).text()), id(&text));
    let new = r#"{"resourceType":"Goal","lifecycleStatus":"active","description":{"text":"Run"},"subject":{"reference":"Patient/p"}}"#;
    assert_eq!(post(kiln.address, "/fhir/Goal", new).status, 201);
    let later = asked(&kiln, "", &[]).text();
    assert_ne!(id(&later), id(&text));
    assert_eq!(set(&later), set(&text));
}

fn a_discharge_and_a_referral_have_their_sections(database: &Database) {
    let kiln = stocked(database);
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"type","valueCode":"discharge-summary"},
        {"name":"encounter","valueReference":{"reference":"Encounter/e"}}]}"#;
    let made = post(kiln.address, "/fhir/Patient/p/$ccd", parameters);
    assert_eq!(made.status, 200, "{}", made.text());
    let text = made.text();
    assert!(text.contains("2.16.840.1.113883.10.20.22.1.8"));
    assert!(
        text.contains("<low value=\"20240201080000+0000\"/>"),
        "{text}"
    );
    assert!(section(&text, "11535-2").contains("Asthma"));
    assert!(!section(&text, "11535-2").contains("House code"));
    assert!(
        section(&text, "10183-2").contains("<period value=\"0.5\" unit=\"d\"/>"),
        "{text}"
    );
    let made = asked(&kiln, "?type=referral-note&_format=text/xml", &[]);
    assert_eq!(made.header("Content-Type"), Some("text/xml; charset=utf-8"));
    let text = made.text();
    assert!(text.contains("2.16.840.1.113883.10.20.22.1.14"));
    assert!(section(&text, "42349-1").contains("Shortness of breath"));
    assert!(section(&text, "42349-1").contains("Dr. Lung"));
    // What was measured in that time; problems are told whenever they began.
    let some = asked(&kiln, "?start=2024-01-01&end=2024-12", &[]).text();
    assert!(section(&some, "30954-2").contains("Glucose"));
    assert!(!section(&some, "30954-2").contains("Hemoglobin"));
    assert!(section(&some, "11450-4").contains("Asthma"));
}

fn what_is_asked_wrongly_is_refused_by_name(database: &Database) {
    let kiln = stocked(database);
    for (query, status, told) in [
        (
            "?type=letter",
            400,
            "one of ccd, referral-note, discharge-summary",
        ),
        ("?type=discharge-summary", 400, "`encounter`"),
        (
            "?type=discharge-summary&encounter=f",
            400,
            "an Encounter of this patient",
        ),
        (
            "?type=discharge-summary&encounter=none",
            404,
            "no Encounter",
        ),
        ("?encounter=Practitioner/e", 400, "the id of an Encounter"),
        ("?start=yesterday", 400, "`start`"),
        ("?start=2024-02&end=2024-01", 400, "not before `start`"),
        ("?patient=p", 400, "type, start, end, encounter"),
        ("?_format=pdf", 406, "application/cda+xml"),
    ] {
        let answer = asked(&kiln, query, &[]);
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
        assert!(answer.text().contains(told), "{query}: {}", answer.text());
    }
    let none = get(kiln.address, "/fhir/Patient/none/$ccd");
    assert_eq!(none.status, 404, "{}", none.text());
    let fault = parse(&none.body).unwrap();
    assert_eq!(fault.str_of("resourceType"), Some("OperationOutcome"));
    assert_eq!(get(kiln.address, "/fhir/Patient/$ccd").status, 404);
    let deleted = send(kiln.address, "DELETE", "/fhir/Patient/p/$ccd", &[], b"").unwrap();
    assert_eq!(deleted.status, 405);
    assert_eq!(deleted.header("Allow"), Some("GET, HEAD, POST"));
}

fn a_summary_has_its_bounds(database: &Database) {
    let kiln = Kiln::configured(database, "[limits]\ndocument_resources_max = 5\n");
    assert_eq!(post(kiln.address, "/fhir", STORED).status, 200);
    let refused = asked(&kiln, "", &[]);
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(
        refused.text().contains("document_resources_max"),
        "{}",
        refused.text()
    );
}

fn what_may_not_be_seen_is_withheld_by_name(database: &Database) {
    let kiln = guarded(database);
    let holder = |name: &str, scope: &[&str]| Holder {
        kiln: &kiln,
        key: key(database, name, scope),
    };
    let stored = holder("admin", &["--role", "admin"]).ask("POST", "/fhir", STORED);
    assert_eq!(stored.status, 200, "{}", stored.text());
    let path = "/fhir/Patient/p/$ccd";
    let some = "system/Patient.rs system/AllergyIntolerance.rs system/Observation.rs";
    let made = holder("some", &["--scope", some]).get(path);
    assert_eq!(made.status, 200, "{}", made.text());
    let text = made.text();
    assert!(section(&text, "48765-2").contains("Penicillin G"));
    // Sections that belong to what may not be seen are there, required or not, and say why they are empty.
    for code in ["11450-4", "46264-8", "10160-0", "47519-4"] {
        let withheld = section(&text, code);
        assert!(withheld.contains("Withheld: who asked"), "{withheld}");
        assert!(!withheld.contains("<entry"), "{withheld}");
    }
    for hidden in ["Asthma", "House code", "Pacemaker", "Albuterol"] {
        assert!(!text.contains(hidden), "{hidden}");
    }
    assert!(
        text.matches("<section nullFlavor=\"MSK\">").count() > 4,
        "{text}"
    );
    // Of results some may be seen and reports may not.
    let results = section(&text, "30954-2");
    assert!(results.contains("Glucose"), "{results}");
    assert!(results.contains("Withheld: who asked"), "{results}");
    // What may be seen and is not there is not called withheld; and the document is another one than that of who sees all.
    let all = "system/*.rs";
    let whole = holder("all", &["--scope", all]).get(path).text();
    assert!(!whole.contains("MSK"), "{whole}");
    assert!(section(&whole, "11450-4").contains("Asthma"));
    let id = |text: &str| text.split("<id root=\"").nth(1).map(str::to_owned);
    assert_ne!(id(&text), id(&whole));
    let nothing = holder("other", &["--scope", "system/Observation.rs"]).get(path);
    assert_eq!(nothing.status, 403, "{}", nothing.text());
}
