//! The short forms of scenarios for searches: data to be found, and what finds it.

use std::collections::HashSet;

use fhir_spec::json;
use serde_json::Value;

use super::parse::{Block, ScenarioError};
use super::{Exchange, Expectation};
use crate::http::{Answer, Client};

const JSON: (&str, &str) = ("Content-Type", "application/fhir+json");
/// More pages than any scenario has: a server whose links lead in a circle is found out.
const PAGES_MAX: usize = 1_000;

/// What a search finds, of the resources that the scenario has put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finds {
    hits: Vec<String>,
    is_ordered: bool,
    /// What comes along with them.
    included: Vec<String>,
}

/// A resource a line.
pub(super) fn data(block: &Block<'_>) -> Result<Vec<Exchange>, ScenarioError> {
    let lines = block.lines.iter().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let exchanges = lines.map(|(index, text)| {
        let line = block.line + 1 + index;
        let resource = json::parse(text.as_bytes()).map_err(|_| ScenarioError::Data(line))?;
        let name = |name| resource.str_of(name).ok_or(ScenarioError::Data(line));
        Ok(Exchange {
            line,
            method: "PUT".into(),
            path: format!("/fhir/{}/{}", name("resourceType")?, name("id")?),
            headers: vec![(JSON.0.into(), JSON.1.into())],
            body: (*text).into(),
            expectations: vec![Expectation::Stored],
        })
    });
    exchanges.collect()
}

/// A search a line, with what it finds.
pub(super) fn searches(block: &Block<'_>) -> Result<Vec<Exchange>, ScenarioError> {
    let lines = block.lines.iter().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let exchanges = lines.map(|(index, text)| {
        let line = block.line + 1 + index;
        let (query, found) = text.split_once(" -> ").ok_or(ScenarioError::Search(line))?;
        Ok(Exchange {
            line,
            method: "GET".into(),
            path: format!("/fhir/{}", query.trim()),
            headers: Vec::new(),
            body: String::new(),
            expectations: expected(found.trim()).ok_or(ScenarioError::Search(line))?,
        })
    });
    exchanges.collect()
}

fn expected(found: &str) -> Option<Vec<Expectation>> {
    let (first, rest) = found.split_once(' ').unwrap_or((found, ""));
    if let Some(status) = first.parse::<u16>().ok().filter(|status| *status >= 400) {
        let text = (!rest.is_empty()).then(|| Expectation::Contains(rest.trim().into()));
        return Some(
            [Expectation::Status(status)]
                .into_iter()
                .chain(text)
                .collect(),
        );
    }
    let (is_ordered, ids) = match found.strip_prefix("in order:") {
        Some(ids) => (true, ids),
        None => (false, found),
    };
    if ids.trim().is_empty() {
        return None;
    }
    let ids = ids.split_whitespace().filter(|id| *id != "nothing");
    let (included, hits): (Vec<&str>, Vec<&str>) = ids.partition(|id| id.starts_with('+'));
    let included = included
        .iter()
        .map(|id| id.trim_start_matches('+').to_owned());
    let finds = Finds {
        hits: hits.into_iter().map(str::to_owned).collect(),
        is_ordered,
        included: included.collect(),
    };
    Some(vec![Expectation::Status(200), Expectation::Finds(finds)])
}

impl Finds {
    /// Follows the pages from the first one on. `stored`: `Type/id` of what the scenario has put.
    pub(super) fn check(
        &self,
        client: &Client,
        first: &Answer,
        stored: &HashSet<&str>,
    ) -> Result<(), String> {
        let (mut hits, mut included) = (Vec::new(), Vec::new());
        let mut page: Value = bundle(first)?;
        for _ in 0..PAGES_MAX {
            for entry in items(&page, "entry") {
                let resource = entry.get("resource").unwrap_or(&Value::Null);
                let text = |name: &str| {
                    resource
                        .get(name)
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                };
                let place = format!("{}/{}", text("resourceType"), text("id"));
                if stored.contains(&*place) {
                    match entry.pointer("/search/mode").and_then(Value::as_str) {
                        Some("match") => hits.push(text("id").to_owned()),
                        _ => included.push(text("id").to_owned()),
                    }
                }
            }
            let is_next = |link: &&Value| link.get("relation").is_some_and(|name| name == "next");
            let next = items(&page, "link").find(is_next);
            let url = next.and_then(|link| link.get("url"));
            let Some(url) = url.and_then(Value::as_str).map(str::to_owned) else {
                break;
            };
            let path = url.find("/fhir").and_then(|at| url.get(at..));
            let path = path.ok_or_else(|| format!("a strange link: {url}"))?;
            page = bundle(&client.send("GET", path, &[], b"")?)?;
        }
        let mut wanted = self.hits.clone();
        if !self.is_ordered {
            hits.sort();
            wanted.sort();
        }
        let mut wanted_along = self.included.clone();
        included.sort();
        included.dedup();
        wanted_along.sort();
        if hits == wanted && included == wanted_along {
            return Ok(());
        }
        Err(format!(
            "expected {wanted:?} and along {wanted_along:?}, found {hits:?} and along {included:?}"
        ))
    }
}

fn items<'v>(page: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    page.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn bundle(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body).map_err(|error| format!("no page: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn short_forms_are_read() {
        let text = "## A\n```data\n{\"resourceType\": \"Patient\", \"id\": \"a\"}\n```\n```search\nPatient?x=1 -> a +b\n\
            Patient?x=2 -> in order: b a\nPatient?x=3 -> 400 x\nPatient?x=4 -> nothing\n```\n";
        let scenarios = parse(text).unwrap();
        let [scenario] = scenarios.as_slice() else {
            panic!("one scenario");
        };
        let [put, along, ordered, refused, nothing] = scenario.exchanges.as_slice() else {
            panic!("five exchanges");
        };
        assert_eq!((&*put.method, &*put.path), ("PUT", "/fhir/Patient/a"));
        assert_eq!((&*along.path, along.line), ("/fhir/Patient?x=1", 6));
        let finds = |exchange: &Exchange| match exchange.expectations.last() {
            Some(Expectation::Finds(finds)) => finds.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(finds(along).included, ["b"]);
        assert!(finds(ordered).is_ordered && !finds(along).is_ordered);
        assert_eq!(finds(nothing).hits, Vec::<String>::new());
        assert_eq!(refused.expectations[0], Expectation::Status(400));
        assert_eq!(
            parse("## A\n```data\n{}\n```\n"),
            Err(ScenarioError::Data(3))
        );
        for wrong in ["Patient", "Patient ->", "Patient -> in order:"] {
            let text = format!("## A\n```search\n{wrong}\n```\n");
            assert_eq!(parse(&text), Err(ScenarioError::Search(3)), "{wrong}");
        }
    }
}
