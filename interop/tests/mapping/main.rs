//! The mapping engine from the outside: shipped maps, golden cases, what is wrong told, both directions, hostile input.
#![cfg(test)]

#[path = "../shared/cases.rs"]
mod cases;
mod files;
mod golden;
mod harness;
mod notation;
mod overlays;
mod reverse;
mod shared;
mod shipped;
mod synthea;
