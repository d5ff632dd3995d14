//! A server asked what the world answers, page by page; and what is told when they disagree.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashSet};

use fhir_spec::json::{self, Value};

use super::queries::Query;
use super::{World, Wrong, id_of, type_of};
use crate::http::Client;

/// More pages than this no trial has.
const PAGES_MAX: usize = 2_000;

/// What a page of a server's answer holds.
struct Page {
    hits: Vec<String>,
    included: BTreeSet<(String, String)>,
    total: Option<u64>,
    next: Option<String>,
}

impl<'a> World<'a> {
    /// What the specification finds.
    pub fn answer(&self, query: &Query) -> Result<Vec<&'a Value>, Wrong> {
        let mut hits = self.matches(&query.resource_type, &query.parameters)?;
        if let Some((kind, id)) = &query.compartment {
            hits.retain(|hit| self.is_in_compartment(kind, id, hit));
        }
        Ok(hits)
    }

    /// Asks the server and compares; what is wrong, in one text.
    pub fn hold(&self, client: &Client, query: &Query) -> Result<usize, String> {
        let wanted = match self.answer(query) {
            Ok(wanted) => wanted,
            Err(wrong) => {
                let answer = client.send("GET", &target(query), &[], b"")?;
                let is_refused = answer.status == 400;
                let told = || format!("{} though: {wrong}", answer.status);
                return is_refused.then_some(0).ok_or_else(told);
            }
        };
        let hits = self.pages(client, query, &wanted)?;
        let wanted_ids: BTreeSet<&str> = wanted.iter().map(|hit| id_of(hit)).collect();
        let found: BTreeSet<&str> = hits.iter().map(String::as_str).collect();
        if found.len() < hits.len() {
            return Err(format!("a resource comes twice: {hits:?}"));
        }
        if found != wanted_ids {
            let missing: Vec<_> = wanted_ids.difference(&found).copied().collect();
            let surplus: Vec<_> = found.difference(&wanted_ids).copied().collect();
            let smallest = self.smallest(&query.resource_type, missing.iter().chain(&surplus));
            return Err(format!(
                "missing {missing:?}, surplus {surplus:?}, the smallest of them: {smallest}"
            ));
        }
        self.check_order(query, &hits)?;
        Ok(hits.len())
    }

    /// The hits in their order, every page looked at.
    fn pages(
        &self,
        client: &Client,
        query: &Query,
        wanted: &[&'a Value],
    ) -> Result<Vec<String>, String> {
        let value_of = |wanted: &str| {
            let mut named = query.parameters.iter().filter(|(name, _)| name == wanted);
            named.next().map(|(_, value)| value.as_str())
        };
        let count: Option<usize> = value_of("_count").and_then(|count| count.parse().ok());
        let mut hits: Vec<String> = Vec::new();
        let mut next = Some(target(query));
        let mut seen = HashSet::new();
        while let Some(url) = next {
            if seen.len() > PAGES_MAX || !seen.insert(url.clone()) {
                return Err(format!("pages have no end: {url}"));
            }
            // The server may be known to the world by another name.
            let page = Page::fetch(client, url.strip_prefix(self.base).unwrap_or(&url))?;
            if count.is_some_and(|count| page.hits.len() > count) {
                return Err(format!("{} hits on a page", page.hits.len()));
            }
            if value_of("_total") == Some("accurate")
                && page.total != u64::try_from(wanted.len()).ok()
            {
                return Err(format!(
                    "total {:?}, {} are there",
                    page.total,
                    wanted.len()
                ));
            }
            self.check_included(query, &page, wanted)?;
            hits.extend(page.hits);
            next = page.next;
        }
        Ok(hits)
    }

    fn check_included(
        &self,
        query: &Query,
        page: &Page,
        wanted: &[&'a Value],
    ) -> Result<(), String> {
        let own = page.hits.iter().filter_map(|id| {
            let mut all = wanted.iter().copied();
            all.find(|hit| id_of(hit) == id)
        });
        let own: Vec<&Value> = own.collect();
        if own.len() < page.hits.len() {
            // The hits are wrong, which is told later.
            return Ok(());
        }
        let wanted = self.included(&own, &query.parameters)?;
        if wanted == page.included {
            return Ok(());
        }
        let missing: Vec<_> = wanted.difference(&page.included).collect();
        let surplus: Vec<_> = page.included.difference(&wanted).collect();
        Err(format!(
            "with the hits {:?} should be included {missing:?}, should not be included {surplus:?}",
            page.hits
        ))
    }

    fn check_order(&self, query: &Query, hits: &[String]) -> Result<(), String> {
        let Some((_, sort)) = query.parameters.iter().find(|(name, _)| name == "_sort") else {
            return Ok(());
        };
        let mut before: Option<(&String, Vec<_>)> = None;
        for id in hits {
            let document = self.find(&query.resource_type, id).ok_or("it is gone")?;
            let keys = self.sort_keys(document, sort)?;
            if let Some((other, other_keys)) = &before
                && Self::compares(sort, other_keys, &keys) == Ordering::Greater
            {
                return Err(format!(
                    "{other} ({other_keys:?}) comes before {id} ({keys:?})"
                ));
            }
            before = Some((id, keys));
        }
        Ok(())
    }

    fn smallest<'i>(&self, kind: &str, ids: impl Iterator<Item = &'i &'i str>) -> String {
        let documents = ids.filter_map(|id| Some(self.find(kind, id)?.to_string()));
        documents.min_by_key(String::len).unwrap_or_default()
    }

    /// The query without what the disagreement does not need.
    pub fn shrunk(&self, client: &Client, query: &Query) -> Query {
        let mut smallest = query.clone();
        let mut at = 0;
        while at < smallest.parameters.len() {
            let mut smaller = smallest.clone();
            smaller.parameters.remove(at);
            if self.hold(client, &smaller).is_err() {
                smallest = smaller;
            } else if let Some(one) = self.with_one_value(client, &smallest, at) {
                smallest = one;
            } else {
                at += 1;
            }
        }
        smallest
    }

    /// With one of many values of a parameter, when that is enough.
    fn with_one_value(&self, client: &Client, query: &Query, at: usize) -> Option<Query> {
        let (_, values) = query.parameters.get(at)?;
        let values = super::split(values, ',');
        let mut smaller = values.iter().filter(|_| values.len() > 1).map(|value| {
            let mut smaller = query.clone();
            if let Some(parameter) = smaller.parameters.get_mut(at) {
                parameter.1.clone_from(value);
            }
            smaller
        });
        smaller.find(|smaller| self.hold(client, smaller).is_err())
    }
}

/// As it is sent.
pub(super) fn target(query: &Query) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(&query.parameters);
    let text = text.finish();
    let compartment = query.compartment.as_ref();
    let compartment = compartment.map(|(kind, id)| format!("{kind}/{id}/"));
    format!(
        "/{}{}?{text}",
        compartment.unwrap_or_default(),
        query.resource_type
    )
}

impl Page {
    fn fetch(client: &Client, url: &str) -> Result<Self, String> {
        let answer = client.send("GET", url, &[], b"")?;
        if answer.status != 200 {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        let bundle = json::parse(&answer.body).map_err(|error| error.to_string())?;
        if bundle.str_of("type") != Some("searchset") {
            return Err("it is no searchset".into());
        }
        let mut page = Self {
            hits: Vec::new(),
            included: BTreeSet::new(),
            total: bundle.get("total").and_then(Value::as_u64),
            next: None,
        };
        for entry in bundle.items_of("entry") {
            let resource = entry.get("resource").ok_or("an entry without a resource")?;
            let mode = entry.get("search").and_then(|search| search.str_of("mode"));
            match mode {
                Some("match") => page.hits.push(id_of(resource).into()),
                Some("include") => {
                    let name = (type_of(resource).to_owned(), id_of(resource).to_owned());
                    if !page.included.insert(name.clone()) {
                        return Err(format!("{name:?} is included twice"));
                    }
                }
                mode => return Err(format!("an entry of mode {mode:?}: {resource}")),
            }
        }
        let mut links = bundle.items_of("link").iter();
        let next = links.find(|link| link.str_of("relation") == Some("next"));
        page.next = next.and_then(|link| link.str_of("url")).map(str::to_owned);
        Ok(page)
    }
}
