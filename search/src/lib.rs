//! How to ask: FHIR search as rows of an index and as SQL text. Pure: no clock, no database handle.
//! <https://hl7.org/fhir/R4/search.html>
//!
//! **Writing.** [`extract::rows`] makes the [`Rows`] of a resource, before any lock is taken. The store inserts them, or
//! on an update [`Rows::difference`] of the old version's and the new one's, table by table ([`table::ALL`]), knowing
//! nothing but names of columns and values to bind ([`Rows::each`]); it adds `rid` to each row.
//!
//! **What is indexed** is paths, not parameters: see [`registry`].

pub mod extract;
pub mod hash;
mod plan;
pub mod registry;
pub mod rows;
pub mod table;
pub mod text;
pub mod types;

pub use registry::Registry;
pub use rows::Rows;
