use super::{apply, apply_to_resource};
use crate::definitions::Definitions;
use crate::json::parse;

fn patched(document: &str, operations: &str) -> String {
    match apply(
        document,
        &format!("<diff xmlns:p='urn:p'>{operations}</diff>"),
    ) {
        Ok(document) => document,
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn nodes_are_added_replaced_and_removed() {
    const DOCUMENT: &str = "<a x=\"1\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>";
    for (operation, expected) in [
        (
            "<add sel='a'><e/></add>",
            "<a x=\"1\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u<e/></a>",
        ),
        (
            "<add sel='/a' pos='prepend'>z</add>",
            "<a x=\"1\">z<b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<add sel='a/b[2]' pos='before'><e/></add>",
            "<a x=\"1\"><b i=\"1\">t</b><!--c--><e/><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<add sel='a/b[1]' pos='after'><e/>y</add>",
            "<a x=\"1\"><b i=\"1\">t</b><e/>y<!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<add sel='a' type='@y'>&lt;2</add>",
            "<a x=\"1\" y=\"&lt;2\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<add sel='a' type='@p:y'>2</add>",
            "<a xmlns:p=\"urn:p\" x=\"1\" p:y=\"2\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<add sel='a' type='namespace::q'>urn:q</add>",
            "<a xmlns:q=\"urn:q\" x=\"1\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<replace sel='a/@x'>2</replace>",
            "<a x=\"2\"><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<replace sel=\"a/b[d='v']\"> <p:e/> </replace>",
            "<a x=\"1\"><b i=\"1\">t</b><!--c--><p:e xmlns:p=\"urn:p\"/> u</a>",
        ),
        (
            "<replace sel='a/comment()'><!--n--></replace>",
            "<a x=\"1\"><b i=\"1\">t</b><!--n--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<replace sel='a/b[1]/text()[1]'>w</replace>",
            "<a x=\"1\"><b i=\"1\">w</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<remove sel=\"a/b[@i='2']\"/>",
            "<a x=\"1\"><b i=\"1\">t</b><!--c--> u</a>",
        ),
        (
            "<remove sel=\"*/*[.='t']\"/>",
            "<a x=\"1\"><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
        (
            "<remove sel='a/b/d'/>",
            "<a x=\"1\"><b i=\"1\">t</b><!--c--><b i=\"2\"/> u</a>",
        ),
        (
            "<remove sel='a/@x'/>",
            "<a><b i=\"1\">t</b><!--c--><b i=\"2\"><d>v</d></b> u</a>",
        ),
    ] {
        assert_eq!(patched(DOCUMENT, operation), expected, "{operation}");
    }
    assert_eq!(
        patched("<a> <b/> <c/></a>", "<remove sel='a/b' ws='both'/>"),
        "<a><c/></a>"
    );
    assert_eq!(
        patched("<a> <b/> <c/></a>", "<remove sel='a/b' ws='after'/>"),
        "<a> <c/></a>"
    );
}

#[test]
fn refusals_name_the_operation() {
    for (operation, message) in [
        ("<remove sel='a/b'/>", "finds 2 nodes"),
        ("<remove sel='a/c'/>", "finds nothing"),
        ("<remove sel='q:a'/>", "prefix `q`"),
        ("<remove sel='a/b[last()]'/>", "no selector"),
        ("<remove sel='//b'/>", "no selector"),
        ("<remove sel='a/text()/b'/>", "no selector"),
        ("<remove sel=\"a/b[@x='1'\"/>", "no selector"),
        ("<remove/>", "`sel`"),
        ("<spam sel='a'/>", "`spam` is no operation"),
        ("<add sel='a' type='x'>1</add>", "no type"),
        ("<add sel='a' type='@x y'>1</add>", "no name"),
        (
            "<add sel='a' type='@x'>1</add><add sel='a' type='@x'>1</add>",
            "already there",
        ),
        ("<add sel='a' pos='x'>1</add>", "no position"),
        ("<replace sel='a/b[1]'>text</replace>", "same kind"),
        ("<remove sel='a/b[1]' ws='x'/>", "white space"),
    ] {
        let told = patched("<a><b/><b/></a>", operation);
        assert!(
            told.starts_with("operation ") && told.contains(message),
            "{operation}: {told}"
        );
    }
    assert!(patched("<a/>", "<remove sel='a'/>").contains("0 root"));
    assert!(patched("<a/>", "<add sel='a' pos='after'><b/></add>").contains("2 root"));
    assert!(patched("<a/>", "<x>").contains("well-formed"));
    let deep = format!(
        "<add sel='a'>{}{}</add>",
        "<b>".repeat(200),
        "</b>".repeat(200)
    );
    let deeper = format!(
        "{deep}<add sel='a{}'>{}{}</add>",
        "/b".repeat(200),
        "<b>".repeat(60),
        "</b>".repeat(60)
    );
    assert!(patched("<a/>", &deeper).contains("nested deeper"));
}

#[test]
fn resources_are_patched_by_their_xml() {
    let patient =
        parse(br#"{"resourceType":"Patient","active":true,"name":[{"family":"A"}]}"#).unwrap();
    let patch = "<diff xmlns='http://hl7.org/fhir' xmlns:f='http://hl7.org/fhir'><replace sel='f:Patient/f:active/@value'>false</replace>\
                 <add sel='Patient/name/family' pos='after'><given value='B'/></add></diff>";
    let patched = apply_to_resource(&patient, patch, Definitions::r4()).unwrap();
    assert_eq!(
        patched.to_string(),
        r#"{"resourceType":"Patient","active":false,"name":[{"family":"A","given":["B"]}]}"#
    );
    let patch = patch.replace("<given ", "<nick ");
    let issues = apply_to_resource(&patient, &patch, Definitions::r4()).unwrap_err();
    assert!(issues[0].diagnostics.contains("unknown element `nick`"));
}
