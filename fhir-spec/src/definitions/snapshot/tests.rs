use std::sync::Arc;

use super::SnapshotError;
use crate::definitions::{
    Definitions, DiscriminatorKind, ElementDef, SlicingRules, Structure, StructureProblem,
};
use crate::json::{Value, parse};

const CORE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A profile `http://x/<name>` on a type of R4 (or on another profile, by its whole url).
fn profile(name: &str, type_name: &str, base: &str, elements: &str) -> Value {
    let base = if base.contains(':') {
        base.to_owned()
    } else {
        format!("{CORE}{base}")
    };
    let kind = match type_name {
        "Extension" | "HumanName" | "Identifier" | "Quantity" => "complex-type",
        _ => "resource",
    };
    let text = format!(
        r#"{{"resourceType":"StructureDefinition","url":"http://x/{name}","name":"{name}","kind":"{kind}","type":"{type_name}",
        "derivation":"constraint","baseDefinition":"{base}","differential":{{"element":[{elements}]}}}}"#
    );
    parse(text.as_bytes()).unwrap()
}

fn compiled(profiles: impl IntoIterator<Item = Value>, name: &str) -> Arc<Structure> {
    Definitions::r4()
        .with_resources(profiles)
        .try_structure(&format!("http://x/{name}"))
        .unwrap()
}

fn problem(profiles: impl IntoIterator<Item = Value>, name: &str) -> SnapshotError {
    let laid = Definitions::r4().with_resources(profiles);
    match laid.structure_problem(&format!("http://x/{name}")) {
        Some(StructureProblem::Snapshot { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

fn element<'a>(structure: &'a Structure, id: &str) -> &'a ElementDef {
    structure
        .by_id(id)
        .unwrap_or_else(|| panic!("{id} is not there"))
}

fn codes(element: &ElementDef) -> Vec<&str> {
    element.types.iter().map(|kind| &*kind.code).collect()
}

#[test]
fn a_differential_is_laid_over_its_base() {
    let made = compiled(
        [profile(
            "p",
            "Patient",
            "Patient",
            r#"{"id":"Patient","path":"Patient","constraint":[{"key":"x-1","severity":"error","human":"h","expression":"name.exists()"}]},
            {"id":"Patient.gender","path":"Patient.gender","min":1,"mustSupport":true,"binding":{"strength":"extensible"}},
            {"id":"Patient.birthDate","path":"Patient.birthDate","max":"0","minValueDate":"1900-01-01"},
            {"id":"Patient.active","path":"Patient.active","fixedBoolean":true}"#,
        )],
        "p",
    );
    let root = made.root().unwrap();
    let added = root
        .constraints
        .iter()
        .find(|rule| &*rule.key == "x-1")
        .unwrap();
    assert_eq!(&*added.source, "http://x/p");
    let of_base = |rule: &crate::definitions::Constraint| &*rule.key == "dom-2";
    assert!(root.constraints.iter().any(of_base));
    let gender = element(&made, "Patient.gender");
    assert_eq!(
        (gender.min, gender.max, gender.is_must_support),
        (1, Some(1), true)
    );
    let binding = gender.binding.as_ref().unwrap();
    assert!(binding.value_set.contains("administrative-gender"));
    assert_eq!(element(&made, "Patient.birthDate").max, Some(0));
    assert!(element(&made, "Patient.birthDate").min_value.is_some());
    assert_eq!(
        element(&made, "Patient.active")
            .fixed
            .as_ref()
            .and_then(Value::as_bool),
        Some(true)
    );
    let r4 = Definitions::r4()
        .structure(&format!("{CORE}Patient"))
        .unwrap();
    assert_eq!(made.elements.len(), r4.elements.len());
}

#[test]
fn datatypes_unfold_where_the_differential_walks_in() {
    let made = compiled(
        [profile(
            "p",
            "Patient",
            "Patient",
            r#"{"path":"Patient.name.family","min":1},{"path":"Patient.contact.name.period.start","min":1}"#,
        )],
        "p",
    );
    assert_eq!(element(&made, "Patient.name.family").min, 1);
    assert_eq!(element(&made, "Patient.name.given").max, None);
    assert_eq!(element(&made, "Patient.contact.name.period.start").min, 1);
    let name = element(&made, "Patient.name");
    assert_eq!(made.child(name, "family").unwrap().min, 1);
    assert!(made.child(name, "telecom").is_none());
    assert!(element(&made, "Patient.telecom").children.is_empty());
}

#[test]
fn lists_are_sliced_and_slices_sliced_again() {
    let made = compiled(
        [profile(
            "p",
            "Patient",
            "Patient",
            r#"{"path":"Patient.identifier","slicing":{"discriminator":[{"type":"value","path":"system"}],"ordered":true,"rules":"closed"},"min":1},
            {"path":"Patient.identifier","sliceName":"a","max":"3"},
            {"path":"Patient.identifier.system","fixedUri":"http://a"},
            {"path":"Patient.identifier","sliceName":"b","min":1,"max":"1"},
            {"path":"Patient.identifier.system","fixedUri":"http://b"},
            {"path":"Patient.identifier","sliceName":"a/official"},
            {"path":"Patient.identifier.use","fixedCode":"official"}"#,
        )],
        "p",
    );
    let identifier = element(&made, "Patient.identifier");
    let slicing = identifier.slicing.as_ref().unwrap();
    assert_eq!(slicing.rules, SlicingRules::Closed);
    assert!(slicing.is_ordered);
    let names: Vec<&str> = made
        .slices(identifier)
        .filter_map(|slice| slice.slice_name.as_deref())
        .collect();
    assert_eq!(names, ["a", "b"]);
    let a = element(&made, "Patient.identifier:a");
    assert_eq!((a.min, a.max), (0, Some(3)));
    let fixed = |id: &str| {
        element(&made, id)
            .fixed
            .as_ref()
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    assert_eq!(
        fixed("Patient.identifier:a.system").as_deref(),
        Some("http://a")
    );
    assert_eq!(
        fixed("Patient.identifier:b.system").as_deref(),
        Some("http://b")
    );
    // The slice of a slice has what its slice has, and its own.
    let official = made.slices(a).next().unwrap();
    assert_eq!(official.slice_name.as_deref(), Some("a/official"));
    assert_eq!(
        fixed("Patient.identifier:a/official.system").as_deref(),
        Some("http://a")
    );
    assert_eq!(
        fixed("Patient.identifier:a/official.use").as_deref(),
        Some("official")
    );
    assert!(made.by_id("Patient.identifier.system").is_none());
}

#[test]
fn a_profile_on_a_profile_goes_on_in_its_slices() {
    let base = profile(
        "base",
        "Observation",
        "Observation",
        r#"{"path":"Observation.component","slicing":{"discriminator":[{"type":"pattern","path":"code"}],"rules":"open"}},
        {"path":"Observation.component","sliceName":"s"}"#,
    );
    let derived = profile(
        "derived",
        "Observation",
        "http://x/base",
        r#"{"id":"Observation.component:s.code","path":"Observation.component.code","patternCodeableConcept":{"text":"s"}},
        {"id":"Observation.component:s.value[x]","path":"Observation.component.value[x]","type":[{"code":"Quantity"}]}"#,
    );
    let made = compiled([base, derived], "derived");
    assert!(
        element(&made, "Observation.component:s.code")
            .pattern
            .is_some()
    );
    assert!(
        element(&made, "Observation.component.code")
            .pattern
            .is_none()
    );
    assert_eq!(
        codes(element(&made, "Observation.component:s.value[x]")),
        ["Quantity"]
    );
    assert!(codes(element(&made, "Observation.component.value[x]")).len() > 1);
}

#[test]
fn choices_written_with_a_type() {
    let written =
        |elements: &str| compiled([profile("p", "Observation", "Observation", elements)], "p");
    // Required: nothing else is possible.
    let made = written(
        r#"{"path":"Observation.valueQuantity","min":1},{"path":"Observation.valueQuantity.code","min":1}"#,
    );
    let value = element(&made, "Observation.value[x]");
    assert_eq!((codes(value), value.min), (vec!["Quantity"], 1));
    assert!(value.is_choice && &*value.name == "value" && value.slices.is_empty());
    assert_eq!(element(&made, "Observation.value[x].code").min, 1);
    // Not required: a slice beside the other types.
    let made = written(r#"{"path":"Observation.valueQuantity.code","min":1}"#);
    let value = element(&made, "Observation.value[x]");
    assert!(codes(value).len() > 5);
    let slicing = value.slicing.as_ref().unwrap();
    assert_eq!(slicing.discriminators[0].kind, DiscriminatorKind::Type);
    assert_eq!(
        codes(element(&made, "Observation.value[x]:valueQuantity")),
        ["Quantity"]
    );
    assert_eq!(
        element(&made, "Observation.value[x]:valueQuantity.code").min,
        1
    );
    // Several types, each said: a slice for each.
    let made = written(
        r#"{"path":"Observation.valueQuantity","type":[{"code":"Quantity"}]},{"path":"Observation.valueString","type":[{"code":"string"}],"maxLength":9}"#,
    );
    let value = element(&made, "Observation.value[x]");
    assert_eq!(value.slices.len(), 2);
    assert_eq!(
        element(&made, "Observation.value[x]:valueString").max_length,
        Some(9)
    );
    // The whole notation.
    let made =
        written(r#"{"path":"Observation.value[x]","sliceName":"valueCodeableConcept","min":1}"#);
    let slice = element(&made, "Observation.value[x]:valueCodeableConcept");
    assert_eq!((codes(slice), slice.min), (vec!["CodeableConcept"], 1));
}

#[test]
fn extensions_are_sliced_by_url_and_say_how_often() {
    let extension = profile(
        "ext",
        "Extension",
        "Extension",
        r#"{"path":"Extension","max":"1"},{"path":"Extension.url","fixedUri":"http://x/ext"},{"path":"Extension.value[x]","type":[{"code":"string"}]}"#,
    );
    let patient = profile(
        "p",
        "Patient",
        "Patient",
        r#"{"path":"Patient.extension","sliceName":"mine","type":[{"code":"Extension","profile":["http://x/ext"]}]},
        {"path":"Patient.extension.value[x]","min":1}"#,
    );
    let made = compiled([extension, patient], "p");
    let slicing = element(&made, "Patient.extension")
        .slicing
        .as_ref()
        .unwrap();
    assert_eq!(&*slicing.discriminators[0].path, "url");
    let mine = element(&made, "Patient.extension:mine");
    assert_eq!((mine.min, mine.max), (0, Some(1)));
    // Unfolded from the extension's own profile.
    let value = element(&made, "Patient.extension:mine.value[x]");
    assert_eq!((codes(value), value.min), (vec!["string"], 1));
    assert!(element(&made, "Patient.extension:mine.url").fixed.is_some());
}

#[test]
fn content_references_unfold() {
    let made = compiled(
        [profile(
            "p",
            "Bundle",
            "Bundle",
            r#"{"path":"Bundle.entry.link.relation","fixedString":"self"}"#,
        )],
        "p",
    );
    assert!(element(&made, "Bundle.entry.link.relation").fixed.is_some());
    assert!(element(&made, "Bundle.link.relation").fixed.is_none());
    assert!(
        element(&made, "Bundle.entry.link")
            .content_reference
            .is_none()
    );
}

#[test]
fn what_cannot_be_made_is_told() {
    assert_eq!(
        problem(
            [profile(
                "p",
                "Patient",
                "Patient",
                r#"{"path":"Patient.nickname"}"#
            )],
            "p"
        ),
        SnapshotError::UnknownElement("Patient.nickname".into())
    );
    assert_eq!(
        problem([profile("p", "Patient", "http://x/none", "")], "p"),
        SnapshotError::BaseNotLoaded("http://x/none".into())
    );
    let circle = [
        profile("a", "Patient", "http://x/b", ""),
        profile("b", "Patient", "http://x/a", ""),
    ];
    assert!(matches!(problem(circle, "a"), SnapshotError::BaseCycle(_)));
    let chain = (0..100).map(|number| {
        let base = format!("http://x/p{}", number + 1);
        profile(&format!("p{number}"), "Patient", &base, "")
    });
    assert_eq!(problem(chain, "p0"), SnapshotError::ChainTooLong);
    let deep = format!(r#"{{"path":"Patient{}"}}"#, ".extension".repeat(1000));
    assert!(matches!(
        problem([profile("p", "Patient", "Patient", &deep)], "p"),
        SnapshotError::PathTooLong(_)
    ));
    assert_eq!(
        Definitions::r4().structure_problem("http://x/unheard"),
        Some(StructureProblem::NotLoaded("http://x/unheard".into()))
    );
    assert!(
        Definitions::r4()
            .structure("http://hl7.org/fhir/ValueSet/languages")
            .is_none()
    );
}

#[test]
fn slices_that_double_all_below_end() {
    let elements: Vec<String> = (1..40)
        .rev()
        .map(|depth| {
            let path = format!("Patient{}", ".extension".repeat(depth));
            format!(r#"{{"path":"{path}","sliceName":"s"}}"#)
        })
        .collect();
    let elements = elements.join(",");
    assert_eq!(
        problem([profile("p", "Patient", "Patient", &elements)], "p"),
        SnapshotError::TooLarge
    );
}

#[test]
fn a_new_type_may_add_elements() {
    let text = br#"{"resourceType":"StructureDefinition","url":"http://x/L","name":"L","kind":"logical","type":"L",
        "derivation":"specialization","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Element",
        "differential":{"element":[{"path":"L"},{"path":"L.part","min":1,"max":"*","type":[{"code":"BackboneElement"}]},
        {"path":"L.part.name","min":0,"max":"1","type":[{"code":"HumanName"}]}]}}"#;
    let made = compiled([parse(text).unwrap()], "L");
    assert_eq!(codes(element(&made, "L.part.name")), ["HumanName"]);
    assert!(element(&made, "L.part.modifierExtension").max.is_none());
    assert!(!made.is_constraint);
}
