//! HL7 v2 from the outside of the crate: real messages, random ones, hostile ones, the guide, and a second opinion.

// Tells clippy that helpers are test code too.
#![cfg(test)]

mod back;
#[path = "../shared/cases.rs"]
mod cases;
mod emit;
mod golden;
mod groups;
mod guide;
mod hostile;
mod mapped;
mod material;
mod random;
mod second_opinion;
mod sweep;
