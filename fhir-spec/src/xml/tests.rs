use super::{read, write, write_pretty};
use crate::definitions::Definitions;
use crate::json::{Value, parse, place};
use crate::outcome::Issue;

const SPACE: &str = "xmlns=\"http://hl7.org/fhir\"";
const DIV: &str = "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p a='1'>a &lt; b<!-- c --><![CDATA[<x>]]><br/></p></div>";

fn patient(inner: &str) -> String {
    format!("<Patient {SPACE}>{inner}</Patient>")
}

fn read_text(xml: &str) -> Result<Value, Vec<Issue>> {
    read(xml.as_bytes(), Definitions::r4())
}

fn json_of(xml: &str) -> String {
    read_text(xml)
        .unwrap_or_else(|issues| panic!("{issues:?}"))
        .to_string()
}

/// What is told about a document: path, line and column, message.
fn told(xml: &str) -> Vec<(String, (u32, u32), String)> {
    read_text(xml)
        .unwrap_err()
        .into_iter()
        .map(|issue| {
            (
                issue.expression.unwrap_or_default(),
                issue.place.unwrap_or_default(),
                issue.diagnostics,
            )
        })
        .collect()
}

fn refused(xml: &str, why: &str) {
    let told = told(xml);
    assert!(
        told.iter().any(|(_, _, message)| message.contains(why)),
        "{why}: {told:?}"
    );
}

fn survives(json: &str) {
    let before = parse(json.as_bytes()).unwrap();
    let xml = write(&before, Definitions::r4()).unwrap();
    assert_eq!(json_of(&xml), json, "{xml}");
    let pretty = write_pretty(&before, Definitions::r4()).unwrap();
    assert_eq!(json_of(&pretty), json, "{pretty}");
}

#[test]
fn elements_become_members_of_their_types() {
    let xml = patient(
        "<id value='1'/><active value='true'/><name id='n'><family value='A'/><given value='B'/><given value='C'/></name>\
         <birthDate value='2000-01-01'/><deceasedBoolean value='false'/><multipleBirthInteger value='2'/>",
    );
    assert_eq!(
        json_of(&xml),
        r#"{"resourceType":"Patient","id":"1","active":true,"name":[{"id":"n","family":"A","given":["B","C"]}],"birthDate":"2000-01-01","deceasedBoolean":false,"multipleBirthInteger":2}"#
    );
}

#[test]
fn documents_survive_the_other_notation() {
    for json in [
        // Digits, and text that XML must escape.
        r#"{"resourceType":"Observation","status":"final","valueQuantity":{"value":-1.50e+10,"unit":"a\n\tb\r<&>\"' é😀 "}}"#,
        // Extensions of primitives, values that are missing, lists of different length.
        r#"{"resourceType":"Patient","_birthDate":{"id":"b","extension":[{"url":"http://u","valueDecimal":1.0}]}}"#,
        r#"{"resourceType":"Patient","name":[{"given":["A",null,"C"],"_given":[null,{"id":"g"},{"id":"h"}]}]}"#,
        r#"{"resourceType":"Patient","name":[{"_given":[{"id":"g"},{"id":"h"}]}]}"#,
        // Nested extensions, contained resources, bundles in parameters.
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o"},{"resourceType":"Binary","contentType":"a/b"}],"extension":[{"extension":[{"url":"a","valueBoolean":true}],"url":"http://u"}]}"#,
        r#"{"resourceType":"Parameters","parameter":[{"name":"r","resource":{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Basic"}}]}}]}"#,
        // Text that is no number stays text.
        r#"{"resourceType":"Patient","multipleBirthInteger":"many"}"#,
    ] {
        survives(json);
    }
    let div = DIV.replace('"', "\\\"");
    survives(&format!(
        r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"{div}"}}}}"#
    ));
}

#[test]
fn elements_are_written_in_the_order_of_the_definition() {
    let json = r#"{"resourceType":"Patient","birthDate":"2000","active":true,"id":"1"}"#;
    let xml = write(&parse(json.as_bytes()).unwrap(), Definitions::r4()).unwrap();
    let expected = patient("<id value=\"1\"/><active value=\"true\"/><birthDate value=\"2000\"/>");
    assert_eq!(
        xml,
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{expected}")
    );
}

#[test]
fn what_is_wrong_is_told_at_once_with_its_place() {
    let xml = format!(
        "<Patient {SPACE}>\n <birthDate value='2000'/>\n <active value='true' x='1'/>\n <name><nick value='n'/>text</name>\n \
         <name><given/></name>\n</Patient>"
    );
    let told = told(&xml);
    let expected = [
        ("Patient.active", (3, 2), "must come before"),
        ("Patient.active", (3, 23), "unknown attribute `x`"),
        ("Patient.name[0]", (4, 2), "must come before"),
        ("Patient.name[0]", (4, 8), "unknown element `nick`"),
        ("Patient.name[0]", (4, 25), "text `text`"),
        ("Patient.name[1]", (5, 2), "must come before"),
        ("Patient.name[1].given[0]", (5, 8), "is empty"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for ((path, place, message), (expected_path, expected_place, part)) in told.iter().zip(expected)
    {
        assert_eq!(
            (path.as_str(), *place),
            (expected_path, expected_place),
            "{message}"
        );
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn single_elements_do_not_repeat() {
    refused(
        &patient("<active value='true'/><active value='true'/>"),
        "stands twice",
    );
    refused(
        &patient("<deceasedBoolean value='true'/><deceasedDateTime value='2000'/>"),
        "only one value is allowed",
    );
    refused(&patient("<contained/>"), "holds 0 resources");
    refused(
        &patient("<contained><Basic/><Basic/></contained>"),
        "holds 2 resources",
    );
}

#[test]
fn values_know_their_place() {
    let xml = patient("\n  <active value='true'/>");
    let value = read_text(&xml).unwrap();
    let at = value.get("active").unwrap().at;
    assert_eq!(place(&xml, at), (2, 11));
}

#[test]
fn namespaces_and_prefixes() {
    let prefixed = "<f:Patient xmlns:f='http://hl7.org/fhir' xmlns:h='http://www.w3.org/1999/xhtml'><f:text><f:status value='generated'/>\
                    <h:div><h:b class='x'>a</h:b>&#160;</h:div></f:text><f:active value='true'/></f:Patient>";
    assert_eq!(
        json_of(prefixed),
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><b class=\"x\">a</b>&#160;</div>"},"active":true}"#
    );
    refused("<Patient/>", "not in the namespace");
    refused(
        "<Patient xmlns='http://hl7.org/fhi'/>",
        "not in the namespace",
    );
    refused(
        &patient("<x:active value='true'/>"),
        "prefix `x` has no namespace",
    );
    refused(
        &patient("<active xmlns='urn:x' value='true'/>"),
        "not in the namespace",
    );
    refused(
        &patient("<text><status value='generated'/><div>a</div></text>"),
        "not in the namespace",
    );
    refused(
        &patient(
            "<text><status value='generated'/><div xmlns='http://www.w3.org/1999/xhtml'><svg xmlns='http://www.w3.org/2000/svg'/></div></text>",
        ),
        "`svg` in the narrative",
    );
    let located = format!(
        "<Patient {SPACE} xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:schemaLocation='a b'/>"
    );
    assert_eq!(json_of(&located), r#"{"resourceType":"Patient"}"#);
}

#[test]
fn what_is_no_plain_xml_is_refused() {
    refused(
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><Patient/>",
        "DOCTYPE",
    );
    refused(&patient("<active value='&e;'/>"), "`&e;` is not known");
    refused(&patient("<active value='&#0;'/>"), "names no character");
    refused(&patient("<active value='&#x1F;'/>"), "names no character");
    refused(&patient("<active value='a & b'/>"), "&amp;");
    refused(&patient("<active value='a\u{1}'/>"), "U+0001");
    refused(&patient("<active value='<'/>"), "&lt;");
    refused(&patient("<active value=true/>"), "name=\"value\"");
    refused(
        &patient("<active value='true' value='true'/>"),
        "stands twice",
    );
    refused(&patient("<active value='true'>"), "");
    refused(&format!("<Patient {SPACE}>"), "while an element is open");
    refused(&format!("{0}{0}", patient("")), "second root");
    refused(&format!("{}x", patient("")), "outside of the root");
    refused("", "expected an element");
    refused("{}", "outside of the root");
    refused(&patient("<?xml version='1.0'?>"), "very start");
    refused(
        &format!("<?xml version='1.0' encoding='ISO-8859-1'?>{}", patient("")),
        "UTF-8",
    );
    refused(&format!("<Nothing {SPACE}/>"), "no resource type");
    refused(&format!("<Resource {SPACE}/>"), "no resource type");
    refused(
        &patient(
            "<text><status value='generated'/><div xmlns='http://www.w3.org/1999/xhtml'>&nbsp;</div></text>",
        ),
        "&#160;",
    );
    assert!(read(&[b'<', 0xff], Definitions::r4()).is_err());
    let utf16: Vec<u8> = "<Patient/>"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let issues = read(&utf16, Definitions::r4()).unwrap_err();
    assert!(issues[0].diagnostics.contains("UTF-16"));
}

#[test]
fn what_says_nothing_is_passed_over() {
    let xml = format!(
        "\u{feff}<?xml version='1.0' encoding='utf-8'?><?a b?><!-- c -->\n{}<!-- d --> ",
        patient("<!-- e --><active value='true'><?f?></active>\n")
    );
    assert_eq!(json_of(&xml), r#"{"resourceType":"Patient","active":true}"#);
    // Plain white space in an attribute is a space, as XML has it; written by number it stays.
    assert_eq!(
        json_of(&patient("<language value='a\r\n\tb&#10;c'/>")),
        r#"{"resourceType":"Patient","language":"a  b\nc"}"#
    );
}

#[test]
fn depth_and_width_have_bounds() {
    let deep = |levels: usize| {
        let open = "<extension url='u'>".repeat(levels);
        patient(&format!("{open}{}", "</extension>".repeat(levels)))
    };
    assert!(read_text(&deep(31)).is_ok());
    refused(&deep(32), "nested deeper");
    refused(
        &patient(&"<extension url='u'>".repeat(1_000_000)),
        "nested deeper",
    );
    refused(&patient(&"<a>".repeat(1_000_000)), "nested deeper");
    let wide: String = (0..1000).map(|index| format!(" a{index}='1'")).collect();
    refused(&patient(&format!("<active{wide}/>")), "attributes");
    assert_eq!(
        told(&patient(&"<a/>".repeat(100_000))).len(),
        super::ISSUES_MAX
    );
}

#[test]
fn what_xml_cannot_say_is_an_error_with_its_place() {
    for (json, path, why) in [
        (
            r#"{"resourceType":"Patient","name":[{"family":"\u0001"}]}"#,
            "Patient.name[0].family",
            "U+0001",
        ),
        (
            r#"{"resourceType":"Patient","name":[{"nick":"n"}]}"#,
            "Patient.name[0]",
            "unknown property `nick`",
        ),
        (
            r#"{"resourceType":"Patient","_name":[{}]}"#,
            "Patient",
            "unknown property `_name`",
        ),
        (
            r#"{"resourceType":"Patient","name":{}}"#,
            "Patient.name",
            "expected an array",
        ),
        (
            r#"{"resourceType":"Patient","name":["x"]}"#,
            "Patient.name[0]",
            "expected an object",
        ),
        (
            r#"{"resourceType":"Patient","active":[true]}"#,
            "Patient.active",
            "single value",
        ),
        (
            r#"{"resourceType":"Patient","contained":[{"id":"1"}]}"#,
            "Patient.contained[0]",
            "resourceType",
        ),
        (
            r#"{"resourceType":"Patient","text":{"div":"<div>"}}"#,
            "Patient.text.div",
            "narrative",
        ),
        (
            r#"{"resourceType":"Patient","text":{"div":"<div/>"}}"#,
            "Patient.text.div",
            "namespace",
        ),
        (
            r#"{"resourceType":"Patient","text":{"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"/></text>"}}"#,
            "Patient.text.div",
            "narrative",
        ),
        ("{}", "", "resourceType"),
        ("1", "", "expected a resource"),
    ] {
        let issue = write(&parse(json.as_bytes()).unwrap(), Definitions::r4()).unwrap_err();
        assert_eq!(
            issue.expression.as_deref().unwrap_or_default(),
            path,
            "{issue:?}"
        );
        assert!(issue.diagnostics.contains(why), "{issue:?}");
    }
}

#[test]
fn the_namespaces_around_a_place_are_counted() {
    let declarations: String = (0..60).map(|n| format!(" xmlns:a{n}=\"u:a\"")).collect();
    let narrative = |levels: usize| {
        let (open, close) = (
            format!("<p{declarations}>").repeat(levels),
            "</p>".repeat(levels),
        );
        format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{open}a{close}</div>")
    };
    let problems = |levels| crate::narrative::check(&narrative(levels));
    assert_eq!(problems(4), []);
    assert!(problems(5)[0].message.contains("256 declarations"));
}
