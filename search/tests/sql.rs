//! Searches as SQL: what stands in the statements, and that a real database finds with them what is meant.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops when what it needs is not there"
)]

mod sql {
    mod bare;
    mod chains;
    mod database;
    mod differential;
    mod documents;
    mod hostile;
    mod includes;
    mod meaning;
    mod snapshots;
    mod special;
    mod texts;
}
