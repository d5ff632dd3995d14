//! For people: what messages of the public material become, printed. Run with `--ignored` and a folder in `KILN_LOOK`.

use std::fs;

use fhir_spec::json::write_pretty;
use interop::formats::hl7v2::convert::Converter;
use interop::formats::hl7v2::{Intake, Transmission};
use interop::mapping::{Occasion, Zone};

#[test]
#[ignore = "prints what a file becomes"]
fn look() {
    let path = std::env::var("KILN_LOOK").unwrap();
    let converter = Converter::shipped(Zone::utc(), &[]).unwrap();
    let bytes = fs::read(path).unwrap();
    let opened = Transmission::open(&bytes, Intake::default()).unwrap();
    for place in 0..opened.message_count() {
        let text = opened.text(place).unwrap();
        let message = text.message().unwrap();
        let occasion = Occasion {
            now: "2026-01-02T03:04:05Z",
            seed: "look",
            trace: false,
        };
        let converted = converter.convert(&message, None, occasion).unwrap();
        for issue in converted.issues() {
            println!("{:?} {}", issue.severity, issue.diagnostics);
        }
        println!("{}", write_pretty(&converted.mapped.bundle()));
    }
}
