//! Text: words of the narrative, of the whole content, of what stands beside codes and references, found by an index of
//! their own. <https://hl7.org/fhir/R4/search.html#text>
//!
//! [`Wanted`] is what a client wrote (`wanted.rs`), [`Document`] is what the index knows of a resource (`document.rs`); both
//! are made of the same words (`words.rs`). [`TextIndex`] (`index.rs`) brings the two together: it answers with the numbers
//! of resources and how well they fit (`rank.rs`), never with resources: what is current and what the caller may see is for
//! the database to say.

mod document;
mod error;
mod index;
mod language;
mod rank;
mod wanted;
mod words;

pub(crate) use document::has_text;
pub use document::{Document, parameters_of};
pub use error::Error;
pub use index::{Found, Snapshot, TextIndex, VERSION, Writer};
pub use rank::{Rank, Ranked, Statistics};
pub use wanted::{DEPTH_MAX, Place, Sought, WORDS_MAX, Wanted};

#[cfg(test)]
mod tests;
