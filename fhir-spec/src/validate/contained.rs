//! Contained resources: not nested, with an id, referred to, without a life of their own.
//! <https://hl7.org/fhir/R4/references.html#contained>
//!
//! `dom-2` to `dom-5` natively: the expression of `dom-3` asks for all descendants of the resource four times over.

use std::collections::HashSet;

use crate::definitions::{TypeId, Types};
use crate::json::Value;
use crate::outcome::IssueCode;

use super::node::Node;
use super::path::Path;
use super::scope::Scope;
use super::walk::Walk;

/// The keys of the rules that this file holds.
pub(super) const NATIVE: &[&str] = &["dom-2", "dom-3", "dom-4", "dom-5"];

impl Walk<'_> {
    pub(super) fn contained(&mut self, resource: &Value, path: &Path<'_>, scope: &Scope<'_>) {
        let contained = resource.items_of("contained");
        if contained.is_empty() {
            return;
        }
        if scope.is_contained() {
            self.broken(
                path,
                resource,
                "dom-2",
                "a contained resource must not contain others",
            );
            return;
        }
        let mut referred = HashSet::new();
        collect_fragments(Node::new(resource, path.type_id), self.types, &mut referred);
        let mut ids = HashSet::new();
        for (index, inner) in contained.iter().enumerate() {
            let Some(type_id) = super::node::resource_type(self.types, inner) else {
                continue; // told already
            };
            let path = &path.child("contained", Some(index), type_id);
            let Some(id) = inner.str_of("id") else {
                self.report.error(path, inner.at, IssueCode::Required, || {
                    "a contained resource needs an `id` to be referred to".to_owned()
                });
                continue;
            };
            if !ids.insert(id) {
                self.report.error(path, inner.at, IssueCode::Duplicate, || {
                    format!("two contained resources have the id `{id}`")
                });
            }
            if !referred.contains(id) && !points_outward(inner, type_id, self.types) {
                let human =
                    "a contained resource must be referred to from elsewhere in the resource";
                self.broken(path, inner, "dom-3", human);
            }
            let meta = |name: &str| {
                inner
                    .get("meta")
                    .is_some_and(|meta| meta.get(name).is_some())
            };
            if meta("versionId") || meta("lastUpdated") {
                let human = "a contained resource has no meta.versionId and no meta.lastUpdated";
                self.broken(path, inner, "dom-4", human);
            }
            if meta("security") {
                let human = "a contained resource has no security labels";
                self.broken(path, inner, "dom-5", human);
            }
        }
    }

    fn broken(&mut self, path: &Path<'_>, value: &Value, key: &str, human: &str) {
        self.report.error(path, value.at, IssueCode::Invariant, || {
            format!("{key}: {human}")
        });
    }
}

/// A contained resource may be there because it refers to its container, by `#`.
fn points_outward(inner: &Value, type_id: TypeId, types: &Types) -> bool {
    let mut fragments = HashSet::new();
    collect_fragments(Node::new(inner, type_id), types, &mut fragments);
    fragments.contains("")
}

/// The `#id` texts of all references, canonicals, uris and urls below a node, without the `#`.
fn collect_fragments<'d>(node: Node<'d>, types: &Types, fragments: &mut HashSet<&'d str>) {
    let definition = types.get(node.type_id);
    if let Some(fragment) = node.as_str().and_then(|text| text.strip_prefix('#'))
        && matches!(&*definition.name, "canonical" | "uri" | "url")
    {
        fragments.insert(fragment);
    }
    let Some(object) = node.object() else {
        return;
    };
    if &*definition.name == "Reference"
        && let Some(fragment) = object
            .get("reference")
            .and_then(Value::as_str)
            .and_then(|text| text.strip_prefix('#'))
    {
        fragments.insert(fragment);
    }
    for element in &definition.elements {
        for child in node.children(types, element) {
            collect_fragments(child, types, fragments);
        }
    }
}
