//! What FHIR says: documents, paths, rules and formats. Pure: no clock, no network, no database.
//! <https://hl7.org/fhir/R4/>

pub mod bundle;
pub mod decimal;
pub mod definitions;
pub mod fhirpath;
pub mod format;
pub mod json;
pub mod narrative;
pub mod outcome;
pub mod package;
pub mod parameters;
pub mod patch;
pub mod primitive;
pub mod reference;
pub mod summary;
pub mod terminology;
pub mod time;
pub mod ucum;
pub mod validate;
pub mod xml;

pub use outcome::{Issue, IssueCode, Severity};
