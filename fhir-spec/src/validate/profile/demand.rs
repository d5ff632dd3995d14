//! A profile prepared for checking: of every element, what it demands beyond the base type.
//!
//! A snapshot repeats everything the base type says; the walk over the base type has checked that already. What is
//! left is little, and whole branches without any demand are passed over.

use std::sync::Arc;

use crate::definitions::{
    Definitions, Element, ElementDef, Kind, Structure, TypeDef, TypeId, Types,
};

use super::discriminator::Prepared;
use crate::validate::binding::Bound;
use crate::validate::invariant::Rule;

#[derive(Debug)]
pub(in crate::validate) struct Profile {
    pub(in crate::validate) structure: Arc<Structure>,
    /// The type that is constrained, when it is one of R4.
    pub(super) type_id: Option<TypeId>,
    /// Beside `Structure::elements`.
    demands: Vec<Demand>,
}

/// What one element of a profile demands.
#[derive(Debug, Default)]
pub(super) struct Demand {
    pub(super) bound: Option<Bound>,
    pub(super) rules: Vec<Rule>,
    pub(super) discriminators: Vec<Prepared>,
    /// Fewer types than the base allows.
    pub(super) narrows_types: bool,
    /// Other profiles for the targets of references.
    pub(super) narrows_targets: bool,
    /// Nothing is demanded of the element itself or anything below it.
    pub(super) is_quiet: bool,
    /// The cardinality is stricter than the base's.
    pub(super) narrows_count: bool,
}

impl Profile {
    pub(in crate::validate) fn of(structure: Arc<Structure>, definitions: &Definitions) -> Self {
        let types = definitions.types();
        let bases = Bases::of(&structure, types);
        let mut demands: Vec<Demand> = structure
            .elements
            .iter()
            .zip(&bases.elements)
            .map(|(element, base)| Demand::of(element, *base, types))
            .collect();
        if let (Some(root), Some(type_id)) = (structure.elements.first(), bases.root)
            && let Some(demand) = demands.first_mut()
        {
            demand.rules = rules_beyond(root, None, Some(types.get(type_id)));
        }
        // Children stand after their parents: from the end, every element knows of its children.
        for index in (0..demands.len()).rev() {
            let Some(element) = structure.elements.get(index) else {
                continue;
            };
            let is_quiet = |index: &usize| {
                demands
                    .get(*index)
                    .is_some_and(|demand| demand.is_quiet && !demand.narrows_count)
            };
            let below = element.slices.is_empty() && element.children.iter().all(is_quiet);
            if let Some(demand) = demands.get_mut(index) {
                demand.is_quiet = below && demand.asks_nothing(element);
            }
        }
        Self {
            type_id: bases.root,
            structure,
            demands,
        }
    }

    pub(super) fn at(&self, index: usize) -> Option<(&ElementDef, &Demand)> {
        self.structure.element(index).zip(self.demands.get(index))
    }

    /// Where the children of an element stand: with itself, or with the element that it takes its content from.
    pub(super) fn children_of(&self, index: usize) -> &[usize] {
        let Some(element) = self.structure.element(index) else {
            return &[];
        };
        if !element.children.is_empty() {
            return &element.children;
        }
        let Some(reference) = &element.content_reference else {
            return &[];
        };
        let id = reference.rsplit('#').next().unwrap_or_default();
        self.structure
            .by_id(id)
            .map_or(&[], |element| element.children.as_slice())
    }

    pub(super) fn child(&self, index: usize, name: &str) -> Option<usize> {
        self.children_of(index).iter().copied().find(|child| {
            self.structure
                .element(*child)
                .is_some_and(|element| *element.name == *name)
        })
    }

    /// Whether an extension's definition has a part of that url.
    pub(in crate::validate) fn has_part(&self, url: &str) -> bool {
        let fixed = self.structure.elements.iter().filter_map(|element| {
            element
                .path
                .ends_with(".extension.url")
                .then_some(element.fixed.as_ref()?)
        });
        fixed.into_iter().any(|fixed| fixed.as_str() == Some(url))
    }

    pub(in crate::validate) fn url(&self) -> &str {
        &self.structure.url
    }
}

impl Demand {
    fn of(element: &ElementDef, base: Option<&Element>, types: &Types) -> Self {
        let bound = element.binding.as_ref().filter(|binding| {
            base.and_then(|base| base.binding.as_ref())
                .is_none_or(|base| {
                    base.strength != binding.strength
                        || base.value_set != binding.value_set
                        || base.max_value_set != binding.max_value_set
                        || !binding.additional.is_empty()
                })
        });
        let only_type = match element.types.as_slice() {
            [kind] => types.named(&kind.code),
            _ => None,
        };
        let max = element.max.unwrap_or(u32::MAX);
        Self {
            bound: bound.and_then(|binding| {
                Bound::of(binding, element.types.iter().map(|kind| &*kind.code))
            }),
            rules: rules_beyond(element, base, only_type),
            discriminators: element
                .slicing
                .iter()
                .flat_map(|slicing| &slicing.discriminators)
                .map(Prepared::of)
                .collect(),
            narrows_types: !element.types.is_empty()
                && base.is_none_or(|base| element.types.len() < base.types.len()),
            narrows_targets: element.types.iter().any(|kind| {
                !kind.target_profiles.is_empty()
                    && base
                        .into_iter()
                        .flat_map(|base| &base.types)
                        .find(|base| *types.get(base.id).name == *kind.code)
                        .is_none_or(|base| base.target_profiles != kind.target_profiles)
            }),
            is_quiet: false,
            narrows_count: base
                .is_none_or(|base| element.min > base.min || max < base.max.unwrap_or(u32::MAX)),
        }
    }

    fn asks_nothing(&self, element: &ElementDef) -> bool {
        self.bound.is_none()
            && self.rules.is_empty()
            && !self.narrows_types
            && !self.narrows_targets
            && element.fixed.is_none()
            && element.pattern.is_none()
            && element.min_value.is_none()
            && element.max_value.is_none()
            && element.max_length.is_none()
            && element.types.iter().all(|kind| kind.profiles.is_empty())
    }
}

/// The constraints of an element that neither its base element nor its type states.
fn rules_beyond(
    element: &ElementDef,
    base: Option<&Element>,
    only_type: Option<&TypeDef>,
) -> Vec<Rule> {
    let known = |key: &str| {
        base.into_iter()
            .flat_map(|base| &base.constraints)
            .chain(only_type.into_iter().flat_map(|kind| &kind.constraints))
            .any(|constraint| *constraint.key == *key)
    };
    element
        .constraints
        .iter()
        .filter(|constraint| !known(&constraint.key))
        .filter_map(Rule::of)
        .collect()
}

/// The element of the type graph behind every element of a structure, where that is certain.
struct Bases<'t> {
    root: Option<TypeId>,
    elements: Vec<Option<&'t Element>>,
}

impl<'t> Bases<'t> {
    fn of(structure: &Structure, types: &'t Types) -> Self {
        let root = types.by_name(&structure.type_name);
        let count = structure.elements.len();
        let mut elements: Vec<Option<&'t Element>> = vec![None; count];
        let mut kinds: Vec<Option<TypeId>> = vec![None; count];
        if let Some(first) = kinds.first_mut() {
            *first = root;
        }
        for (parent, element) in structure.elements.iter().enumerate() {
            let Some(owner) = kinds.get(parent).copied().flatten() else {
                continue;
            };
            for child in with_slices(structure, &element.children) {
                let Some(definition) = structure.element(child) else {
                    continue;
                };
                let base = base_of(types.get(owner), &definition.name);
                if let Some(slot) = elements.get_mut(child) {
                    *slot = base;
                }
                if let Some(slot) = kinds.get_mut(child) {
                    *slot = base.and_then(|base| kind_of(definition, base, types));
                }
            }
        }
        Self { root, elements }
    }
}

/// These elements and their slices, and the slices of those.
fn with_slices(structure: &Structure, elements: &[usize]) -> Vec<usize> {
    let mut all = elements.to_vec();
    let mut next = 0;
    while let Some(index) = all.get(next).copied() {
        next += 1;
        if let Some(element) = structure.element(index) {
            all.extend(&element.slices);
        }
    }
    all
}

/// By plain name, or by the name of a choice made: `valueQuantity`.
pub(super) fn base_of<'t>(owner: &'t TypeDef, name: &str) -> Option<&'t Element> {
    owner
        .element(name)
        .or_else(|| owner.property(name).map(|(element, _)| element))
}

/// The one type that an element can have.
fn kind_of(definition: &ElementDef, base: &Element, types: &Types) -> Option<TypeId> {
    if let [only] = base.types.as_slice() {
        return Some(only.id);
    }
    match definition.types.as_slice() {
        [kind] => types
            .by_name(&kind.code)
            .filter(|id| types.get(*id).kind != Kind::Resource),
        _ => None,
    }
}
