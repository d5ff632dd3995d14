//! Discriminators: what tells the slices of a list apart.
//! <https://hl7.org/fhir/R4/profiling.html#discriminator>
//!
//! A path leads from the slice to an element of its definition, and from the item to values. The definition says which
//! value, type, profile or presence belongs to the slice.

use std::sync::Arc;

use crate::definitions::{Discriminator, DiscriminatorKind, Types};
use crate::json::Value;

use super::demand::Profile;
use super::{BASE, fixed};
use crate::validate::node::Node;
use crate::validate::path::Path;
use crate::validate::reference::Found;
use crate::validate::scope::Scope;
use crate::validate::walk::Walk;

/// A discriminator with its path taken apart.
#[derive(Debug)]
pub(super) struct Prepared {
    kind: DiscriminatorKind,
    path: Box<str>,
    /// `$this` takes no step.
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Child(Box<str>),
    Extension(Box<str>),
    OfType(Box<str>),
    Resolve,
}

/// An element of a profile.
#[derive(Clone)]
struct Place {
    profile: Arc<Profile>,
    index: usize,
}

impl Prepared {
    pub(super) fn of(discriminator: &Discriminator) -> Self {
        Self {
            kind: discriminator.kind,
            path: discriminator.path.clone(),
            steps: steps(&discriminator.path),
        }
    }
}

impl Walk<'_> {
    /// Whether a discriminator puts an item into a slice.
    pub(super) fn discriminates<'d>(
        &mut self,
        discriminator: &Prepared,
        (profile, slice): (&Arc<Profile>, usize),
        item: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> bool {
        let mut places = vec![Place {
            profile: Arc::clone(profile),
            index: slice,
        }];
        let mut found = vec![(item, *scope)];
        for step in &discriminator.steps {
            places = places
                .iter()
                .flat_map(|place| self.step_in_definition(place, step))
                .collect();
            found = found
                .iter()
                .flat_map(|(node, scope)| self.step_in_document(*node, step, scope))
                .collect();
        }
        places.iter().any(|place| match discriminator.kind {
            DiscriminatorKind::Exists => exists(place, !found.is_empty()),
            DiscriminatorKind::Type => found
                .iter()
                .any(|(node, _)| self.is_of_place_type(place, *node)),
            DiscriminatorKind::Profile => found
                .iter()
                .any(|(node, scope)| self.has_place_profile(place, *node, path, scope)),
            // A slice may be told by the value that it does not have.
            DiscriminatorKind::Value | DiscriminatorKind::Pattern if is_ruled_out(place) => {
                found.is_empty()
            }
            DiscriminatorKind::Value | DiscriminatorKind::Pattern => {
                says_something(&place.profile, place.index)
                    && found
                        .iter()
                        .any(|(node, _)| self.meets(&place.profile, place.index, *node))
            }
        })
    }

    /// The paths of an element's discriminators that name a child which is not there. What lies behind a reference or
    /// in an extension that is not known may well be there.
    pub(in crate::validate) fn lost_discriminators(
        &self,
        profile: &Arc<Profile>,
        index: usize,
    ) -> Vec<Box<str>> {
        let Some((_, demand)) = profile.at(index) else {
            return Vec::new();
        };
        let is_lost = |discriminator: &&Prepared| {
            let mut places = vec![Place {
                profile: Arc::clone(profile),
                index,
            }];
            for step in &discriminator.steps {
                let Step::Child(name) = step else {
                    return false;
                };
                places = places
                    .iter()
                    .flat_map(|place| self.children_in_definition(place, name))
                    .collect();
                if places.is_empty() {
                    return true;
                }
            }
            false
        };
        let lost = demand.discriminators.iter().filter(is_lost);
        lost.map(|discriminator| discriminator.path.clone())
            .collect()
    }

    fn step_in_definition(&self, place: &Place, step: &Step) -> Vec<Place> {
        match step {
            Step::Child(name) => self.children_in_definition(place, name),
            Step::OfType(_) => vec![place.clone()],
            Step::Extension(url) => self
                .children_in_definition(place, "extension")
                .iter()
                .flat_map(|extension| extension_slices(extension, url))
                .collect(),
            Step::Resolve => {
                let Some(element) = place.profile.structure.element(place.index) else {
                    return Vec::new();
                };
                element
                    .types
                    .iter()
                    .flat_map(|kind| &kind.target_profiles)
                    .filter_map(|target| self.root_of(target))
                    .collect()
            }
        }
    }

    fn root_of(&self, canonical: &str) -> Option<Place> {
        let profile = self.validator.profile(canonical).ok()?;
        Some(Place { profile, index: 0 })
    }

    /// A child that the profile itself spells out, or else the profile of its type, or else the type.
    fn children_in_definition(&self, place: &Place, name: &str) -> Vec<Place> {
        let children_of = |place: Place| -> Vec<Place> {
            let child = place.profile.child(place.index, name);
            let children = child.map(|child| with_certain_slices(&place.profile, child));
            let place_of = |index| Place {
                index,
                ..place.clone()
            };
            children.into_iter().flatten().map(place_of).collect()
        };
        let own = children_of(place.clone());
        if !own.is_empty() {
            return own;
        }
        let Some(element) = place.profile.structure.element(place.index) else {
            return Vec::new();
        };
        let profiled: Vec<Place> = element
            .types
            .iter()
            .flat_map(|kind| &kind.profiles)
            .filter_map(|canonical| self.root_of(canonical))
            .flat_map(children_of)
            .collect();
        if !profiled.is_empty() {
            return profiled;
        }
        element
            .types
            .iter()
            .filter_map(|kind| self.root_of(&format!("{BASE}{}", kind.code)))
            .flat_map(children_of)
            .collect()
    }

    fn step_in_document<'d>(
        &self,
        node: Node<'d>,
        step: &Step,
        scope: &Scope<'d>,
    ) -> Vec<(Node<'d>, Scope<'d>)> {
        let here = |nodes: Vec<Node<'d>>| {
            let nodes = nodes.into_iter();
            nodes
                .map(|node| (node, self.scope_at(node, scope)))
                .collect()
        };
        match step {
            Step::Child(name) => here(node.children_named(self.types, name)),
            Step::Extension(url) => {
                let mut nodes = node.children_named(self.types, "extension");
                nodes.retain(|extension| {
                    extension.value.and_then(|value| value.str_of("url")) == Some(url)
                });
                here(nodes)
            }
            Step::OfType(name) => {
                let is_it = *self.types.get(node.type_id).name == **name;
                here(if is_it { vec![node] } else { Vec::new() })
            }
            Step::Resolve => self.resolved(node, scope).into_iter().collect(),
        }
    }

    /// What a reference (or canonical) leads to; when that is not at hand, a stub that only has the type it names.
    fn resolved<'d>(&self, node: Node<'d>, scope: &Scope<'d>) -> Option<(Node<'d>, Scope<'d>)> {
        let text = node
            .as_str()
            .or_else(|| node.value.and_then(|value| value.str_of("reference")))?;
        match self.find(text, scope) {
            Found::Inside(found) => Some((found, scope.around_node(found))),
            Found::Missing => None,
            Found::Elsewhere(named) => {
                let claimed = || {
                    let name = node.value.and_then(|value| value.str_of("type"))?;
                    self.types.by_name(name)
                };
                let stub = Node {
                    value: None,
                    extra: None,
                    type_id: named.or_else(claimed)?,
                };
                Some((stub, *scope))
            }
        }
    }

    fn is_of_place_type(&self, place: &Place, node: Node<'_>) -> bool {
        let is_a = |name: &str| is_named(self.types, node, name);
        let structure = &place.profile.structure;
        if place.index == 0 {
            return is_a(&structure.type_name);
        }
        let Some(element) = structure.element(place.index) else {
            return false;
        };
        element.types.iter().any(|kind| {
            if kind.profiles.is_empty() {
                return is_a(&kind.code);
            }
            kind.profiles
                .iter()
                .filter_map(|canonical| self.validator.profile(canonical).ok())
                .any(|profile| is_a(&profile.structure.type_name))
        })
    }

    fn has_place_profile<'d>(
        &mut self,
        place: &Place,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> bool {
        let path = &path.typed(node.type_id);
        if place.index == 0 {
            return self.conforms(&place.profile, node, path, scope);
        }
        let Some(element) = place.profile.structure.element(place.index) else {
            return false;
        };
        element
            .types
            .iter()
            .flat_map(|kind| &kind.profiles)
            .filter_map(|canonical| self.validator.profile(canonical).ok())
            .any(|profile| self.conforms(&profile, node, path, scope))
    }

    /// Whether a node has the value that a definition fixes, by itself or by its children.
    fn meets(&self, profile: &Profile, index: usize, node: Node<'_>) -> bool {
        let Some((element, demand)) = profile.at(index) else {
            return false;
        };
        let has = |test: fn(&Value, &Value) -> bool, wanted: &Value| {
            node.value.is_some_and(|value| test(wanted, value))
        };
        if let Some(wanted) = &element.fixed {
            return has(fixed::is_equal, wanted);
        }
        if let Some(wanted) = &element.pattern {
            return has(fixed::fits, wanted);
        }
        if let Some(bound) = demand.bound.as_ref().filter(|bound| bound.is_required()) {
            return bound.holds(node, self);
        }
        let speaking = element
            .children
            .iter()
            .flat_map(|child| with_certain_slices(profile, *child))
            .filter(|child| says_something(profile, *child));
        speaking.into_iter().all(|child| {
            let Some(definition) = profile.structure.element(child) else {
                return false;
            };
            let nodes = node.children_named(self.types, &definition.name);
            (nodes.is_empty() && definition.min == 0)
                || nodes.iter().any(|node| self.meets(profile, child, *node))
        })
    }
}

fn is_named(types: &Types, node: Node<'_>, name: &str) -> bool {
    types
        .by_name(name)
        .is_some_and(|wanted| types.is_a(node.type_id, wanted))
}

fn exists(place: &Place, is_there: bool) -> bool {
    match place.profile.structure.element(place.index) {
        Some(element) if element.max == Some(0) => !is_there,
        Some(element) if element.min > 0 => is_there,
        _ => true,
    }
}

fn is_ruled_out(place: &Place) -> bool {
    place
        .profile
        .structure
        .element(place.index)
        .is_some_and(|element| element.max == Some(0))
}

/// Whether a definition fixes anything, here or below.
fn says_something(profile: &Profile, index: usize) -> bool {
    let Some((element, demand)) = profile.at(index) else {
        return false;
    };
    element.fixed.is_some()
        || element.pattern.is_some()
        || demand
            .bound
            .as_ref()
            .is_some_and(|bound| bound.is_required())
        || element
            .children
            .iter()
            .flat_map(|child| with_certain_slices(profile, *child))
            .any(|child| says_something(profile, child))
}

/// A child, and the slices of it that must be there: what they fix, an item of the slice around them has somewhere. So
/// the blood pressure profile says its codes: `component:SystolicBP.code.coding:SBPCode.code`.
fn with_certain_slices(profile: &Profile, child: usize) -> Vec<usize> {
    let element = profile.structure.element(child);
    let slices = element.map_or(&[][..], |element| element.slices.as_slice());
    let is_certain = |slice: &usize| {
        let slice = profile.structure.element(*slice);
        slice.is_some_and(|slice| slice.min > 0)
    };
    std::iter::once(child)
        .chain(slices.iter().copied().filter(is_certain))
        .collect()
}

/// The slices of `extension` that hold the extension of that url, and the slices of those.
fn extension_slices(extension: &Place, url: &str) -> Vec<Place> {
    let structure = &extension.profile.structure;
    let slices_of = |index: usize| {
        structure
            .element(index)
            .map_or(&[][..], |element| element.slices.as_slice())
    };
    let mut slices = slices_of(extension.index).to_vec();
    let mut next = 0;
    while let Some(slice) = slices.get(next).copied() {
        next += 1;
        slices.extend(slices_of(slice));
    }
    slices.retain(|slice| is_extension_of(&extension.profile, *slice, url));
    let place = |index| Place {
        index,
        ..extension.clone()
    };
    slices.into_iter().map(place).collect()
}

/// By the profile of its type, or by the url that it fixes.
fn is_extension_of(profile: &Profile, slice: usize, url: &str) -> bool {
    let by_profile = profile.structure.element(slice).is_some_and(|slice| {
        slice
            .types
            .iter()
            .flat_map(|kind| &kind.profiles)
            .any(|profile| profile.split('|').next() == Some(url))
    });
    let fixed = profile
        .child(slice, "url")
        .and_then(|child| profile.structure.element(child)?.fixed.as_ref());
    by_profile || fixed.is_some_and(|fixed| fixed.as_str() == Some(url))
}

/// Takes a path apart: names, `$this`, `resolve()`, `extension('url')`, `ofType(Type)`.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in parts(path) {
        let argument = || {
            let (_, rest) = part.split_once('(')?;
            Some(rest.trim_end_matches(')').trim_matches(['\'', '"']))
        };
        if part == "$this" || part.is_empty() {
            continue;
        }
        steps.push(match part.split('(').next() {
            Some("resolve") => Step::Resolve,
            Some("extension") if part.contains('(') => {
                Step::Extension(argument().unwrap_or_default().into())
            }
            Some("ofType" | "as") => Step::OfType(argument().unwrap_or_default().into()),
            _ => Step::Child(part.trim_end_matches("[x]").into()),
        });
    }
    steps
}

/// Splits at dots outside of quotes.
fn parts(path: &str) -> Vec<&str> {
    let mut is_quoted = false;
    path.split(|character: char| {
        if matches!(character, '\'' | '"') {
            is_quoted = !is_quoted;
        }
        character == '.' && !is_quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(steps("$this"), []);
        assert_eq!(
            steps("$this.resolve().code"),
            [Step::Resolve, Step::Child("code".into())]
        );
        assert_eq!(
            steps("extension('http://a.org/x').value[x].ofType(Coding)"),
            [
                Step::Extension("http://a.org/x".into()),
                Step::Child("value".into()),
                Step::OfType("Coding".into())
            ]
        );
    }
}
