//! Uri: as it is written. <https://hl7.org/fhir/R4/search.html#uri>

use super::{Ask, Found};

pub(super) fn is(ask: &Ask<'_, '_>, found: &Found<'_>, wanted: &str) -> bool {
    let Some(uri) = found.value.as_str() else {
        return false;
    };
    match ask.modifier {
        Some("below") => uri.starts_with(wanted),
        Some("above") => is_above(uri, wanted),
        // A canonical without a version means every version.
        _ if found.kind == "canonical" && !wanted.contains('|') => {
            uri.split('|').next() == Some(wanted)
        }
        _ => uri == wanted,
    }
}

/// Whether it is the other one, or a beginning of it that ends where a step of the path ends.
fn is_above(uri: &str, wanted: &str) -> bool {
    let Some(rest) = wanted.strip_prefix(uri) else {
        return false;
    };
    let is_whole = uri.contains("://") && !uri.ends_with("://");
    rest.is_empty()
        || (is_whole && !uri.ends_with(":/") && (uri.ends_with('/') || rest.starts_with('/')))
}
