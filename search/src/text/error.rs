//! What can go wrong with the text index.

/// Words that may begin with what stands before a `*`.
pub(super) const BEGINNINGS_MAX: usize = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client can do something about it.
    #[error("more than {BEGINNINGS_MAX} words begin with `{0}`: write more of it")]
    TooManyBeginnings(String),
    /// Somebody else writes into it.
    #[error("another process writes into the text index")]
    Busy,
    /// It has to be made anew.
    #[error("the text index cannot be used")]
    Broken(#[source] tantivy::TantivyError),
    #[error("the files of the text index are damaged: {0}")]
    Damaged(String),
}

impl From<tantivy::TantivyError> for Error {
    fn from(error: tantivy::TantivyError) -> Self {
        match error {
            tantivy::TantivyError::LockFailure(..) => Self::Busy,
            other => Self::Broken(other),
        }
    }
}

impl From<tantivy::directory::error::OpenDirectoryError> for Error {
    fn from(error: tantivy::directory::error::OpenDirectoryError) -> Self {
        Self::Broken(error.into())
    }
}
