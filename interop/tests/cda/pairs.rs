//! Documents with the resources that others make of them (`ccda-to-fhir`): how many of their core values are in ours.
//! What is not, and should not be, is said in `explained.txt` with the reason.

use std::collections::BTreeMap;

use fhir_spec::json::{Data, Value, parse};

use crate::harness::{convert, document, files};

/// Values and where they stand, without places in lists: `name.family` = `Example`.
pub(crate) type Leaves = Vec<(String, String)>;

/// `origin | type.path, with * at its end | reason`
fn explained() -> Vec<(String, String)> {
    include_str!("explained.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let mut parts = line.split('|').map(str::trim);
            let pair = (
                parts.next().unwrap().to_owned(),
                parts.next().unwrap().to_owned(),
            );
            assert!(
                parts.next().is_some_and(|reason| reason.len() > 10),
                "{line}: no reason"
            );
            pair
        })
        .collect()
}

/// What says nothing of the patient: technical links, words that go with a code, narrative.
const ASIDE: &[&str] = &[
    "id",
    "meta",
    "text",
    "display",
    "reference",
    "contained",
    "fullUrl",
    "resourceType",
    "url",
    "data",
];

pub(crate) fn leaves(value: &Value, path: &str, out: &mut Leaves) {
    match &value.data {
        Data::Array(items) => items.iter().for_each(|item| leaves(item, path, out)),
        Data::Object(object) => {
            let is_theirs = object
                .get("url")
                .and_then(Value::as_str)
                .is_some_and(|url| !url.starts_with("http://hl7.org/"));
            if is_theirs && path.ends_with("extension") {
                return;
            }
            for (name, value) in object.iter() {
                let is_words = name == "text" && value.as_str().is_some();
                if !ASIDE.contains(&name) || is_words && !path.is_empty() {
                    leaves(value, &format!("{path}.{name}"), out);
                }
            }
        }
        Data::String(text) | Data::Number(text) => out.push((path.to_owned(), plain(text))),
        Data::Bool(bool) => out.push((path.to_owned(), bool.to_string())),
        Data::Null => {}
    }
}

/// Dates as exact as a day: others add times and zones of their own.
fn plain(text: &str) -> String {
    let is_date = text.len() > 10
        && text.as_bytes().get(10) == Some(&b'T')
        && text.as_bytes().get(4) == Some(&b'-');
    let text = if is_date {
        text.get(..10).unwrap_or(text)
    } else {
        text
    };
    text.trim().to_lowercase()
}

pub(crate) fn all_resources<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
    for resource in value
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.get("resource"))
    {
        out.push(resource);
    }
    if out.is_empty() && value.str_of("resourceType").is_some() {
        out.push(value);
    }
    let contained: Vec<&Value> = out
        .iter()
        .flat_map(|resource| resource.items_of("contained"))
        .collect();
    out.extend(contained);
}

/// Of the resources of the same type, the one that has most of the values; how many, and what it lacks.
pub(crate) fn best(wanted: &Leaves, ours: &[Leaves]) -> (usize, Vec<String>) {
    let lacks = |have: &Leaves| {
        let lacking = wanted.iter().filter(|(path, value)| {
            !have
                .iter()
                .any(|(other, found)| value == found && (other == path || ends_alike(other, path)))
        });
        lacking
            .map(|(path, value)| format!("{path} = {value}"))
            .collect::<Vec<_>>()
    };
    let all = ours.iter().map(lacks).min_by_key(Vec::len);
    let lacking = all.unwrap_or_else(|| {
        wanted
            .iter()
            .map(|(path, value)| format!("{path} = {value}"))
            .collect()
    });
    (wanted.len() - lacking.len(), lacking)
}

/// The same element by its last name, where a choice or a wrapper differs.
fn ends_alike(a: &str, b: &str) -> bool {
    a.rsplit('.').next() == b.rsplit('.').next()
}

/// How many of the core values were found, of how many, by type; what was not, and which explanations were of use.
#[derive(Default)]
struct Score {
    by_type: BTreeMap<String, (usize, usize)>,
    told: Vec<String>,
    used: Vec<bool>,
}

impl Score {
    fn compare(
        &mut self,
        stem: &str,
        expected: &Value,
        made: &Value,
        explained: &[(String, String)],
    ) {
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        all_resources(expected, &mut theirs);
        all_resources(made, &mut ours);
        for resource in theirs {
            let kind = resource.str_of("resourceType").unwrap();
            let mut wanted = Vec::new();
            leaves(resource, "", &mut wanted);
            wanted.retain(|(path, value)| {
                let full = format!("{kind}{path} = {value}");
                let place = explained.iter().position(|(origin, pattern)| {
                    stem.starts_with(origin.trim_end_matches('*'))
                        && pattern
                            .strip_suffix('*')
                            .map_or(full == *pattern, |start| full.starts_with(start))
                });
                if let Some(place) = place {
                    self.used[place] = true;
                }
                place.is_none()
            });
            let of_type = ours
                .iter()
                .filter(|resource| resource.str_of("resourceType") == Some(kind));
            let candidates: Vec<Leaves> = of_type
                .map(|resource| {
                    let mut found = Vec::new();
                    leaves(resource, "", &mut found);
                    found
                })
                .collect();
            let (found, lacking) = best(&wanted, &candidates);
            let counts = self.by_type.entry(kind.to_owned()).or_default();
            counts.0 += found;
            counts.1 += wanted.len();
            self.told.extend(
                lacking
                    .into_iter()
                    .map(|lacking| format!("{stem}: {kind}{lacking}")),
            );
        }
    }
}

#[test]
fn the_core_values_of_others_are_in_ours() {
    let explained = explained();
    let all = files("ccda-to-fhir");
    let mut score = Score {
        used: vec![false; explained.len()],
        ..Score::default()
    };
    for (name, bytes) in &all {
        let Some(stem) = name.strip_suffix(".xml") else {
            continue;
        };
        let Some((_, expected)) = all
            .iter()
            .find(|(other, _)| *other == format!("{stem}.expected.json"))
        else {
            continue;
        };
        let made = convert(document(&String::from_utf8_lossy(bytes)).as_bytes()).unwrap();
        score.compare(stem, &parse(expected).unwrap(), &made.bundle, &explained);
    }
    if all.is_empty() {
        return;
    }
    let share = |found: usize, of: usize| (1000 * found).checked_div(of).unwrap_or(1000);
    let (mut found, mut of) = (0, 0);
    for (kind, (have, wanted)) in &score.by_type {
        println!(
            "{kind}: {have} of {wanted} core values, {} per mille",
            share(*have, *wanted)
        );
        found += have;
        of += wanted;
    }
    println!(
        "all: {found} of {of} core values, {} per mille",
        share(found, of)
    );
    if std::env::var_os("KILN_TELL").is_some() {
        println!("{}", score.told.join("\n"));
    }
    assert!(share(found, of) >= 950, "{}", score.told.join("\n"));
    for (place, used) in score.used.iter().enumerate() {
        assert!(
            used,
            "explained.txt: {:?} explains nothing",
            explained[place]
        );
    }
}
