//! Clinical documents from the outside of the crate: what is read and refused, the notation, golden cases, real material.

// Tells clippy that helpers are test code too.
#![cfg(test)]

#[path = "../shared/cases.rs"]
#[expect(dead_code, reason = "these tests judge whole bundles")]
mod cases;
mod editions;
mod golden;
mod harness;
mod hostile;
mod leaves;
mod material;
mod notation;
mod out;
mod rules;
