//! String: a text, found by its beginning, whatever its case and accents. <https://hl7.org/fhir/R4/search.html#string>
//!
//! Names and addresses are found by each of their parts, and each part is a path of its own: `family` and `name` share
//! the rows of `Patient.name.family`.

use fhir_spec::json::Value;

use crate::hash;
use crate::rows::{Rows, StringRow};
use crate::text;

pub(crate) fn takes(type_name: &str) -> bool {
    matches!(type_name, "string" | "markdown" | "id" | "uri")
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    let Some(written) = value.as_str() else {
        return;
    };
    let value = text::folded(written);
    if !value.is_empty() {
        let exact = exact(written, &value);
        rows.string.push(StringRow { path, value, exact });
    }
}

/// What tells a text from others that fold to the same.
pub(crate) fn exact(written: &str, folded: &str) -> i64 {
    if written == folded {
        0
    } else {
        hash::long(written)
    }
}
