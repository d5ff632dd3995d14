//! FHIR packages as they are published: they load, and everything in them can be used.

use std::fs::File;
use std::path::PathBuf;

use fhir_spec::definitions::Definitions;
use fhir_spec::package::Package;
use fhir_spec::{Issue, Severity};

#[test]
fn us_core_loads_in_all_its_versions() {
    let shared = std::env::var_os("KILN_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let mut packages = Vec::new();
    for file in ["us-core-800.tgz", "us-core-610.tgz", "us-core-700.tgz"] {
        let path = shared.join("packages").join(file);
        let Ok(tgz) = File::open(&path) else {
            println!("SKIPPED: no package {}", path.display());
            return;
        };
        packages.push(Package::read(tgz).unwrap());
    }
    let (laid, issues) = Definitions::r4().with_packages(packages);
    let is_missing = |issue: &Issue| issue.severity == Severity::Warning;
    assert!(issues.iter().all(is_missing), "{issues:?}");
    assert!(
        issues
            .iter()
            .any(|issue| issue.diagnostics.contains("us.nlm.vsac"))
    );
    // Without a version the newest; with one, that one.
    let patient = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    assert_eq!(&*laid.structure(patient).unwrap().version, "8.0.0");
    let older = laid.structure(&format!("{patient}|6.1.0")).unwrap();
    assert_eq!(&*older.version, "6.1.0");
    for definition in laid.of_type("StructureDefinition") {
        let url = definition.str_of("url").unwrap();
        assert_eq!(laid.structure_problem(url), None, "{url}");
    }
    for definition in laid.of_type("ValueSet") {
        let url = definition.str_of("url").unwrap();
        assert!(laid.value_set(url).is_some(), "{url}");
    }
    let race = laid
        .search_parameters_for("Patient")
        .filter(|parameter| &*parameter.code == "race");
    assert_eq!(race.count(), 1);
}
