//! The resources that a message may be made of, and how they are found by what refers to them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use fhir_spec::json::Value;

use super::super::plan::TargetPlan;
use super::condition::reached;

/// Resources with their addresses. What was looked for and is not among them is remembered, so that whoever has a store
/// may bring it and ask again.
#[derive(Debug, Default)]
pub struct Library {
    entries: Vec<(String, Value)>,
    missing: RefCell<BTreeSet<String>>,
    asked: RefCell<BTreeSet<Wanted>>,
}

/// Resources that refer to another one were asked for: `AllergyIntolerance`, `patient`, `Patient/1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub type_name: String,
    pub element: String,
    pub to: String,
}

/// A value and the resource that it stands in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'v> {
    pub(super) value: &'v Value,
    pub(super) home: &'v Value,
}

impl<'v> Item<'v> {
    pub(super) fn of(resource: &'v Value) -> Self {
        Self {
            value: resource,
            home: resource,
        }
    }

    pub(super) fn within(self, value: &'v Value) -> Self {
        let is_resource = value.str_of("resourceType").is_some();
        // References of what is contained lead to its neighbours.
        let is_contained = self
            .home
            .items_of("contained")
            .iter()
            .any(|inner| std::ptr::eq(inner, value));
        let home = if is_resource && !is_contained {
            value
        } else {
            self.home
        };
        Self { value, home }
    }
}

impl Library {
    pub fn new() -> Self {
        Self::default()
    }

    /// The resources of a Bundle, or one resource alone.
    pub fn of(document: Value) -> Self {
        let mut library = Self::new();
        library.take(document);
        library
    }

    fn take(&mut self, document: Value) {
        if document.str_of("resourceType") != Some("Bundle") {
            self.add("", document);
            return;
        }
        for entry in document.items_of("entry") {
            let Some(resource) = entry.get("resource") else {
                continue;
            };
            self.add(
                entry.str_of("fullUrl").unwrap_or_default(),
                resource.clone(),
            );
        }
    }

    /// One more resource; its address may be empty.
    pub fn add(&mut self, address: &str, resource: Value) {
        self.entries.push((address.to_owned(), resource));
    }

    pub fn resources(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().map(|(_, resource)| resource)
    }

    /// References that led nowhere.
    pub fn missing(&self) -> Vec<String> {
        self.missing.borrow().iter().cloned().collect()
    }

    /// Which resources were asked for by what they refer to.
    pub fn asked(&self) -> Vec<Wanted> {
        self.asked.borrow().iter().cloned().collect()
    }

    /// What a reference leads to.
    pub(super) fn resolve<'l>(&'l self, item: Item<'l>) -> Option<Item<'l>> {
        let reference = item.value.str_of("reference")?;
        if let Some(id) = reference.strip_prefix('#') {
            let contained = item.home.items_of("contained").iter();
            let found = contained
                .into_iter()
                .find(|inner| inner.str_of("id") == Some(id))?;
            return Some(Item {
                value: found,
                home: item.home,
            });
        }
        let found = self
            .entries
            .iter()
            .find(|(address, resource)| is_at(address, resource, reference));
        if found.is_none() {
            self.missing.borrow_mut().insert(reference.to_owned());
        }
        found.map(|(_, resource)| Item::of(resource))
    }

    /// The resources of a type that refer to another one.
    pub(super) fn referring<'l>(
        &'l self,
        type_name: &str,
        element: &[TargetPlan],
        to: &Value,
    ) -> Vec<Item<'l>> {
        if let (Some(kind), Some(id)) = (to.str_of("resourceType"), to.str_of("id")) {
            let names: Vec<&str> = element.iter().map(|step| &*step.name).collect();
            self.asked.borrow_mut().insert(Wanted {
                type_name: type_name.to_owned(),
                element: names.join("."),
                to: format!("{kind}/{id}"),
            });
        }
        let address = self
            .entries
            .iter()
            .find(|(_, resource)| std::ptr::eq(resource, to))
            .map_or("", |(address, _)| address);
        let refers = |resource: &&(String, Value)| {
            let (_, resource) = resource;
            resource.str_of("resourceType") == Some(type_name)
                && reached(resource, element, &[]).iter().any(|reference| {
                    let reference = reference.str_of("reference").unwrap_or_default();
                    is_at(address, to, reference)
                })
        };
        self.entries
            .iter()
            .filter(refers)
            .map(|(_, resource)| Item::of(resource))
            .collect()
    }
}

/// Whether a reference leads to the resource at an address.
fn is_at(address: &str, resource: &Value, reference: &str) -> bool {
    let reference = reference
        .split_once("/_history/")
        .map_or(reference, |(plain, _)| plain);
    if !address.is_empty() && address == reference {
        return true;
    }
    let (Some(kind), Some(id)) = (resource.str_of("resourceType"), resource.str_of("id")) else {
        return false;
    };
    let mut words = reference.rsplit('/');
    words.next() == Some(id) && words.next() == Some(kind)
}
