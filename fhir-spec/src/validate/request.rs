//! What a caller may ask of a validation, and what the validator may ask of its caller.

use std::sync::Arc;

use crate::json::Value;
use crate::outcome::Severity;

/// How a document is to be validated; the default is R4, the profiles it claims, and nobody to ask.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// The text the document was read from: issues then have lines and columns.
    pub source: Option<&'r str>,
    /// Canonical urls of profiles it must conform to, besides those it claims itself.
    pub profiles: &'r [&'r str],
    /// Who knows about resources outside the document.
    pub host: &'r dyn Host,
    /// How a broken best practice is told; None: not at all.
    pub best_practice: Option<Severity>,
    /// How an extension is told whose definition is not known: FHIR allows any, a strict receiver may not.
    pub unknown_extension: Severity,
    /// How a display is told that is not the one of its code: it may be a translation that is not known here.
    pub wrong_display: Severity,
    /// How a code is told that is not in its code system on terminology.hl7.org: these systems have got codes since R4
    /// that the edition of R4 does not list. Where a binding requires another code, that is an error all the same.
    pub unlisted_code: Severity,
    /// Whether elements that a profile supports and the document lacks are noted.
    pub notes_must_support: bool,
}

impl Default for Request<'_> {
    fn default() -> Self {
        Self {
            source: None,
            profiles: &[],
            host: &Nothing,
            best_practice: Some(Severity::Warning),
            unknown_extension: Severity::Information,
            wrong_display: Severity::Warning,
            unlisted_code: Severity::Error,
            notes_must_support: false,
        }
    }
}

/// The world outside the document, as far as validation needs it.
pub trait Host: std::fmt::Debug + Sync {
    /// The resource that a reference leads to, when the caller has it.
    fn resource(&self, _reference: &str) -> Option<Arc<Value>> {
        None
    }

    /// Whether a code is in a value set that the definitions cannot decide (SNOMED CT, LOINC, ...).
    fn is_in_value_set(
        &self,
        _value_set: &str,
        _system: Option<&str>,
        _code: &str,
    ) -> Option<bool> {
        None
    }
}

/// A host that knows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Host for Nothing {}
