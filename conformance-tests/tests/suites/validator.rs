//! Validation: the official examples are valid, the reference validator's cases get its verdict, US Core's examples
//! conform to US Core, and nothing that is fed to the validator brings it down.

mod examples;
mod mutations;
mod reference;
mod us_core;

use fhir_spec::Issue;

/// How many errors of a document are printed.
const ERRORS_SHOWN_MAX: usize = 3;

/// Errors that no line of `explained` accounts for are a failure; those that are accounted for give the reason of the
/// first. A line's left side stands somewhere in `case: place: diagnostics`.
fn unexplained(
    case: &str,
    issues: &[Issue],
    explained: &[(&'static str, &'static str)],
) -> Result<Option<&'static str>, String> {
    let mut reason = None;
    let mut errors = Vec::new();
    for issue in issues.iter().filter(|issue| issue.is_error()) {
        let at = issue.expression.as_deref().unwrap_or_default();
        let told = format!("{case}: {at}: {}", issue.diagnostics);
        match explained.iter().find(|(part, _)| told.contains(part)) {
            Some((_, why)) => reason = reason.or(Some(*why)),
            None => errors.push(format!("{at}: {}", issue.diagnostics)),
        }
    }
    if errors.is_empty() {
        return Ok(reason);
    }
    errors.truncate(ERRORS_SHOWN_MAX);
    Err(errors.join("\n    "))
}
