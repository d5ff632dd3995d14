//! How others speak: formats, maps, transports, connectors. Empty so far: the room is built, nobody lives in it yet.
