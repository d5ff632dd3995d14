//! The smallest valid resource of each type: what its definition requires, and what its invariants want besides.

use fhir_spec::definitions::{Definitions, Element, Kind, TypeDef};
use fhir_spec::json::{Object, Value, parse};
use fhir_spec::terminology::Page;

/// What invariants ask for beyond the required elements.
const ALSO: &[(&str, &str)] = &[
    (
        "AllergyIntolerance",
        r#"{"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]}}"#,
    ),
    (
        "Appointment",
        r#"{"participant":[{"status":"accepted","actor":{"reference":"Patient/1"}}]}"#,
    ),
    (
        "AppointmentResponse",
        r#"{"actor":{"reference":"Patient/1"}}"#,
    ),
    ("Bundle", r#"{"type":"collection"}"#),
    (
        "CapabilityStatement",
        r#"{"kind":"requirements","description":"x","rest":[{"mode":"server"}]}"#,
    ),
    ("Consent", r#"{"policyRule":{"text":"x"}}"#),
    (
        "EventDefinition",
        r#"{"trigger":[{"type":"named-event","name":"x"}]}"#,
    ),
    (
        "ImmunizationRecommendation",
        r#"{"recommendation":[{"forecastStatus":{"text":"x"},"targetDisease":{"text":"x"}}]}"#,
    ),
    ("InsurancePlan", r#"{"name":"x"}"#),
    (
        "Linkage",
        r#"{"item":[{"type":"source","resource":{"reference":"Patient/1"}},{"type":"alternate","resource":{"reference":"Patient/2"}}]}"#,
    ),
    ("Organization", r#"{"name":"x"}"#),
    (
        "StructureDefinition",
        r#"{"kind":"complex-type","type":"Extension","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Extension","derivation":"constraint","context":[{"type":"element","expression":"Patient"}],"differential":{"element":[{"id":"Extension","path":"Extension"}]}}"#,
    ),
    (
        "TerminologyCapabilities",
        r#"{"kind":"requirements","description":"x"}"#,
    ),
];

/// Something to say in a datatype that requires nothing.
const SOME: &[(&str, &str)] = &[
    ("Attachment", r#"{"title":"x"}"#),
    ("Coding", r#"{"code":"x"}"#),
    ("Period", r#"{"start":"2020"}"#),
    ("Quantity", r#"{"value":1}"#),
    ("SimpleQuantity", r#"{"value":1}"#),
    ("Money", r#"{"value":1}"#),
];

pub(crate) fn smallest(resource_type: &str) -> Value {
    let definition = Definitions::r4().types().named(resource_type).unwrap();
    let mut resource = Object::from_iter([("resourceType", resource_type)]);
    for (name, value) in required(definition) {
        resource.set(&name, value);
    }
    for (_, also) in ALSO.iter().filter(|(name, _)| *name == resource_type) {
        for (name, value) in parse(also.as_bytes()).unwrap().as_object().unwrap().iter() {
            resource.set(name, value.clone());
        }
    }
    resource.into()
}

fn required(definition: &TypeDef) -> Vec<(String, Value)> {
    let elements = definition.elements.iter();
    elements
        .filter(|element| element.min > 0)
        .map(|element| {
            let one = value_of(element);
            let value = if element.is_list() {
                vec![one].into()
            } else {
                one
            };
            (element.types[0].json_name.to_string(), value)
        })
        .collect()
}

fn value_of(element: &Element) -> Value {
    let types = Definitions::r4().types();
    let kind = types.get(element.types[0].id);
    match (kind.kind, &*kind.name) {
        (Kind::Primitive, name) => primitive(name, element),
        (_, "Reference") => {
            let target = element.types[0].target_profiles.first();
            let named = target.and_then(|profile| profile.rsplit('/').next());
            let named = named
                .filter(|name| *name != "Resource")
                .unwrap_or("Patient");
            Object::from_iter([("reference", format!("{named}/1"))]).into()
        }
        (_, "CodeableConcept" | "Annotation") => Object::from_iter([("text", "x")]).into(),
        (_, "Resource") => smallest("Basic"),
        _ => {
            let some = SOME.iter().find(|(name, _)| *name == &*kind.name);
            match some {
                Some((_, text)) => parse(text.as_bytes()).unwrap(),
                None => Object::from_iter(required(kind)).into(),
            }
        }
    }
}

fn primitive(name: &str, element: &Element) -> Value {
    let binding = element.binding.as_ref();
    let code = binding.and_then(|binding| {
        let value_set = Definitions::r4().value_set(&binding.value_set)?;
        let expansion = value_set.expand(Page::default()).ok()?;
        Some(expansion.contains.first()?.code.to_string())
    });
    match name {
        "boolean" => true.into(),
        "decimal" | "integer" | "positiveInt" | "unsignedInt" => Value::number(1),
        "date" | "dateTime" => "2020".into(),
        "instant" => "2020-01-01T00:00:00Z".into(),
        "time" => "12:00:00".into(),
        "base64Binary" => "eA==".into(),
        "canonical" | "uri" | "url" => "http://example.org/x".into(),
        "code" if binding.is_some_and(|binding| binding.value_set.contains("/mimetypes")) => {
            "text/plain".into()
        }
        "code" => code.unwrap_or_else(|| "x".to_owned()).into(),
        _ => "X".into(),
    }
}
