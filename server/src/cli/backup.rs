//! `kiln backup` and `kiln restore`: one state of the store in one file, the same whatever the database is.

mod archive;

use std::path::PathBuf;
use std::process::ExitCode;

use super::packages::{self, Packages};
use super::place::{self, Place};
use super::progress::Progress;
use super::{draft, print, refill};
use crate::auth::{Action, Caller, Forbidden, may};
use crate::config;
use crate::store::{self, Copied, Refill};

/// Counted so many at a time.
const COUNTED_AT_ONCE: u64 = 64;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works beside a running server: the file holds one moment of the store: all versions, messages with what became of\nthem, routes, overlays, keys and clients, and how far everybody has come who is told of changes.\n\nExample:\n  kiln backup --data ./kiln-data kiln-2026-01-31.backup"
)]
pub(super) struct BackupFlags {
    #[command(flatten)]
    place: Place,
    /// The file to write, which must not be there yet
    #[arg(value_name = "DEST")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The store must be empty or not there yet; SQLite or PostgreSQL, whatever the backup was made of.\nNothing is there unless all of it is.\n\nExample:\n  kiln restore --data ./kiln-data kiln-2026-01-31.backup"
)]
pub(super) struct RestoreFlags {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    packages: Packages,
    /// The file that `kiln backup` has written
    #[arg(value_name = "SRC")]
    file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Packages(#[from] crate::packages::Error),
    #[error("the store failed")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("{0} is there already")]
    Taken(PathBuf),
    #[error(transparent)]
    Write(#[from] draft::Error),
    #[error("cannot read {0}")]
    Read(PathBuf, #[source] archive::Error),
    #[error(
        "the store is damaged: {told} versions are there and {passed} can be reached; see `kiln verify`"
    )]
    Damaged { told: u64, passed: u64 },
    #[error("the summary cannot be printed")]
    Print(#[source] std::io::Error),
}

pub(super) fn backup(flags: &BackupFlags) -> Result<ExitCode, Error> {
    if flags.file.exists() {
        return Err(Error::Taken(flags.file.clone()));
    }
    let store = flags.place.open_existing()?;
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let mut progress = Progress::new("backing up", "versions");
    store.survey(&permit, |view| -> Result<(), Error> {
        let told = view.versions_count()?;
        let mut writer = archive::Writer::create(&flags.file, told)?;
        let mut passed = 0;
        view.each_version(|stored| {
            writer.version(&Copied::from(stored))?;
            passed += 1;
            if passed % COUNTED_AT_ONCE == 0 {
                progress.add(COUNTED_AT_ONCE, Some((passed, told)));
            }
            Ok::<(), Error>(())
        })?;
        progress.add(passed % COUNTED_AT_ONCE, None);
        if passed != told {
            return Err(Error::Damaged { told, passed });
        }
        view.each_carried(|carried| {
            writer.carried(&carried)?;
            Ok::<(), Error>(())
        })?;
        for (name, handled) in view.followers()? {
            writer.follower(&name, handled)?;
        }
        Ok(writer.finish()?)
    })?;
    let done = progress.finish();
    print(&format!("backed up {done}: {}\n", flags.file.display())).map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn restore(flags: &RestoreFlags) -> Result<ExitCode, Error> {
    let config = flags.place.config(flags.packages.named())?;
    let file = &flags.file;
    let read = |error| Error::Read(file.clone(), error);
    let archive = archive::Reader::open(file).map_err(read)?;
    let registry = packages::registry(&config)?;
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let mut target = Refill::begin(&config.database, &permit)?;
    let mut progress = Progress::new("restoring", "versions");
    let told = archive.versions();
    let followers = refill::run(&registry, &mut target, &mut progress, told, |give| {
        archive.each(give).map_err(read)
    })?;
    for (name, handled) in followers.unwrap_or_default() {
        target.note_follower(&name, handled)?;
    }
    target.finish(&registry)?;
    let done = progress.finish();
    print(&format!("restored {done}: {}\n", flags.file.display())).map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}
