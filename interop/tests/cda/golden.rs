//! Golden cases: `tests/cda/golden/<case>/{input.xml,bundle.json,loss.json}`, documents of our own invention. With
//! KILN_BLESS=1 what comes out is written there; read the difference before you commit it.

use std::fs;
use std::path::Path;

use fhir_spec::json::{Value, parse, write_pretty};
use fhir_spec::outcome::operation_outcome;

use crate::harness::{convert, errors};

fn same(path: &Path, found: &Value) {
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

#[test]
fn golden_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cda/golden");
    let mut count = 0;
    for case in fs::read_dir(root).unwrap() {
        let case = case.unwrap().path();
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
