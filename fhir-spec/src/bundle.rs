//! Bundles that ask for something: batch and transaction. <https://hl7.org/fhir/R4/http.html#transaction>
//!
//! A bundle is taken apart into its [`Entry`]s ([`Bundle::take`]), and the links between them are rewritten ([`Links`]).
//! Who the resources are, and when something is written, is for the caller to say.

mod address;
mod entry;
mod links;
mod order;
mod read;
mod rules;

pub use address::{Address, Asked};
pub use entry::{Bundle, Entry, Kind, Method, Request, within};
pub use links::{Found, Links, Target, normalised};
pub use order::{in_order, overlaps};
pub use read::Reading;

#[cfg(test)]
mod tests;
