//! Golden cases: `interop/tests/golden/<map>/<case>/{input.csv,bundle.json,loss.json}`.

use std::fs;
use std::path::Path;

use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode};
use interop::mapping::shipped;

use crate::cases::{errors, folders, same};
use crate::harness::convert;

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
