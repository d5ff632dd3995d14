//! FHIRPath by the official suite and by the cases of another implementation. <http://hl7.org/fhirpath/N1/>

mod explained;
mod input;
mod official;
mod other;

use std::path::Path;

use fhir_spec::definitions::Definitions;
use fhir_spec::json::{self, Value};
use fhir_spec::time::DateTime;
use fhir_spec::xml;

/// What `now()` is in the suites; any moment after their birth dates serves.
fn now() -> DateTime {
    DateTime::parse("2024-05-06T07:08:09.123+02:00").unwrap()
}

fn document(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "xml") {
        let text = String::from_utf8(bytes).unwrap();
        return xml::read(text.as_bytes(), Definitions::r4())
            .unwrap_or_else(|_| input::from_xml(&text));
    }
    json::parse(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
