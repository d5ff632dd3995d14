//! What is checked on every value of a base type, prepared once: required elements, choices, bindings, invariants.

use crate::definitions::{Definitions, Element, Kind, TypeDef, TypeId, TypeRef};
use crate::primitive::Primitive;

use super::binding::Bound;
use super::invariant::Rule;

/// Types whose values have rules beyond their elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    None,
    Coded,
    Extension,
    Narrative,
    Reference,
}

#[derive(Debug)]
pub(super) struct TypePlan {
    /// Places in `TypeDef::elements` of those that must be there.
    pub(super) required: Vec<usize>,
    /// Places of the choices (`value[x]`): only one of their properties may be there.
    pub(super) choices: Vec<usize>,
    pub(super) primitive: Option<Primitive>,
    pub(super) special: Special,
    pub(super) rules: Vec<Rule>,
    /// Beside `TypeDef::elements`.
    pub(super) elements: Vec<ElementPlan>,
}

#[derive(Debug)]
pub(super) struct ElementPlan {
    pub(super) bound: Option<Bound>,
    pub(super) rules: Vec<Rule>,
    /// Beside `Element::types`: the types a reference may lead to; empty for any.
    pub(super) targets: Vec<Vec<TypeId>>,
}

impl TypePlan {
    pub(super) fn empty() -> Self {
        Self {
            required: Vec::new(),
            choices: Vec::new(),
            primitive: None,
            special: Special::None,
            rules: Vec::new(),
            elements: Vec::new(),
        }
    }

    pub(super) fn of(definition: &TypeDef, definitions: &Definitions) -> Self {
        let places = |keep: fn(&Element) -> bool| {
            (0..)
                .zip(&definition.elements)
                .filter(|(_, element)| keep(element))
                .map(|(place, _)| place)
                .collect()
        };
        Self {
            required: places(|element| element.min > 0),
            choices: places(|element| element.is_choice),
            primitive: (definition.kind == Kind::Primitive)
                .then(|| Primitive::named(&definition.name))
                .flatten(),
            special: match &*definition.name {
                "Coding" | "Quantity" | "Age" | "Count" | "Distance" | "Duration" => Special::Coded,
                "Extension" => Special::Extension,
                "Narrative" => Special::Narrative,
                "Reference" => Special::Reference,
                _ => Special::None,
            },
            rules: definition.constraints.iter().filter_map(Rule::of).collect(),
            elements: definition
                .elements
                .iter()
                .map(|element| ElementPlan::of(element, definitions))
                .collect(),
        }
    }
}

impl ElementPlan {
    fn of<'t>(element: &'t Element, definitions: &'t Definitions) -> Self {
        let targets = |profiles: &[Box<str>]| {
            profiles
                .iter()
                .filter_map(|profile| base_type(profile, definitions))
                .collect()
        };
        Self {
            bound: element.binding.as_ref().and_then(|binding| {
                let types = element.types.iter();
                let name = |kind: &'t TypeRef| &*definitions.types().get(kind.id).name;
                Bound::of(binding, types.map(name))
            }),
            rules: element.constraints.iter().filter_map(Rule::of).collect(),
            targets: element
                .types
                .iter()
                .map(|kind| targets(&kind.target_profiles))
                .collect(),
        }
    }
}

/// `http://hl7.org/fhir/StructureDefinition/Patient` says Patient; `Resource` stands for any and says nothing.
fn base_type(profile: &str, definitions: &Definitions) -> Option<TypeId> {
    let name = profile.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
    (name != "Resource")
        .then(|| definitions.types().by_name(name))
        .flatten()
}
