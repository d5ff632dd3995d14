//! Extensions: a url that says what they are, a value or extensions of their own, and, where their definition is known,
//! what it says. <https://hl7.org/fhir/R4/extensibility.html>

use std::sync::Arc;

use crate::definitions::{ContextKind, ExtensionContext};
use crate::outcome::{IssueCode, Severity};
use crate::reference::is_absolute;

use super::errata;
use super::node::Node;
use super::path::Path;
use super::profile::Profile;
use super::scope::Scope;
use super::walk::Walk;

/// The keys of the rules that this file holds.
pub(super) const NATIVE: &[&str] = &["ext-1"];

impl Walk<'_> {
    pub(super) fn extension<'d>(
        &mut self,
        name: &str,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let Some(object) = node.object() else {
            return;
        };
        let has_inner = object.contains("extension");
        let has_value = object
            .names()
            .any(|name| name.trim_start_matches('_').starts_with("value"));
        if has_inner == has_value {
            self.report
                .error(path, node.at(), IssueCode::Invariant, || {
                    "ext-1: an extension has either a value or extensions of its own".to_owned()
                });
        }
        let Some(stated) = object.get("url") else {
            return; // required, told already
        };
        let Some(url) = stated.as_str().filter(|url| !url.is_empty()) else {
            return;
        };
        // Inside an extension, the url of a part is a plain name that its definition gives.
        let is_part = path
            .parent()
            .is_some_and(|holder| holder.type_id == node.type_id);
        if !is_absolute(url) && !is_part {
            self.report
                .error(path, stated.at, IssueCode::Extension, || {
                    format!("the url of an extension is absolute, `{url}` is not")
                });
            return;
        }
        match self.validator.profile(url) {
            Ok(definition) => self.defined_extension(&definition, name, node, path, scope),
            Err(_) if is_part => {} // the definition of the whole extension speaks for its parts
            Err(_) => self.unknown_extension(url, name, node, path),
        }
    }

    fn defined_extension<'d>(
        &mut self,
        definition: &Arc<Profile>,
        name: &str,
        node: Node<'d>,
        path: &Path<'_>,
        scope: &Scope<'d>,
    ) {
        let structure = &definition.structure;
        let is_modifier = structure.root().is_some_and(|root| root.is_modifier);
        if is_modifier != (name == "modifierExtension") {
            self.report
                .error(path, node.at(), IssueCode::Extension, || {
                    let place = if is_modifier {
                        "modifierExtension"
                    } else {
                        "extension"
                    };
                    format!("{} belongs into `{place}`", structure.url)
                });
        }
        if let Some(holder) = path.parent()
            && !structure.contexts.is_empty()
            && !structure
                .contexts
                .iter()
                .any(|context| self.is_context(context, holder))
            && !errata::wider_contexts(&structure.url)
                .any(|element| self.is_element(element, holder))
        {
            self.report
                .error(path, node.at(), IssueCode::Extension, || {
                    let places: Vec<&str> = structure
                        .contexts
                        .iter()
                        .map(|context| &*context.expression)
                        .collect();
                    format!(
                        "{} is not for this place, but for {}",
                        structure.url,
                        places.join(", ")
                    )
                });
        }
        self.known_parts(definition, node, path);
        self.hold(definition, node, path, scope);
    }

    /// The url of a part means nothing outside of the definition: one that is not there is a mistake.
    fn known_parts(&mut self, definition: &Profile, node: Node<'_>, path: &Path<'_>) {
        let parts = node.children_named(self.types, "extension");
        for (index, part) in parts.iter().enumerate() {
            let url = part.value.and_then(|part| part.str_of("url"));
            let Some(url) = url.filter(|url| !is_absolute(url)) else {
                continue;
            };
            if !definition.has_part(url) {
                let path = &path.child("extension", Some(index), part.type_id);
                self.report
                    .error(path, part.at(), IssueCode::Extension, || {
                        format!("{} has no part `{url}`", definition.url())
                    });
            }
        }
    }

    fn unknown_extension(&mut self, url: &str, name: &str, node: Node<'_>, path: &Path<'_>) {
        let mut severity = self.request.unknown_extension;
        if name == "modifierExtension" {
            severity = severity.max(Severity::Warning);
        }
        self.report
            .tell(severity, path, node.at(), IssueCode::Extension, || {
                format!("the extension `{url}` is not known here: its content is not checked")
            });
    }

    /// Whether an extension may stand on what is at `holder`.
    /// <https://hl7.org/fhir/R4/defining-extensions.html#context>
    fn is_context(&self, context: &ExtensionContext, holder: &Path<'_>) -> bool {
        match context.kind {
            ContextKind::Extension => &*self.types.get(holder.type_id).name == "Extension",
            ContextKind::Element => self.is_element(&context.expression, holder),
            ContextKind::FhirPath => true,
        }
    }

    /// Whether a place is the element (or has the type) of that path: `Patient.contact`, `HumanName`, `Element`.
    fn is_element(&self, expression: &str, place: &Path<'_>) -> bool {
        let expression = expression.rsplit('#').next().unwrap_or_default();
        if expression == "Element" {
            return true; // anywhere, the root of a resource included
        }
        if *self.types.get(place.type_id).name == *expression {
            return true; // a backbone element that recurs: `Questionnaire.item`
        }
        let mut steps = expression.split('.');
        let root = steps.next().unwrap_or_default();
        let mut place = *place;
        for step in steps.rev() {
            let Some(parent) = place.parent() else {
                return false;
            };
            if place.name() != step.trim_end_matches("[x]") {
                return false;
            }
            place = *parent;
        }
        match self.types.by_name(root) {
            Some(root) => self.types.is_a(place.type_id, root),
            // A type that R4 does not have (`CanonicalResource`): not for us to refuse.
            None => true,
        }
    }
}
