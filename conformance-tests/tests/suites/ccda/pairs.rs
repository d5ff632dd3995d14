//! Documents with the resources that others make of them (`ccda-to-fhir`): how many of their core values are in ours.
//! What is not, and should not be, is said in `explained.txt` with the reason.

use std::collections::BTreeMap;

use fhir_spec::json::{Value, parse};

use super::harness::{convert, document, files};
use super::leaves::{Leaves, best, leaves};
use crate::results::Tally;

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

fn all_resources<'v>(value: &'v Value, out: &mut Vec<&'v Value>) {
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

/// How many of the core values were found, of how many, by type; what was not, and which explanations were of use.
#[derive(Default)]
struct Score {
    by_type: BTreeMap<String, (usize, usize)>,
    told: Vec<String>,
    used: Vec<bool>,
    explained: usize,
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
                    self.explained += 1;
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
    let mut tally = Tally::new("ccda-to-fhir: core values of others", &[]);
    let share = |found: usize, of: usize| (1000 * found).checked_div(of).unwrap_or(1000);
    let (mut found, mut of) = (0, 0);
    for (kind, (have, wanted)) in &score.by_type {
        println!(
            "{kind}: {have} of {wanted} core values, {} per mille",
            share(*have, *wanted)
        );
        found += have;
        of += wanted;
        (0..*have).for_each(|_| tally.count(kind, Ok(())));
    }
    println!(
        "all: {found} of {of} core values, {} per mille",
        share(found, of)
    );
    (0..score.explained).for_each(|_| tally.explained());
    for told in &score.told {
        tally.count(told, Err("missing".to_owned()));
    }
    tally.finish();
    assert!(share(found, of) >= 950, "{}", score.told.join("\n"));
    for (place, used) in score.used.iter().enumerate() {
        assert!(
            used,
            "explained.txt: {:?} explains nothing",
            explained[place]
        );
    }
}
