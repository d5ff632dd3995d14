//! References: their form, whether what they name inside the document is there, and whether its type is allowed.
//! <https://hl7.org/fhir/R4/references.html>

use crate::definitions::TypeId;
use crate::json::Value;
use crate::outcome::IssueCode;
use crate::reference::Literal;

use super::node::{Node, resource_type};
use super::path::Path;
use super::scope::Scope;
use super::walk::Walk;

/// The keys of the rules that this file holds: `ref-1` forgets that `#` alone means the container.
pub(super) const NATIVE: &[&str] = &["ref-1"];

/// What a reference leads to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'d> {
    /// A resource of this document.
    Inside(Node<'d>),
    /// It can only be in this document, and is not.
    Missing,
    /// Somewhere else; the type is what the text of the reference says.
    Elsewhere(Option<TypeId>),
}

impl Walk<'_> {
    pub(super) fn find<'d>(&self, reference: &str, scope: &Scope<'d>) -> Found<'d> {
        let literal = Literal::parse(reference);
        if let Some(Literal::Contained(id)) = literal {
            return self.find_contained(id, scope);
        }
        if let Some(found) = scope
            .bundle
            .and_then(|entries| entries.find(reference, scope.full_url))
            .and_then(|value| Some(Node::new(value, resource_type(self.types, value)?)))
        {
            return Found::Inside(found);
        }
        let named = literal
            .and_then(|literal| literal.target())
            .and_then(|target| self.types.by_name(target.resource_type));
        Found::Elsewhere(named)
    }

    fn find_contained<'d>(&self, id: &str, scope: &Scope<'d>) -> Found<'d> {
        if id.is_empty() {
            return Found::Inside(Node::new(scope.root, scope.root_type));
        }
        scope.find_contained(id).map_or(Found::Missing, |inner| {
            match resource_type(self.types, inner) {
                Some(type_id) => Found::Inside(Node::new(inner, type_id)),
                None => Found::Elsewhere(None),
            }
        })
    }

    pub(super) fn reference(
        &mut self,
        node: Node<'_>,
        targets: &[TypeId],
        path: &Path<'_>,
        scope: &Scope<'_>,
    ) {
        let Some(stated) = node.value.and_then(|value| value.get("reference")) else {
            return;
        };
        let Some(text) = stated.as_str() else {
            return; // told already
        };
        self.literal(text, stated, path);
        let target = match self.find(text, scope) {
            Found::Missing => {
                self.report.error(path, stated.at, IssueCode::NotFound, || {
                    format!("`{text}` names no contained resource (ref-1)")
                });
                return;
            }
            Found::Inside(found) => Some(found.type_id),
            Found::Elsewhere(named) => named,
        };
        let claimed = node
            .value
            .and_then(|value| value.str_of("type"))
            .and_then(|name| self.types.by_name(name));
        if let (Some(target), Some(claimed)) = (target, claimed)
            && !self.types.is_a(target, claimed)
        {
            let (target, claimed) = (self.types.get(target), self.types.get(claimed));
            self.report.error(path, stated.at, IssueCode::Invalid, || {
                format!(
                    "`{text}` is a {}, `type` says {}",
                    target.name, claimed.name
                )
            });
        }
        if let Some(target) = target.or(claimed)
            && !super::shape::is_allowed(self, target, targets)
        {
            self.report.error(path, stated.at, IssueCode::Value, || {
                let names: Vec<&str> = targets
                    .iter()
                    .map(|allowed| &*self.types.get(*allowed).name)
                    .collect();
                format!(
                    "a reference to {} is not allowed here, expected one to {}",
                    self.types.get(target).name,
                    names.join(" or ")
                )
            });
        }
    }

    /// The form of the text.
    fn literal(&mut self, text: &str, stated: &Value, path: &Path<'_>) {
        if text.contains(char::is_whitespace) {
            self.report.error(path, stated.at, IssueCode::Value, || {
                format!("a reference is a uri and has no white space, `{text}` has")
            });
            return;
        }
        // `Patient?identifier=x`: a conditional reference, for transactions.
        let is_conditional = text.contains('?');
        let literal = Literal::parse(text);
        if literal.is_none() && !is_conditional {
            self.report.warning(path, stated.at, IssueCode::Value, || {
                format!("a reference is Type/id, #id or an absolute url, `{text}` is not")
            });
        }
        if let Some(target) = literal.and_then(|literal| literal.target())
            && matches!(literal, Some(Literal::Relative(_)))
            && self.types.by_name(target.resource_type).is_none()
        {
            self.report.error(path, stated.at, IssueCode::Value, || {
                format!("`{}` is no resource type of R4", target.resource_type)
            });
        }
    }
}
