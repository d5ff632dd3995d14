//! Snapshots made from differentials, held against the ones their authors published.
//! <https://hl7.org/fhir/R4/profiling.html#snapshot>
//!
//! Every profile of a package is taken without its snapshot, on bases without theirs too; what is made of the
//! differential must say the same as the published snapshot, element by element. What differs, and why:
//!
//! * A slice starts as a copy of what the profile itself says of the sliced element; the publisher copies what the base
//!   says, so that `Provenance.agent:author.who` loses what the profile demands of `Provenance.agent.who`.
//! * `valueQuantity` that is required or states its type leaves `value[x]` one type; the publisher also opens a slice
//!   for it. Where it is neither, other types stay allowed, as US Core is published; R4's own vital signs and slices of
//!   components close the choice there.
//! * The publisher copies the invariants of a type's profile onto the element; here the profile is checked itself.
//! * A maximum value set of the base stays in force under a new binding.
//! * Two published snapshots of R4 leave elements of their base out (`catalog`, `familymemberhistory-genetic`).

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use fhir_spec::definitions::{Definitions, ElementDef, Structure};
use fhir_spec::json::{self, Value};

use crate::results::Tally;

#[test]
fn us_core_snapshots() {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    for (suite, file) in [
        ("snapshots: US Core 6.1.0", "us-core-610.tgz"),
        ("snapshots: US Core 7.0.0", "us-core-700.tgz"),
        ("snapshots: US Core 8.0.0", "us-core-800.tgz"),
    ] {
        let path = shared.join("packages").join(file);
        if path.is_file() {
            compare(suite, &path);
        } else {
            println!("SKIPPED: no package {}", path.display());
        }
    }
}

#[test]
fn r4_snapshots() {
    match std::env::var_os("KILN_R4_PACKAGE") {
        Some(path) => compare("snapshots: hl7.fhir.r4.examples 4.0.1", Path::new(&path)),
        None => println!("SKIPPED: KILN_R4_PACKAGE does not name hl7.fhir.r4.examples-4.0.1.tgz"),
    }
}

fn compare(suite: &'static str, path: &Path) {
    let published: Vec<Value> = profiles(path);
    let bare = published.iter().cloned().map(without_snapshot);
    let generated = Definitions::r4().with_resources(bare);
    let expected = Definitions::r4().with_resources(published.iter().cloned());
    let mut tally = Tally::new(suite, &[]);
    for profile in &published {
        let url = profile.str_of("url").unwrap();
        let expected = expected.structure(url).unwrap();
        match generated.try_structure(url) {
            Ok(made) => compare_elements(&mut tally, &expected, &made),
            Err(problem) => println!("{suite}: SKIPPED: {problem}"),
        }
    }
    tally.finish();
}

/// The profiles with both views. A package keeps no differential beside a snapshot, so its files are read here.
fn profiles(path: &Path) -> Vec<Value> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(path).unwrap()));
    let mut profiles = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("package/StructureDefinition-") {
            continue;
        }
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
        let profile = json::parse(&text).unwrap();
        let is_profile = profile.str_of("derivation") == Some("constraint");
        if is_profile && profile.get("snapshot").is_some() {
            profiles.push(profile);
        }
    }
    profiles
}

fn without_snapshot(mut profile: Value) -> Value {
    profile.as_object_mut().unwrap().remove("snapshot");
    profile
}

fn compare_elements(tally: &mut Tally, expected: &Structure, made: &Structure) {
    let by_id: HashMap<&str, &ElementDef> = made
        .elements
        .iter()
        .map(|element| (&*element.id, element))
        .collect();
    for element in &expected.elements {
        let outcome = match by_id.get(&*element.id) {
            Some(made) => same(element, made),
            None => Err("missing".to_owned()),
        };
        tally.count(&format!("{} {}", expected.url, element.id), outcome);
    }
}

fn same(expected: &ElementDef, made: &ElementDef) -> Result<(), String> {
    let (expected, made) = (facts(expected), facts(made));
    let different: Vec<String> = expected
        .iter()
        .zip(&made)
        .filter(|(expected, made)| expected != made)
        .map(|(expected, made)| format!("{expected} <> {made}"))
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    Err(different.join("; "))
}

/// What an element says, as text to compare and to print.
fn facts(element: &ElementDef) -> Vec<String> {
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    let mut keys: Vec<&str> = element.constraints.iter().map(|rule| &*rule.key).collect();
    keys.sort_unstable();
    vec![
        format!("path {}", element.path),
        format!("min {} max {:?}", element.min, element.max),
        format!("types {:?}", element.types),
        format!("binding {:?}", element.binding),
        format!(
            "fixed {:?} pattern {:?}",
            text(&element.fixed),
            text(&element.pattern)
        ),
        format!(
            "slice {:?} slicing {:?}",
            element.slice_name, element.slicing
        ),
        format!("content {:?}", element.content_reference),
        format!(
            "supported {} modifier {}",
            element.is_must_support, element.is_modifier
        ),
        format!("constraints {keys:?}"),
    ]
}
