//! Holds a scenario against a server.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use fhir_spec::definitions::Definitions;
use fhir_spec::fhirpath::{Context, Expression};
use fhir_spec::format::Format;
use fhir_spec::json::Value;

use super::{Exchange, Expectation, Scenario, parse};
use crate::http::{Answer, Client};
use crate::oracle::Oracle;

/// What came of a folder of scenarios.
#[derive(Debug, Default)]
pub struct Report {
    pub held: usize,
    pub failures: Vec<String>,
}

/// Runs every scenario of every `.md` file below a folder. The error: a file that cannot be read.
pub fn run_folder(base: &str, folder: &Path, oracle: Option<&Oracle>) -> Result<Report, String> {
    let mut report = Report::default();
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", folder.display());
    for entry in std::fs::read_dir(folder).map_err(|error| told(&error))? {
        let path = entry.map_err(|error| told(&error))?.path();
        if path.is_dir() {
            let inner = run_folder(base, &path, oracle)?;
            report.held += inner.held;
            report.failures.extend(inner.failures);
        } else if path.extension().is_some_and(|ending| ending == "md") {
            let text = std::fs::read_to_string(&path).map_err(|error| told(&error))?;
            let scenarios = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            for scenario in &scenarios {
                match run(base, scenario, oracle) {
                    Ok(()) => report.held += 1,
                    Err(failure) => report
                        .failures
                        .push(format!("{}: {failure}", path.display())),
                }
            }
        }
    }
    Ok(report)
}

/// Sends every request in order; the error tells each expectation that did not hold, and what came instead. With an
/// oracle every resource that comes back must please it too.
pub fn run(base: &str, scenario: &Scenario, oracle: Option<&Oracle>) -> Result<(), String> {
    let client = Client::new(base);
    let mut kept = HashMap::from([("base".to_owned(), base.to_owned())]);
    let mut stored = HashSet::new();
    for exchange in &scenario.exchanges {
        let answer = send(&client, exchange, &kept)
            .map_err(|error| format!("line {}: {error}", exchange.line))?;
        let mut failures = String::new();
        for expectation in &exchange.expectations {
            let checked = match expectation {
                Expectation::Stored => {
                    stored.extend(exchange.path.split_once("/fhir/").map(|(_, place)| place));
                    let is_stored = matches!(answer.status, 200 | 201);
                    holds(is_stored, || "expected it to be stored".to_owned())
                }
                Expectation::Finds(finds) => finds.check(&client, &answer, &stored),
                _ => check(expectation, &answer, &mut kept),
            };
            if let Err(reason) = checked {
                failures.push_str(&format!("  {reason}\n"));
            }
        }
        if let Some(objection) = oracle.and_then(|oracle| objection(oracle, &answer.body)) {
            failures.push_str(&format!("  the schema of FHIR objects: {objection}\n"));
        }
        if !failures.is_empty() {
            let body = String::from_utf8_lossy(answer.body.get(..2000).unwrap_or(&answer.body));
            return Err(format!(
                "{}, line {}: {} {}\n{failures}  answered {} {:?}\n  {body}",
                scenario.title,
                exchange.line,
                exchange.method,
                exchange.path,
                answer.status,
                answer.headers
            ));
        }
    }
    Ok(())
}

fn send(
    client: &Client,
    exchange: &Exchange,
    kept: &HashMap<String, String>,
) -> Result<Answer, String> {
    let filled = |(name, value): &(String, String)| Ok((name.clone(), fill(value, kept)?));
    let headers = exchange.headers.iter().map(filled);
    let headers = headers.collect::<Result<Vec<_>, String>>()?;
    let (path, body) = (fill(&exchange.path, kept)?, fill(&exchange.body, kept)?);
    client.send(&exchange.method, &path, &headers, body.as_bytes())
}

fn check(
    expectation: &Expectation,
    answer: &Answer,
    kept: &mut HashMap<String, String>,
) -> Result<(), String> {
    match expectation {
        Expectation::Status(status) => holds(answer.status == *status, || {
            format!("expected status {status}")
        }),
        Expectation::Header { name, pattern } => {
            let pattern = fill(pattern, kept)?;
            let value = answer.header(name);
            holds(value.is_some_and(|value| matches(value, &pattern)), || {
                format!("expected header {name}: {pattern}")
            })
        }
        Expectation::Where(expression) => {
            let expression = fill(expression, kept)?;
            let results = evaluate(&answer.body, &expression)?;
            let is_true = matches!(results.as_slice(), [only] if only.as_bool() == Some(true));
            holds(is_true, || {
                format!("expected {expression}, which is {results:?}")
            })
        }
        Expectation::Contains(text) => {
            let text = fill(text, kept)?;
            holds(answer.text().contains(&text), || {
                format!("expected the body to contain {text}")
            })
        }
        Expectation::Lacks(text) => {
            let text = fill(text, kept)?;
            holds(!answer.text().contains(&text), || {
                format!("expected the body to lack {text}")
            })
        }
        Expectation::Let { name, expression } => {
            let results = evaluate(&answer.body, expression)?;
            let [only] = results.as_slice() else {
                return Err(format!(
                    "expected one value of {expression}, not {}",
                    results.len()
                ));
            };
            let text = only
                .as_str()
                .map_or_else(|| only.to_string(), str::to_owned);
            kept.insert(name.clone(), text);
            Ok(())
        }
        Expectation::LetHeader { name, header } => {
            let value = answer
                .header(header)
                .ok_or_else(|| format!("expected a header {header}"))?;
            kept.insert(name.clone(), value.to_owned());
            Ok(())
        }
        Expectation::Stored | Expectation::Finds(_) => Ok(()),
    }
}

/// What the schema holds against an answer, when that is a resource.
fn objection(oracle: &Oracle, body: &[u8]) -> Option<String> {
    let resource: serde_json::Value = serde_json::from_slice(body).ok()?;
    resource.get("resourceType")?;
    match oracle.objections(&resource) {
        Ok(objections) => objections.into_iter().next(),
        Err(error) => Some(error.to_string()),
    }
}

/// What an expression says of the answered resource, JSON or XML.
fn evaluate(body: &[u8], expression: &str) -> Result<Vec<Value>, String> {
    let definitions = Definitions::r4();
    let resource = Format::of(body)
        .read(body, definitions)
        .map_err(|issues| format!("the body is no document: {issues:?}"))?;
    let expression = Expression::parse(expression).map_err(|error| error.to_string())?;
    let results = expression
        .evaluate(&Context::new(definitions.types(), &resource))
        .map_err(|error| error.to_string())?;
    Ok(results.iter().map(|item| item.to_json()).collect())
}

fn holds(is_true: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_true { Ok(()) } else { Err(otherwise()) }
}

/// Whether a text is what a pattern says; `*` stands for any run of characters.
fn matches(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return text == pattern;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

/// Puts what was kept in the place of each `${NAME}`.
fn fill(text: &str, kept: &HashMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("${") {
        filled.push_str(before);
        let (name, behind) = behind.split_once('}').ok_or("expected `}` behind `${`")?;
        if let Some(repeat) = name.strip_prefix("repeat ") {
            let (times, what) = repeat.split_once(' ').ok_or("expected `repeat N TEXT`")?;
            let times: usize = times.parse().map_err(|_| "expected a number of repeats")?;
            filled.push_str(&what.repeat(times));
        } else {
            let value = kept
                .get(name)
                .ok_or_else(|| format!("nothing was kept as {name}"))?;
            filled.push_str(value);
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        assert!(matches("a/Patient/1", "*/Patient/*"));
        assert!(matches("abc", "abc") && matches("abc", "a*c") && matches("abc", "*"));
        assert!(!matches("abc", "ab") && !matches("abc", "b*") && !matches("abc", "*b"));
        assert!(matches("x-y-z-y", "x*y*y") && !matches("x-y", "x*y*y"));
    }

    #[test]
    fn texts_are_filled() {
        let kept = HashMap::from([("id".to_owned(), "7".to_owned())]);
        assert_eq!(fill("/a/${id}/b", &kept).as_deref(), Ok("/a/7/b"));
        assert_eq!(fill("${repeat 3 [{}", &kept).as_deref(), Ok("[{[{[{"));
        assert!(fill("${no}", &kept).is_err() && fill("${id", &kept).is_err());
    }
}
