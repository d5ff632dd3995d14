//! Parameters: what operations are called with and answer in. <https://hl7.org/fhir/R4/parameters.html>

use crate::definitions::types::choice_name;
use crate::definitions::{Kind, Types};
use crate::json::{Object, Value};

/// A Parameters resource, to be asked by name.
#[derive(Debug, Clone, Copy)]
pub struct Parameters<'a>(&'a [Value]);

impl<'a> Parameters<'a> {
    /// None: the resource is of another type.
    pub fn of(resource: &'a Value) -> Option<Self> {
        (resource.str_of("resourceType") == Some("Parameters"))
            .then(|| Self(resource.items_of("parameter")))
    }

    pub fn named(self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0
            .iter()
            .filter(move |parameter| parameter.str_of("name") == Some(name))
    }

    pub fn resource(self, name: &'a str) -> Option<&'a Value> {
        self.named(name)
            .find_map(|parameter| parameter.get("resource"))
    }

    /// The texts of the values of that name, whatever their type (`valueUri`, `valueString`, ...).
    pub fn texts(self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values(name).filter_map(Value::as_str)
    }

    /// The values of that name.
    pub fn values(self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.named(name).filter_map(value_of)
    }

    /// What the parameters are called.
    pub fn names(self) -> impl Iterator<Item = &'a str> {
        let all = self.0.iter();
        all.map(|parameter| parameter.str_of("name").unwrap_or_default())
    }
}

fn value_of(parameter: &Value) -> Option<&Value> {
    let mut members = parameter.as_object()?.iter();
    members
        .find(|(name, _)| name.starts_with("value"))
        .map(|(_, value)| value)
}

/// One parameter with a value of that type (`FHIR.HumanName`, `System.Boolean`). What Parameters cannot carry, such as a
/// backbone element, goes as a string that holds its JSON.
pub fn parameter(name: &str, type_name: &str, value: Value, types: &Types) -> Value {
    let mut parameter = Object::from_iter([("name", name)]);
    let (is_system, plain) = match type_name.split_once('.') {
        Some(("System", plain)) => (true, plain),
        Some((_, plain)) => (false, plain),
        None => (false, type_name),
    };
    let is_resource = types
        .named(plain)
        .is_some_and(|definition| definition.kind == Kind::Resource);
    let mut code = plain.to_owned();
    if is_system && let Some(first) = code.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    let property = choice_name("value", &code);
    let carries = types
        .named("Parameters.parameter")
        .is_some_and(|definition| definition.property(&property).is_some());
    if value.is_null() {
        // An element that has only extensions: there is nothing to say but that it is there.
    } else if is_resource && value.as_object().is_some() {
        parameter.set("resource", value);
    } else if carries && !is_text_of_complex(is_system, plain) {
        parameter.set(&property, value);
    } else {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        parameter.set("valueString", text);
    }
    parameter.into()
}

/// FHIRPath's own quantities come as text; FHIR's Quantity is an object.
fn is_text_of_complex(is_system: bool, plain: &str) -> bool {
    is_system && plain == "Quantity"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::json::parse;

    #[test]
    fn parameters_are_found_by_name() {
        let resource = parse(
            br#"{"resourceType":"Parameters","parameter":[{"name":"a","valueUri":"x"},{"name":"a","valueString":"y"},
            {"name":"r","resource":{"resourceType":"Patient"}}]}"#,
        )
        .unwrap();
        let parameters = Parameters::of(&resource).unwrap();
        assert_eq!(parameters.texts("a").collect::<Vec<_>>(), ["x", "y"]);
        assert!(parameters.resource("r").is_some() && parameters.resource("a").is_none());
        assert!(Parameters::of(parameters.resource("r").unwrap()).is_none());
    }

    #[test]
    fn values_go_where_their_type_says() {
        let written = |type_name: &str, json: &str| {
            let value = parse(json.as_bytes()).unwrap();
            parameter("p", type_name, value, Definitions::r4().types()).to_string()
        };
        assert_eq!(
            written("System.Boolean", "true"),
            r#"{"name":"p","valueBoolean":true}"#
        );
        assert_eq!(
            written("FHIR.dateTime", "\"2020\""),
            r#"{"name":"p","valueDateTime":"2020"}"#
        );
        assert_eq!(
            written("FHIR.HumanName", r#"{"text":"x"}"#),
            r#"{"name":"p","valueHumanName":{"text":"x"}}"#
        );
        assert_eq!(
            written("System.Quantity", "\"4 'mg'\""),
            r#"{"name":"p","valueString":"4 'mg'"}"#
        );
        assert_eq!(
            written("FHIR.Patient.contact", r#"{"gender":"male"}"#),
            r#"{"name":"p","valueString":"{\"gender\":\"male\"}"}"#
        );
        assert_eq!(
            written("FHIR.Patient", r#"{"resourceType":"Patient"}"#),
            r#"{"name":"p","resource":{"resourceType":"Patient"}}"#
        );
        assert_eq!(written("FHIR.string", "null"), r#"{"name":"p"}"#);
    }
}
