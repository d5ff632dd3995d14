//! What a profile demands, one demand at a time.

use super::*;
use crate::definitions::Definitions;
use crate::json::parse;

pub(super) const PROFILE: &str = "http://a.org/StructureDefinition/p";

/// A profile on a type from the elements of its differential.
pub(super) fn profile_of(type_name: &str, url: &str, elements: &str) -> Value {
    let text = format!(
        r#"{{"resourceType":"StructureDefinition","url":"{url}","name":"P","status":"active","kind":"resource","abstract":false,
        "type":"{type_name}","baseDefinition":"http://hl7.org/fhir/StructureDefinition/{type_name}","derivation":"constraint",
        "differential":{{"element":[{elements}]}}}}"#
    );
    parse(text.as_bytes()).unwrap()
}

/// The errors of a document under profiles, the first of which is asked for, as `code expression`.
pub(super) fn errors_under(profiles: Vec<Value>, text: &str) -> Vec<String> {
    told_under(profiles, text)
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            let expression = issue.expression.as_deref().unwrap_or_default();
            format!("{} {expression}", issue.code.code())
        })
        .collect()
}

fn told_under(profiles: Vec<Value>, text: &str) -> Vec<Issue> {
    let wanted = profiles[0].str_of("url").unwrap().to_owned();
    let definitions = Definitions::r4().with_resources(profiles);
    let validator = Validator::new(Arc::new(definitions));
    let request = Request {
        profiles: &[&wanted],
        notes_must_support: true,
        ..Request::default()
    };
    validator.validate(&parse(text.as_bytes()).unwrap(), &request)
}

#[track_caller]
fn assert_profile<const N: usize>(elements: &str, document: &str, expected: [&str; N]) {
    let type_name = if document.contains("\"Patient\"") {
        "Patient"
    } else {
        "Observation"
    };
    let profile = profile_of(type_name, PROFILE, elements);
    assert_eq!(
        errors_under(vec![profile], document),
        expected,
        "{document}"
    );
}

#[test]
fn cardinality() {
    let elements = r#"{"id":"Patient.name","path":"Patient.name","min":1,"max":"2"},{"id":"Patient.photo","path":"Patient.photo","max":"0"}"#;
    assert_profile(elements, &patient(""), ["required Patient"]);
    assert_profile(elements, &patient(r#","name":[{"family":"A"}]"#), []);
    let three = r#","name":[{"family":"A"},{"family":"B"},{"family":"C"}],"photo":[{"title":"x"}]"#;
    assert_profile(
        elements,
        &patient(three),
        ["structure Patient", "structure Patient"],
    );
    // Inside a datatype, and only where that is there.
    let family = r#"{"id":"Patient.name.family","path":"Patient.name.family","min":1}"#;
    assert_profile(family, &patient(""), []);
    assert_profile(
        family,
        &patient(r#","name":[{"text":"A"}]"#),
        ["required Patient.name[0]"],
    );
}

#[test]
fn fixed_values_patterns_and_bounds() {
    let fixed = r#"{"id":"Patient.gender","path":"Patient.gender","fixedCode":"other"}"#;
    assert_profile(fixed, &patient(r#","gender":"other""#), []);
    assert_profile(
        fixed,
        &patient(r#","gender":"male""#),
        ["value Patient.gender"],
    );
    let pattern = r#"{"id":"Observation.code","path":"Observation.code","patternCodeableConcept":{"text":"x"}}"#;
    assert_profile(pattern, &observation(""), []);
    let other = pattern.replace("\"text\":\"x\"", "\"text\":\"y\"");
    assert_profile(&other, &observation(""), ["value Observation.code"]);
    let bounds = r#"{"id":"Patient.multipleBirth[x]","path":"Patient.multipleBirth[x]","minValueInteger":1,"maxValueInteger":3}"#;
    for (number, expected) in [
        (0, vec!["value Patient.multipleBirth"]),
        (1, vec![]),
        (3, vec![]),
        (4, vec!["value Patient.multipleBirth"]),
    ] {
        let profile = profile_of("Patient", PROFILE, bounds);
        let document = patient(&format!(r#","multipleBirthInteger":{number}"#));
        assert_eq!(errors_under(vec![profile], &document), expected);
    }
    let length = r#"{"id":"Patient.language","path":"Patient.language","maxLength":3}"#;
    assert_profile(length, &patient(r#","language":"de""#), []);
    assert_profile(
        length,
        &patient(r#","language":"de-CH""#),
        ["too-long Patient.language"],
    );
}

#[test]
fn quantities_are_bounded_across_units() {
    let bounds = r#"{"id":"Observation.value[x]","path":"Observation.value[x]","type":[{"code":"Quantity"}],"maxValueQuantity":{"value":1,"system":"http://unitsofmeasure.org","code":"kg"}}"#;
    let with = |value: u32| {
        observation(&format!(
            r#","valueQuantity":{{"value":{value},"system":"http://unitsofmeasure.org","code":"g"}}"#
        ))
    };
    assert_profile(bounds, &with(900), []);
    assert_profile(bounds, &with(1100), ["value Observation.value"]);
}

#[test]
fn types_are_narrowed() {
    let elements =
        r#"{"id":"Observation.value[x]","path":"Observation.value[x]","type":[{"code":"string"}]}"#;
    assert_profile(elements, &observation(r#","valueString":"a""#), []);
    assert_profile(
        elements,
        &observation(r#","valueInteger":1"#),
        ["structure Observation.value"],
    );
}

#[test]
fn bindings_and_invariants() {
    let bound = r#"{"id":"Patient.language","path":"Patient.language","binding":{"strength":"required","valueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}}"#;
    assert_profile(
        bound,
        &patient(r#","language":"de""#),
        ["code-invalid Patient.language"],
    );
    let rule = r#"{"id":"Patient","path":"Patient","constraint":[{"key":"p-1","severity":"error","human":"h","expression":"name.exists()"}]}"#;
    assert_profile(rule, &patient(""), ["invariant Patient"]);
    assert_profile(rule, &patient(r#","name":[{"family":"A"}]"#), []);
    let broken = rule.replace("name.exists()", "name.");
    assert_profile(&broken, &patient(""), []);
}

#[test]
fn additional_bindings() {
    let elements = |purpose: &str, usage: &str| {
        format!(
            r#"{{"id":"Patient.language","path":"Patient.language","binding":{{"strength":"preferred","valueSet":"http://hl7.org/fhir/ValueSet/languages",
            "extension":[{{"url":"http://hl7.org/fhir/tools/StructureDefinition/additional-binding","extension":[{{"url":"purpose","valueCode":"{purpose}"}},
            {{"url":"valueSet","valueCanonical":"http://hl7.org/fhir/ValueSet/administrative-gender"}}{usage}]}}]}}}}"#
        )
    };
    let document = patient(r#","language":"de""#);
    assert_profile(
        &elements("required", ""),
        &document,
        ["code-invalid Patient.language"],
    );
    assert_profile(&elements("extensible", ""), &document, []);
    let usage = r#",{"url":"usage","valueUsageContext":{"code":{"code":"x"}}}"#;
    assert_profile(&elements("required", usage), &document, []);
}

#[test]
fn targets_of_references_have_profiles() {
    let organization = "http://a.org/StructureDefinition/organization";
    let named = r#"{"id":"Organization.name","path":"Organization.name","min":1}"#;
    let elements = format!(
        r#"{{"id":"Patient.managingOrganization","path":"Patient.managingOrganization","type":[{{"code":"Reference","targetProfile":["{organization}"]}}]}}"#
    );
    let profiles = || {
        vec![
            profile_of("Patient", PROFILE, &elements),
            profile_of("Organization", organization, named),
        ]
    };
    let with = |inner: &str| {
        patient(&format!(
            r##","contained":[{{"resourceType":"Organization","id":"o",{inner}}}],"managingOrganization":{{"reference":"#o"}}"##
        ))
    };
    assert_eq!(errors_under(profiles(), &with(r#""name":"A""#)), [""; 0]);
    assert_eq!(
        errors_under(profiles(), &with(r#""identifier":[{"value":"1"}]"#)),
        ["value Patient.managingOrganization"]
    );
    // What is elsewhere is not held against anything.
    let elsewhere = patient(r#","managingOrganization":{"reference":"Organization/1"}"#);
    assert_eq!(errors_under(profiles(), &elsewhere), [""; 0]);
}

#[test]
fn profiles_that_refer_to_each_other_end() {
    let elements = format!(
        r#"{{"id":"Patient.link.other","path":"Patient.link.other","type":[{{"code":"Reference","targetProfile":["{PROFILE}"]}}]}},
        {{"id":"Patient.gender","path":"Patient.gender","min":1}}"#
    );
    let person = |id: &str, other: &str, gender: &str| {
        format!(
            r#"{{"fullUrl":"http://a.org/Patient/{id}","resource":{{"resourceType":"Patient","id":"{id}","meta":{{"profile":["{PROFILE}"]}}{gender},"link":[{{"other":{{"reference":"Patient/{other}"}},"type":"seealso"}}]}}}}"#
        )
    };
    let bundle = |gender: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[{},{}]}}"#,
            person("a", "b", r#","gender":"male""#),
            person("b", "a", gender)
        )
    };
    let definitions = Definitions::r4().with_resources([profile_of("Patient", PROFILE, &elements)]);
    let validator = Validator::new(Arc::new(definitions));
    let errors = |text: &str| {
        let issues = validator.validate(&parse(text.as_bytes()).unwrap(), &Request::default());
        issues.iter().filter(|issue| issue.is_error()).count()
    };
    assert_eq!(errors(&bundle(r#","gender":"male""#)), 0);
    // The one without gender does not conform; so the other one does not, for its link to it; nor the link back.
    assert_eq!(errors(&bundle("")), 3);
}

#[test]
fn unknown_profiles() {
    let claimed = patient(r#","meta":{"profile":["http://a.org/nowhere"]}"#);
    let issues = validated(&claimed);
    assert_eq!(issues.len(), 1);
    assert_eq!(issues[0].severity, Severity::Warning);
    let request = Request {
        profiles: &["http://a.org/nowhere"],
        ..Request::default()
    };
    let document = parse(patient("").as_bytes()).unwrap();
    let issues = Validator::r4().validate(&document, &request);
    assert!(
        issues
            .iter()
            .any(|issue| issue.code == IssueCode::NotFound && issue.is_error())
    );
}

#[test]
fn a_profile_of_another_type() {
    let profile = profile_of(
        "Observation",
        PROFILE,
        r#"{"id":"Observation.value[x]","path":"Observation.value[x]","min":1}"#,
    );
    assert_eq!(
        errors_under(vec![profile], &patient("")),
        ["structure Patient"]
    );
}

#[test]
fn must_support_is_noted_when_asked() {
    let elements = r#"{"id":"Patient.birthDate","path":"Patient.birthDate","mustSupport":true}"#;
    let notes = told_under(vec![profile_of("Patient", PROFILE, elements)], &patient(""));
    assert!(
        notes
            .iter()
            .any(|issue| issue.code == IssueCode::Informational),
        "{notes:?}"
    );
    assert!(notes.iter().all(|issue| !issue.is_error()));
}

#[test]
fn structure_definitions_make_sense() {
    let errors = |elements: &str| {
        let profile = profile_of("Patient", PROFILE, elements).to_string();
        let issues = validated(&profile);
        issues
            .into_iter()
            .filter(Issue::is_error)
            .map(|issue| issue.diagnostics)
            .collect::<Vec<_>>()
    };
    let good = r#"{"id":"Patient.name","path":"Patient.name","slicing":{"discriminator":[{"type":"value","path":"use"}],"rules":"open"}}"#;
    assert_eq!(errors(good), [""; 0]);
    assert!(
        errors(&good.replace("\"use\"", "\"usage\""))[0].contains("`usage` leads to no element")
    );
    assert!(errors(&good.replace("Patient.name", "Patient.nam"))[0].contains("no snapshot"));
}
