//! Large documents are checked in bounded time and memory, and as carefully as small ones.

use super::*;

#[test]
fn a_profile_is_prepared_once_whatever_fragment_a_document_names() {
    let profiles: Vec<String> = (0..50)
        .map(|number| format!(r#""http://hl7.org/fhir/StructureDefinition/vitalsigns#{number}""#))
        .collect();
    let text = observation(&format!(
        r#","meta":{{"profile":[{}]}}"#,
        profiles.join(",")
    ));
    let validator = Validator::new(Arc::new(Definitions::r4().with_resources([])));
    let issues = validator.validate(&parse(text.as_bytes()).unwrap(), &Request::default());
    assert!(issues.iter().any(Issue::is_error), "{issues:?}");
    let kept = validator.profiles.read().unwrap();
    let vital_signs = kept.keys().filter(|key| key.contains("vitalsigns"));
    assert_eq!(vital_signs.count(), 1);
}

#[test]
fn each_of_many_contained_resources_is_found_by_its_id() {
    let contained: Vec<String> = (0..500)
        .map(|id| {
            let name = if id % 2 == 0 {
                "Practitioner"
            } else {
                "Device"
            };
            format!(r#"{{"resourceType":"{name}","id":"{id}"}}"#)
        })
        .collect();
    let references: Vec<String> = (0..501)
        .map(|id| format!(r##"{{"reference":"#{id}"}}"##))
        .collect();
    let text = patient(&format!(
        r#","contained":[{}],"generalPractitioner":[{}]"#,
        contained.join(","),
        references.join(",")
    ));
    let errors = errors(&text);
    // Every second is a Device, which is no practitioner, and the last is not there.
    assert_eq!(errors.len(), 251, "{errors:?}");
    assert_eq!(errors[0], "value Patient.generalPractitioner[1]");
    assert_eq!(errors[250], "not-found Patient.generalPractitioner[500]");
}

/// Questions that all hang on a first one, and a response with an item for each.
fn form(questions: usize) -> String {
    let asked: Vec<String> = (0..questions)
        .map(|number| {
            format!(
                r#"{{"linkId":"{number}","type":"string","enableWhen":[{{"question":"{questions}","operator":"exists","answerBoolean":true}}]}}"#
            )
        })
        .collect();
    let given: Vec<String> = (0..questions)
        .map(|number| format!(r#"{{"linkId":"{number}","answer":[{{"valueString":"a"}}]}}"#))
        .collect();
    format!(
        r##"{{"resourceType":"QuestionnaireResponse","status":"in-progress","questionnaire":"#q",
        "contained":[{{"resourceType":"Questionnaire","id":"q","status":"draft","item":[{},{{"linkId":"{questions}","type":"string"}}]}}],
        "item":[{},{{"linkId":"{questions}","answer":[{{"valueString":"a"}}]}}]}}"##,
        asked.join(","),
        given.join(",")
    )
}

#[test]
fn a_response_too_large_for_its_questionnaire_is_told_so_and_no_fault_is_invented() {
    let is_too_costly = |issue: &Issue| issue.code == IssueCode::TooCostly;
    let small = validated(&form(100));
    assert!(
        !small
            .iter()
            .any(|issue| issue.is_error() || is_too_costly(issue))
    );
    let large = validated(&form(3_000));
    assert!(!large.iter().any(Issue::is_error), "{large:#?}");
    assert_eq!(large.iter().filter(|issue| is_too_costly(issue)).count(), 1);
}
