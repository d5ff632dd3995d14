//! Messages of HL7 v2 and what other converters make of them, held against what the shipped maps make of them.
//!
//! Compared are resource types and core values (names, identifiers, codes, dates, values with their units, status), not
//! bytes: ids, references, extensions and systems that a converter made up are its own. A value counts as found when the
//! same type of resource has it at the same place. Differences that have a reason stand as rules in
//! `hl7v2/explained.tsv`; a rule names types and places, never a message.

mod core;

use std::collections::{BTreeMap, BTreeSet};

use fhir_spec::json;
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Message, Transmission};
use interop::mapping::{Occasion, Zone};

use crate::material::{files, folder};
use crate::results::Tally;
use core::{Core, Value, cores};

const EXPLAINED: &str = include_str!("hl7v2/explained.tsv");

#[test]
fn microsoft() {
    run(
        "microsoft",
        "hl7v2-to-fhir: core values of Microsoft's converter",
        "hl7v2-to-fhir: resource types of Microsoft's converter",
    );
}

#[test]
fn reportstream_inventory() {
    run(
        "reportstream-inventory",
        "hl7v2-to-fhir: core values of ReportStream's inventory",
        "hl7v2-to-fhir: resource types of ReportStream's inventory",
    );
}

#[test]
fn reportstream_messages() {
    run(
        "reportstream-messages",
        "hl7v2-to-fhir: core values of ReportStream's messages",
        "hl7v2-to-fhir: resource types of ReportStream's messages",
    );
}

/// `origin<TAB>type<TAB>place<TAB>reason`; `*` stands for all, and at the end of a place for what begins so.
struct Rule {
    origin: &'static str,
    kind: &'static str,
    place: &'static str,
    reason: &'static str,
}

impl Rule {
    fn all() -> Vec<Self> {
        let lines = EXPLAINED.lines();
        let rows = lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        rows.map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let [origin, kind, place, reason] = cells[..] else {
                panic!("explained.tsv: four columns wanted: {line}");
            };
            Self {
                origin,
                kind,
                place,
                reason,
            }
        })
        .collect()
    }

    fn fits(&self, origin: &str, kind: &str, place: &str) -> bool {
        let same = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
            Some(begin) => text.starts_with(begin),
            None => pattern == text,
        };
        same(self.origin, origin) && same(self.kind, kind) && same(self.place, place)
    }
}

/// What was found of what was expected.
#[derive(Default)]
struct Recall {
    found: usize,
    all: usize,
}

fn run(origin: &'static str, values: &'static str, types: &'static str) {
    let Some(folder) = folder("hl7v2-to-fhir") else {
        return;
    };
    let converter = Converter::shipped(Zone::utc(), &[]).unwrap_or_else(|no| panic!("{no}"));
    let rules = Rule::all();
    let mut of_values = Tally::new(values, &[]);
    let mut of_types = Tally::new(types, &[]);
    let mut by_segment: BTreeMap<String, Recall> = BTreeMap::new();
    let mut missing: BTreeMap<String, usize> = BTreeMap::new();
    for (name, bytes) in files(&folder.join(origin), ".hl7") {
        let stem = name.trim_end_matches(".hl7");
        let expected = folder.join(origin).join(format!("{stem}.expected.json"));
        let expected = json::parse(&std::fs::read(expected).unwrap()).unwrap();
        let opened = Transmission::open(&bytes, Intake::default()).unwrap();
        let text = opened.text(0).unwrap();
        let message = text.message().unwrap();
        let ours = ours(&converter, &message);
        let keys: BTreeSet<(&str, &str, &str)> = (ours.iter())
            .flat_map(|core| core.keys().map(|key| (&*core.kind, &*core.place, key)))
            .collect();
        let kinds: BTreeSet<&str> = ours.iter().map(|core| &*core.kind).collect();
        let expected = cores(
            expected
                .items_of("entry")
                .iter()
                .filter_map(|entry| entry.get("resource")),
        );
        let wanted: BTreeSet<&str> = expected.iter().map(|core| &*core.kind).collect();
        for kind in wanted {
            let case = format!("{stem} {kind}");
            let rule = rules.iter().find(|rule| rule.fits(origin, kind, ""));
            match (kinds.contains(kind), rule) {
                (false, Some(rule)) => of_types.explain(&case, rule.reason),
                (true, _) => of_types.count(&case, Ok(())),
                (false, None) => of_types.count(&case, Err("no resource of this type".to_owned())),
            }
        }
        let segments = Segments::of(&message);
        for core in &expected {
            let is_found = core
                .keys()
                .any(|key| keys.contains(&(&*core.kind, &*core.place, key)));
            let case = format!(
                "{stem} {}.{} = {}",
                core.kind,
                core.place,
                core.value.text()
            );
            let rule = rules
                .iter()
                .find(|rule| rule.fits(origin, &core.kind, &core.place));
            match (is_found, rule) {
                (true, _) => of_values.count(&case, Ok(())),
                (false, Some(rule)) => {
                    of_values.explain(&case, rule.reason);
                    continue;
                }
                (false, None) => {
                    *missing
                        .entry(format!("{}.{}", core.kind, core.place))
                        .or_default() += 1;
                    of_values.count(&case, Err("not there".to_owned()));
                }
            }
            let recall = by_segment
                .entry(segments.of_core(core).to_owned())
                .or_default();
            recall.all += 1;
            recall.found += usize::from(is_found);
        }
    }
    told(values, &by_segment, missing);
    of_types.finish();
    of_values.finish();
}

fn told(values: &str, by_segment: &BTreeMap<String, Recall>, missing: BTreeMap<String, usize>) {
    println!("{values}: recall by the segment that the value stands in");
    for (segment, recall) in by_segment {
        println!("  {segment}: {} of {}", recall.found, recall.all);
    }
    let mut missing: Vec<_> = missing.into_iter().collect();
    missing.sort_by_key(|(place, count)| (usize::MAX - count, place.clone()));
    for (place, count) in &missing {
        println!("  missing {count} {place}");
    }
}

fn ours(converter: &Converter, message: &Message<'_>) -> Vec<Core> {
    let occasion = Occasion {
        now: "2026-01-02T03:04:05Z",
        seed: "suite",
        trace: false,
    };
    match converter.convert(message, None, occasion) {
        Ok(converted) => {
            let entries = converted.mapped.entries;
            let resources: Vec<json::Value> = entries
                .into_iter()
                .map(|entry| entry.resource.into())
                .collect();
            cores(resources.iter())
        }
        Err(unmapped) => {
            println!("not mapped: {unmapped}");
            Vec::new()
        }
    }
}

/// Which segments hold a value.
struct Segments(BTreeMap<String, Vec<String>>);

impl Segments {
    fn of(message: &Message<'_>) -> Self {
        let mut held: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for segment in message.segments() {
            for field in segment.fields() {
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for part in component.subcomponents() {
                            let value = Value::of_segment(&part.text());
                            for key in value.keys() {
                                let names = held.entry(key.to_owned()).or_default();
                                names.push(segment.name().to_owned());
                            }
                        }
                    }
                }
            }
        }
        Self(held)
    }

    fn of_core(&self, core: &Core) -> &str {
        let held = core.keys().find_map(|key| self.0.get(key));
        held.and_then(|names| names.first())
            .map_or("made of codes or rules", |name| name)
    }
}
