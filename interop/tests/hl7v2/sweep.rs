//! The public messages through the shipped maps: whatever they become is valid R4, each resource says something, and no
//! reference leads to nothing. Skipped where the material is absent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use fhir_spec::json::{Data, Value};
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Transmission};
use interop::mapping::{Occasion, Zone};

use crate::cases::errors;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "hl7") {
            found.push(path);
        }
    }
}

/// What no resource should be like.
fn silly(bundle: &Value) -> Vec<String> {
    let mut told = Vec::new();
    let urls: Vec<&str> = bundle
        .items_of("entry")
        .iter()
        .filter_map(|entry| entry.str_of("fullUrl"))
        .collect();
    for entry in bundle.items_of("entry") {
        let resource = entry.get("resource").unwrap();
        let kind = resource.str_of("resourceType").unwrap_or_default();
        if resource.as_object().is_none_or(|object| object.len() < 2) {
            told.push(format!("{kind}: says nothing"));
        }
        look(resource, kind, &urls, &mut told);
    }
    told
}

fn look(value: &Value, path: &str, urls: &[&str], told: &mut Vec<String>) {
    match &value.data {
        Data::Array(items) => {
            for item in items {
                look(item, path, urls, told);
            }
        }
        Data::Object(object) => {
            if object.is_empty() {
                told.push(format!("{path}: an empty object"));
            }
            for (name, value) in object.iter() {
                if name == "reference"
                    && value.as_str().is_some_and(|to| to.starts_with("urn:uuid:"))
                    && !urls.contains(&value.as_str().unwrap())
                {
                    told.push(format!("{path}: a reference to nothing"));
                }
                look(value, &format!("{path}.{name}"), urls, told);
            }
        }
        _ => {}
    }
}

#[test]
fn public_messages_become_valid_resources() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/testdata");
    let root = std::env::var_os("KILN_TESTDATA").map_or(root, PathBuf::from);
    let mut found = Vec::new();
    for folder in ["hl7v2-messages", "hl7v2-to-fhir"] {
        files(&root.join(folder), &mut found);
    }
    if found.is_empty() {
        println!("skipped: no public messages at {}", root.display());
        return;
    }
    found.sort();
    let converter = Converter::shipped(Zone::utc(), &[]).unwrap();
    let mut by_map: BTreeMap<String, usize> = BTreeMap::new();
    let mut unmapped: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for path in found {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(&path).unwrap();
        let Ok(opened) = Transmission::open(&bytes, Intake::default()) else {
            continue;
        };
        for place in 0..opened.message_count() {
            let text = opened.text(place).unwrap();
            let Ok(message) = text.message() else {
                continue;
            };
            let occasion = Occasion {
                now: "2026-01-02T03:04:05Z",
                seed: "sweep",
                trace: false,
            };
            let converted = match converter.convert(&message, None, occasion) {
                Ok(converted) => converted,
                Err(reason) => {
                    *unmapped.entry(reason.to_string()).or_default() += 1;
                    continue;
                }
            };
            *by_map.entry(converted.map().to_owned()).or_default() += 1;
            let map = converted.map().to_owned();
            let bundle = converted.mapped.bundle();
            let mut told = silly(&bundle);
            told.extend(errors(&bundle).lines().map(str::to_owned));
            for told in told {
                let counted = wrong
                    .entry(format!("{map}: {told}"))
                    .or_insert_with(|| (0, name.clone()));
                counted.0 += 1;
            }
        }
    }
    println!("mapped: {by_map:?}");
    println!("not mapped: {unmapped:?}");
    for (told, (count, name)) in &wrong {
        println!("{count} x {told} ({name})");
    }
    assert!(by_map.values().sum::<usize>() > 100);
    if std::env::var_os("KILN_SWEEP").is_some() {
        assert!(wrong.is_empty(), "{} kinds of faults", wrong.len());
    }
}
