//! The cases of the reference validator: does Kiln find an error where it finds one, and in the same places?
//!
//! What stays failed is not done: digital signatures (`signatures-example-2`), the logic of measures and their CQL
//! libraries (`mr-m-cql-library`, `mr-covid-mr1`), and a differential that names a choice by a type which does not exist
//! (`obs-mz`). Places are compared to the letter; most that differ are errors beyond the first, or stand one step off.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use fhir_spec::validate::{Host, Request, Validator};
use fhir_spec::{Issue, Severity, xml};

use crate::material::{explained, folder};
use crate::results::Tally;

const EXPLAINED: &str = include_str!("reference-explained.tsv");

/// Modules whose cases need terminologies that cannot be shipped (SNOMED CT, LOINC, ...).
const TERMINOLOGY: &[&str] = &["tx", "tx-advanced"];

/// Cases of other modules whose only errors are displays and codes of such terminologies, with the one they need.
const NEED_TERMINOLOGY: &[(&str, &str)] = &[
    ("mr-covid-m2", "SNOMED CT"),
    ("sdoh-type-slice", "LOINC"),
    ("choice-async-qr", "ISO 3166"),
    ("string-with-coding-async-qr", "ISO 3166"),
];

/// The resources that come with a case, and those that lie in the folder under their ids.
#[derive(Debug)]
struct Supporting {
    resources: Vec<Arc<Value>>,
    folder: PathBuf,
}

impl Host for Supporting {
    fn resource(&self, reference: &str) -> Option<Arc<Value>> {
        let url = reference.split('|').next().unwrap_or_default();
        let is_it = |resource: &Value| {
            let text = |name: &str| resource.str_of(name).unwrap_or_default();
            text("url") == url || format!("{}/{}", text("resourceType"), text("id")) == url
        };
        let with_the_case = self.resources.iter().find(|resource| is_it(resource));
        with_the_case.cloned().or_else(|| {
            let id = url.rsplit('/').next()?;
            let (_, resource) = read(&self.folder.join(format!("{id}.xml"))).ok()?;
            is_it(&resource).then(|| Arc::new(resource))
        })
    }
}

#[test]
fn the_reference_validator_agrees() {
    let Some(folder) = folder("fhir-validator") else {
        return;
    };
    let manifest = std::fs::read(folder.join("manifest.json")).unwrap();
    let manifest = json::parse(&manifest).unwrap();
    let mut plain = Tally::new("fhir-validator: error or none", explained(EXPLAINED));
    let mut terminology = Tally::new(
        "fhir-validator: error or none (needs terminologies)",
        explained(EXPLAINED),
    );
    let mut places = Tally::new("fhir-validator: same places of errors", &[]);
    for case in manifest.items_of("test-cases") {
        let name = case.str_of("name").unwrap();
        let Some(wanted) = outcome(&folder, case) else {
            println!("{name}: no outcome file");
            continue;
        };
        let found = run(&folder, case);
        let is_terminology = case
            .str_of("module")
            .is_some_and(|module| TERMINOLOGY.contains(&module))
            || NEED_TERMINOLOGY.iter().any(|(case, _)| *case == name);
        let tally = if is_terminology {
            &mut terminology
        } else {
            &mut plain
        };
        tally.count(name, compare(&wanted, &found));
        if !is_terminology {
            places.count(name, compare_places(&wanted, &found));
        }
    }
    plain.finish();
    terminology.finish();
    places.finish();
}

/// A finding of either side: its severity is error, and where it stands.
type Places = BTreeSet<String>;

/// Whether a case names a profile that is not among its files, but in a package that is not at hand.
fn needs_package(folder: &Path, profile: &Value) -> bool {
    let source = profile.str_of("source").unwrap_or_default();
    !folder.join(source).is_file()
}

/// The errors of the reference validator: with the profile, when the case has one that is at hand.
fn outcome(folder: &Path, case: &Value) -> Option<Vec<(String, String)>> {
    let file = case
        .get("profile")
        .filter(|profile| !needs_package(folder, profile))
        .and_then(|profile| profile.str_of("java"))
        .or_else(|| case.str_of("java"))?;
    let text = std::fs::read(folder.join("outcomes").join(file)).ok()?;
    let outcome = json::parse(&text).unwrap();
    let outcome = outcome.get("outcome").unwrap_or(&outcome);
    let errors = outcome
        .items_of("issue")
        .iter()
        .filter(|issue| matches!(issue.str_of("severity"), Some("error" | "fatal")));
    Some(
        errors
            .map(|issue| {
                let place = issue.items_of("expression").first();
                let text = issue
                    .get("details")
                    .and_then(|details| details.str_of("text"));
                (
                    place.and_then(Value::as_str).unwrap_or_default().to_owned(),
                    text.unwrap_or_default().to_owned(),
                )
            })
            .collect(),
    )
}

/// A resource of the suite, in either notation; the errors when it is no document.
fn read(path: &Path) -> Result<(String, Value), Vec<Issue>> {
    let bytes = std::fs::read(path).map_err(|_| Vec::new())?;
    let value = if path.extension().is_some_and(|ending| ending == "xml") {
        xml::read(&bytes, Definitions::r4())?
    } else {
        json::parse(&bytes).map_err(|malformed| vec![Issue::from(&malformed)])?
    };
    Ok((String::from_utf8_lossy(&bytes).into_owned(), value))
}

fn texts<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    value.items_of(name).iter().filter_map(Value::as_str)
}

fn run(folder: &Path, case: &Value) -> Vec<Issue> {
    let mut supporting = Vec::new();
    let profile = case
        .get("profile")
        .filter(|profile| !needs_package(folder, profile));
    let files = texts(case, "supporting")
        .chain(texts(case, "profiles"))
        .chain(
            profile
                .into_iter()
                .flat_map(|profile| texts(profile, "supporting")),
        );
    for file in files {
        if let Ok((_, resource)) = read(&folder.join(file)) {
            supporting.push(resource);
        }
    }
    let mut wanted = Vec::new();
    if let Some(source) = profile.and_then(|profile| profile.str_of("source")) {
        let (_, resource) = read(&folder.join(source)).unwrap();
        wanted.push(resource.str_of("url").unwrap_or_default().to_owned());
        supporting.push(resource);
    }
    let definitions = Definitions::r4().with_resources(supporting.iter().cloned());
    let validator = Validator::new(Arc::new(definitions));
    let host = Supporting {
        resources: supporting.into_iter().map(Arc::new).collect(),
        folder: folder.to_owned(),
    };
    let profiles: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let file = folder.join(case.str_of("file").unwrap());
    match read(&file) {
        Err(issues) => issues,
        Ok((source, document)) => validator.validate(
            &document,
            &Request {
                source: Some(&source),
                profiles: &profiles,
                host: &host,
                // As the reference validator was set.
                unknown_extension: Severity::Error,
                wrong_display: Severity::Error,
                ..Request::default()
            },
        ),
    }
}

fn compare(wanted: &[(String, String)], found: &[Issue]) -> Result<(), String> {
    let first = found.iter().find(|issue| issue.is_error());
    match (wanted.first(), first) {
        (None, Some(issue)) => {
            let at = issue.expression.as_deref().unwrap_or_default();
            Err(format!("only we: {at}: {}", issue.diagnostics))
        }
        (Some((at, text)), None) => Err(format!("only they: {at}: {text}")),
        _ => Ok(()),
    }
}

fn compare_places(wanted: &[(String, String)], found: &[Issue]) -> Result<(), String> {
    let wanted: Places = wanted.iter().map(|(place, _)| plain(place)).collect();
    let found: Places = found
        .iter()
        .filter(|issue| issue.is_error())
        .filter_map(|issue| issue.expression.as_deref())
        .map(plain)
        .collect();
    if wanted == found {
        Ok(())
    } else {
        Err(format!("they {wanted:?}, we {found:?}"))
    }
}

/// A path without what only one side writes: `/*Patient/1*/`, `.ofType(Quantity)`, `[url='..']`.
fn plain(place: &str) -> String {
    let mut text = String::new();
    let mut rest = place;
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    let mut steps = Vec::new();
    for step in text.split('.') {
        if !step.starts_with("ofType(") && !step.is_empty() {
            let step = step.split("[url=").next().unwrap_or_default();
            steps.push(step.trim_end_matches('/').to_owned());
        }
    }
    steps.join(".")
}
