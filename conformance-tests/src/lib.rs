//! Knocking from the street: scenarios, suites, clients, load.

pub mod http;
pub mod oracle;
pub mod scenario;
pub mod truth;
