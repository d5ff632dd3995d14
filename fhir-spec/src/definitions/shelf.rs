//! A shelf: the artifacts of one source, found by url or by type and id, parsed when asked for.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::archive::{Archive, Entry};
use super::slim::DEFINING;
use crate::json::Value;

#[derive(Debug)]
pub(super) struct Shelf {
    items: Vec<Item>,
    by_url: HashMap<Box<str>, Vec<usize>>,
    /// The packed bytes behind `Body::Packed`.
    archive: Option<Archive>,
}

#[derive(Debug)]
struct Item {
    resource_type: Box<str>,
    id: Box<str>,
    version: Box<str>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Parsed(Arc<Value>),
    Packed(Entry, OnceLock<Option<Arc<Value>>>),
}

impl Shelf {
    /// The shelf of an archive that is part of the binary. A damaged one is an empty shelf: the build's tests would say so.
    pub(super) fn embedded(bytes: &'static [u8]) -> Self {
        let archive = Archive::open(bytes).ok();
        let mut shelf = Self {
            items: Vec::new(),
            by_url: HashMap::new(),
            archive: None,
        };
        for entry in archive.iter().flat_map(Archive::entries) {
            shelf.put(
                &entry.url,
                Item {
                    resource_type: entry.resource_type.clone(),
                    id: entry.id.clone(),
                    version: entry.version.clone(),
                    body: Body::Packed(entry.clone(), OnceLock::new()),
                },
            );
        }
        shelf.archive = archive;
        shelf
    }

    /// Of resources that were slimmed already.
    pub(super) fn of_resources(resources: impl IntoIterator<Item = Value>) -> Self {
        let mut shelf = Self {
            items: Vec::new(),
            by_url: HashMap::new(),
            archive: None,
        };
        for resource in resources {
            let text = |name: &str| Box::<str>::from(resource.str_of(name).unwrap_or_default());
            let (resource_type, url) = (text("resourceType"), text("url"));
            if !DEFINING.contains(&&*resource_type) {
                continue;
            }
            let item = Item {
                resource_type,
                id: text("id"),
                version: text("version"),
                body: Body::Parsed(Arc::new(resource)),
            };
            shelf.put(&url, item);
        }
        shelf
    }

    fn put(&mut self, url: &str, item: Item) {
        if !url.is_empty() {
            self.by_url
                .entry(url.into())
                .or_default()
                .push(self.items.len());
        }
        self.items.push(item);
    }

    /// With a version only that one; without, the last that came. With a resource type only that one.
    pub(super) fn by_url(
        &self,
        url: &str,
        version: Option<&str>,
        resource_type: Option<&str>,
    ) -> Option<Arc<Value>> {
        self.by_url
            .get(url)?
            .iter()
            .rev()
            .filter_map(|index| self.items.get(*index))
            .filter(|item| resource_type.is_none_or(|name| *item.resource_type == *name))
            .find(|item| version.is_none_or(|version| *item.version == *version))
            .and_then(|item| self.value(item))
    }

    pub(super) fn by_id(&self, resource_type: &str, id: &str) -> Option<Arc<Value>> {
        self.items
            .iter()
            .rev()
            .find(|item| *item.resource_type == *resource_type && *item.id == *id)
            .and_then(|item| self.value(item))
    }

    pub(super) fn of_type(
        &self,
        resource_type: &str,
    ) -> impl DoubleEndedIterator<Item = Arc<Value>> {
        self.items
            .iter()
            .filter(move |item| *item.resource_type == *resource_type)
            .filter_map(|item| self.value(item))
    }

    fn value(&self, item: &Item) -> Option<Arc<Value>> {
        match &item.body {
            Body::Parsed(value) => Some(Arc::clone(value)),
            Body::Packed(entry, parsed) => parsed
                .get_or_init(|| self.archive.as_ref()?.value(entry).ok().map(Arc::new))
                .clone(),
        }
    }
}
