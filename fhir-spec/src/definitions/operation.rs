//! Operations as OperationDefinition resources say them: where they may be called and with what.
//! <https://hl7.org/fhir/R4/operationdefinition.html>

use crate::json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub url: Box<str>,
    /// Without the dollar sign.
    pub code: Box<str>,
    /// The types it applies to.
    pub resource: Vec<Box<str>>,
    pub on_system: bool,
    pub on_type: bool,
    pub on_instance: bool,
    pub affects_state: bool,
    pub parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: Box<str>,
    pub is_input: bool,
    pub min: u32,
    /// None: no bound.
    pub max: Option<u32>,
    pub kind: Option<Box<str>>,
    pub parts: Vec<Parameter>,
}

impl Operation {
    pub fn from_resource(resource: &Value) -> Option<Self> {
        let flag = |name: &str| resource.get(name).and_then(Value::as_bool) == Some(true);
        Some(Self {
            url: resource.str_of("url")?.into(),
            code: resource.str_of("code")?.into(),
            resource: resource
                .items_of("resource")
                .iter()
                .filter_map(Value::as_str)
                .map(Into::into)
                .collect(),
            on_system: flag("system"),
            on_type: flag("type"),
            on_instance: flag("instance"),
            affects_state: flag("affectsState"),
            parameters: parameters(resource.items_of("parameter")),
        })
    }
}

fn parameters(items: &[Value]) -> Vec<Parameter> {
    items
        .iter()
        .filter_map(|item| {
            Some(Parameter {
                name: item.str_of("name")?.into(),
                is_input: item.str_of("use") != Some("out"),
                min: item
                    .get("min")
                    .and_then(Value::as_number)
                    .and_then(|min| min.parse().ok())
                    .unwrap_or(0),
                max: item.str_of("max").and_then(|max| max.parse().ok()),
                kind: item.str_of("type").map(Into::into),
                parts: parameters(item.items_of("part")),
            })
        })
        .collect()
}
