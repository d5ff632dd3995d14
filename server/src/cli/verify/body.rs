//! A version by itself: whether its body says what its row says.

use fhir_spec::json::{Value, parse};
use search::{Registry, extract};

use super::index::Sums;
use crate::instant::Instant;
use crate::store::{Change, Made, VersionRow};

/// A body that is stored as it is.
const PLAIN: i16 = 0;

pub(super) fn check(row: &VersionRow, made: &Made, sums: &Sums, add: &(impl Fn(String) + Sync)) {
    let add = |what: String| add(format!("{}: {what}", named(row)));
    let is_current = row.head == row.key;
    if row.codec != PLAIN {
        return add(format!(
            "its body is packed in an unknown way ({})",
            row.codec
        ));
    }
    if row.change == Change::Deleted.number() {
        if !row.body.is_empty() {
            add("it is a deletion and has a body".to_owned());
        }
        return;
    }
    let document = match parse(&row.body) {
        Ok(document) => document,
        Err(error) => return add(format!("its body cannot be read: {error}")),
    };
    let meta = document.get("meta");
    let said = |name| meta.and_then(|meta| meta.str_of(name));
    let at = Instant::from_micros(row.at).to_string();
    let version = row.version.to_string();
    for (name, says, expected) in [
        (
            "resourceType",
            document.str_of("resourceType"),
            &row.resource_type,
        ),
        ("id", document.str_of("id"), &row.id),
        ("meta.versionId", said("versionId"), &version),
        ("meta.lastUpdated", said("lastUpdated"), &at),
    ] {
        if says != Some(expected) {
            let says = says.unwrap_or("nothing");
            add(format!(
                "its body says {name} is {says}, its row {expected}"
            ));
        }
    }
    if is_current {
        sums.add(row.rid, &rows(&made.registry, &document), made);
    }
}

pub(super) fn rows(registry: &Registry, document: &Value) -> search::Rows {
    extract::rows(registry, document).rows
}

/// `Patient/1/_history/2`
pub(super) fn named(row: &VersionRow) -> String {
    format!("{}/{}/_history/{}", row.resource_type, row.id, row.version)
}
