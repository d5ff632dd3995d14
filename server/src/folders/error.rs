//! What can go wrong with a folder.

use std::io;

/// Why a folder or a file in it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{what} failed: {source}")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    /// It is looked at again the next time.
    #[error("{0} has changed while it was read")]
    Changed(String),
    #[error("{0} is no file")]
    NoFile(String),
    #[error("{what} failed: {told}")]
    Sftp { what: String, told: String },
    #[error("{0} did not answer in time")]
    Late(String),
    #[error("the server shows the key {0}, which is not the one that the route names")]
    HostKey(String),
    #[error("the server does not let {0} in")]
    Login(String),
    #[error("the secret in {what} cannot be used: {told}")]
    Secret { what: String, told: String },
    #[error("the route does not say where")]
    Nowhere,
}

impl Error {
    pub(super) fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            what: what.into(),
            source,
        }
    }
}
