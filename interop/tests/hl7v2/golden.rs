//! Golden cases: `interop/tests/golden_hl7v2/<map>/<case>/{message.hl7,bundle.json,loss.json}`. In `message.hl7` each line is a
//! segment.

use std::fs;
use std::path::Path;

use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Transmission};
use interop::mapping::{Occasion, Zone};

use crate::cases::{errors, folders, same};

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
