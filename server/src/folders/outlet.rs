//! A folder into which files are put for others: what is there under its name is whole.

use super::error::Error;
use super::place::{Moved, Place, Writing};
use crate::config::{DestinationSettings, Folder, Order, RouteSettings};
use crate::limits::Limits;

/// What is being written; only one at a time.
const PART: &str = ".kiln.part";

pub struct Outlet {
    place: Place,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").finish_non_exhaustive()
    }
}

impl Outlet {
    pub async fn open(settings: &DestinationSettings, limits: &Limits) -> Result<Self, Error> {
        // All of it happens in the folder itself.
        let here = || ".".to_owned();
        let folder = Folder {
            path: settings.folder.clone().unwrap_or_default(),
            names: "*".to_owned(),
            order: Order::Name,
            archive: here(),
            errors: here(),
            settle_ms: 0,
        };
        let route = RouteSettings {
            folder: Some(folder),
            sftp: settings.sftp.clone(),
            ..RouteSettings::usual(&settings.name, settings.transport, None)
        };
        Ok(Self {
            place: Place::open(&route, limits).await?,
        })
    }

    /// On disk when it answers. What is there under that name stays.
    pub async fn leave(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.place
            .write(PART, bytes.to_vec(), Writing::Anew)
            .await?;
        match self.place.publish(PART, name).await? {
            Moved::Done | Moved::Taken => Ok(()),
            Moved::Gone => Err(Error::NoFile(PART.to_owned())),
        }
    }

    pub async fn close(self) {
        self.place.close().await;
    }
}
