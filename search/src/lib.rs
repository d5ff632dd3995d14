//! How to ask: FHIR search as rows of an index and as SQL text. Pure: no clock, no database handle.
//! <https://hl7.org/fhir/R4/search.html>
//!
//! **Writing.** [`extract::rows`] makes the [`Rows`] of a resource, before any lock is taken. The store inserts them, or
//! on an update [`Rows::difference`] of the old version's and the new one's, table by table ([`table::ALL`]), knowing
//! nothing but names of columns and values to bind ([`Rows::each`]); it adds `rid` to each row.
//!
//! **What is indexed** is paths, not parameters: see [`registry`].
//!
//! **Asking.** [`query::parse`] reads the parameters of a request into conditions ([`condition`]), strictly, all that is
//! wrong at once. [`sql::select`] and [`sql::count`] make one statement of them, for either database; [`matching`] holds
//! them against the rows of one resource, without a database. [`sql::sorted`] gives pages in the order of `_sort`, from the
//! place where the page before ended; [`query::Include`] tells what comes along with a hit.

pub mod condition;
pub mod contained;
pub mod extract;
mod folding;
mod hash;
pub mod matching;
mod plan;
pub mod query;
pub mod registry;
pub mod rows;
pub mod sql;
pub mod table;
pub mod terminology;
pub mod text;
pub mod types;

pub use registry::Registry;
pub use rows::Rows;
