//! Golden cases: `tests/cda/golden/<case>/{input.xml,bundle.json,loss.json}`, documents of our own invention.

use std::fs;
use std::path::Path;

use fhir_spec::json::Value;
use fhir_spec::outcome::operation_outcome;

use crate::cases::{folders, same};
use crate::harness::{convert, errors};

#[test]
fn golden_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cda/golden");
    let mut count = 0;
    for case in folders(&root) {
        let made = convert(&fs::read(case.join("input.xml")).unwrap()).unwrap();
        let mut bundle = made.bundle.clone();
        shorten(&mut bundle);
        same(&case.join("bundle.json"), &bundle);
        same(&case.join("loss.json"), &operation_outcome(&made.issues));
        assert_eq!(errors(&made.bundle), [""; 0], "{}", case.display());
        count += 1;
    }
    assert!(count >= 2, "{count} cases");
}

/// The original is in there; its bytes are the input.
fn shorten(bundle: &mut Value) {
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if let Some(resource) = entry.get_mut("resource")
            && resource.str_of("resourceType") == Some("Binary")
            && let Some(object) = resource.as_object_mut()
        {
            object.set("data", "");
        }
    }
}
