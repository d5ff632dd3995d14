//! Capabilities: what this server can do, read from the same lists that make it do so.
//! <https://hl7.org/fhir/R4/http.html#capabilities>

use fhir_spec::format::Format;
use fhir_spec::json::{Object, Value};

use super::ALL;
use crate::cx::Cx;

/// `operations` names those of a level: of a type, or of the system.
pub fn run(cx: &Cx, base: &str, operations: fn(Option<&str>) -> Vec<Value>) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let resources: Vec<Value> = cx
        .app
        .definitions()
        .resource_types()
        .map(|name| resource(name, operations(Some(name))))
        .collect();
    let rest = Object::from_iter([
        ("mode", Value::from("server")),
        ("resource", Value::from(resources)),
        ("interaction", interactions(false)),
        ("operation", Value::from(operations(None))),
    ]);
    Object::from_iter([
        ("resourceType", Value::from("CapabilityStatement")),
        ("status", Value::from("active")),
        ("date", Value::from(cx.app.started_at.to_string())),
        ("kind", Value::from("instance")),
        ("software", named([("name", "Kiln"), ("version", version)])),
        (
            "implementation",
            named([("description", "A Kiln FHIR server"), ("url", base)]),
        ),
        ("fhirVersion", Value::from("4.0.1")),
        (
            "format",
            Format::ALL
                .iter()
                .map(|format| Value::from(format.media_type()))
                .collect::<Vec<_>>()
                .into(),
        ),
        ("rest", Value::from(vec![Value::from(rest)])),
    ])
    .into()
}

fn resource(resource_type: &str, operations: Vec<Value>) -> Value {
    Object::from_iter([
        ("type", Value::from(resource_type)),
        ("interaction", interactions(true)),
        ("versioning", Value::from("versioned")),
        ("readHistory", Value::from(true)),
        ("updateCreate", Value::from(true)),
        ("conditionalCreate", Value::from(true)),
        ("conditionalRead", Value::from("full-support")),
        ("conditionalUpdate", Value::from(true)),
        ("conditionalDelete", Value::from("single")),
        ("operation", Value::from(operations)),
    ])
    .into()
}

/// Those of a type, or those of the system.
fn interactions(are_of_a_type: bool) -> Value {
    let mut codes: Vec<&str> = Vec::new();
    for interaction in ALL {
        // What is done by id and by criteria is one interaction here.
        if interaction.is_of_a_type() == are_of_a_type && !codes.contains(&interaction.code()) {
            codes.push(interaction.code());
        }
    }
    let declared: Vec<Value> = codes.iter().map(|code| named([("code", code)])).collect();
    declared.into()
}

fn named<const N: usize>(members: [(&'static str, &str); N]) -> Value {
    Object::from_iter(members).into()
}
