//! The profiles that a reference's target must meet. <https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.type.targetProfile>

use crate::definitions::{ElementDef, TypeId};
use crate::outcome::IssueCode;

use super::BASE;
use super::demand::Profile;
use crate::validate::node::{Node, resource_type};
use crate::validate::path::Path;
use crate::validate::reference::Found;
use crate::validate::scope::Scope;
use crate::validate::walk::Walk;

impl Walk<'_> {
    pub(super) fn target_profiles<'d>(
        &mut self,
        profile: &Profile,
        element: &ElementDef,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        if &*self.types.get(node.type_id).name != "Reference" {
            return;
        }
        let Some(reference) = node.value.and_then(|value| value.str_of("reference")) else {
            return;
        };
        let wanted: Vec<&str> = element
            .types
            .iter()
            .filter(|kind| &*kind.code == "Reference")
            .flat_map(|kind| &kind.target_profiles)
            .map(|canonical| &**canonical)
            .collect();
        let is_met = match self.find(reference, scope) {
            Found::Missing => return, // told already
            Found::Inside(target) => {
                let scope = &scope.around_node(target);
                self.meets_target(&wanted, target, path, scope)
            }
            Found::Elsewhere(named) => match self.request.host.resource(reference) {
                Some(resource) => {
                    let is_met = resource_type(self.types, &resource).is_none_or(|type_id| {
                        let scope = &Scope::of(&resource, type_id);
                        self.meets_target(&wanted, Node::new(&resource, type_id), path, scope)
                    });
                    self.fetched.push(resource);
                    is_met
                }
                None => named.is_none_or(|named| self.may_be_target(&wanted, named)),
            },
        };
        if !is_met && !wanted.is_empty() {
            self.report.error(path, node.at(), IssueCode::Value, || {
                format!(
                    "`{reference}` meets none of the profiles {} that {} wants of the target",
                    wanted.join(", "),
                    profile.url()
                )
            });
        }
    }

    fn meets_target<'d>(
        &mut self,
        wanted: &[&str],
        target: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) -> bool {
        let path = &path.typed(target.type_id);
        wanted.iter().any(|canonical| {
            match canonical
                .strip_prefix(BASE)
                .and_then(|name| self.types.by_name(name))
            {
                Some(base) => self.types.is_a(target.type_id, base),
                None => self.meets_one(&[canonical], target, path, scope),
            }
        })
    }

    /// By type alone: the target itself is not at hand.
    fn may_be_target(&self, wanted: &[&str], named: TypeId) -> bool {
        wanted.iter().any(|canonical| {
            let type_id = match self.validator.profile(canonical) {
                Ok(profile) => profile.type_id,
                Err(_) => None,
            };
            type_id.is_none_or(|type_id| self.types.is_a(named, type_id))
        })
    }
}
