//! Bundles: entries, their full urls, and what documents and messages must hold together.
//! <https://hl7.org/fhir/R4/bundle.html>
//!
//! The invariants `bdl-*` are checked like all others; here stands what the specification says in prose.

use std::collections::HashMap;

use crate::json::Value;
use crate::outcome::IssueCode;
use crate::reference::{Literal, is_absolute};

use super::node::resource_type;
use super::path::Path;
use super::reference::Found;
use super::scope::Scope;
use super::walk::Walk;

/// The resources of a bundle by their full urls.
#[derive(Debug)]
pub(super) struct Entries<'d> {
    resources: Vec<&'d Value>,
    by_full_url: HashMap<&'d str, SameUrl<'d>>,
    /// By full url and `meta.versionId`.
    by_version: HashMap<(&'d str, &'d str), &'d Value>,
    /// By the address of the resource in the document.
    full_urls: HashMap<usize, &'d str>,
}

/// The resources that share a full url: versions of one.
#[derive(Debug)]
struct SameUrl<'d> {
    first: &'d Value,
    /// The first that does not say which version it is: it may be any.
    unversioned: Option<&'d Value>,
}

impl<'d> Entries<'d> {
    pub(super) fn of(bundle: &'d Value) -> Self {
        let mut entries = Self {
            resources: Vec::new(),
            by_full_url: HashMap::new(),
            by_version: HashMap::new(),
            full_urls: HashMap::new(),
        };
        for entry in bundle.items_of("entry") {
            let Some(resource) = entry.get("resource") else {
                continue;
            };
            entries.resources.push(resource);
            if let Some(url) = entry.str_of("fullUrl") {
                entries.full_urls.insert(address(resource), url);
                let same = entries.by_full_url.entry(url).or_insert(SameUrl {
                    first: resource,
                    unversioned: None,
                });
                match version_id(resource) {
                    Some(version) => {
                        let key = (url, version);
                        entries.by_version.entry(key).or_insert(resource);
                    }
                    None => {
                        same.unversioned.get_or_insert(resource);
                    }
                }
            }
        }
        entries
    }

    pub(super) fn full_url_of(&self, resource: &Value) -> Option<&'d str> {
        self.full_urls.get(&address(resource)).copied()
    }

    /// <https://hl7.org/fhir/R4/bundle.html#references>: absolute ones by full url, relative ones on the base of the
    /// full url of the resource that refers.
    pub(super) fn find(&self, reference: &str, from: Option<&str>) -> Option<&'d Value> {
        let (reference, version) = match reference.split_once("/_history/") {
            Some((reference, version)) => (reference, Some(version)),
            None => (reference, None),
        };
        let is_relative = matches!(Literal::parse(reference), Some(Literal::Relative(_)));
        let full = if is_relative {
            let Some(Literal::Absolute { base, .. }) = from.and_then(Literal::parse) else {
                return None;
            };
            &format!("{base}/{reference}")
        } else {
            reference
        };
        let same_url = self.by_full_url.get(full)?;
        match version {
            Some(version) => {
                let found = self.by_version.get(&(full, version)).copied();
                found.or(same_url.unversioned)
            }
            None => Some(same_url.first),
        }
    }
}

fn version_id(resource: &Value) -> Option<&str> {
    resource.get("meta")?.str_of("versionId")
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

impl Walk<'_> {
    pub(super) fn bundle(&mut self, bundle: &Value, path: &Path<'_>, scope: &Scope<'_>) {
        let Some(entries) = scope.bundle else {
            return;
        };
        let kind = bundle.str_of("type").unwrap_or_default();
        for (index, entry) in bundle.items_of("entry").iter().enumerate() {
            let path = &path.child("entry", Some(index), path.type_id);
            self.full_url(entry, kind, path);
            if kind == "searchset" {
                self.search_result(entry, path);
            }
        }
        match kind {
            "document" => self.bundled_document(bundle, entries, path),
            "message" => self.bundled_message(entries, path),
            _ => {}
        }
    }

    /// Only what is about to be created has no id (<https://hl7.org/fhir/R4/resource.html#id>); an outcome about the
    /// search itself is never stored.
    fn search_result(&mut self, entry: &Value, path: &Path<'_>) {
        let Some(resource) = entry.get("resource") else {
            return;
        };
        let is_outcome = resource.str_of("resourceType") == Some("OperationOutcome");
        if resource.get("id").is_none() && !is_outcome {
            let path = &path.child("resource", None, path.type_id);
            self.report
                .error(path, resource.at, IssueCode::Required, || {
                    "what a search finds has an `id`".to_owned()
                });
        }
    }

    /// A full url is absolute, and agrees with the id of its resource.
    fn full_url(&mut self, entry: &Value, bundle_type: &str, path: &Path<'_>) {
        let Some(stated) = entry.get("fullUrl") else {
            return;
        };
        let path = &path.child("fullUrl", None, path.type_id);
        let Some(url) = stated.as_str() else {
            return; // told already
        };
        if !is_absolute(url) {
            self.report.error(path, stated.at, IssueCode::Value, || {
                format!("a full url is absolute, `{url}` is not")
            });
            return;
        }
        let Some(Literal::Absolute { target, .. }) = Literal::parse(url) else {
            return;
        };
        let Some(resource) = entry.get("resource") else {
            return;
        };
        if self.types.by_name(target.resource_type).is_none() {
            return; // it only looks like the url of a FHIR resource
        }
        let type_name = resource.str_of("resourceType").unwrap_or_default();
        let id = resource.str_of("id");
        // What is posted has no id of its own yet.
        let is_new = matches!(bundle_type, "transaction" | "batch") && id.is_none();
        if !is_new && (target.resource_type != type_name || Some(target.id) != id) {
            self.report.error(path, stated.at, IssueCode::Invalid, || {
                let id = id.unwrap_or("(no id)");
                format!("the full url `{url}` disagrees with its resource, {type_name}/{id}")
            });
        }
    }

    /// What the Composition names directly must be in the document, and everything in it must hang together.
    /// <https://hl7.org/fhir/R4/documents.html#content>
    fn bundled_document(&mut self, bundle: &Value, entries: &Entries<'_>, path: &Path<'_>) {
        let Some(composition) = entries.resources.first().copied() else {
            return;
        };
        if composition.str_of("resourceType") != Some("Composition") {
            return; // bdl-11
        }
        let from = entries.full_url_of(composition);
        let mut wanted = Vec::new();
        named_directly(composition, DOCUMENT_PARTS, &mut wanted);
        let composition_path = &path.child("entry", Some(0), path.type_id);
        let composition_path = &composition_path.child("resource", None, path.type_id);
        self.must_be_inside(&wanted, entries, from, composition_path);
        self.all_reachable(bundle, entries, path);
    }

    fn bundled_message(&mut self, entries: &Entries<'_>, path: &Path<'_>) {
        let Some(header) = entries.resources.first().copied() else {
            return;
        };
        let mut wanted = Vec::new();
        named_directly(header, &["focus"], &mut wanted);
        let path = &path.child("entry", Some(0), path.type_id);
        let path = &path.child("resource", None, path.type_id);
        self.must_be_inside(&wanted, entries, entries.full_url_of(header), path);
    }

    fn must_be_inside(
        &mut self,
        wanted: &[(&str, u32)],
        entries: &Entries<'_>,
        from: Option<&str>,
        path: &Path<'_>,
    ) {
        for (reference, at) in wanted {
            if reference.starts_with('#') || entries.find(reference, from).is_some() {
                continue;
            }
            self.report.error(path, *at, IssueCode::NotFound, || {
                format!("`{reference}` must be in the bundle: no full url fits it")
            });
        }
    }

    /// Every entry of a document is reached from the Composition by references, followed in both directions.
    fn all_reachable(&mut self, bundle: &Value, entries: &Entries<'_>, path: &Path<'_>) {
        let places: HashMap<usize, usize> = (0..)
            .zip(&entries.resources)
            .map(|(place, resource)| (address(resource), place))
            .collect();
        let mut links: Vec<Vec<usize>> = vec![Vec::new(); entries.resources.len()];
        for (place, resource) in entries.resources.iter().enumerate() {
            let Some(type_id) = resource_type(self.types, resource) else {
                continue;
            };
            let mut scope = Scope::of(resource, type_id);
            scope.bundle = Some(entries);
            scope.full_url = entries.full_url_of(resource);
            let mut references = Vec::new();
            references_below(resource, &mut references);
            // What starts with `#` stays within the resource.
            references.retain(|reference| !reference.starts_with('#'));
            for reference in references {
                let Found::Inside(target) = self.find(reference, &scope) else {
                    continue;
                };
                let Some(other) = target.value.and_then(|value| places.get(&address(value))) else {
                    continue;
                };
                for (from, to) in [(place, *other), (*other, place)] {
                    if let Some(links) = links.get_mut(from) {
                        links.push(to);
                    }
                }
            }
        }
        let reached = reach(&links);
        let mut place = 0;
        for (index, entry) in bundle.items_of("entry").iter().enumerate() {
            if entry.get("resource").is_none() {
                continue;
            }
            if !reached.get(place).copied().unwrap_or(true) {
                let path = &path.child("entry", Some(index), path.type_id);
                self.report.error(path, entry.at, IssueCode::Invalid, || {
                    "no reference leads from the Composition to this entry, nor back".to_owned()
                });
            }
            place += 1;
        }
    }
}

/// The parts of a Composition whose targets a document must hold.
const DOCUMENT_PARTS: &[&str] = &[
    "subject",
    "encounter",
    "author",
    "attester",
    "custodian",
    "event",
    "section",
    "party",
    "detail",
    "focus",
    "entry",
];

/// The references in these members of a resource, at any depth of members of these names.
fn named_directly<'d>(value: &'d Value, names: &[&str], wanted: &mut Vec<(&'d str, u32)>) {
    if let Some(items) = value.as_array() {
        for item in items {
            named_directly(item, names, wanted);
        }
        return;
    }
    let Some(object) = value.as_object() else {
        return;
    };
    for (name, inner) in object.iter() {
        if names.contains(&name) {
            named_directly(inner, names, wanted);
        } else if name == "reference"
            && let Some(reference) = inner.as_str()
        {
            wanted.push((reference, inner.at));
        }
    }
}

/// The text of every `reference` below a value.
fn references_below<'d>(value: &'d Value, references: &mut Vec<&'d str>) {
    if let Some(items) = value.as_array() {
        for item in items {
            references_below(item, references);
        }
    } else if let Some(object) = value.as_object() {
        for (name, inner) in object.iter() {
            match inner.as_str() {
                Some(reference) if name == "reference" => references.push(reference),
                _ => references_below(inner, references),
            }
        }
    }
}

/// Which places can be reached from the first.
fn reach(links: &[Vec<usize>]) -> Vec<bool> {
    let mut reached = vec![false; links.len()];
    let mut waiting = vec![0];
    while let Some(place) = waiting.pop() {
        match reached.get_mut(place) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        waiting.extend(links.get(place).into_iter().flatten());
    }
    reached
}
