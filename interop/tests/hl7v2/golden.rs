//! Golden cases: `interop/tests/golden_hl7v2/<map>/<case>/{message.hl7,bundle.json,loss.json}`. In `message.hl7` each line is a
//! segment. With KILN_BLESS=1 what comes out is written there; read the difference before you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use fhir_spec::json::{Value, parse, write_pretty};
use fhir_spec::validate::{Request, Validator};
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Transmission};
use interop::mapping::{Occasion, Zone};

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

#[test]
fn golden_cases() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_hl7v2");
    let converter = Converter::shipped(Zone::parse("America/New_York").unwrap(), &[]).unwrap();
    let mut count = 0;
    for map in folders(&root) {
        for case in folders(&map) {
            let lines = fs::read_to_string(case.join("message.hl7")).unwrap();
            let bytes = lines.replace('\n', "\r");
            let opened = Transmission::open(bytes.as_bytes(), Intake::default()).unwrap();
            let text = opened.text(0).unwrap();
            let message = text.message().unwrap();
            let occasion = Occasion {
                now: "2024-06-01T08:00:00Z",
                seed: "golden",
                trace: false,
            };
            let converted = converter.convert(&message, None, occasion).unwrap();
            assert_eq!(converted.map(), map.file_name().unwrap().to_str().unwrap());
            let loss = converted.loss_report();
            let bundle = converted.mapped.bundle();
            same(&case.join("bundle.json"), &bundle);
            same(&case.join("loss.json"), &loss);
            assert_eq!(errors(&bundle), "", "{}", case.display());
            count += 1;
        }
    }
    println!("{count} golden cases");
    assert!(count >= 1, "{count} cases");
}
