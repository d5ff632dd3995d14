//! Messages as files, in a folder of this machine or of a server of SFTP: one file each, which is there when it is whole.

use crate::config::DestinationSettings;
use crate::folders::{Error, Outlet};
use crate::limits::Limits;

/// What a receiver takes by its ending.
const ENDING: &str = "hl7";

pub(super) struct Files {
    outlet: Outlet,
}

impl Files {
    pub(super) async fn open(
        settings: &DestinationSettings,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let outlet = Outlet::open(settings, limits).await?;
        Ok(Self { outlet })
    }

    /// On disk when it answers. Names are in the order of the row, and the same message has the same name.
    pub(super) async fn leave(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        let name: String = name
            .chars()
            .map(|letter| if is_plain(letter) { letter } else { '_' })
            .collect();
        self.outlet.leave(&format!("{name}.{ENDING}"), bytes).await
    }

    pub(super) async fn close(self) {
        self.outlet.close().await;
    }
}
