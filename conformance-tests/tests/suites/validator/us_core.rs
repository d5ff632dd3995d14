//! US Core's own examples, against each US Core package, loaded as a user loads it.
//!
//! The examples are those of version 9.0.0, which is not among the packages: they are held against the same profiles of
//! the versions that are. What changed between the versions is explained in the data file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use fhir_spec::package::Package;
use fhir_spec::validate::{Request, Validator};

use crate::material::{explained, files, folder};
use crate::results::Tally;

const EXPLAINED: &str = include_str!("us-core-explained.tsv");

#[test]
fn us_core_examples_conform() {
    let Some(folder) = folder("us-core-examples") else {
        return;
    };
    let packages = folder.join("../../packages");
    for (suite, file) in [
        ("us-core-examples: US Core 6.1.0", "us-core-610.tgz"),
        ("us-core-examples: US Core 7.0.0", "us-core-700.tgz"),
        ("us-core-examples: US Core 8.0.0", "us-core-800.tgz"),
    ] {
        let path = packages.join(file);
        if path.is_file() {
            examples_against(suite, &path, &folder);
        } else {
            println!("SKIPPED {suite}: no package {}", path.display());
        }
    }
}

fn examples_against(suite: &'static str, package: &Path, folder: &Path) {
    let package = Package::read(File::open(package).unwrap()).unwrap();
    let (definitions, _) = Definitions::r4().with_packages(vec![package]);
    let validator = Validator::new(Arc::new(definitions));
    let explained = explained(EXPLAINED);
    let mut tally = Tally::new(suite, &[]);
    for (name, bytes) in files(folder, ".json") {
        let mut document = json::parse(&bytes).unwrap();
        forget_profile_versions(&mut document);
        let issues = validator.validate(&document, &Request::default());
        let case = format!("{suite}: {name}");
        match super::unexplained(&case, &issues, explained) {
            Ok(Some(reason)) => tally.explain(&name, reason),
            Ok(None) => tally.count(&name, Ok(())),
            Err(problem) => tally.count(&name, Err(problem)),
        }
    }
    tally.finish();
}

fn forget_profile_versions(document: &mut Value) {
    let Some(Some(profiles)) = document
        .get_mut("meta")
        .and_then(|meta| meta.get_mut("profile"))
        .map(Value::as_array_mut)
    else {
        return;
    };
    for profile in profiles {
        let canonical = profile.as_str().unwrap_or_default();
        let url = canonical.split('|').next().unwrap_or_default().to_owned();
        *profile = Value::from(url);
    }
}
