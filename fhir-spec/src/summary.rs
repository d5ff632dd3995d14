//! Less of a resource: `_summary` and `_elements`.
//! <https://hl7.org/fhir/R4/search.html#summary>

use crate::definitions::{Element, TypeDef, Types};
use crate::json::{Data, Object, Value};

/// What a caller wants to see of each resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// `_summary=true`: the elements that the specification marks.
    Summary,
    /// `_summary=text`: the narrative, and what must be there.
    Text,
    /// `_summary=data`: everything but the narrative.
    Data,
    /// `_elements`: these, and what must be there.
    Elements(Vec<String>),
}

const SUBSETTED_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

impl View {
    /// The resource as this view shows it, tagged SUBSETTED so that nobody takes it for the whole.
    pub fn of(&self, resource: &Value, types: &Types) -> Value {
        let Some(definition) = resource
            .str_of("resourceType")
            .and_then(|name| types.named(name))
        else {
            return resource.clone();
        };
        let Some(members) = resource.as_object() else {
            return resource.clone();
        };
        let mut shown: Object = members
            .iter()
            .filter(|(name, _)| self.shows(definition, name))
            .map(|(name, value)| match self {
                Self::Summary => (name, summary_of(value, definition, name, types)),
                _ => (name, value.clone()),
            })
            .collect();
        tag_subsetted(&mut shown);
        shown.into()
    }

    fn shows(&self, definition: &TypeDef, property: &str) -> bool {
        let property = property.trim_start_matches('_');
        if matches!(property, "resourceType" | "id" | "meta") {
            return true;
        }
        let Some((element, _)) = definition.property(property) else {
            return false;
        };
        match self {
            Self::Summary => is_in_summary(element),
            Self::Text => property == "text" || element.min > 0,
            Self::Data => property != "text",
            Self::Elements(wanted) => {
                let is_wanted = wanted
                    .iter()
                    .any(|name| *name == *element.name || name == property);
                is_wanted || element.min > 0 || element.is_modifier
            }
        }
    }
}

/// Modifiers change what the rest means: they are never left out.
fn is_in_summary(element: &Element) -> bool {
    element.is_summary || element.is_modifier
}

fn summary_of(value: &Value, parent: &TypeDef, property: &str, types: &Types) -> Value {
    let Some((_, kind)) = parent.property(property.trim_start_matches('_')) else {
        return value.clone();
    };
    let definition = value
        .str_of("resourceType")
        .and_then(|name| types.named(name))
        .unwrap_or_else(|| types.get(kind.id));
    let data = match &value.data {
        Data::Array(items) => Data::Array(
            items
                .iter()
                .map(|item| summary_of(item, parent, property, types))
                .collect(),
        ),
        Data::Object(members) if !property.starts_with('_') => Data::Object(
            members
                .iter()
                .filter(|(name, _)| {
                    matches!(*name, "resourceType" | "id")
                        || definition
                            .property(name.trim_start_matches('_'))
                            .is_some_and(|(element, _)| is_in_summary(element))
                })
                .map(|(name, value)| (name, summary_of(value, definition, name, types)))
                .collect(),
        ),
        other => other.clone(),
    };
    data.into()
}

fn tag_subsetted(resource: &mut Object) {
    let tag: Value =
        Object::from_iter([("system", SUBSETTED_SYSTEM), ("code", "SUBSETTED")]).into();
    if !resource.contains("meta") {
        let after_id = resource.position("id").map_or(1, |index| index + 1);
        resource.insert_at(after_id, "meta", Object::new());
    }
    let Some(meta) = resource.get_mut("meta").and_then(Value::as_object_mut) else {
        return;
    };
    match meta.get_mut("tag").and_then(Value::as_array_mut) {
        Some(tags) if tags.contains(&tag) => {}
        Some(tags) => tags.push(tag),
        None => meta.set("tag", vec![tag]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::json::parse;

    const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"1","meta":{"versionId":"2"},
        "text":{"status":"generated","div":"<div/>"},"status":"final","_status":{"id":"s"},"code":{"id":"x","text":"c"},
        "valueQuantity":{"value":1.0},"note":[{"text":"n"}],"component":[{"code":{"text":"d"},"interpretation":[{"text":"i"}]}]}"#;

    fn names(view: &View) -> String {
        let seen = view.of(
            &parse(OBSERVATION.as_bytes()).unwrap(),
            Definitions::r4().types(),
        );
        assert!(seen.get("meta").unwrap().to_string().contains("SUBSETTED"));
        assert_eq!(seen.get("meta").unwrap().str_of("versionId"), Some("2"));
        let object = seen.as_object().unwrap();
        object.names().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_view_shows_its_part() {
        assert_eq!(
            names(&View::Summary),
            "resourceType id meta status _status code valueQuantity component"
        );
        assert_eq!(
            names(&View::Text),
            "resourceType id meta text status _status code"
        );
        assert_eq!(
            names(&View::Data),
            "resourceType id meta status _status code valueQuantity note component"
        );
        assert_eq!(
            names(&View::Elements(vec!["value".into()])),
            "resourceType id meta status _status code valueQuantity"
        );
    }

    #[test]
    fn a_summary_reaches_into_backbones() {
        let seen = View::Summary.of(
            &parse(OBSERVATION.as_bytes()).unwrap(),
            Definitions::r4().types(),
        );
        let component = seen.items_of("component")[0].to_string();
        assert_eq!(component, r#"{"code":{"text":"d"}}"#);
    }

    #[test]
    fn a_resource_without_meta_gets_one_behind_its_id() {
        let resource = parse(br#"{"resourceType":"Basic","id":"1","code":{"text":"x"}}"#).unwrap();
        let seen = View::Data
            .of(&resource, Definitions::r4().types())
            .to_string();
        assert!(
            seen.starts_with(r#"{"resourceType":"Basic","id":"1","meta":{"tag":"#),
            "{seen}"
        );
    }
}
