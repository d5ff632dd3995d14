//! What is contained in other resources. <https://hl7.org/fhir/R4/search.html#contained>
//!
//! It is asked as if it were stored, with no eye for its neighbours. Nothing but its container refers to it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use fhir_spec::json::{self, Value};

use super::queries::{Asker, Query};
use super::trial::target;
use super::{World, Wrong, id_of, type_of};
use crate::http::Client;

/// More pages than this no trial has.
const PAGES_MAX: usize = 2_000;
/// Of these the made-up documents contain some.
const TYPES: &[&str] = &["Patient", "Organization", "Practitioner"];

/// `Type/id`, or `Type/id#id`, with the document by which it is found.
type Answers<'a> = BTreeMap<String, &'a Value>;

impl Asker<'_, '_> {
    /// A search for what is contained.
    pub fn contained_query(&mut self) -> Query {
        let resource_type = self.random.pick(TYPES);
        let mut parameters = Vec::new();
        for _ in 0..self.random.pick(&[0, 1, 1, 1, 2]) {
            let criterion = self.criterion(resource_type, 0);
            parameters.extend(criterion.filter(|(name, _)| {
                !name.starts_with("_has:") && !name.starts_with("_lastUpdated")
            }));
        }
        let which = self.random.pick(&["true", "true", "both"]);
        parameters.push(("_contained".into(), which.into()));
        if self.random.is(60) {
            parameters.push(("_containedType".into(), "contained".into()));
            let key = self.sort_key(resource_type);
            if self.random.is(50) && !key.contains('_') {
                parameters.push(("_sort".into(), key));
            }
        }
        if self.random.is(50) {
            let count = self.random.pick(&["1", "2", "3", "7"]);
            parameters.push(("_count".into(), count.into()));
        }
        if self.random.is(30) {
            parameters.push(("_total".into(), "accurate".into()));
        }
        Query {
            compartment: None,
            resource_type: resource_type.into(),
            parameters,
        }
    }
}

fn said<'q>(query: &'q Query, wanted: &str) -> Option<&'q str> {
    let mut named = query.parameters.iter().filter(|(name, _)| name == wanted);
    named.next().map(|(_, value)| value.as_str())
}

impl<'a> World<'a> {
    /// What the specification finds: stored resources, and what answers for those that are contained.
    fn contained_answers(&self, query: &Query) -> Result<(Answers<'a>, Answers<'a>), Wrong> {
        let mut stored = Answers::new();
        if said(query, "_contained") == Some("both") {
            let hits = self.matches(&query.resource_type, &query.parameters)?;
            let named = hits.into_iter().map(|hit| (name(hit), hit));
            stored.extend(named);
        }
        let is_itself = said(query, "_containedType") == Some("contained");
        let known = self.definitions.resource_types();
        let mut known = known.filter(|known| *known == query.resource_type);
        let resource_type = known.next().ok_or("no such type")?;
        let mut contained = Answers::new();
        for container in self.types().into_iter().flat_map(|kind| self.of_type(kind)) {
            for inner in container.items_of("contained") {
                let mut holds = type_of(inner) == resource_type;
                for (name, value) in &query.parameters {
                    holds = holds && self.holds(resource_type, inner, name, value)?;
                }
                if holds && is_itself {
                    let id = id_of(inner);
                    contained.insert(format!("{}#{id}", name(container)), inner);
                } else if holds {
                    contained.insert(name(container), inner);
                }
            }
        }
        Ok((stored, contained))
    }

    /// Asks the server and compares; how many were found, or what is wrong.
    pub fn hold_contained(&self, client: &Client, query: &Query) -> Result<usize, String> {
        let (stored, contained) = self.contained_answers(query)?;
        let total = stored.len() + contained.len();
        let found = self.contained_pages(client, query, total)?;
        let all: Answers<'_> = stored.into_iter().chain(contained).collect();
        let wanted: BTreeSet<&String> = all.keys().collect();
        let hits: BTreeSet<&String> = found.iter().collect();
        if wanted != hits {
            let missing: Vec<_> = wanted.difference(&hits).collect();
            let surplus: Vec<_> = hits.difference(&wanted).collect();
            return Err(format!("missing {missing:?}, surplus {surplus:?}"));
        }
        // A container may be a hit of its own on one page, and stand for what it contains on another one.
        if found.len() > total {
            return Err(format!("something comes twice: {found:?}"));
        }
        self.check_contained_order(query, &found, &all)?;
        Ok(found.len())
    }

    /// The addresses of the hits from the base on, page by page.
    fn contained_pages(
        &self,
        client: &Client,
        query: &Query,
        total: usize,
    ) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        let mut next = Some(target(query));
        let mut pages = 0;
        while let Some(url) = next {
            pages += 1;
            if pages > PAGES_MAX {
                return Err(format!("pages have no end: {url}"));
            }
            let url = url.strip_prefix(self.base).unwrap_or(&url);
            let answer = client.send("GET", url, &[], b"")?;
            if answer.status != 200 {
                return Err(format!("{}: {}", answer.status, answer.text()));
            }
            let bundle = json::parse(&answer.body).map_err(|error| error.to_string())?;
            let told = bundle.get("total").and_then(Value::as_u64);
            if said(query, "_total").is_some() && told != u64::try_from(total).ok() {
                return Err(format!("total {told:?}, {total} are there"));
            }
            let mut here = BTreeSet::new();
            for entry in bundle.items_of("entry") {
                let address = entry.str_of("fullUrl").unwrap_or_default();
                let address = address.strip_prefix(self.base).unwrap_or_default();
                let address = address.trim_start_matches('/').to_owned();
                if !here.insert(address.clone()) {
                    return Err(format!("{address} stands on a page twice"));
                }
                found.push(address);
            }
            let mut links = bundle.items_of("link").iter();
            let link = links.find(|link| link.str_of("relation") == Some("next"));
            next = link.and_then(|link| link.str_of("url")).map(str::to_owned);
        }
        Ok(found)
    }

    fn check_contained_order(
        &self,
        query: &Query,
        found: &[String],
        all: &Answers<'a>,
    ) -> Result<(), String> {
        let Some(sort) = said(query, "_sort") else {
            return Ok(());
        };
        let keys = found.iter().map(|name| {
            let document = all.get(name).ok_or("it is gone")?;
            self.sort_keys(document, sort)
        });
        let keys = keys.collect::<Result<Vec<_>, Wrong>>()?;
        let mut pairs = keys.windows(2).filter(|pair| match pair {
            [one, other] => World::compares(sort, one, other) == Ordering::Greater,
            _ => false,
        });
        let wrong = pairs.next().map(|pair| format!("out of order: {pair:?}"));
        wrong.map_or(Ok(()), Err)
    }
}

fn name(document: &Value) -> String {
    format!("{}/{}", type_of(document), id_of(document))
}
