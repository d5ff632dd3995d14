//! What golden cases of all formats have in common: folders with what comes in and what must come of it. With KILN_BLESS=1 what
//! comes out is written there; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use fhir_spec::json::{Value, parse, write_pretty};
use fhir_spec::validate::{Request, Validator};

pub(crate) fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

pub(crate) fn same(path: &Path, found: &Value) {
    if std::env::var_os("KILN_BLESS").is_some() {
        fs::write(path, write_pretty(found)).unwrap();
        return;
    }
    let wanted = parse(&fs::read(path).unwrap()).unwrap();
    assert_eq!(
        write_pretty(&wanted),
        write_pretty(found),
        "{}",
        path.display()
    );
}

/// What is wrong with the resources of a bundle by base R4.
pub(crate) fn errors(bundle: &Value) -> String {
    let mut errors = Vec::new();
    for entry in bundle.items_of("entry") {
        let resource = entry.get("resource").unwrap();
        // Positions of values made by code are all the same: read it as a receiver would.
        let resource = parse(resource.to_string().as_bytes()).unwrap();
        let kind = resource.str_of("resourceType").unwrap_or_default();
        for issue in Validator::r4().validate(&resource, &Request::default()) {
            if issue.is_error() {
                errors.push(format!(
                    "{kind} {:?} {}",
                    issue.expression, issue.diagnostics
                ));
            }
        }
    }
    errors.sort();
    errors.dedup();
    errors.join("\n")
}
