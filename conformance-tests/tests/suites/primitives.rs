//! Values that a primitive type must accept or refuse. <https://hl7.org/fhir/R4/datatypes.html#primitive>

use fhir_spec::json;
use fhir_spec::primitive::Primitive;

use crate::material::{files, folder};
use crate::results::Tally;

/// A line is read as JSON by the document reader first: what is no JSON is refused there.
fn is_accepted(primitive: Primitive, line: &str) -> bool {
    json::parse(line.as_bytes()).is_ok_and(|value| primitive.check(&value).is_ok())
}

#[test]
fn primitives_are_accepted_and_refused() {
    let Some(folder) = folder("fhir-primitives") else {
        return;
    };
    let mut tally = Tally::new("fhir-primitives", &[]);
    for (name, bytes) in files(&folder, ".ndjson") {
        let (type_name, rest) = name.split_once('.').unwrap();
        let primitive = Primitive::named(&camel_case(type_name)).unwrap();
        let is_valid = rest.starts_with("valid");
        let text = String::from_utf8(bytes).unwrap();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let outcome = if is_accepted(primitive, line) == is_valid {
                Ok(())
            } else {
                Err(format!("expected {is_valid}"))
            };
            tally.count(&format!("{name} {line}"), outcome);
        }
    }
    tally.finish();
}

/// `positive_int` is `positiveInt`; `base64_binary` is `base64Binary`.
fn camel_case(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let (head, tail) = part.split_at(1);
        name + &head.to_ascii_uppercase() + tail
    })
}
