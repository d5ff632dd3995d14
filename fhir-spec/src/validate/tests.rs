//! One test a rule, with documents that break it and documents that do not.

mod bounds;
mod fuzz;
mod native;
mod profiles;
mod questionnaires;
mod slices;

use super::*;
use crate::json::parse;
use crate::outcome::{IssueCode, Severity};

fn validated(text: &str) -> Vec<Issue> {
    let request = Request {
        source: Some(text),
        best_practice: None,
        ..Request::default()
    };
    Validator::r4().validate(&parse(text.as_bytes()).unwrap(), &request)
}

/// The errors as `code expression`, in order.
fn errors(text: &str) -> Vec<String> {
    validated(text)
        .iter()
        .filter(|issue| issue.is_error())
        .map(|issue| {
            let expression = issue.expression.as_deref().unwrap_or_default();
            format!("{} {expression}", issue.code.code())
        })
        .collect()
}

fn patient(members: &str) -> String {
    format!(r#"{{"resourceType":"Patient"{members}}}"#)
}

fn observation(members: &str) -> String {
    format!(r#"{{"resourceType":"Observation","status":"final","code":{{"text":"x"}}{members}}}"#)
}

#[track_caller]
fn assert_errors<const N: usize>(text: &str, expected: [&str; N]) {
    assert_eq!(errors(text), expected, "{text}\n{:#?}", validated(text));
}

#[test]
fn a_resource_says_its_type() {
    assert_errors(&patient(""), []);
    assert_errors("[]", ["structure Resource"]);
    assert_errors("{}", ["structure Resource"]);
    assert_errors(r#"{"resourceType":5}"#, ["structure Resource"]);
    assert_errors(r#"{"resourceType":"Patent"}"#, ["structure Resource"]);
    assert_errors(
        r#"{"resourceType":"DomainResource"}"#,
        ["structure Resource"],
    );
    assert_errors(r#"{"resourceType":"HumanName"}"#, ["structure Resource"]);
}

#[test]
fn properties_exist() {
    assert_errors(&patient(r#","nam":[]"#), ["structure Patient"]);
    assert_errors(
        &patient(r#","name":[{"resourceType":"HumanName","family":"A"}]"#),
        ["structure Patient.name[0]"],
    );
    assert_errors(&patient(r#","_name":[{"id":"a"}]"#), ["structure Patient"]);
    assert_errors(
        &patient(r#","name":[{"family":"A"}],"_name":[{"id":"a"}]"#),
        ["structure Patient"],
    );
    let issues = validated(&observation(r#","value":5"#));
    assert!(
        issues[0].diagnostics.contains("valueQuantity"),
        "{issues:?}"
    );
}

#[test]
fn lists_are_arrays_and_single_values_are_not() {
    assert_errors(&patient(r#","name":{"family":"A"}"#), ["structure Patient"]);
    assert_errors(&patient(r#","gender":["male"]"#), ["structure Patient"]);
    assert_errors(&patient(r#","name":[]"#), ["structure Patient"]);
    assert_errors(&patient(r#","name":["A"]"#), ["structure Patient.name[0]"]);
    assert_errors(
        &patient(r#","birthDate":{}"#),
        ["structure Patient.birthDate"],
    );
    assert_errors(
        &patient(r#","maritalStatus":"M""#),
        ["structure Patient.maritalStatus"],
    );
}

#[test]
fn null_only_fills_up_primitives() {
    assert_errors(
        &patient(r#","birthDate":null"#),
        ["structure Patient.birthDate"],
    );
    assert_errors(&patient(r#","name":[null]"#), ["structure Patient.name[0]"]);
    assert_errors(
        &patient(r#","name":[{"given":[null]}]"#),
        ["structure Patient.name[0].given[0]"],
    );
    let missing = r#"{"extension":[{"url":"http://example.org/x","valueCode":"unknown"}]}"#;
    assert_errors(
        &patient(&format!(
            r#","name":[{{"given":["A",null],"_given":[null,{missing}]}}]"#
        )),
        [],
    );
    assert_errors(
        &patient(&format!(
            r#","name":[{{"given":["A","B"],"_given":[{missing}]}}]"#
        )),
        ["structure Patient.name[0]"],
    );
    assert_errors(&patient(&format!(r#","_birthDate":{missing}"#)), []);
    assert_errors(
        &patient(r#","_birthDate":{"id":"a"}"#),
        ["invariant Patient.birthDate"],
    );
    assert_errors(
        &patient(r#","birthDate":"2020","_birthDate":{"id":"a"}"#),
        [],
    );
    assert_errors(
        &patient(r#","birthDate":"2020","_birthDate":5"#),
        ["structure Patient.birthDate"],
    );
}

#[test]
fn elements_have_content() {
    assert_errors(&patient(r#","name":[{}]"#), ["invariant Patient.name[0]"]);
    assert_errors(
        &patient(r#","name":[{"id":"a"}]"#),
        ["invariant Patient.name[0]"],
    );
    assert_errors(
        &patient(r#","name":[{"family":""}]"#),
        ["value Patient.name[0].family"],
    );
}

#[test]
fn primitives_have_their_formats() {
    assert_errors(
        &patient(r#","birthDate":"2020-02-30""#),
        ["value Patient.birthDate"],
    );
    assert_errors(&patient(r#","active":"true""#), ["value Patient.active"]);
    assert_errors(&patient(r#","id":"a b""#), ["value Patient.id"]);
    assert_errors(
        &observation(r#","valueInteger":1.5"#),
        ["value Observation.value"],
    );
}

#[test]
fn required_elements_are_there() {
    assert_errors(
        r#"{"resourceType":"Observation"}"#,
        ["required Observation", "required Observation"],
    );
    assert_errors(
        &patient(r#","communication":[{"preferred":true}]"#),
        ["required Patient.communication[0]"],
    );
}

#[test]
fn a_choice_is_made_once() {
    assert_errors(&observation(r#","valueString":"a""#), []);
    assert_errors(
        &observation(r#","valueString":"a","valueInteger":5"#),
        ["structure Observation"],
    );
}

#[test]
fn all_issues_come_at_once_with_their_places() {
    let text = "{\"resourceType\":\"Patient\",\n \"gender\":[\"male\"],\n \"birthDate\":\"x\"}";
    let places: Vec<_> = validated(text)
        .iter()
        .map(|issue| (issue.code, issue.place.unwrap()))
        .collect();
    assert_eq!(
        places,
        [(IssueCode::Structure, (2, 11)), (IssueCode::Value, (3, 14))]
    );
}

#[test]
fn a_flood_of_issues_is_told_in_part() {
    let names = vec![r#"{"given":[""]}"#; 2 * ISSUES_MAX].join(",");
    let issues = validated(&patient(&format!(r#","name":[{names}]"#)));
    assert_eq!(issues.len(), ISSUES_MAX + 1);
    assert_eq!(issues[ISSUES_MAX].severity, Severity::Error);
}

#[test]
fn documents_made_by_code_may_be_too_deep() {
    let mut value = Value::from(true);
    for _ in 0..5_000 {
        value = Value::from(vec![value]);
    }
    let document =
        crate::json::Object::from_iter([("resourceType", Value::from("Patient")), ("name", value)]);
    let document = Value::from(document);
    let issues = Validator::r4().validate(&document, &Request::default());
    assert!(
        issues[0].diagnostics.contains("nested deeper"),
        "{issues:?}"
    );
}

#[test]
fn contained_resources_follow_their_rules() {
    let with =
        |contained: &str, rest: &str| patient(&format!(r#","contained":[{contained}]{rest}"#));
    let link = r##","managingOrganization":{"reference":"#o"}"##;
    assert_errors(
        &with(
            r#"{"resourceType":"Organization","id":"o","name":"A"}"#,
            link,
        ),
        [],
    );
    assert_errors(
        &with(r#"{"resourceType":"Organization","id":"o","name":"A"}"#, ""),
        ["invariant Patient.contained[0]"],
    );
    assert_errors(
        &with(r#"{"resourceType":"Organization","name":"A"}"#, ""),
        ["required Patient.contained[0]"],
    );
    assert_errors(
        &with(
            r#"{"resourceType":"Organization","id":"o","name":"A","meta":{"versionId":"1"}}"#,
            link,
        ),
        ["invariant Patient.contained[0]"],
    );
    assert_errors(
        &with(
            r#"{"resourceType":"Organization","id":"o","name":"A","meta":{"security":[{"code":"R"}]}}"#,
            link,
        ),
        ["invariant Patient.contained[0]"],
    );
    assert_errors(&patient(link), ["not-found Patient.managingOrganization"]);
    let nested = r#"{"resourceType":"Organization","id":"o","name":"A","contained":[{"resourceType":"Endpoint"}]}"#;
    let told = errors(&with(nested, link));
    assert!(
        told.contains(&"invariant Patient.contained[0]".to_owned()),
        "{told:?}"
    );
}

#[test]
fn a_contained_resource_may_be_there_to_point_at_its_container() {
    assert_errors(
        &patient(
            r##","contained":[{"resourceType":"Provenance","id":"p","target":[{"reference":"#"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}]"##,
        ),
        [],
    );
}

#[test]
fn references_have_a_form_and_a_type() {
    let with = |reference: &str| patient(&format!(r#","managingOrganization":{reference}"#));
    assert_errors(&with(r#"{"reference":"Organization/1"}"#), []);
    assert_errors(
        &with(r#"{"reference":"https://example.org/fhir/Organization/1/_history/2"}"#),
        [],
    );
    assert_errors(
        &with(r#"{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}"#),
        [],
    );
    assert_errors(
        &with(r#"{"reference":"Patient/1"}"#),
        ["value Patient.managingOrganization"],
    );
    assert_errors(&with(r#"{"reference":"nowhere"}"#), []);
    assert_eq!(
        validated(&with(r#"{"reference":"nowhere"}"#))[0].severity,
        Severity::Warning
    );
    assert_errors(
        &with(r#"{"reference":"Organisation/1"}"#),
        ["value Patient.managingOrganization"],
    );
    assert_errors(
        &with(r#"{"reference":"Organization/1","type":"Patient"}"#),
        ["invalid Patient.managingOrganization"],
    );
    assert_errors(&with(r#"{"type":"Patient","display":"x"}"#), []);
}

#[test]
fn extensions_have_a_url_and_a_value_or_parts() {
    let with = |extension: &str| patient(&format!(r#","extension":[{extension}]"#));
    assert_errors(
        &with(r#"{"url":"http://example.org/x","valueString":"a"}"#),
        [],
    );
    assert_errors(
        &with(r#"{"url":"http://example.org/x"}"#),
        ["invariant Patient.extension[0]"],
    );
    assert_errors(
        &with(r#"{"url":"x","valueString":"a"}"#),
        ["extension Patient.extension[0]"],
    );
    assert_errors(
        &with(r#"{"valueString":"a"}"#),
        ["required Patient.extension[0]"],
    );
    assert_errors(
        &with(r#"{"url":"http://example.org/x","extension":[{"url":"part","valueString":"a"}]}"#),
        [],
    );
    assert_errors(
        &with(
            r#"{"url":"http://example.org/x","valueCode":"a","extension":[{"url":"part","valueString":"a"}]}"#,
        ),
        ["invariant Patient.extension[0]"],
    );
}

fn bundle(kind: &str, entries: &str) -> String {
    format!(
        r#"{{"resourceType":"Bundle","type":"{kind}","identifier":{{"system":"http://a","value":"1"}},"timestamp":"2020-01-01T00:00:00Z","entry":[{entries}]}}"#
    )
}

#[test]
fn full_urls_agree_with_their_resources() {
    let with = |url: &str, id: &str| {
        bundle(
            "collection",
            &format!(r#"{{"fullUrl":"{url}","resource":{{"resourceType":"Patient"{id}}}}}"#),
        )
    };
    assert_errors(&with("http://example.org/Patient/1", r#","id":"1""#), []);
    assert_errors(
        &with("urn:uuid:c757873d-ec9a-4326-a141-556f43239520", ""),
        [],
    );
    assert_errors(
        &with("http://example.org/Patient/1", r#","id":"2""#),
        ["invalid Bundle.entry[0].fullUrl"],
    );
    assert_errors(
        &with("http://example.org/Group/1", r#","id":"1""#),
        ["invalid Bundle.entry[0].fullUrl"],
    );
    assert_errors(
        &with("Patient/1", r#","id":"1""#),
        ["value Bundle.entry[0].fullUrl"],
    );
}

#[test]
fn entries_are_validated_and_referred_to_by_full_url() {
    let organization = |kind: &str| {
        format!(
            r#"{{"fullUrl":"http://a.org/{kind}/2","resource":{{"resourceType":"{kind}","id":"2","name":"A","status":"active"}}}}"#
        )
    };
    let patient = r#"{"fullUrl":"http://a.org/Patient/1","resource":{"resourceType":"Patient","id":"1","managingOrganization":{"reference":"Organization/2"}}}"#;
    let told = errors(&bundle(
        "collection",
        &format!("{patient},{}", organization("Organization")),
    ));
    assert_eq!(told, ["structure Bundle.entry[1].resource"]);
    let urn = r#"{"fullUrl":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520","resource":{"resourceType":"Patient"}},
        {"fullUrl":"http://a.org/Patient/1","resource":{"resourceType":"Patient","id":"1","managingOrganization":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}}"#;
    assert_errors(
        &bundle("collection", urn),
        ["value Bundle.entry[1].resource.managingOrganization"],
    );
}

#[test]
fn documents_hold_what_their_composition_names() {
    let composition = |author: &str| {
        format!(
            r#"{{"fullUrl":"http://a.org/Composition/1","resource":{{"resourceType":"Composition","id":"1","status":"final","type":{{"text":"x"}},"date":"2020","title":"t","author":[{{"reference":"{author}"}}],"section":[{{"title":"t","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}}}]}}}}"#
        )
    };
    let organization = r#"{"fullUrl":"http://a.org/Organization/2","resource":{"resourceType":"Organization","id":"2","name":"A"}}"#;
    assert_errors(
        &bundle(
            "document",
            &format!("{},{organization}", composition("Organization/2")),
        ),
        [],
    );
    assert_errors(
        &bundle(
            "document",
            &format!("{},{organization}", composition("Organization/3")),
        ),
        [
            "not-found Bundle.entry[0].resource",
            "invalid Bundle.entry[1]",
        ],
    );
}

#[test]
fn codes_come_from_their_value_sets() {
    assert_errors(
        &patient(r#","gender":"mail""#),
        ["code-invalid Patient.gender"],
    );
    assert_errors(
        &patient(
            r#","maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"QQ"}]}"#,
        ),
        ["code-invalid Patient.maritalStatus.coding[0]"],
    );
    let clinical = |status: &str| {
        format!(
            r#"{{"resourceType":"Condition","subject":{{"display":"x"}},"clinicalStatus":{status}}}"#
        )
    };
    let system = "http://terminology.hl7.org/CodeSystem/condition-clinical";
    assert_errors(
        &clinical(&format!(
            r#"{{"coding":[{{"system":"{system}","code":"active"}}]}}"#
        )),
        [],
    );
    assert_errors(
        &clinical(r#"{"coding":[{"system":"http://example.org/own","code":"active"}]}"#),
        ["code-invalid Condition.clinicalStatus"],
    );
    assert_errors(
        &clinical(r#"{"text":"active"}"#),
        ["code-invalid Condition.clinicalStatus"],
    );
}

#[test]
fn known_extensions_follow_their_definition() {
    let birth_time = |value: &str| {
        format!(
            r#","birthDate":"2020-01-01","_birthDate":{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime",{value}}}]}}"#
        )
    };
    assert_errors(
        &patient(&birth_time(r#""valueDateTime":"2020-01-01T10:00:00Z""#)),
        [],
    );
    assert_errors(
        &patient(&birth_time(r#""valueString":"ten""#)),
        ["structure Patient.birthDate.extension[0].value"],
    );
    let misplaced = r#","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"2020-01-01T10:00:00Z"}]"#;
    assert_errors(&patient(misplaced), ["extension Patient.extension[0]"]);
    let modifier = r#","modifierExtension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthPlace","valueAddress":{"text":"x"}}]"#;
    assert_errors(
        &patient(modifier),
        ["extension Patient.modifierExtension[0]"],
    );
}

#[test]
fn narrative_is_plain_and_says_something() {
    let with = |div: &str| {
        patient(&format!(
            r#","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>"}}"#
        ))
    };
    assert_errors(&with("<p>Ann</p>"), []);
    assert_errors(
        &with("<script>x()</script>"),
        ["invariant Patient.text.div"],
    );
    assert_errors(&with(" "), ["invariant Patient.text.div"]);
}

#[test]
fn units_are_units() {
    let with = |code: &str| {
        observation(&format!(
            r#","valueQuantity":{{"value":1,"system":"http://unitsofmeasure.org","code":"{code}"}}"#
        ))
    };
    assert_eq!(validated(&with("mg/dL")), []);
    assert_eq!(validated(&with("mgs/dL"))[0].severity, Severity::Warning);
    // Not every customary unit is in the table, so nothing is claimed of them.
    assert_eq!(validated(&with("[smoot]")), []);
}
