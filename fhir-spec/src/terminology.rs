//! Terminology: which codes a system has and which of them a value set takes.
//! <https://hl7.org/fhir/R4/terminology-module.html>
//!
//! Code systems and value sets are built from their resources when first asked for
//! ([`crate::definitions::Definitions::code_system`], [`crate::definitions::Definitions::value_set`]) and then answer
//! from hash tables. What cannot be decided from what is loaded is said to be unknown, never guessed.

mod code_system;
mod expansion;
mod filter;
mod membership;
mod rules;
mod selection;
mod standard;
mod value_set;

pub use code_system::{CodeSystem, Concept, Content, Property};
pub use expansion::{Contained, EXPANSION_CODES_MAX, ExpandError, Expansion, Page};
pub use membership::{Membership, Reason};
pub use value_set::{IMPORT_DEPTH_MAX, ValueSet};

/// Whether a system whose codes follow a grammar (UCUM, language tags, MIME types) has this code. None for all other
/// systems, and where it cannot be told.
pub fn follows_grammar(system: &str, code: &str) -> Option<bool> {
    rules::RuleSystem::of(system)?.has(code)
}

#[cfg(test)]
mod tests;
