//! How others speak: formats, maps, transports, connectors. No FHIR store, no HTTP server, no clock.

pub mod formats;
pub mod host;
pub mod mapping;
pub mod route;
pub mod transports;
