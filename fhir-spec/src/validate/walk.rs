//! One validation under way: from resource to resource, everything found goes into one report.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::definitions::{Kind, TypeId, Types};
use crate::json::{DEPTH_MAX, Data, Value};
use crate::outcome::IssueCode;

use super::bundle::Entries;
use super::node::Node;
use super::path::Path;
use super::report::Report;
use super::scope::{Contained, Scope};
use super::{Request, Validator};

pub(super) struct Walk<'v> {
    pub(super) validator: &'v Validator,
    pub(super) types: &'v Types,
    pub(super) request: &'v Request<'v>,
    pub(super) report: Report,
    /// Which element was already held against which profile: once is enough, and circles end.
    pub(super) held: HashSet<(usize, usize)>,
    /// Which element conforms to which profile, asked silently.
    pub(super) verdicts: HashMap<(usize, usize), bool>,
    /// Resources that the host handed out: what is known of them hangs on their addresses, so they stay.
    pub(super) fetched: Vec<Arc<Value>>,
    /// How many `conformsTo()` this walk is inside of.
    pub(super) nesting: usize,
}

impl<'v> Walk<'v> {
    pub(super) fn new(validator: &'v Validator, request: &'v Request<'v>) -> Self {
        Self {
            validator,
            types: validator.definitions().types(),
            request,
            report: Report::default(),
            held: HashSet::new(),
            verdicts: HashMap::new(),
            fetched: Vec::new(),
            nesting: 0,
        }
    }

    /// The whole document.
    pub(super) fn document(&mut self, value: &Value) {
        let Some(resource) = self.types.by_name("Resource") else {
            return;
        };
        let path = Path::root("Resource", resource);
        if is_deeper_than(value, DEPTH_MAX) {
            self.report
                .error(&path, value.at, IssueCode::Structure, || {
                    format!("nested deeper than {DEPTH_MAX} levels")
                });
            return;
        }
        let Some(type_id) = self.resource_type(value, &path) else {
            return;
        };
        let path = Path::root(&self.types.get(type_id).name, type_id);
        self.resource(&path, &Scope::of(value, type_id));
    }

    /// A resource inside another: contained in it, or carried by a bundle or by Parameters.
    pub(super) fn inner_resource<'d>(
        &mut self,
        value: &'d Value,
        path: &Path<'_>,
        outer: &Scope<'d>,
    ) {
        let Some(type_id) = self.resource_type(value, path) else {
            return;
        };
        let expected = path.type_id;
        if !self.types.is_a(type_id, expected) {
            let (found, expected) = (self.types.get(type_id), self.types.get(expected));
            self.report.error(path, value.at, IssueCode::Structure, || {
                format!("a {} expected, found a {}", expected.name, found.name)
            });
        }
        let path = &path.typed(type_id);
        let scope = outer.around(value, type_id, path.name() == "contained");
        self.resource(path, &scope);
    }

    /// The type that a resource says it has, when there is such a type.
    fn resource_type(&mut self, value: &Value, path: &Path<'_>) -> Option<TypeId> {
        if value.as_object().is_none() {
            self.report.error(path, value.at, IssueCode::Structure, || {
                format!("a resource expected, found {}", value.kind())
            });
            return None;
        }
        let Some(stated) = value.get("resourceType") else {
            self.report.error(path, value.at, IssueCode::Structure, || {
                "a resource expected: `resourceType` is missing".to_owned()
            });
            return None;
        };
        let name = stated.as_str().unwrap_or_default();
        let known = self
            .types
            .named(name)
            .filter(|definition| definition.kind == Kind::Resource && !definition.is_abstract);
        if known.is_none() {
            self.report
                .error(path, stated.at, IssueCode::Structure, || {
                    format!(
                        "`resourceType`: {} is no resource type of R4",
                        super::shape::excerpt(stated)
                    )
                });
        }
        known.map(|definition| definition.id)
    }

    /// A resource whose type is known.
    fn resource<'d>(&mut self, path: &Path<'_>, scope: &Scope<'d>) {
        if &*self.types.get(path.type_id).name != "Bundle" {
            if scope.is_contained() {
                return self.resource_in(path, scope);
            }
            let contained = Contained::of(scope.resource);
            let scope = &Scope {
                contained: Some(&contained),
                ..*scope
            };
            return self.resource_in(path, scope);
        }
        let entries = Entries::of(scope.resource);
        let scope = &Scope {
            bundle: Some(&entries),
            full_url: None,
            ..*scope
        };
        self.resource_in(path, scope);
    }

    /// Its elements, the rules of its type, and the profiles that it claims or the caller wants.
    fn resource_in<'d>(&mut self, path: &Path<'_>, scope: &Scope<'d>) {
        let value = scope.resource;
        let Some(object) = value.as_object() else {
            return;
        };
        self.object(object, value.at, path, scope);
        match &*self.types.get(path.type_id).name {
            "Bundle" => self.bundle(value, path, scope),
            "Questionnaire" => self.questionnaire(value, path),
            "QuestionnaireResponse" => self.questionnaire_response(value, path, scope),
            "SearchParameter" => self.search_parameter(value, path),
            "StructureDefinition" => self.structure_definition(value, path),
            _ => {}
        }
        self.contained(value, path, scope);
        let plan = self.validator.plan(path.type_id);
        let node = Node::new(value, path.type_id);
        self.rules(&plan.rules, node, path, scope);
        self.claimed_profiles(value, path, scope);
        if path.parent().is_none() {
            for profile in self.request.profiles {
                self.requested_profile(profile, node, path, scope);
            }
        }
    }
}

/// Documents that were read are no deeper than their reader allows; those made by code might be.
fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let is_too_deep = |inner: &Value| match levels.checked_sub(1) {
        Some(levels) => is_deeper_than(inner, levels),
        None => true,
    };
    match &value.data {
        Data::Array(items) => items.iter().any(is_too_deep),
        Data::Object(object) => object.iter().any(|(_, inner)| is_too_deep(inner)),
        _ => false,
    }
}
