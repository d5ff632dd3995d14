//! From an item back to its place in the document: for those who report it, and for those who change it.

use super::node::Node;
use crate::definitions::{TypeId, Types};
use crate::json::{Data, Value};

/// One step down the JSON tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A member by its JSON name: `valueQuantity`; `_birthDate` for a primitive that has extensions only.
    Member(&'a str),
    /// An item of a list, from 0.
    Index(usize),
}

/// The steps from `root` to a node of it. Nodes are known by where they lie in memory, not by what they say: of two
/// equal names it is the one that was found. Nothing when the node is not of this document.
pub fn locate<'a>(root: &'a Value, node: &Node<'_>) -> Option<Vec<Place<'a>>> {
    let wanted = node.value().or(node.sibling())?;
    let mut places = Vec::new();
    find(root, wanted, &mut places).then_some(places)
}

/// Recursion goes as deep as the document, which the reader bounds.
fn find<'a>(value: &'a Value, wanted: &Value, places: &mut Vec<Place<'a>>) -> bool {
    if std::ptr::eq(value, wanted) {
        return true;
    }
    let mut enter = |place, inner| {
        places.push(place);
        let is_there = find(inner, wanted, places);
        if !is_there {
            places.pop();
        }
        is_there
    };
    match &value.data {
        Data::Object(object) => object
            .iter()
            .any(|(name, inner)| enter(Place::Member(name), inner)),
        Data::Array(items) => items
            .iter()
            .enumerate()
            .any(|(index, inner)| enter(Place::Index(index), inner)),
        _ => false,
    }
}

/// The same steps as FHIRPath says them: `Patient.name[0].given[1]`, `Observation.value` for `valueQuantity`.
pub fn path_of(types: &Types, root: &Value, places: &[Place<'_>]) -> String {
    let mut path = root.str_of("resourceType").unwrap_or_default().to_owned();
    let mut own = types.by_name(&path);
    let mut value = Some(root);
    for place in places {
        match place {
            Place::Member(name) => {
                let plain = name.strip_prefix('_').unwrap_or(name);
                let known = own.and_then(|own| types.get(own).property(plain));
                let shown = known.map_or(plain, |(element, _)| &element.name);
                path.push('.');
                path.push_str(shown);
                own = known.map(|(_, type_ref)| type_ref.id);
                value = value.and_then(|value| value.get(name));
            }
            Place::Index(index) => {
                path.push_str(&format!("[{index}]"));
                value = value
                    .and_then(Value::as_array)
                    .and_then(|items| items.get(*index));
            }
        }
        own = resource_type(types, value).or(own);
    }
    path
}

/// What may be any resource says itself which one it is.
fn resource_type(types: &Types, value: Option<&Value>) -> Option<TypeId> {
    types.by_name(value?.str_of("resourceType")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::Definitions;
    use crate::fhirpath::{Context, Expression, Item};
    use crate::json::parse;

    const DOCUMENT: &str = r#"{
        "resourceType": "Patient",
        "contained": [{"resourceType": "Observation", "valueQuantity": {"value": 1}}],
        "name": [{"given": ["A", "A"]}, {"given": ["A"], "_given": [{"id": "x"}, {"id": "y"}]}],
        "_birthDate": {"extension": [{"url": "u", "valueString": "s"}]}
    }"#;

    #[test]
    fn every_item_is_found_again() {
        let types = Definitions::r4().types();
        let document = parse(DOCUMENT.as_bytes()).unwrap();
        let context = Context::new(types, &document);
        for (expression, paths) in [
            ("$this", vec!["Patient"]),
            (
                "name.given",
                vec![
                    "Patient.name[0].given[0]",
                    "Patient.name[0].given[1]",
                    "Patient.name[1].given[0]",
                    "Patient.name[1].given[1]",
                ],
            ),
            (
                "contained.value.value",
                vec!["Patient.contained[0].value.value"],
            ),
            ("birthDate", vec!["Patient.birthDate"]),
            (
                "birthDate.extension.value",
                vec!["Patient.birthDate.extension[0].value"],
            ),
            (
                "name.given.id",
                vec!["Patient.name[1].given[0].id", "Patient.name[1].given[1].id"],
            ),
        ] {
            let items = Expression::parse(expression)
                .unwrap()
                .evaluate(&context)
                .unwrap();
            let found: Vec<String> = items
                .iter()
                .filter_map(Item::as_node)
                .map(|node| path_of(types, &document, &locate(&document, node).unwrap()))
                .collect();
            assert_eq!(found, paths, "{expression}");
        }
        let twin = document.clone();
        assert_eq!(locate(&twin, &context.resource()), None);
    }
}
