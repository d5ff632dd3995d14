//! How others speak: formats, maps, transports, connectors.
