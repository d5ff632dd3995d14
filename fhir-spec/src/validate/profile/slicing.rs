//! Slicing: the items of a list are told apart by discriminators, and each slice has demands of its own.
//! <https://hl7.org/fhir/R4/profiling.html#slicing>

use std::sync::Arc;

use crate::definitions::{ElementDef, SlicingRules};
use crate::outcome::IssueCode;

use super::demand::{Demand, Profile};
use crate::validate::node::Node;
use crate::validate::path::Path;
use crate::validate::scope::Scope;
use crate::validate::walk::Walk;

/// An item of a sliced list, and where it stands.
type Placed<'d, 'p> = (Node<'d>, Path<'p>);

impl Walk<'_> {
    /// The items of a sliced element, each against the slice it belongs to. Slices may be sliced again.
    pub(super) fn slices<'d>(
        &mut self,
        profile: &Arc<Profile>,
        sliced: usize,
        items: &[Placed<'d, '_>],
        owner: (Node<'d>, &Path<'_>),
        scope: &Scope<'d>,
    ) {
        let Some((element, demand)) = profile.at(sliced) else {
            return;
        };
        let rules = element.slicing.as_ref().map(|slicing| slicing.rules);
        if element.slices.is_empty() && rules.is_none_or(|rules| rules == SlicingRules::Open) {
            return;
        }
        let mut members: Vec<Vec<Placed<'d, '_>>> = vec![Vec::new(); element.slices.len()];
        let mut places = Vec::with_capacity(items.len());
        for (item, path) in items {
            let place = self.slice_of(profile, (element, demand), *item, path, scope);
            if let Some(slice) = place.and_then(|place| members.get_mut(place)) {
                slice.push((*item, *path));
            }
            places.push(place);
        }
        self.arrangement(profile, element, &places, items);
        for (slice, members) in element.slices.iter().zip(&members) {
            self.slice_count(profile, *slice, members.len(), owner);
            for (item, path) in members {
                self.demanded(profile, *slice, *item, path, scope);
            }
            self.slices(profile, *slice, members, owner, scope);
        }
    }

    /// Which slice an item belongs to, as a place in `ElementDef::slices`.
    fn slice_of<'d>(
        &mut self,
        profile: &Arc<Profile>,
        (element, demand): (&ElementDef, &Demand),
        item: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> Option<usize> {
        element.slices.iter().position(|slice| {
            if demand.discriminators.is_empty() {
                // A choice is sliced by its types; anything else is told apart by what fits.
                return if element.is_choice {
                    self.is_of_slice_type(profile, *slice, item)
                } else {
                    self.probe(|walk| walk.demanded(profile, *slice, item, path, scope))
                };
            }
            demand.discriminators.iter().all(|discriminator| {
                self.discriminates(discriminator, (profile, *slice), item, path, scope)
            })
        })
    }

    fn is_of_slice_type(&self, profile: &Profile, slice: usize, item: Node<'_>) -> bool {
        profile.structure.element(slice).is_some_and(|element| {
            element
                .types
                .iter()
                .any(|kind| *self.types.get(item.type_id).name == *kind.code)
        })
    }

    /// Closed lists, order, and what may come at the end only.
    fn arrangement(
        &mut self,
        profile: &Profile,
        element: &ElementDef,
        places: &[Option<usize>],
        items: &[Placed<'_, '_>],
    ) {
        let Some(slicing) = &element.slicing else {
            return;
        };
        let mut last: Option<usize> = None;
        let mut has_other = false;
        for (place, (item, path)) in places.iter().zip(items) {
            let fault = match place {
                None if slicing.rules == SlicingRules::Closed => {
                    Some("belongs to none of the slices, and only those are allowed")
                }
                None => {
                    has_other = true;
                    None
                }
                Some(_) if has_other && slicing.rules == SlicingRules::OpenAtEnd => {
                    Some("stands after an item of no slice; such items come last")
                }
                Some(place) if slicing.is_ordered && last.is_some_and(|last| *place < last) => {
                    Some("is out of order: the slices have an order")
                }
                Some(place) => {
                    last = Some(*place);
                    None
                }
            };
            if let Some(fault) = fault {
                self.report
                    .error(path, item.at(), IssueCode::Structure, || {
                        format!("this item {fault} ({})", profile.url())
                    });
            }
        }
    }

    fn slice_count(
        &mut self,
        profile: &Profile,
        slice: usize,
        count: usize,
        (owner, path): (Node<'_>, &Path<'_>),
    ) {
        let Some(element) = profile.structure.element(slice) else {
            return;
        };
        let found = u32::try_from(count).unwrap_or(u32::MAX);
        let name = || {
            let slice = element.slice_name.as_deref().unwrap_or_default();
            format!("`{}:{slice}`", element.name)
        };
        if found < element.min {
            self.report
                .error(path, owner.at(), IssueCode::Required, || {
                    let (name, min, url) = (name(), element.min, profile.url());
                    format!("{name}: at least {min} of this slice expected by {url}, found {count}")
                });
        }
        if let Some(max) = element.max
            && found > max
        {
            self.report
                .error(path, owner.at(), IssueCode::Structure, || {
                    let (name, url) = (name(), profile.url());
                    format!("{name}: at most {max} of this slice allowed by {url}, found {count}")
                });
        }
    }
}
