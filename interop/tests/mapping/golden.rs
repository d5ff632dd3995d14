//! Golden cases: `interop/tests/golden/<map>/<case>/{input.csv,bundle.json,loss.json}`. With KILN_BLESS=1 what comes out is
//! written there; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use fhir_spec::json::{Value, parse, write_pretty};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode};
use interop::mapping::shipped;

use crate::harness::{convert, errors};

fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut count = 0;
    for map in folders(&root) {
        for case in folders(&map) {
            let name = map.file_name().unwrap().to_str().unwrap();
            let input = fs::read(case.join("input.csv")).unwrap();
            let converted = convert(shipped().unwrap(), name, &input, None);
            let mut issues = converted.issues;
            for (line, told) in converted.bad {
                issues.push(Issue::error(IssueCode::Value, told).placed((line, 1)));
            }
            same(&case.join("bundle.json"), &converted.bundle);
            same(&case.join("loss.json"), &operation_outcome(&issues));
            assert_eq!(errors(&converted.bundle), "", "{}", case.display());
            count += 1;
        }
    }
    assert!(count >= 5, "{count} cases");
}
