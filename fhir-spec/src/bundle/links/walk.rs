//! One walk through a resource: what may be a link is seen by its text, and only then the type graph is asked.

use std::collections::HashSet;

use super::place::Place;
use super::{Found, Links, base, is_urn, narrative, normalised};
use crate::bundle::entry::Kind;
use crate::definitions::{TypeId, Types};
use crate::json::{Data, Object, Text, Value};
use crate::outcome::{Issue, IssueCode};
use crate::validate::ISSUES_MAX;

struct Walk<'w> {
    links: &'w Links,
    types: &'w Types,
    /// The base of the entry's full url.
    base: Option<&'w str>,
    place: &'w dyn Fn() -> String,
    /// The full urls of bundles around the place: what they name, they mean.
    nested: Vec<HashSet<Box<str>>>,
    bundle: Option<TypeId>,
    /// Reused to put relative links on their base.
    absolute: String,
    found: Found,
}

pub(super) fn rewrite(
    links: &Links,
    resource: &mut Value,
    full_url: Option<&str>,
    place: &dyn Fn() -> String,
    types: &Types,
) -> Found {
    let mut walk = Walk {
        links,
        types,
        base: full_url.filter(|_| links.has_http).and_then(base),
        place,
        nested: Vec::new(),
        bundle: types.by_name("Bundle"),
        absolute: String::new(),
        found: Found::default(),
    };
    let root = resource
        .str_of("resourceType")
        .and_then(|name| types.by_name(name));
    if let (Some(root), Some(object)) = (root, resource.as_object_mut()) {
        walk.object(object, &Place::root(root));
    }
    walk.found
}

impl Walk<'_> {
    fn object(&mut self, object: &mut Object, place: &Place<'_>) {
        let is_bundle = place.resource().is_some() && place.resource() == self.bundle;
        if is_bundle {
            self.nested.push(full_urls(object));
        }
        let mut misfit = None;
        for (name, value) in object.iter_mut() {
            match &mut value.data {
                Data::String(text) => match self.text(name, None, text, place) {
                    Some(Changed::Fits(new)) => *text = new,
                    Some(Changed::Misfits(new)) => {
                        *text = new;
                        misfit = Some(Text::from(name));
                    }
                    None => {}
                },
                Data::Object(inner) => {
                    let below = Place::below(place, name, None, inner, self.types);
                    self.object(inner, &below);
                }
                Data::Array(items) => self.items(name, items, place),
                Data::Null | Data::Bool(_) | Data::Number(_) => {}
            }
        }
        if let Some(name) = misfit {
            as_uri(object, &name);
        }
        if is_bundle {
            self.nested.pop();
        }
    }

    fn items(&mut self, name: &str, items: &mut [Value], place: &Place<'_>) {
        for (index, item) in items.iter_mut().enumerate() {
            match &mut item.data {
                Data::String(text) => {
                    if let Some(Changed::Fits(new)) = self.text(name, Some(index), text, place) {
                        *text = new;
                    }
                }
                Data::Object(inner) => {
                    let below = Place::below(place, name, Some(index), inner, self.types);
                    self.object(inner, &below);
                }
                // No list of FHIR holds lists.
                _ => {}
            }
        }
    }

    fn text(
        &mut self,
        name: &str,
        index: Option<usize>,
        text: &str,
        place: &Place<'_>,
    ) -> Option<Changed> {
        let links_all = self.links.kind == Kind::Transaction;
        let changed = match name {
            "reference" if index.is_none() => self.reference(text, place).map(Changed::Fits),
            "div" if links_all && text.starts_with('<') => self.div(text, place).map(Changed::Fits),
            _ if links_all && self.may_be_link(text) => self.uri(name, text, place),
            _ => None,
        };
        self.found.changed |= changed.is_some();
        changed
    }

    fn may_be_link(&self, text: &str) -> bool {
        if is_urn(text) {
            return true;
        }
        let may_be_relative = self.base.is_some() || self.links.has_relative;
        (self.links.has_http && text.starts_with("http"))
            || (may_be_relative && looks_relative(text))
    }

    fn reference(&mut self, text: &str, place: &Place<'_>) -> Option<Text> {
        let is_urn = is_urn(text);
        let is_http = self.links.has_http || self.links.has_relative;
        let is_link = is_urn || is_http || text.contains('?');
        if !is_link || text.starts_with('#') {
            return None;
        }
        if place.type_id(self.types) != self.links.types.reference {
            return None;
        }
        if is_by_criteria(text) {
            return self.by_criteria(text);
        }
        let new = self.resolve(text, false);
        let told = match (self.links.kind, &new) {
            (Kind::Transaction, None) => format!("`{text}` names no entry of the bundle"),
            (Kind::Batch, Some(_)) => {
                format!("a batch has no links between its entries, `{text}` is one")
            }
            (Kind::Transaction, Some(_)) => return new,
            (Kind::Batch, None) => return None,
        };
        if is_urn && self.nested.is_empty() && self.found.issues.len() < ISSUES_MAX {
            let path = place.path(&(self.place)(), self.types);
            let issue = Issue::error(IssueCode::NotFound, told);
            self.found
                .issues
                .push(issue.at(format!("{path}.reference")));
        }
        None
    }

    /// `Patient?identifier=1`
    fn by_criteria(&mut self, text: &str) -> Option<Text> {
        // In a bundle that is only data it is data too.
        if !self.nested.is_empty() {
            return None;
        }
        match self.links.criteria.get(text) {
            Some(target) => Some(Text::from(&*target.text)),
            None => {
                self.found.criteria.push(Text::from(text));
                None
            }
        }
    }

    fn uri(&mut self, name: &str, text: &str, place: &Place<'_>) -> Option<Changed> {
        let new = self.resolve(text, true)?;
        let (_, kind) = place.property(name, self.types)?;
        let types = &self.links.types;
        if types.uris.contains(&Some(kind.id)) {
            Some(Changed::Fits(new))
        } else if types.narrow.contains(&Some(kind.id)) {
            Some(Changed::Misfits(new))
        } else {
            None
        }
    }

    fn div(&mut self, text: &str, place: &Place<'_>) -> Option<Text> {
        let may_link = !self.links.targets.is_empty() && narrative::may_link(text);
        if !may_link || place.type_id(self.types) != self.links.types.narrative {
            return None;
        }
        narrative::rewrite(text, |link| self.resolve(link, true)).map(Into::into)
    }

    /// What a link becomes, when it leads to an entry and is not right already.
    fn resolve(&mut self, text: &str, heeds_canonical: bool) -> Option<Text> {
        let (whole, fragment) = match text.split_once('#') {
            Some((whole, fragment)) => (whole, Some(fragment)),
            None => (text, None),
        };
        let (url, version) = match whole.split_once("/_history/") {
            Some((url, version)) => (url, Some(version)),
            None => (whole, None),
        };
        if looks_relative(url) {
            // In a bundle that is only data, what is relative is meant from the full urls there.
            if !self.nested.is_empty() {
                return None;
            }
            if let Some(base) = self.base {
                self.absolute.clear();
                self.absolute.push_str(base);
                self.absolute.push('/');
                self.absolute.push_str(url);
            }
        }
        let on_base = match self.base {
            Some(_) if looks_relative(url) => self.links.find(&self.absolute),
            _ => None,
        };
        let is_known = self.links.has_relative || !looks_relative(url);
        let target = on_base.or_else(|| self.links.find(url).filter(|_| is_known))?;
        let is_own = |own: &HashSet<Box<str>>| own.contains(&*normalised(url));
        if (heeds_canonical && target.is_canonical) || self.nested.iter().any(is_own) {
            return None;
        }
        let mut new = Text::from(&*target.text);
        if let Some(stated) = version {
            new.push_str("/_history/");
            match target.version {
                Some(version) => new.push_str(&version.to_string()),
                None => new.push_str(stated),
            }
        }
        if let Some(fragment) = fragment {
            new.push('#');
            new.push_str(fragment);
        }
        (new != text).then_some(new)
    }
}

/// What a text becomes.
enum Changed {
    Fits(Text),
    /// It fits a uri, but not the type that the element has.
    Misfits(Text),
}

/// `valueUuid` becomes `valueUri`: what held a urn now holds the relative address of a resource.
fn as_uri(object: &mut Object, name: &str) {
    let plain = name
        .strip_suffix("Uuid")
        .or_else(|| name.strip_suffix("Oid"));
    let Some(plain) = plain else {
        return;
    };
    for prefix in ["", "_"] {
        let old = format!("{prefix}{name}");
        if let Some(index) = object.position(&old)
            && let Some(value) = object.remove(&old)
        {
            object.insert_at(index, &format!("{prefix}{plain}Uri"), value);
        }
    }
}

/// The full urls of a bundle that is data.
fn full_urls(bundle: &Object) -> HashSet<Box<str>> {
    let entries = bundle.get("entry").and_then(Value::as_array);
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.str_of("fullUrl"))
        .map(|url| normalised(url).into())
        .collect()
}

/// `Type?criteria`; whether there is such a type is seen when it is looked up.
fn is_by_criteria(text: &str) -> bool {
    text.split_once('?').is_some_and(|(name, criteria)| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && name.bytes().all(|byte| byte.is_ascii_alphabetic())
            && criteria.contains('=')
    })
}

/// `Type/id`, at first sight.
fn looks_relative(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_uppercase) && text.contains('/')
}
