//! The world: HTTP, identity, database, time.
