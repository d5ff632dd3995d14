//! Distils the definitions that Kiln carries from a FHIR package:
//!
//! `cargo run --release -p fhir-spec --bin distill -- PACKAGE.tgz OUT.bin`
//!
//! What goes in and what is left out stands in `data/r4/PROVENANCE.md` and `definitions/slim.rs`.

use std::error::Error;
use std::fs::{self, File};
use std::io::BufReader;

use fhir_spec::definitions::{DEFINING, archive, is_base_type};
use fhir_spec::json::Value;
use fhir_spec::package::Package;

/// Specifications whose artifacts are R4's own; the package carries examples of other people beside them.
const OWNERS: &[&str] = &[
    "http://hl7.org/fhir/",
    "http://h7.org/fhir/",
    "http://terminology.hl7.org/",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(package), Some(out), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: distill PACKAGE.tgz OUT.bin".into());
    };
    let package = Package::read(BufReader::new(File::open(package)?))?;
    let mut artifacts: Vec<Value> = package.resources.into_iter().filter(is_ours).collect();
    // Neighbours in a block pack well and are asked for together: base types first, then by type and id.
    artifacts.sort_by_key(|artifact| {
        let text = |name: &str| artifact.str_of(name).unwrap_or_default().to_owned();
        let shelf = DEFINING
            .iter()
            .position(|name| *name == text("resourceType"));
        (shelf, !is_base_type(artifact), text("id"))
    });
    fs::write(out, archive::pack(&artifacts)?)?;
    Ok(())
}

fn is_ours(resource: &Value) -> bool {
    let is_defining = resource
        .str_of("resourceType")
        .is_some_and(|name| DEFINING.contains(&name));
    let url = resource.str_of("url").unwrap_or_default();
    let is_example = resource.str_of("id").is_some_and(|id| {
        id == "example" || id.starts_with("example-") && !id.starts_with("example-scenario")
    });
    is_defining && OWNERS.iter().any(|owner| url.starts_with(owner)) && !is_example
}
