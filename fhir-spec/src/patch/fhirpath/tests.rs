use super::*;
use crate::definitions::Definitions;
use crate::json::parse;

const PATIENT: &str = r#"{"resourceType":"Patient","active":true,"name":[{"family":"A","given":["B",null,"C"],"_given":[null,{"id":"g"},null]},{"text":"T"}],"birthDate":"2000","_birthDate":{"id":"b"},"contact":[{"name":{"text":"N"}}],"extension":[{"url":"u","valueString":"s"}]}"#;

/// An operation from `type|path|name|value part|numbers`.
fn operation(kind: &str, path: &str, rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { "," };
    let path = parse(format!("{path:?}").as_bytes()).unwrap().to_string();
    format!(
        r#"{{"name":"operation","part":[{{"name":"type","valueCode":"{kind}"}},{{"name":"path","valueString":{path}}}{comma}{rest}]}}"#
    )
}

fn patched(document: &str, operations: &[String]) -> String {
    let parameters = format!(
        r#"{{"resourceType":"Parameters","parameter":[{}]}}"#,
        operations.join(",")
    );
    let tree =
        |text: &str| parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
    match apply(
        &tree(document),
        &tree(&parameters),
        Definitions::r4().types(),
    ) {
        Ok(document) => document.to_string(),
        Err(refused) => refused.to_string(),
    }
}

/// What becomes of a member of the patient.
fn member(name: &str, kind: &str, path: &str, rest: &str) -> String {
    let text = patched(PATIENT, &[operation(kind, path, rest)]);
    match parse(text.as_bytes()) {
        Ok(document) => document
            .get(name)
            .map(ToString::to_string)
            .unwrap_or_default(),
        Err(_) => text,
    }
}

#[test]
fn elements_are_added() {
    let add = |name: &str, path: &str, property: &str, value: &str| {
        member(
            name,
            "add",
            path,
            &format!(r#"{{"name":"name","valueString":"{property}"}},{value}"#),
        )
    };
    assert_eq!(
        add(
            "gender",
            "Patient",
            "gender",
            r#"{"name":"value","valueCode":"male"}"#
        ),
        r#""male""#
    );
    // A choice, by its plain name and by its JSON name.
    let boolean = r#"{"name":"value","valueBoolean":false}"#;
    assert_eq!(
        add("deceasedBoolean", "Patient", "deceased", boolean),
        "false"
    );
    assert_eq!(
        add("deceasedBoolean", "Patient", "deceasedBoolean", boolean),
        "false"
    );
    assert!(add("", "Patient", "deceasedDateTime", boolean).contains("of type dateTime"));
    // Lists grow at their end, with what stands beside a primitive.
    let given = r#"{"name":"value","valueString":"D","_valueString":{"id":"d"}}"#;
    assert_eq!(
        add("name", "Patient.name[0]", "given", given),
        r#"[{"family":"A","given":["B",null,"C","D"],"_given":[null,{"id":"g"},null,{"id":"d"}]},{"text":"T"}]"#
    );
    // What has no type of its own comes in parts; so do extensions.
    let contact = r#"{"name":"value","part":[{"name":"name","valueHumanName":{"text":"M"}},{"name":"gender","valueCode":"female"}]}"#;
    assert_eq!(
        add("contact", "Patient", "contact", contact),
        r#"[{"name":{"text":"N"}},{"name":{"text":"M"},"gender":"female"}]"#
    );
    let extension = r#"{"name":"value","part":[{"name":"url","valueUri":"v"},{"name":"value","valueInteger":1}]}"#;
    assert_eq!(
        add("_birthDate", "Patient.birthDate", "extension", extension),
        r#"{"id":"b","extension":[{"url":"v","valueInteger":1}]}"#
    );
    assert_eq!(
        add("_active", "Patient.active", "extension", extension),
        r#"{"extension":[{"url":"v","valueInteger":1}]}"#
    );
    let resource = r#"{"name":"value","resource":{"resourceType":"Basic","id":"x"}}"#;
    assert_eq!(
        add("contained", "Patient", "contained", resource),
        r#"[{"resourceType":"Basic","id":"x"}]"#
    );
}

#[test]
fn elements_are_written_where_the_definition_has_them() {
    let text = patched(
        r#"{"resourceType":"Patient","id":"1","birthDate":"2000"}"#,
        &[operation(
            "add",
            "Patient",
            r#"{"name":"name","valueString":"active"},{"name":"value","valueBoolean":true}"#,
        )],
    );
    assert_eq!(
        text,
        r#"{"resourceType":"Patient","id":"1","active":true,"birthDate":"2000"}"#
    );
}

#[test]
fn elements_are_inserted_and_moved() {
    let text = r#"{"name":"value","valueString":"X"}"#;
    let index = |index: usize| format!(r#"{{"name":"index","valueInteger":{index}}},{text}"#);
    assert_eq!(
        member("name", "insert", "Patient.name[0].given", &index(1)),
        r#"[{"family":"A","given":["B","X",null,"C"],"_given":[null,null,{"id":"g"},null]},{"text":"T"}]"#
    );
    assert_eq!(
        member("name", "insert", "Patient.name[1].given", &index(0)),
        r#"[{"family":"A","given":["B",null,"C"],"_given":[null,{"id":"g"},null]},{"text":"T","given":["X"]}]"#
    );
    assert!(member("", "insert", "Patient.name[0].given", &index(4)).contains("list of 3"));
    assert!(member("", "insert", "Patient.name[0].family", &index(0)).contains("no list"));
    assert!(
        member("", "insert", "Patient.name.where(text = 'T')", &index(0)).contains("whole list")
    );
    let shift = |from: usize, to: usize| {
        format!(
            r#"{{"name":"source","valueInteger":{from}}},{{"name":"destination","valueInteger":{to}}}"#
        )
    };
    assert_eq!(
        member("name", "move", "Patient.name[0].given", &shift(2, 0)),
        r#"[{"family":"A","given":["C","B",null],"_given":[null,null,{"id":"g"}]},{"text":"T"}]"#
    );
    assert!(member("", "move", "Patient.name", &shift(0, 2)).contains("list of 2"));
    assert!(member("", "move", "Patient.photo", &shift(0, 0)).contains("list of 0"));
}

#[test]
fn elements_are_deleted_with_what_is_empty_around_them() {
    assert_eq!(member("active", "delete", "Patient.active", ""), "");
    assert_eq!(member("_birthDate", "delete", "Patient.birthDate", ""), "");
    assert_eq!(
        member("contact", "delete", "Patient.contact[0].name.text", ""),
        ""
    );
    assert_eq!(
        member("extension", "delete", "Patient.extension[0]", ""),
        ""
    );
    assert_eq!(
        member("name", "delete", "Patient.name.where(text = 'T')", ""),
        r#"[{"family":"A","given":["B",null,"C"],"_given":[null,{"id":"g"},null]}]"#
    );
    assert_eq!(
        member("name", "delete", "Patient.name[0].given[1]", ""),
        r#"[{"family":"A","given":["B","C"]},{"text":"T"}]"#
    );
    // What is not there need not be deleted.
    assert_eq!(
        patched(PATIENT, &[operation("delete", "Patient.photo", "")]),
        PATIENT
    );
    assert!(member("", "delete", "Patient.name", "").contains("finds 2 elements"));
    assert!(member("", "delete", "Patient", "").contains("whole resource"));
    assert!(member("", "delete", "1", "").contains("no element of this resource"));
}

#[test]
fn elements_are_replaced() {
    let date = r#"{"name":"value","valueDate":"2001"}"#;
    assert_eq!(
        member("birthDate", "replace", "Patient.birthDate", date),
        r#""2001""#
    );
    assert_eq!(
        member("_birthDate", "replace", "Patient.birthDate", date),
        ""
    );
    assert_eq!(
        member(
            "name",
            "replace",
            "Patient.name[0].given[1]",
            r#"{"name":"value","valueString":"X"}"#
        ),
        r#"[{"family":"A","given":["B","X","C"]},{"text":"T"}]"#
    );
    assert!(member("", "replace", "Patient.photo", date).contains("finds nothing"));
    assert!(
        member(
            "",
            "replace",
            "Patient.active",
            r#"{"name":"value","valueString":"x"}"#
        )
        .contains("of type boolean, the value is string")
    );
    // Another type of a choice is another member.
    let observation = r#"{"resourceType":"Observation","status":"final","valueString":"x","component":[{"valueQuantity":{"value":1.0}}]}"#;
    let quantity = r#"{"name":"value","valueQuantity":{"value":2.50}}"#;
    assert_eq!(
        patched(
            observation,
            &[operation("replace", "Observation.value", quantity)]
        ),
        r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":2.50},"component":[{"valueQuantity":{"value":1.0}}]}"#
    );
    let text = r#"{"name":"value","valueString":"y"}"#;
    assert_eq!(
        patched(
            observation,
            &[operation("replace", "Observation.component[0].value", text)]
        ),
        r#"{"resourceType":"Observation","status":"final","valueString":"x","component":[{"valueString":"y"}]}"#
    );
}

#[test]
fn resources_in_resources_are_reached() {
    let bundle = r#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","active":true}}]}"#;
    let value = r#"{"name":"value","valueBoolean":false}"#;
    assert_eq!(
        patched(
            bundle,
            &[operation(
                "replace",
                "Bundle.entry[0].resource.active",
                value
            )]
        ),
        bundle.replace("true", "false")
    );
    let name = r#"{"name":"name","valueString":"gender"},{"name":"value","valueCode":"male"}"#;
    assert_eq!(
        patched(
            bundle,
            &[operation("add", "Bundle.entry[0].resource", name)]
        ),
        bundle.replace("true", r#"true,"gender":"male""#)
    );
}

#[test]
fn refusals_name_the_operation_and_change_nothing() {
    let good = operation("delete", "Patient.active", "");
    for (bad, message) in [
        (operation("spam", "Patient", ""), "`spam` is no operation"),
        (operation("add", "Patient", ""), "a part `name`"),
        (
            operation(
                "insert",
                "Patient.name",
                r#"{"name":"value","valueHumanName":{}}"#,
            ),
            "a part `index`",
        ),
        (
            operation("replace", "Patient.birthDate", ""),
            "a part `value`",
        ),
        (
            operation(
                "replace",
                "Patient.(",
                r#"{"name":"value","valueBoolean":true}"#,
            ),
            "Patient.(",
        ),
        (
            operation("delete", "Patient", r#"{"name":"what","valueString":"x"}"#),
            "unknown part `what`",
        ),
        (
            operation(
                "add",
                "Patient",
                r#"{"name":"name","valueString":"nick"},{"name":"value","valueString":"x"}"#,
            ),
            "no element `nick`",
        ),
        (
            operation(
                "move",
                "Patient.name",
                r#"{"name":"source","valueString":"1"}"#,
            ),
            "a whole number",
        ),
        (r#"{"name":"other"}"#.to_owned(), "named `operation`"),
        (r#"{"name":"operation"}"#.to_owned(), "a part `type`"),
    ] {
        let told = patched(PATIENT, &[good.clone(), bad.clone()]);
        assert!(
            told.starts_with("operation 1") && told.contains(message),
            "{bad}: {told}"
        );
    }
    let twice = operation(
        "add",
        "Patient",
        r#"{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"2001"}"#,
    );
    assert!(patched(PATIENT, &[twice]).contains("already there"));
    let types = Definitions::r4().types();
    let patient = parse(PATIENT.as_bytes()).unwrap();
    assert!(
        apply(&patient, &patient, types)
            .unwrap_err()
            .to_string()
            .contains("Parameters")
    );
}

#[test]
fn growth_has_bounds() {
    let extension = r#"{"name":"value","part":[{"name":"url","valueUri":"v"}]}"#;
    let name = format!(r#"{{"name":"name","valueString":"extension"}},{extension}"#);
    let deeper: Vec<String> = (0..60)
        .map(|level| {
            let path = format!("Patient{}", ".extension[0]".repeat(level));
            operation("add", &path, &name)
        })
        .collect();
    let told = patched(r#"{"resourceType":"Patient"}"#, &deeper);
    assert!(told.contains("nest deeper"), "{told}");
    let many = vec![operation("delete", "Patient.photo", ""); OPERATIONS_MAX + 1];
    assert!(patched(PATIENT, &many).contains("operations"));
}
