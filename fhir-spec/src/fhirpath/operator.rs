//! The operators, by chapter. <http://hl7.org/fhirpath/N1/#operations>

pub(super) mod arithmetic;
pub(super) mod combining;
pub(super) mod comparison;
pub(super) mod equality;
pub(super) mod logic;
