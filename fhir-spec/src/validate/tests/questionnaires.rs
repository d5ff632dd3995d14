//! Responses against a questionnaire contained in them.

use super::assert_errors;

fn response(items: &str, answers: &str) -> String {
    format!(
        r##"{{"resourceType":"QuestionnaireResponse","status":"completed","questionnaire":"#q",
        "contained":[{{"resourceType":"Questionnaire","id":"q","status":"active","item":[{items}]}}],"item":[{answers}]}}"##
    )
}

const ITEM: &str = "QuestionnaireResponse.item[0]";

#[test]
fn items_are_known_and_in_order() {
    let asked = r#"{"linkId":"a","type":"string"},{"linkId":"b","type":"string","required":true}"#;
    let a = r#"{"linkId":"a","answer":[{"valueString":"x"}]}"#;
    let b = r#"{"linkId":"b","answer":[{"valueString":"x"}]}"#;
    assert_errors(&response(asked, &format!("{a},{b}")), []);
    assert_errors(
        &response(asked, &format!("{b},{a}")),
        ["structure QuestionnaireResponse.item[1]"],
    );
    assert_errors(&response(asked, a), ["required QuestionnaireResponse"]);
    assert_errors(
        &response(asked, &format!("{b},{b}")),
        ["structure QuestionnaireResponse.item[1]"],
    );
    let unknown = r#"{"linkId":"c","answer":[{"valueString":"x"}]}"#;
    assert_errors(
        &response(asked, &format!("{b},{unknown}")),
        ["structure QuestionnaireResponse.item[1]"],
    );
    let unfinished = response(asked, a).replace("completed", "in-progress");
    assert_errors(&unfinished, []);
}

#[test]
fn answers_have_the_type_and_the_options_that_are_asked_for() {
    let value = &format!("{ITEM}.answer[0].value");
    let answer = |value: &str| format!(r#"{{"linkId":"a","answer":[{{{value}}}]}}"#);
    let integer = r#"{"linkId":"a","type":"integer"}"#;
    assert_errors(&response(integer, &answer(r#""valueInteger":1"#)), []);
    assert_errors(
        &response(integer, &answer(r#""valueString":"1""#)),
        [&format!("structure {value}")],
    );
    let choice = r#"{"linkId":"a","type":"choice","answerOption":[{"valueCoding":{"system":"http://a.org","code":"x"}}]}"#;
    assert_errors(
        &response(
            choice,
            &answer(r#""valueCoding":{"system":"http://a.org","code":"x","display":"X"}"#),
        ),
        [],
    );
    assert_errors(
        &response(
            choice,
            &answer(r#""valueCoding":{"system":"http://a.org","code":"y"}"#),
        ),
        [&format!("code-invalid {ITEM}.answer[0]")],
    );
    let open = choice.replace("\"choice\"", "\"open-choice\"");
    assert_errors(
        &response(&open, &answer(r#""valueString":"something else""#)),
        [],
    );
    let by_value_set = r#"{"linkId":"a","type":"choice","answerValueSet":"http://hl7.org/fhir/ValueSet/administrative-gender"}"#;
    let gender = |code: &str| {
        answer(&format!(
            r#""valueCoding":{{"system":"http://hl7.org/fhir/administrative-gender","code":"{code}"}}"#
        ))
    };
    assert_errors(&response(by_value_set, &gender("male")), []);
    assert_errors(
        &response(by_value_set, &gender("mail")),
        [
            &format!("code-invalid {ITEM}.answer[0]"),
            &format!("code-invalid {ITEM}.answer[0].value"),
        ],
    );
}

#[test]
fn answers_keep_their_limits() {
    let value = &format!("value {ITEM}.answer[0].value");
    let limit = |kind: &str, name: &str, bound: &str| {
        format!(
            r#"{{"linkId":"a","type":"{kind}","extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/{name}",{bound}}}]}}"#
        )
    };
    let answer = |value: &str| format!(r#"{{"linkId":"a","answer":[{{{value}}}]}}"#);
    for (question, good, bad) in [
        (
            limit("integer", "minValue", r#""valueInteger":5"#),
            r#""valueInteger":5"#,
            r#""valueInteger":4"#,
        ),
        (
            limit("date", "maxValue", r#""valueDate":"2020-06-01""#),
            r#""valueDate":"2020-05""#,
            r#""valueDate":"2020-07""#,
        ),
        (
            limit("decimal", "maxDecimalPlaces", r#""valueInteger":2"#),
            r#""valueDecimal":1.50"#,
            r#""valueDecimal":1.500"#,
        ),
        (
            limit("string", "minLength", r#""valueInteger":3"#),
            r#""valueString":"abc""#,
            r#""valueString":"ab""#,
        ),
        (
            limit("string", "regex", r#""valueString":"[a-z]+""#),
            r#""valueString":"abc""#,
            r#""valueString":"abc1""#,
        ),
        (
            limit("attachment", "mimeType", r#""valueCode":"image/png""#),
            r#""valueAttachment":{"contentType":"image/png"}"#,
            r#""valueAttachment":{"contentType":"image/gif"}"#,
        ),
        (
            limit(
                "reference",
                "questionnaire-referenceResource",
                r#""valueCode":"Patient""#,
            ),
            r#""valueReference":{"reference":"Patient/1"}"#,
            r#""valueReference":{"reference":"Group/1"}"#,
        ),
    ] {
        assert_errors(&response(&question, &answer(good)), []);
        assert_errors(&response(&question, &answer(bad)), [value]);
    }
}

#[test]
fn conditions_enable_questions() {
    let asked = r#"{"linkId":"a","type":"boolean"},
        {"linkId":"b","type":"string","required":true,"enableWhen":[{"question":"a","operator":"=","answerBoolean":true}]}"#;
    let a = |value: bool| format!(r#"{{"linkId":"a","answer":[{{"valueBoolean":{value}}}]}}"#);
    let b = r#"{"linkId":"b","answer":[{"valueString":"x"}]}"#;
    assert_errors(&response(asked, &format!("{},{b}", a(true))), []);
    assert_errors(
        &response(asked, &a(true)),
        ["required QuestionnaireResponse"],
    );
    assert_errors(&response(asked, &a(false)), []);
    assert_errors(
        &response(asked, &format!("{},{b}", a(false))),
        ["business-rule QuestionnaireResponse.item[1]"],
    );
}

#[test]
fn groups_and_displays_have_no_answers() {
    let group = r#"{"linkId":"g","type":"group","item":[{"linkId":"a","type":"string"}]}"#;
    let inner = r#"{"linkId":"g","item":[{"linkId":"a","answer":[{"valueString":"x"}]}]}"#;
    assert_errors(&response(group, inner), []);
    let answered = r#"{"linkId":"g","answer":[{"valueString":"x"}]}"#;
    assert_errors(&response(group, answered), [&format!("structure {ITEM}")]);
    let misplaced = r#"{"linkId":"a","answer":[{"valueString":"x"}]}"#;
    assert_errors(&response(group, misplaced), [&format!("structure {ITEM}")]);
}

#[test]
fn conditions_of_a_questionnaire_are_about_its_questions() {
    let form = |question: &str| {
        format!(
            r#"{{"resourceType":"Questionnaire","status":"active","item":[
            {{"linkId":"a","type":"group","enableWhen":[{{"question":"{question}","operator":"exists","answerBoolean":true}}],"item":[{{"linkId":"b","type":"string"}}]}},
            {{"linkId":"c","type":"string"}}]}}"#
        )
    };
    assert_errors(&form("c"), []);
    for wrong in ["a", "b", "nowhere"] {
        assert_errors(
            &form(wrong),
            ["business-rule Questionnaire.item[0].enableWhen[0]"],
        );
    }
}
