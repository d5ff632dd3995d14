//! The rules that are checked natively say what their FHIRPath says.

use super::*;
use crate::definitions::Definitions;
use crate::fhirpath::{Context, Expression, Item, Node};
use crate::json::parse;

/// Whether the expression of an invariant is plainly false of a resource, or of an element of it.
fn is_broken(document: &Value, type_name: &str, key: &str, element: &str) -> bool {
    let types = Definitions::r4().types();
    let definition = types.named(type_name).unwrap();
    let mut constraints = definition.constraints.iter();
    let constraint = constraints.find(|constraint| &*constraint.key == key);
    let expression = Expression::parse(&constraint.unwrap().expression).unwrap();
    let context = Context::new(types, document);
    let items = Expression::parse(element)
        .unwrap()
        .evaluate(&context)
        .unwrap();
    items.iter().any(|item| {
        let answer = expression.evaluate_on(&context, item).unwrap();
        match answer.as_slice() {
            [Item::Boolean(truth)] => !truth,
            [Item::Node(node)] => node.value().and_then(Value::as_bool) == Some(false),
            _ => false,
        }
    })
}

fn tells(document: &Value, key: &str) -> bool {
    let issues = Validator::r4().validate(document, &Request::default());
    let told = |issue: &Issue| issue.is_error() && issue.diagnostics.contains(key);
    issues.iter().any(told)
}

#[test]
fn contained_resources() {
    let inner = [
        r#""id":"a""#,
        r#""id":"a","meta":{"versionId":"1"}"#,
        r#""id":"a","meta":{"lastUpdated":"2020-01-01T00:00:00Z"}"#,
        r#""id":"a","meta":{"security":[{"code":"R"}]}"#,
        r#""id":"a","meta":{"tag":[{"code":"R"}]}"#,
        r#""id":"a","contained":[{"resourceType":"Endpoint","id":"b"}]"#,
    ];
    let outer = ["", r##","managingOrganization":{"reference":"#a"}"##];
    for inner in inner {
        for outer in outer {
            let text = format!(
                r#"{{"resourceType":"Patient","contained":[{{"resourceType":"Organization",{inner},"name":"x"}}]{outer}}}"#
            );
            let document = parse(text.as_bytes()).unwrap();
            for key in ["dom-2", "dom-4", "dom-5"] {
                let expected = is_broken(&document, "Patient", key, "$this");
                // Of a contained resource that contains others nothing more is told.
                if key == "dom-2" || !tells(&document, "dom-2") {
                    assert_eq!(tells(&document, key), expected, "{key}: {text}");
                }
            }
        }
    }
}

#[test]
fn extensions() {
    for content in [
        "",
        r#","valueString":"a""#,
        r#","extension":[{"url":"http://a.org/b","valueCode":"c"}]"#,
        r#","valueString":"a","extension":[{"url":"http://a.org/b","valueCode":"c"}]"#,
        r#","_valueString":{"extension":[{"url":"http://a.org/b","valueCode":"c"}]}"#,
    ] {
        let text = format!(
            r#"{{"resourceType":"Patient","extension":[{{"url":"http://a.org/a"{content}}}]}}"#
        );
        let document = parse(text.as_bytes()).unwrap();
        let expected = is_broken(&document, "Extension", "ext-1", "extension");
        assert_eq!(tells(&document, "ext-1"), expected, "{text}");
    }
}

#[test]
fn references() {
    for reference in ["#a", "#b", "Organization/1", "http://a.org/Organization/1"] {
        let text = format!(
            r##"{{"resourceType":"Patient","contained":[{{"resourceType":"Organization","id":"a","name":"x"}}],
            "managingOrganization":{{"reference":"{reference}"}},"generalPractitioner":[{{"reference":"#a"}}]}}"##
        );
        let document = parse(text.as_bytes()).unwrap();
        let expected = is_broken(&document, "Reference", "ref-1", "managingOrganization");
        assert_eq!(tells(&document, "ref-1"), expected, "{text}");
    }
}

#[test]
fn narratives() {
    for div in ["<p>x</p>", "<script>x</script>", "", "<p onclick='x'>x</p>"] {
        let text = format!(
            r#"{{"resourceType":"Patient","text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{div}</div>"}}}}"#
        );
        let document = parse(text.as_bytes()).unwrap();
        let types = Definitions::r4().types();
        let narrative = types.named("Narrative").unwrap();
        let expected = narrative
            .element("div")
            .unwrap()
            .constraints
            .iter()
            .any(|rule| {
                let expression = Expression::parse(&rule.expression).unwrap();
                let context = Context::new(types, &document);
                let div = document.get("text").unwrap().get("div").unwrap();
                let node = Node::typed(Some(div), None, types.by_name("xhtml").unwrap());
                !expression.holds_for(&context, &Item::Node(node)).unwrap()
            });
        assert_eq!(tells(&document, "txt-"), expected, "{text}");
    }
}

/// `ele-1` is `hasValue() or (children().count() > id.count())`.
#[test]
fn elements() {
    let expression = Expression::parse("hasValue() or (children().count() > id.count())").unwrap();
    let types = Definitions::r4().types();
    for name in [
        r#"{"family":"x"}"#,
        r#"{"id":"x"}"#,
        "{}",
        r#"{"id":"x","family":"y"}"#,
        r#"{"id":"x","extension":[{"url":"http://a.org/a","valueCode":"c"}]}"#,
        r#"{"_family":{"id":"x"}}"#,
        r#"{"_family":{"extension":[{"url":"http://a.org/a","valueCode":"c"}]}}"#,
    ] {
        let text = format!(r#"{{"resourceType":"Patient","name":[{name}]}}"#);
        let document = parse(text.as_bytes()).unwrap();
        let context = Context::new(types, &document);
        let all = Expression::parse("name | name.family").unwrap();
        let elements = all.evaluate(&context).unwrap();
        let broken = elements
            .iter()
            .any(|element| !expression.holds_for(&context, element).unwrap());
        assert_eq!(tells(&document, "ele-1"), broken, "{text}");
    }
}
