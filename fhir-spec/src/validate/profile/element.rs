//! One element held against its definition in a profile.

use std::sync::Arc;

use crate::definitions::{ElementDef, Kind};
use crate::outcome::IssueCode;

use super::demand::{Profile, base_of};
use crate::validate::node::Node;
use crate::validate::path::Path;
use crate::validate::scope::Scope;
use crate::validate::walk::Walk;

impl Walk<'_> {
    /// A value against an element of a profile, and everything below it.
    pub(super) fn demanded<'d>(
        &mut self,
        profile: &Arc<Profile>,
        index: usize,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let Some((element, demand)) = profile.at(index) else {
            return;
        };
        if (demand.is_quiet && !self.request.notes_must_support) || self.report.is_decided() {
            return;
        }
        if demand.narrows_types && !self.has_type_of(element, node) {
            self.report
                .error(path, node.at(), IssueCode::Structure, || {
                    let types: Vec<&str> = element.types.iter().map(|kind| &*kind.code).collect();
                    format!(
                        "the profile {} expects {} here, found {}",
                        profile.url(),
                        types.join(" or "),
                        self.types.get(node.type_id).name
                    )
                });
            return;
        }
        self.content(profile, element, node, path);
        if let Some(bound) = &demand.bound {
            self.binding(bound, node, path);
        }
        self.rules(&demand.rules, node, path, scope);
        let scope = &self.scope_at(node, scope);
        self.type_profiles(profile, element, node, path, scope);
        if demand.narrows_targets {
            self.target_profiles(profile, element, node, path, scope);
        }
        self.children_demanded(profile, index, node, path, scope);
    }

    fn has_type_of(&self, element: &ElementDef, node: Node<'_>) -> bool {
        element
            .types
            .iter()
            .any(|kind| match self.types.by_name(&kind.code) {
                Some(allowed) => self.types.is_a(node.type_id, allowed),
                // The types of FHIRPath (`System.String`) stand behind ids and urls.
                None => true,
            })
    }

    /// The profiles that the element's type must meet: one of them, where there are several.
    fn type_profiles<'d>(
        &mut self,
        profile: &Profile,
        element: &ElementDef,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let name = &*self.types.get(node.type_id).name;
        let wanted: Vec<&str> = element
            .types
            .iter()
            .filter(|kind| {
                *kind.code == *name
                    || self
                        .types
                        .by_name(&kind.code)
                        .is_some_and(|kind| self.types.is_a(node.type_id, kind))
            })
            .flat_map(|kind| &kind.profiles)
            .map(|canonical| &**canonical)
            .collect();
        if let [only] = wanted.as_slice() {
            match self.validator.profile(only) {
                Ok(only) => self.hold(&only, node, path, scope),
                Err(problem) => self
                    .report
                    .warning(path, node.at(), IssueCode::NotFound, || {
                        format!("not held against a profile: {problem}")
                    }),
            }
            return;
        }
        if wanted.is_empty() || self.meets_one(&wanted, node, path, scope) {
            return;
        }
        self.report
            .error(path, node.at(), IssueCode::Structure, || {
                format!(
                    "conforms to none of the profiles {} that {} allows here",
                    wanted.join(", "),
                    profile.url()
                )
            });
    }

    /// Whether a value conforms to one of these profiles; one that is not known might be it.
    pub(super) fn meets_one<'d>(
        &mut self,
        canonicals: &[&str],
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> bool {
        canonicals
            .iter()
            .any(|canonical| match self.validator.profile(canonical) {
                Ok(profile) => self.conforms(&profile, node, path, scope),
                Err(_) => true,
            })
    }

    fn children_demanded<'d>(
        &mut self,
        profile: &Arc<Profile>,
        index: usize,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let owner = self.types.get(node.type_id);
        for child in profile.children_of(index) {
            let Some((element, demand)) = profile.at(*child) else {
                continue;
            };
            let is_silent = demand.is_quiet && !demand.narrows_count;
            if is_silent && !self.request.notes_must_support {
                continue;
            }
            let Some(base) = base_of(owner, &element.name) else {
                continue;
            };
            let mut items = node.children(self.types, base);
            if *base.name != *element.name
                && let Some((_, kind)) = owner.property(&element.name)
            {
                items.retain(|item| item.type_id == kind.id); // `valueQuantity` alone
            }
            if demand.narrows_count {
                self.count(profile, element, items.len(), node, path);
            }
            if items.is_empty() && element.is_must_support && self.request.notes_must_support {
                self.report
                    .note(path, node.at(), IssueCode::Informational, || {
                        let url = profile.url();
                        format!(
                            "`{}` is to be supported by {url}, and is not here",
                            element.name
                        )
                    });
            }
            let is_list = base.is_list();
            let placed: Vec<(Node<'d>, Path<'_>)> = (0..)
                .zip(items)
                .map(|(index, item)| {
                    let index = is_list.then_some(index);
                    (item, path.child(&base.name, index, item.type_id))
                })
                .collect();
            for (item, path) in &placed {
                self.demanded(profile, *child, *item, path, scope);
            }
            self.slices(profile, *child, &placed, (node, path), scope);
        }
    }

    /// A resource within a resource has surroundings of its own.
    pub(super) fn scope_at<'d>(&self, node: Node<'d>, scope: &Scope<'d>) -> Scope<'d> {
        if self.types.get(node.type_id).kind == Kind::Resource {
            scope.around_node(node)
        } else {
            *scope
        }
    }

    /// How often an element is there, against the profile's own bounds.
    fn count(
        &mut self,
        profile: &Profile,
        element: &ElementDef,
        count: usize,
        owner: Node<'_>,
        path: &Path<'_>,
    ) {
        let found = u32::try_from(count).unwrap_or(u32::MAX);
        if found < element.min {
            self.report
                .error(path, owner.at(), IssueCode::Required, || {
                    format!(
                        "`{}`: at least {} expected by {}, found {count}",
                        element.name,
                        element.min,
                        profile.url()
                    )
                });
        }
        if let Some(max) = element.max
            && found > max
        {
            self.report
                .error(path, owner.at(), IssueCode::Structure, || {
                    format!(
                        "`{}`: at most {max} allowed by {}, found {count}",
                        element.name,
                        profile.url()
                    )
                });
        }
    }
}
