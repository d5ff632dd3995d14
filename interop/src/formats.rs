//! Formats: bytes to a tree and back, nothing else. What a tree means is the business of maps.

pub mod delimited;
pub mod hl7v2;
