//! `|`, `in`, `contains`, and collections as sets. <http://hl7.org/fhirpath/N1/#collections-2>

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::equality::items_equal;
use crate::fhirpath::error::Result;
use crate::fhirpath::eval::Evaluator;
use crate::fhirpath::item::{Collection, Item};

/// Both, without duplicates.
pub(in crate::fhirpath) fn union<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    left: Collection<'a>,
    right: Collection<'a>,
) -> Result<Collection<'a>> {
    let is_single = left.len() + right.len() < 2;
    let both = left.into_iter().chain(right);
    if is_single {
        return Ok(both.collect());
    }
    let mut set = Set::default();
    for item in both {
        set.insert(run, at, item)?;
    }
    Ok(set.items)
}

pub(in crate::fhirpath) fn is_in<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    item: &[Item<'a>],
    items: &[Item<'a>],
) -> Result<Collection<'a>> {
    let Some(item) = run.single(at, "to look for", item)? else {
        return Ok(Vec::new());
    };
    Ok(vec![Item::Boolean(has(run, at, items, item)?)])
}

pub(in crate::fhirpath) fn has<'a>(
    run: &mut Evaluator<'_, 'a>,
    at: u32,
    items: &[Item<'a>],
    wanted: &Item<'a>,
) -> Result<bool> {
    for item in items {
        if items_equal(run, at, item, wanted)? == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Items that differ from each other, in the order they came. Where there are many, only those with the same key are
/// compared.
#[derive(Default)]
pub(in crate::fhirpath) struct Set<'a> {
    pub items: Collection<'a>,
    by_key: HashMap<u64, Vec<usize>>,
}

/// Up to so many items are compared one by one: that is faster than keys.
const SMALL: usize = 8;

impl<'a> Set<'a> {
    pub(in crate::fhirpath) fn of(
        run: &mut Evaluator<'_, 'a>,
        at: u32,
        items: &[Item<'a>],
    ) -> Result<Self> {
        let mut set = Self::default();
        for item in items {
            set.insert(run, at, item.clone())?;
        }
        Ok(set)
    }

    /// Whether it was new.
    pub(in crate::fhirpath) fn insert(
        &mut self,
        run: &mut Evaluator<'_, 'a>,
        at: u32,
        item: Item<'a>,
    ) -> Result<bool> {
        if self.has(run, at, &item)? {
            return Ok(false);
        }
        run.check_size(at, self.items.len() + 1)?;
        self.items.push(item);
        let unkeyed = match self.items.len() {
            0..=SMALL => 0..0,
            count if self.by_key.is_empty() => 0..count,
            count => count - 1..count,
        };
        for index in unkeyed {
            if let Some(item) = self.items.get(index) {
                self.by_key
                    .entry(key(&run.system(item)))
                    .or_default()
                    .push(index);
            }
        }
        Ok(true)
    }

    pub(in crate::fhirpath) fn has(
        &self,
        run: &mut Evaluator<'_, 'a>,
        at: u32,
        item: &Item<'a>,
    ) -> Result<bool> {
        if self.by_key.is_empty() {
            return has(run, at, &self.items, item);
        }
        let key = key(&run.system(item));
        for index in self.by_key.get(&key).into_iter().flatten() {
            if let Some(known) = self.items.get(*index)
                && items_equal(run, at, known, item)? == Some(true)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The same for all items that may be equal. What only a careful comparison can tell apart shares a key by its kind.
fn key(value: &Item<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    match value {
        Item::Node(node) => {
            let members = node.value().and_then(|value| value.as_object());
            (0, members.map(crate::json::Object::len)).hash(&mut hasher);
            // The first text of an element tells most of them apart.
            let texts = members.into_iter().flat_map(|object| object.iter());
            let texts = texts.filter_map(|(name, value)| Some((name, value.as_str()?)));
            let first = texts.min_by_key(|(name, _)| *name);
            first
                .map(|(name, text)| (name, beginning(text)))
                .hash(&mut hasher);
        }
        Item::Boolean(value) => (1, value).hash(&mut hasher),
        Item::String(text) => (2, beginning(text)).hash(&mut hasher),
        Item::Time(_) => 3.hash(&mut hasher),
        Item::Date(_) | Item::DateTime(_) => 4.hash(&mut hasher),
        Item::Type(info) => (5, &info.name).hash(&mut hasher),
        // A quantity may equal a number.
        Item::Integer(_) | Item::Long(_) | Item::Decimal(_) => {
            (6, value.number().map(|number| number.normalize())).hash(&mut hasher);
        }
        Item::Quantity(quantity) => match quantity.plain() {
            Some(number) => (6, Some(number.normalize())).hash(&mut hasher),
            None => 7.hash(&mut hasher),
        },
    }
    hasher.finish()
}

/// Length and first bytes of a text: long ones need not be hashed to their end.
fn beginning(text: &str) -> (usize, &[u8]) {
    let bytes = text.as_bytes();
    (bytes.len(), bytes.get(..64).unwrap_or(bytes))
}
