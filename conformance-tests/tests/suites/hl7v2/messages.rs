//! Public messages, one by one: each becomes resources that are valid R4 and whose values are traced to fields, or is refused
//! with a reason that names what is wrong.

use std::collections::BTreeMap;

use fhir_spec::json::{Value, parse};
use fhir_spec::validate::{Request, Validator};
use interop::formats::hl7v2::convert::{Converted, Converter};
use interop::formats::hl7v2::{Intake, Message, Transmission};
use interop::mapping::{Occasion, Zone};

use crate::material::{files, folder};
use crate::results::Tally;

const FOLDERS: [&str; 4] = ["cdc-dex", "linuxforhealth", "microsoft", "reportstream"];

#[test]
fn messages() {
    let Some(folder) = folder("hl7v2-messages") else {
        return;
    };
    let converter = Converter::shipped(Zone::utc(), &[]).unwrap_or_else(|no| panic!("{no}"));
    let mut tally = Tally::new("hl7v2-messages: valid R4, or refused by name", &[]);
    let mut by_map: BTreeMap<String, usize> = BTreeMap::new();
    let found = FOLDERS
        .iter()
        .flat_map(|name| files(&folder.join(name), ".hl7"));
    for (name, bytes) in found {
        let opened = match Transmission::open(&bytes, Intake::default()) {
            Ok(opened) => opened,
            Err(refused) => {
                tally.explain(&name, &format!("refused: {refused}"));
                continue;
            }
        };
        for place in 0..opened.message_count() {
            let case = format!("{name} {place}");
            let text = opened.text(place).unwrap();
            let message = match text.message() {
                Ok(message) => message,
                Err(refused) => {
                    tally.explain(&case, &format!("refused: {refused}"));
                    continue;
                }
            };
            match of_message(&converter, &message) {
                Ok(map) => {
                    *by_map.entry(map).or_default() += 1;
                    tally.count(&case, Ok(()));
                }
                Err(Trouble::Refused(why)) => tally.explain(&case, &format!("refused: {why}")),
                Err(Trouble::Wrong(why)) => tally.count(&case, Err(why)),
            }
        }
    }
    for (map, count) in by_map {
        println!("hl7v2-messages: {count} by the map {map}");
    }
    tally.finish();
}

enum Trouble {
    /// By the maps, with what is wrong.
    Refused(String),
    Wrong(String),
}

/// The map that it went by.
fn of_message(converter: &Converter, message: &Message<'_>) -> Result<String, Trouble> {
    let occasion = Occasion {
        now: "2026-01-02T03:04:05Z",
        seed: "suite",
        trace: true,
    };
    let converted = converter
        .convert(message, None, occasion)
        .map_err(|unmapped| Trouble::Refused(unmapped.to_string()))?;
    let trace = converted
        .mapped
        .trace_text(converted.plan(), &converted.source());
    if trace.is_empty() && !converted.mapped.entries.is_empty() {
        return Err(Trouble::Wrong("no trace".to_owned()));
    }
    let wrong = invalid(&converted);
    if converted.has_errors() {
        let mut issues = converted.issues();
        issues.retain(fhir_spec::Issue::is_error);
        let told: Vec<String> = issues.into_iter().map(|issue| issue.diagnostics).collect();
        return Err(Trouble::Refused(told.join("; ")));
    }
    if !wrong.is_empty() {
        return Err(Trouble::Wrong(wrong));
    }
    Ok(converted.map().to_owned())
}

fn invalid(converted: &Converted<'_, '_, '_>) -> String {
    let mut errors = Vec::new();
    for entry in &converted.mapped.entries {
        // Values made by code have no positions: they are read as a receiver would.
        let text = Value::from(entry.resource.clone()).to_string();
        let resource = parse(text.as_bytes()).unwrap();
        for issue in Validator::r4().validate(&resource, &Request::default()) {
            if issue.is_error() {
                errors.push(format!("{:?} {}", issue.expression, issue.diagnostics));
            }
        }
    }
    errors.join("; ")
}
