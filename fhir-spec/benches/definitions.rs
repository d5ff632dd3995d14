//! What it costs to have definitions: loading, the first structure, membership, a package.
//!
//! `cargo bench -p fhir-spec --bench definitions`; US Core is measured when `KILN_SHARED` or `../shared` has it.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and stops when what it measures is not there"
)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fhir_spec::definitions::Definitions;
use fhir_spec::package::Package;

const ROUNDS: u32 = 100_000;

fn main() {
    let r4 = once("R4: open and build the type graph", || {
        Definitions::r4().types();
        Definitions::r4()
    });
    us_core(r4);
    let observation = "http://hl7.org/fhir/StructureDefinition/Observation";
    once("first structure(Observation)", || r4.structure(observation));
    each("structure(Observation) again", || r4.structure(observation));
    once("first structure(bp)", || {
        r4.structure("http://hl7.org/fhir/StructureDefinition/bp")
    });
    let all: Vec<String> = r4
        .of_type("StructureDefinition")
        .iter()
        .filter_map(|structure| structure.str_of("url").map(str::to_owned))
        .collect();
    once("all structures", || {
        all.iter().filter_map(|url| r4.structure(url)).count()
    });
    membership(r4);
}

fn membership(r4: &Definitions) {
    let encounters = "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode";
    let value_set = once("first value_set(v3-ActEncounterCode)", || {
        r4.value_set(encounters).unwrap()
    });
    let system = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
    each("by filter: contains AMB", || {
        value_set.contains(Some(system), "AMB", None).is_in()
    });
    let gender = r4
        .value_set("http://hl7.org/fhir/ValueSet/administrative-gender")
        .unwrap();
    each("whole system, no system said: contains female", || {
        gender.contains(None, "female", None).is_in()
    });
    each("whole system: does not contain", || {
        gender.contains(None, "nonsense", None).is_in()
    });
    let all: Vec<String> = r4
        .of_type("ValueSet")
        .iter()
        .filter_map(|value_set| value_set.str_of("url").map(str::to_owned))
        .collect();
    once("all value sets", || {
        all.iter().filter_map(|url| r4.value_set(url)).count()
    });
}

fn us_core(r4: &Definitions) {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let Ok(bytes) = std::fs::read(shared.join("packages/us-core-800.tgz")) else {
        println!(
            "SKIPPED: no packages/us-core-800.tgz in {}",
            shared.display()
        );
        return;
    };
    let before = resident_kib();
    let laid = once("read US Core 8.0.0 and lay it over", || {
        let package = Package::read(&bytes[..]).unwrap();
        r4.with_packages(vec![package]).0
    });
    let after = resident_kib();
    println!("US Core 8.0.0 keeps {} KiB", after.saturating_sub(before));
    once("first structure(us-core-patient)", || {
        laid.structure("http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient")
    });
}

fn once<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let made = black_box(run());
    println!("{what}: {:?}", start.elapsed());
    made
}

fn each<T>(what: &str, run: impl Fn() -> T) {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        black_box(run());
    }
    let each: Duration = start.elapsed() / ROUNDS;
    println!("{what}: {each:?}");
}

/// Linux says it in /proc; elsewhere there is nothing to compare.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
