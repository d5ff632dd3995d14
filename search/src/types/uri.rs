//! Uri: found as it is, character by character. <https://hl7.org/fhir/R4/search.html#uri>

use fhir_spec::json::Value;

use crate::rows::{Rows, UriRow};
use crate::text;

pub(crate) fn takes(type_name: &str) -> bool {
    matches!(type_name, "uri" | "url" | "canonical" | "oid" | "uuid")
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
        let value = text::key(value);
        rows.uri.push(UriRow { path, value });
    }
}
