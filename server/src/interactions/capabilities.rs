//! Capabilities: what this server can do, read from the same lists that make it do so.
//! <https://hl7.org/fhir/R4/http.html#capabilities>

use std::collections::HashMap;

use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::{Object, Value};
use search::Registry;
use search::query::BY_TEXT;
use search::registry::Parameter;
use search::types::SearchType;

use super::ALL;
use crate::app::App;
use crate::config::Auth;
use crate::subscriptions;
use crate::subscriptions::channel::BACKPORT;

/// `operations` names those of a level: of a type, or of the system.
pub fn run(
    app: &App,
    base: &str,
    topics: &[&str],
    operations: fn(Option<&str>) -> Vec<Value>,
) -> Value {
    let version = env!("CARGO_PKG_VERSION");
    let search = app.search();
    let referring = Referring::of(&search);
    let has_text = app.texts.is_some();
    let resources: Vec<Value> = app
        .definitions()
        .resource_types()
        .map(|name| {
            let mut told = resource(has_text, &search, &referring, name, operations(Some(name)));
            if name == subscriptions::TYPE {
                subscribed(&mut told, topics);
            }
            told.into()
        })
        .collect();
    let rest = Object::from_iter([
        ("mode", Value::from("server")),
        ("resource", Value::from(resources)),
        ("interaction", interactions(false)),
        ("searchParam", Value::from(of_all_types(has_text, &search))),
        ("compartment", Value::from(compartments(app.definitions()))),
        ("operation", Value::from(operations(None))),
        ("extension", Value::from(vec![listened(base)])),
    ]);
    let rest = match app.auth {
        Auth::Open => rest,
        Auth::Smart => guarded(rest),
    };
    Object::from_iter([
        ("resourceType", Value::from("CapabilityStatement")),
        ("status", Value::from("active")),
        ("date", Value::from(app.started_at.to_string())),
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

/// Whether the index of texts answers it.
fn is_of_text(parameter: &Parameter) -> bool {
    BY_TEXT.contains(&&*parameter.code)
}

fn resource(
    has_text: bool,
    registry: &Registry,
    referring: &Referring,
    resource_type: &str,
    operations: Vec<Value>,
) -> Object {
    let known = registry.of(resource_type);
    let parameters = || {
        let known = known.into_iter();
        known.flat_map(|known| registry.ready_parameters(known))
    };
    let texts = known.into_iter().flat_map(|known| known.parameters());
    let texts = texts.filter(|parameter| has_text && is_of_text(parameter));
    let searched: Vec<Value> = parameters().chain(texts).map(searched).collect();
    let references = parameters().filter(|parameter| parameter.kind == SearchType::Reference);
    let included = references.map(|parameter| format!("{resource_type}:{}", parameter.code));
    let included = ["*".to_owned()].into_iter().chain(included);
    let mut resource = Object::from_iter([
        ("type", Value::from(resource_type)),
        ("interaction", interactions(true)),
        ("versioning", Value::from("versioned")),
        ("readHistory", Value::from(true)),
        ("updateCreate", Value::from(true)),
        ("conditionalCreate", Value::from(true)),
        ("conditionalRead", Value::from("full-support")),
        ("conditionalUpdate", Value::from(true)),
        ("conditionalDelete", Value::from("single")),
        (
            "searchInclude",
            included.map(Value::from).collect::<Vec<_>>().into(),
        ),
    ]);
    let lists = [
        ("searchRevInclude", referring.to(resource_type)),
        ("searchParam", searched),
        ("operation", operations),
    ];
    // In FHIR no list is empty.
    for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        resource.set(name, list);
    }
    resource
}

/// What can be subscribed to. <https://hl7.org/fhir/uv/subscriptions-backport/conformance.html>
fn subscribed(resource: &mut Object, topics: &[&str]) {
    let topic = |url: &&str| {
        let name = "capabilitystatement-subscriptiontopic-canonical";
        let extension = format!("{BACKPORT}{name}");
        Value::from(Object::from_iter([
            ("url", Value::from(extension)),
            ("valueCanonical", (*url).into()),
        ]))
    };
    let topics: Vec<Value> = topics.iter().map(topic).collect();
    resource.insert_at(0, "extension", topics);
    let profile = format!("{BACKPORT}backport-subscription");
    resource.set("supportedProfile", vec![Value::from(profile)]);
}

/// Where who subscribes by websocket listens. <https://hl7.org/fhir/R4/extension-capabilitystatement-websocket.html>
fn listened(base: &str) -> Value {
    const URL: &str = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket";
    let socket = subscriptions::binding::socket_of(base);
    Object::from_iter([("url", URL), ("valueUri", &socket)]).into()
}

/// What can be asked of all types at once.
fn of_all_types(has_text: bool, registry: &Registry) -> Vec<Value> {
    let types = registry.definitions().resource_types();
    let mut types = types.filter_map(|name| registry.of(name));
    let Some(first) = types.next() else {
        return Vec::new();
    };
    let mut shared: Vec<&Parameter> = registry.ready_parameters(first).collect();
    let texts = first.parameters().iter();
    shared.extend(texts.filter(|parameter| has_text && is_of_text(parameter)));
    for known in types {
        shared.retain(|parameter| {
            if is_of_text(parameter) {
                return known.parameter(&parameter.code).is_some();
            }
            let mut ready = registry.ready_parameters(known);
            ready.any(|same| same.code == parameter.code && same.kind == parameter.kind)
        });
    }
    shared.into_iter().map(searched).collect()
}

fn compartments(definitions: &Definitions) -> Vec<Value> {
    let codes = definitions.compartments().iter();
    let names = codes.map(|compartment| compartment.code.to_lowercase());
    names
        .map(|name| format!("http://hl7.org/fhir/CompartmentDefinition/{name}").into())
        .collect()
}

fn searched(parameter: &Parameter) -> Value {
    named([
        ("name", &*parameter.code),
        ("definition", &*parameter.url),
        ("type", parameter.kind.code()),
    ])
}

/// Which parameters refer to a type, as `Type:parameter`.
struct Referring(HashMap<Box<str>, Vec<Value>>);

impl Referring {
    fn of(registry: &Registry) -> Self {
        let mut all: HashMap<Box<str>, Vec<Value>> = HashMap::new();
        let types = registry.definitions().resource_types();
        for known in types.filter_map(|name| registry.of(name)) {
            let references = registry.ready_parameters(known);
            for parameter in references.filter(|parameter| parameter.kind == SearchType::Reference)
            {
                for target in &parameter.targets {
                    let named = format!("{}:{}", known.name, parameter.code);
                    all.entry(target.clone()).or_default().push(named.into());
                }
            }
        }
        Self(all)
    }

    fn to(&self, resource_type: &str) -> Vec<Value> {
        self.0.get(resource_type).cloned().unwrap_or_default()
    }
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

/// That one has to show who one is, and how that is found out about.
/// <https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html>
fn guarded(mut rest: Object) -> Object {
    let coding = Object::from_iter([
        (
            "system",
            "http://terminology.hl7.org/CodeSystem/restful-security-service",
        ),
        ("code", "SMART-on-FHIR"),
    ]);
    let mut service = Object::new();
    service.set("coding", vec![Value::from(coding)]);
    let mut security = Object::new();
    security.set("service", vec![Value::from(service)]);
    rest.set("security", security);
    rest
}
