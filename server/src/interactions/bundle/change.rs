//! The patch that an entry carries: FHIRPath Patch in Parameters, the other notations in a Binary.
//! <https://hl7.org/fhir/R4/http.html#patch>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fhir_spec::Issue;
use fhir_spec::json::{Value, parse};

use crate::fault::{Fault, Kind};
use crate::interactions::patch::Patch;

pub(super) fn change(resource: &Value) -> Result<Patch, Fault> {
    if resource.str_of("resourceType") == Some("Parameters") {
        return Ok(Patch::FhirPath(resource.clone()));
    }
    let notation = resource
        .str_of("contentType")
        .and_then(|named| named.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let bytes = resource
        .str_of("data")
        .map(|data| data.split_ascii_whitespace().collect::<String>())
        .and_then(|data| STANDARD.decode(data).ok())
        .ok_or_else(|| malformed("a patch in a Binary stands in its `data`, in base64"))?;
    match notation.as_str() {
        "application/json-patch+json" => json(&bytes).map(Patch::Json),
        "application/merge-patch+json" => json(&bytes).map(Patch::Merge),
        "application/xml-patch+xml" => String::from_utf8(bytes)
            .map(Patch::Xml)
            .map_err(|error| malformed("the patch is not UTF-8").because(error)),
        _ => Err(malformed(
            "the contentType of a patch in a Binary is application/json-patch+json, \
             application/merge-patch+json or application/xml-patch+xml",
        )),
    }
}

fn json(bytes: &[u8]) -> Result<Value, Fault> {
    parse(bytes)
        .map_err(|malformed| Fault::of_issues(Kind::Malformed, vec![Issue::from(&malformed)]))
}

fn malformed(told: &str) -> Fault {
    Fault::new(Kind::Malformed, told)
}
