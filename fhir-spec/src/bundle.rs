//! Bundles that ask for something: batch and transaction. <https://hl7.org/fhir/R4/http.html#transaction>
//!
//! A bundle is taken apart into its [`Entry`]s ([`Bundle::take`]), the links between them are rewritten ([`Links`]), and
//! what became of each goes into the bundle that answers ([`Response`]). Who the resources are, and when something is
//! written, is for the caller to say.

mod address;
mod entry;
mod links;
mod order;
mod read;
mod response;
mod rules;

pub use address::{Address, Asked};
pub use entry::{Bundle, Entry, Kind, Method, Request, within};
pub use links::{Found, Links, Target};
pub use order::{in_order, overlaps};
pub use read::Reading;
pub use response::{Response, ResponseBundle};

#[cfg(test)]
mod tests;
