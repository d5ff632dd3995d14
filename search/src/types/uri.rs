//! Uri: found as it is, character by character. <https://hl7.org/fhir/R4/search.html#uri>

use fhir_spec::json::Value;

use super::Ask;
use super::string::begins_with;
use crate::condition::{Probe, Reach, Test};
use crate::folding;
use crate::query::escape::unescaped;
use crate::registry::Source;
use crate::rows::{Rows, UriRow};
use crate::table::TableKind;

pub(crate) const MODIFIERS: &[&str] = &["below", "above"];
/// Urls with more steps than this stand above nothing that anybody keeps.
const STEPS_MAX: usize = 64;

pub(crate) fn takes(type_name: &str) -> bool {
    matches!(type_name, "uri" | "url" | "canonical" | "oid" | "uuid")
}

pub(crate) fn rows(path: i32, value: &Value, rows: &mut Rows) {
    if let Some(value) = value.as_str().filter(|value| !value.is_empty()) {
        let value = folding::key(value);
        rows.uri.push(UriRow { path, value });
    }
}

/// The uri itself, those that begin with it (`:below`), or those that it begins with, step by step (`:above`).
pub(crate) fn probes(ask: &Ask<'_>, source: &Source, value: &str) -> Result<Vec<Probe>, String> {
    let uri = unescaped(value);
    let probe = |tests| Probe::new(TableKind::Uri, source.path, Reach::Some, tests);
    let equal = |uri: &str| vec![Test::equal("value", folding::key(uri))];
    Ok(match ask.modifier {
        Some("below") => vec![probe(begins_with("value", &folding::key(&uri)))],
        Some("above") => {
            let above = above(&uri)?;
            above.into_iter().map(|uri| probe(equal(uri))).collect()
        }
        // Without a version every version is meant.
        _ if source.element.is_canonical && !uri.contains('|') => {
            let versions = begins_with("value", &folding::key(&format!("{uri}|")));
            vec![probe(equal(&uri)), probe(versions)]
        }
        _ => vec![probe(equal(&uri))],
    })
}

/// The uri and its beginnings up to each of its steps, with and without the slash.
fn above(uri: &str) -> Result<Vec<&str>, String> {
    // Names such as `urn:oid:1.2` have no steps.
    let host = uri.find("://").map_or(uri.len(), |at| at + 3);
    let mut above = vec![uri];
    for (at, _) in uri.match_indices('/').filter(|(at, _)| *at >= host) {
        above.extend([uri.get(..at), uri.get(..=at)].into_iter().flatten());
    }
    above.sort_unstable();
    above.dedup();
    if above.len() > 2 * STEPS_MAX {
        return Err(format!("a url has at most {STEPS_MAX} steps"));
    }
    Ok(above)
}
