//! FHIR's XML: another notation for the same documents. <https://hl7.org/fhir/R4/xml.html>
//!
//! XML is read into the tree that JSON gives and written from it, both led by the type graph: it knows what repeats, which
//! primitives are numbers in JSON, which elements are attributes, and in what order XML wants them. Text that XML and JSON
//! cannot both carry is refused, so that JSON -> XML -> JSON gives back the same document. Comments are dropped: JSON has
//! none. The narrative is kept as it is written.

pub(crate) mod attribute;
pub(crate) mod escape;
mod path;
pub(crate) mod pull;
mod read;
mod write;

pub use read::{ISSUES_MAX, read};
pub use write::{write, write_pretty};

#[cfg(test)]
mod tests;
