//! Operations: one file each, what they do without knowing who asks (an address, a command).
//! <https://hl7.org/fhir/R4/operations.html>

pub mod fhirpath;
