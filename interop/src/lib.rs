//! How others speak: formats, maps, transports, connectors. No FHIR store, no HTTP server, no clock.

pub mod formats;
pub mod mapping;
