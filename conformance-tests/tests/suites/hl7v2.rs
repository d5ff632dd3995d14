//! Messages of HL7 v2 and what other converters make of them, held against what the shipped maps make of them.
//!
//! Compared are resource types and core values (names, identifiers, codes, dates, values with their units, status), not
//! bytes: ids, references, extensions and systems that a converter made up are its own. A value counts as found when the
//! same type of resource has it at the same place. Differences that have a reason stand as rules in
//! `hl7v2/explained.tsv`; a rule names types and places, never a message. `KILN_LIST=1` prints every value that is missing
//! and where else it stands.

mod core;
mod messages;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use fhir_spec::json;
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Message, Transmission};
use interop::mapping::{HL7V2, Occasion, Zone};

use crate::material::{files, folder, maps};
use crate::results::Tally;
use core::{Core, Value, cores, every};
use rules::{Held, Rules};

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

/// What became of the values that were expected.
#[derive(Default)]
struct Recall {
    found: usize,
    explained: usize,
    missing: usize,
}

fn run(origin: &'static str, values: &'static str, types: &'static str) {
    let Some(folder) = folder("hl7v2-to-fhir") else {
        return;
    };
    let converter = Converter::new(maps(HL7V2), Zone::utc(), &[]);
    let converter = converter.unwrap_or_else(|no| panic!("{no}"));
    let rules = Rules::read(origin);
    let mut of_values = Tally::new(values, &[]);
    let mut of_types = Tally::new(types, &[]);
    let mut table = Table::default();
    for (name, bytes) in files(&folder.join(origin), ".hl7") {
        let stem = name.trim_end_matches(".hl7");
        let expected = folder.join(origin).join(format!("{stem}.expected.json"));
        let expected = json::parse(&std::fs::read(expected).unwrap()).unwrap();
        let opened = Transmission::open(&bytes, Intake::default()).unwrap();
        let text = opened.text(0).unwrap();
        let message = text.message().unwrap();
        let ours = ours(&converter, &message);
        let held = Held::of(&ours);
        let expected = cores(
            expected
                .items_of("entry")
                .iter()
                .filter_map(|entry| entry.get("resource")),
        );
        let wanted: BTreeSet<&str> = expected.iter().map(|core| &*core.kind).collect();
        for kind in wanted {
            let case = format!("{stem} {kind}");
            match rules.reason_of_type(kind) {
                _ if held.has_kind(kind) => of_types.count(&case, Ok(())),
                Some(reason) => of_types.explain(&case, reason),
                None => of_types.count(&case, Err("no resource of this type".to_owned())),
            }
        }
        let segments = Segments::of(&message);
        for core in &expected {
            let (kind, place, value) = (&core.kind, &core.place, core.value.text());
            let case = format!("{stem} {kind}.{place} = {value}");
            let of = segments.of_core(core);
            let segment = of.unwrap_or("made of codes or rules");
            let recall = table.by_segment.entry(segment.to_owned()).or_default();
            if held.has(core) {
                recall.found += 1;
                of_values.count(&case, Ok(()));
            } else if let Some(reason) = rules.reason(core, of, &held) {
                recall.explained += 1;
                of_values.explain(&case, reason);
            } else {
                recall.missing += 1;
                let group = format!("{kind}.{place} ({segment})");
                *table.missing.entry(group).or_default() += 1;
                if std::env::var_os("KILN_LIST").is_some() {
                    let elsewhere = held.places(core).join(", ");
                    println!("LIST\t{case}\t{segment}\t{elsewhere}");
                }
                of_values.count(&case, Err("not there".to_owned()));
            }
        }
    }
    table.tell(values);
    of_types.finish();
    of_values.finish();
}

#[derive(Default)]
struct Table {
    by_segment: BTreeMap<String, Recall>,
    /// By type, place and segment.
    missing: BTreeMap<String, usize>,
}

impl Table {
    fn tell(self, values: &str) {
        println!("{values}: by the segment that the value stands in");
        println!("  segment: present, explained, missing; present or explained");
        for (segment, recall) in &self.by_segment {
            let (found, explained, missing) = (recall.found, recall.explained, recall.missing);
            let percent = (found + explained) * 100 / (found + explained + missing);
            println!("  {segment}: {found}, {explained}, {missing}; {percent} %");
        }
        let mut missing: Vec<_> = self.missing.into_iter().collect();
        missing.sort_by_key(|(place, count)| (usize::MAX - count, place.clone()));
        for (place, count) in &missing {
            println!("  missing {count} {place}");
        }
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
            every(resources.iter())
        }
        Err(unmapped) => {
            println!("not mapped: {unmapped}");
            Vec::new()
        }
    }
}

/// Which segment holds a value first.
struct Segments(BTreeMap<String, String>);

impl Segments {
    fn of(message: &Message<'_>) -> Self {
        let mut held: BTreeMap<String, String> = BTreeMap::new();
        for segment in message.segments() {
            for field in segment.fields() {
                for repetition in field.repetitions() {
                    for component in repetition.components() {
                        for part in component.subcomponents() {
                            let value = Value::of_segment(&part.text());
                            for key in value.keys() {
                                held.entry(key.to_owned())
                                    .or_insert_with(|| segment.name().to_owned());
                            }
                        }
                    }
                }
            }
        }
        Self(held)
    }

    /// None where the value is not in the message as it is.
    fn of_core(&self, core: &Core) -> Option<&str> {
        let mut held = core.keys().filter_map(|key| self.0.get(key));
        held.next().map(String::as_str)
    }
}
