//! `_sort`. <https://hl7.org/fhir/R4/search.html#sort>
//!
//! Of many values the first in that order counts; what has no value comes last.

use std::cmp::Ordering;

use fhir_spec::json::Value;
use rust_decimal::Decimal;

use super::folding::folded;
use super::{Ask, Found, World, Wrong, amount, date, id_of, string, token, type_of};

/// What a resource is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    Time(i64),
    /// The flag tells that it begins behind that number: `> 5` comes after 5.
    Number(Decimal, bool),
    Text(String),
}

impl<'a> World<'a> {
    /// The keys of a document for `-date,family`, in the order in which they are compared.
    pub fn sort_keys(
        &self,
        document: &'a Value,
        sort: &str,
    ) -> Result<Vec<Option<SortKey>>, Wrong> {
        let keys = sort.split(',').map(|key| key.trim_start_matches('-'));
        keys.zip(sort.split(','))
            .map(|(code, written)| {
                let mut values = self.sort_values(document, code)?;
                values.sort();
                Ok(if written.starts_with('-') {
                    values.pop()
                } else {
                    values.into_iter().next()
                })
            })
            .collect()
    }

    /// How two documents stand to each other, by their keys.
    pub fn compares(sort: &str, one: &[Option<SortKey>], other: &[Option<SortKey>]) -> Ordering {
        let keys = sort.split(',').zip(one.iter().zip(other));
        keys.fold(Ordering::Equal, |order, (written, (one, other))| {
            order.then_with(|| match (one, other) {
                (Some(one), Some(other)) if written.starts_with('-') => other.cmp(one),
                (Some(one), Some(other)) => one.cmp(other),
                (None, None) => Ordering::Equal,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            })
        })
    }

    fn sort_values(&self, document: &'a Value, code: &str) -> Result<Vec<SortKey>, Wrong> {
        if code == "_id" {
            return Ok(vec![SortKey::Text(id_of(document).into())]);
        }
        let resource_type = self
            .definitions
            .resource_types()
            .find(|name| *name == type_of(document))
            .ok_or("no such type")?;
        let parameters = self.parameters(resource_type, code);
        if parameters.is_empty() {
            return Err(format!("{resource_type} has no parameter {code}"));
        }
        let mut values = Vec::new();
        for parameter in parameters {
            let ask = Ask {
                world: self,
                parameter,
                resource_type,
                modifier: None,
            };
            for found in self.values(document, parameter).iter() {
                values.extend(sort_values_of(&ask, found)?);
            }
        }
        Ok(values)
    }
}

fn sort_values_of(ask: &Ask<'_, '_>, found: &Found<'_>) -> Result<Vec<SortKey>, Wrong> {
    Ok(match &*ask.parameter.kind {
        "string" => {
            let texts = string::texts(found).into_iter();
            texts.map(|text| SortKey::Text(folded(text))).collect()
        }
        "token" => {
            let tokens = token::tokens(ask, found).into_iter();
            tokens
                .filter_map(|(_, code)| code.map(SortKey::Text))
                .collect()
        }
        "date" => {
            let interval = date::interval(found);
            interval
                .map(|(first, _)| SortKey::Time(first))
                .into_iter()
                .collect()
        }
        "number" | "quantity" => {
            let amount = amount::amount(found);
            amount.map(|amount| amount.least()).into_iter().collect()
        }
        "uri" => {
            let uri = found.value.as_str().map(|uri| SortKey::Text(uri.into()));
            uri.into_iter().collect()
        }
        "reference" => super::reference::sort_text(ask.world, found)
            .map(SortKey::Text)
            .into_iter()
            .collect(),
        kind => return Err(format!("nothing is sorted by a {kind}")),
    })
}
