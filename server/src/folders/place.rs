//! A folder, here or elsewhere: what can be done with it.

use std::sync::Arc;

use super::error::Error;
use super::local::Local;
use super::sftp::Remote;
use crate::config::{Folder, RouteSettings, Transport};
use crate::limits::Limits;

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) size: u64,
    /// When it was written last, microseconds since 1970 UTC; servers of SFTP tell seconds.
    pub(super) modified_us: i64,
}

/// What is in a folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<Found>,
    /// Links, and files with other names.
    pub(super) passed_over: u64,
    /// There is more than is looked at.
    pub(super) is_cut: bool,
}

/// Where a file goes that is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Away {
    Archive,
    Errors,
}

/// Whether something bears another name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Done,
    /// There is something of that name, and it keeps its own.
    Taken,
    /// It is not there.
    Gone,
}

/// How something is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    /// From the beginning.
    Anew,
    /// Behind what is there.
    On,
}

pub(super) enum Place {
    Here(Arc<Local>),
    There(Box<Remote>),
}

impl Place {
    /// Opens the folder of a route; the archive and the folder of errors are made when they are not there.
    pub(super) async fn open(settings: &RouteSettings, limits: &Limits) -> Result<Self, Error> {
        let folder = settings.folder.clone().ok_or(Error::Nowhere)?;
        match (settings.transport, &settings.sftp) {
            (Transport::Folder, _) => {
                let local = beside(move || Local::open(&folder)).await?;
                Ok(Self::Here(Arc::new(local)))
            }
            (Transport::Sftp, Some(sftp)) => {
                let remote = Remote::open(sftp, folder, limits.sftp_wait_ms).await?;
                Ok(Self::There(Box::new(remote)))
            }
            _ => Err(Error::Nowhere),
        }
    }

    /// The files that are wanted of the first `most` things in the folder.
    pub(super) async fn list(&self, folder: &Folder, most: usize) -> Result<Listing, Error> {
        match self {
            Self::Here(local) => {
                let (local, pattern) = (Arc::clone(local), folder.names.clone());
                beside(move || local.list(&pattern, most)).await
            }
            Self::There(remote) => remote.list(&folder.names, most).await,
        }
    }

    /// All of a file; it must be what was found.
    pub(super) async fn read(&self, found: &Found) -> Result<Vec<u8>, Error> {
        match self {
            Self::Here(local) => {
                let (local, found) = (Arc::clone(local), found.clone());
                beside(move || local.read(&found)).await
            }
            Self::There(remote) => remote.read(found).await,
        }
    }

    /// Into the folder of errors.
    pub(super) async fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        writing: Writing,
    ) -> Result<(), Error> {
        match self {
            Self::Here(local) => {
                let (local, name) = (Arc::clone(local), name.to_owned());
                beside(move || local.write(&name, &bytes, writing)).await
            }
            Self::There(remote) => remote.write(name, &bytes, writing).await,
        }
    }

    /// Gives what was written its name.
    pub(super) async fn publish(&self, from: &str, to: &str) -> Result<Moved, Error> {
        match self {
            Self::Here(local) => {
                let (local, from, to) = (Arc::clone(local), from.to_owned(), to.to_owned());
                beside(move || local.publish(&from, &to)).await
            }
            Self::There(remote) => remote.publish(from, to).await,
        }
    }

    /// Takes a file out of the folder.
    pub(super) async fn put_away(&self, name: &str, away: Away, to: &str) -> Result<Moved, Error> {
        match self {
            Self::Here(local) => {
                let (local, name, to) = (Arc::clone(local), name.to_owned(), to.to_owned());
                beside(move || local.put_away(&name, away, &to)).await
            }
            Self::There(remote) => remote.put_away(name, away, to).await,
        }
    }

    pub(super) async fn close(self) {
        if let Self::There(remote) = self {
            remote.close().await;
        }
    }
}

/// What waits for a disk does so beside the threads that serve others.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::of("the work")(std::io::Error::other(error))))
}
