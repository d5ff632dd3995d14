//! Knocking from the street: scenarios, suites, clients, load.

pub mod oracle;
pub mod scenario;
