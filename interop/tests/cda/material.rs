//! Real documents of others: all are converted, what comes out is R4, and the same document twice says the same.

use std::collections::{BTreeMap, HashSet};

use fhir_spec::json::Value;

use crate::harness::{Output, convert, document, errors, files};

/// Converts a file, wrapped when it is a fragment, and holds what comes out against R4.
fn check(folder: &str, name: &str, bytes: &[u8], wrong: &mut Vec<String>) -> Option<Output> {
    let text = String::from_utf8_lossy(bytes);
    let is_fragment = !text.contains("<ClinicalDocument");
    let made = if is_fragment {
        convert(document(&text).as_bytes())
    } else {
        convert(bytes)
    };
    let made = match made {
        Ok(made) => made,
        Err(refused) => {
            wrong.push(format!("{folder}/{name}: refused, {refused}"));
            return None;
        }
    };
    for error in errors(&made.bundle) {
        wrong.push(format!("{folder}/{name}: {error}"));
    }
    // A link within the bundle leads somewhere.
    let urls: HashSet<&str> = made
        .bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.str_of("fullUrl"))
        .collect();
    dangling(&made.bundle, &urls, &mut |reference| {
        wrong.push(format!("{folder}/{name}: {reference} leads nowhere"));
    });
    // Some examples show the place of their entries alone.
    let kinds = if text.contains("<ClinicalDocument") && !text.contains("patientRole") {
        1
    } else {
        0
    };
    for kind in &["Patient", "Composition", "DocumentReference", "Binary"][kinds..] {
        if made.of_type(kind).is_empty() {
            wrong.push(format!("{folder}/{name}: no {kind}"));
        }
    }
    Some(made)
}

fn dangling(value: &Value, urls: &HashSet<&str>, tell: &mut dyn FnMut(&str)) {
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| dangling(item, urls, tell));
    }
    if let Some(object) = value.as_object() {
        for (name, value) in object.iter() {
            match value.as_str() {
                Some(text)
                    if name == "reference"
                        && text.starts_with("urn:uuid:")
                        && !urls.contains(text) =>
                {
                    tell(text);
                }
                Some(_) => {}
                None => dangling(value, urls, tell),
            }
        }
    }
}

fn suite(folder: &str, at_least: usize) {
    let all = files(folder);
    let (mut wrong, mut count, mut kinds, mut lost, mut leaves) =
        (Vec::new(), 0, BTreeMap::new(), 0usize, 0usize);
    for (name, bytes) in &all {
        if !name.ends_with(".xml") {
            continue;
        }
        if let Some(made) = check(folder, name, bytes, &mut wrong) {
            count += 1;
            for resource in made.resources() {
                *kinds
                    .entry(resource.str_of("resourceType").unwrap_or("?").to_owned())
                    .or_insert(0usize) += 1;
            }
            lost += made
                .issues
                .iter()
                .filter(|issue| issue.diagnostics.contains("no row takes it"))
                .count();
            leaves += String::from_utf8_lossy(bytes).matches("=\"").count();
        }
    }
    println!(
        "{folder}: {count} documents, {kinds:?}, {lost} values not carried of about {leaves} attributes"
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(all.is_empty() || count >= at_least, "{count}");
}

#[test]
fn documents_of_many_vendors() {
    suite("ccda-documents", 71);
}

#[test]
fn approved_examples() {
    suite("ccda-examples-hl7", 86);
}

#[test]
fn fragments() {
    suite("ccda-fragments", 79);
}

#[test]
fn certification_documents() {
    suite("ccda-onc/positive", 18);
}

#[test]
fn the_inputs_of_other_converters() {
    suite("ccda-to-fhir", 28);
}

/// Certification documents that are wrong, and what must be told about each.
const WRONG: &[(&str, &[&str])] = &[
    (
        "NT_Bad_PatientLastName",
        &["family: expected a family name that is not empty"],
    ),
    (
        "NT_Bad_PatientFirstName",
        &["given: expected a given name that is not empty"],
    ),
    (
        "NT_Bad_PatientMiddleName",
        &["given[3]: expected a given name that is not empty"],
    ),
    (
        "NT_Bad_PatientSuffix",
        &["suffix: expected a suffix that is not empty"],
    ),
    (
        "NT_Bad_GenderCodeSystem",
        &["administrativeGenderCode: expected a code of AdministrativeGender"],
    ),
    (
        "NT_Bad_RaceCodeSystem",
        &["raceCode: expected a code of race and ethnicity"],
    ),
    (
        "NT_Bad_EthnicityCode",
        &["expected one of the ethnicity categories"],
    ),
    (
        "NT_Bad_PreferredLanguageCodeSystem",
        &["languageCode: expected a language without a code system"],
    ),
    ("NT_Bad_DocTypeId", &["expected the type of CDA R2"]),
    (
        "NT_Bad_DocEffectiveTime",
        &["ClinicalDocument/effectiveTime/@value: expected a date"],
    ),
    (
        "NT_Bad_AllergySectionCode",
        &["expected the code 48765-2 of a section of allergies"],
    ),
    (
        "NT_Bad_MedicationSectionCode",
        &["expected the code 10160-0 of a section of medications"],
    ),
    (
        "NT_Bad_MedicationSectionTemplateId",
        &["expected the template of a section of medications"],
    ),
    (
        "NT_Bad_AllergyIntoleranceObservationElements",
        &[
            "expected the template of an allergy",
            "expected a kind of allergy in SNOMED CT",
            "value: expected a kind of allergy",
            "expected a substance in RxNorm",
        ],
    ),
    (
        "NT_Bad_ProblemObservationElements",
        &[
            "expected the template of a problem",
            "expected a kind of problem in SNOMED CT",
            "code: expected a kind of problem",
            "expected a problem in SNOMED CT or ICD",
        ],
    ),
    (
        "NT_Bad_MedicationActivityElements",
        &[
            "expected the template of a medication",
            "expected a route in",
            "expected a unit of administration in",
        ],
    ),
    (
        "NT_Bad_MedicationInformationElements",
        &[
            "expected the template of medication information",
            "expected a drug in RxNorm",
        ],
    ),
];

#[test]
fn what_is_wrong_is_named_and_taken() {
    let all = files("ccda-onc/negative");
    let mut untold = Vec::new();
    for (name, bytes) in &all {
        let made = convert(bytes).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert_eq!(errors(&made.bundle), [""; 0], "{name}");
        for (start, wanted) in WRONG {
            if name.starts_with(start) {
                let missing = wanted.iter().filter(|text| !made.tells(text));
                untold.extend(missing.map(|text| format!("{name}: {text}")));
            }
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
    assert!(
        all.is_empty()
            || WRONG
                .iter()
                .all(|(start, _)| all.iter().any(|(name, _)| name.starts_with(start)))
    );
}

#[test]
fn restricted_documents_are_labelled() {
    let all = files("ccda-onc/positive");
    let mut restricted = 0;
    for (name, bytes) in all.iter().filter(|(name, _)| name.contains("ds4p")) {
        if !String::from_utf8_lossy(bytes).contains("code=\"R\"") {
            continue;
        }
        let made = convert(bytes).unwrap();
        let labelled = |kind: &str| {
            let all = made.of_type(kind);
            let labels = all.iter().map(|resource| {
                resource
                    .get("meta")
                    .map(|meta| meta.items_of("security"))
                    .unwrap_or_default()
            });
            labels
                .filter(|labels| labels.iter().any(|label| label.str_of("code") == Some("R")))
                .count()
        };
        assert_eq!(labelled("Composition"), 1, "{name}");
        assert_eq!(labelled("Binary"), 1, "{name}");
        assert!(labelled("Patient") == 0, "{name}");
        restricted += 1;
    }
    assert!(all.is_empty() || restricted > 0);
}
