//! What comes from outside: variables, references, the host.

use std::cell::RefCell;

use super::{PERSON, context, document, found};
use crate::definitions::Definitions;
use crate::fhirpath::{Context, Expression, Host, Item, Node};
use crate::json::Value;

struct World {
    practitioner: Value,
    traced: RefCell<Vec<String>>,
}

impl<'a> Host<'a> for &'a World {
    fn resolve(&self, reference: &str) -> Option<&'a Value> {
        (reference == "Practitioner/7").then_some(&self.practitioner)
    }

    fn is_member(&self, item: &Item<'a>, value_set: &str) -> Option<bool> {
        let code = item.as_node()?.value()?.as_str()?;
        (value_set == "https://example.org/uses").then_some(code == "official")
    }

    fn conforms(&self, node: &Node<'a>, profile: &str) -> Option<bool> {
        (profile == "https://example.org/profile").then_some(node.is_resource())
    }

    fn subsumes(&self, _system: &str, above: &str, below: &str) -> Option<bool> {
        Some(below.starts_with(above))
    }

    fn trace(&self, name: &str, items: &[Item<'a>]) {
        self.traced
            .borrow_mut()
            .push(format!("{name} {}", items.len()));
    }
}

#[test]
fn the_host_is_asked() {
    let world = World {
        practitioner: document(r#"{"resourceType": "Practitioner", "id": "7", "gender": "other"}"#),
        traced: RefCell::default(),
    };
    let host = &world;
    let patient = document(PERSON);
    let context = context(&patient).with_host(&host);
    for (expression, wanted) in [
        ("generalPractitioner.resolve().gender", r#"["other"]"#),
        ("managingOrganization.resolve().name", r#"["Ward"]"#),
        ("'#o1'.resolve().name", r#"["Ward"]"#),
        ("name[0].use.memberOf('https://example.org/uses')", "[true]"),
        ("name[0].use.memberOf('https://example.org/others')", "[]"),
        ("conformsTo('https://example.org/profile')", "[true]"),
        (
            "conformsTo('http://hl7.org/fhir/StructureDefinition/Patient')",
            "[true]",
        ),
        (
            "conformsTo('http://hl7.org/fhir/StructureDefinition/Observation')",
            "[false]",
        ),
        ("name.trace('names', given).count()", "[2]"),
    ] {
        assert_eq!(found(&context, expression), wanted, "{expression}");
    }
    assert_eq!(*world.traced.borrow(), ["names 4"]);
}

#[test]
fn codes_above_others() {
    let world = World {
        practitioner: document("{}"),
        traced: RefCell::default(),
    };
    let host = &world;
    let codes = document(
        r#"{"resourceType": "Basic", "code": {"coding": [{"system": "s", "code": "a"}, {"system": "s", "code": "ab"}, {"system": "t", "code": "abc"}]}}"#,
    );
    let context = context(&codes).with_host(&host);
    assert_eq!(
        found(&context, "code.coding[0].subsumes(code.coding[1])"),
        "[true]"
    );
    assert_eq!(
        found(&context, "code.coding[0].subsumedBy(code.coding[1])"),
        "[false]"
    );
    assert_eq!(
        found(&context, "code.coding[0].subsumes(code.coding[2])"),
        "[]"
    );
}

#[test]
fn references_within_a_bundle() {
    let bundle = document(
        r#"{"resourceType": "Bundle", "entry": [
            {"fullUrl": "https://h.org/fhir/Patient/1", "resource": {"resourceType": "Patient", "id": "1", "gender": "male"}},
            {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient", "id": "2", "gender": "female"}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "focus": [{"reference": "urn:uuid:2"}]}}]}"#,
    );
    let context = context(&bundle);
    assert_eq!(
        found(&context, "entry.resource.subject.resolve().gender"),
        r#"["male"]"#
    );
    assert_eq!(
        found(&context, "entry.resource.focus.resolve().gender"),
        r#"["female"]"#
    );
    assert_eq!(
        found(&context, "entry.resource.subject.resolve() is Patient"),
        "[true]"
    );
}

#[test]
fn variables() {
    let patient = document(PERSON);
    let others = document(r#"[{"resourceType": "Basic", "id": "b"}]"#);
    let types = Definitions::r4().types();
    let items = others
        .as_array()
        .unwrap()
        .iter()
        .map(|item| Item::Node(Node::of_resource(Some(types), item)));
    let context = context(&patient).with_variable("others", items.collect());
    assert_eq!(
        found(&context, "%others.id | %resource.id"),
        r#"["b","p1"]"#
    );
    assert_eq!(
        found(&context, "name.where(%context.id = 'p1').count()"),
        "[2]"
    );
    assert_eq!(found(&context, "%ucum"), r#"["http://unitsofmeasure.org"]"#);
    assert_eq!(
        found(
            &context,
            "%\"vs-gender\" = 'http://hl7.org/fhir/ValueSet/gender'"
        ),
        "[true]"
    );
    assert_eq!(
        found(&context, "%`ext-x`"),
        r#"["http://hl7.org/fhir/StructureDefinition/x"]"#
    );
}

/// An invariant is asked of an element; references to `#id` are found in the resource around it.
#[test]
fn elements_of_a_resource() {
    let patient = document(PERSON);
    let types = Definitions::r4().types();
    let id = types.by_name("HumanName").unwrap();
    let name = patient.items_of("name").first();
    let element = Item::Node(Node::typed(name, None, id));
    let context = context(&patient);
    let holds = |text: &str| {
        Expression::parse(text)
            .unwrap()
            .bound(types, id)
            .holds_for(&context, &element)
            .unwrap()
    };
    assert!(holds(
        "family.exists() and %resource.active and $this is HumanName"
    ));
    assert!(!holds("period.exists()"));
    assert!(!holds("{}"));
    let contained = patient.items_of("contained").first().unwrap();
    let inner = Context::new(types, contained).within(&patient);
    assert_eq!(
        found(&inner, "%rootResource.id | %resource.id"),
        r#"["p1","o1"]"#
    );
}
