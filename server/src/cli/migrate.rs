//! `kiln migrate`: a store into another database, with all versions, ids, times and the order of the feed.

use std::process::ExitCode;

use super::packages::{self, Packages};
use super::place::{self, Place};
use super::progress::Progress;
use super::{FAILED, print, refill, say, verify};
use crate::auth::{Action, Caller, Forbidden, may};
use crate::config::{self, DatabaseUrl};
use crate::store::{self, Copied, Refill, Store};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "All that is stored comes along: versions, messages with what became of them, routes, overlays, keys and clients,\n\
and how far everybody has come who is told of changes. The target must be empty or not there yet; nothing is there unless all of it is. What a server writes into the\n\
old store meanwhile does not come along: stop it first, and start it with the new database.\n\n\
Example:\n  kiln migrate --data ./kiln-data --to postgres://kiln@localhost/kiln"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    packages: Packages,
    /// sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(long, value_name = "URL", hide_env_values = true)]
    to: DatabaseUrl,
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
    #[error("the new store cannot be verified")]
    Verify(#[from] verify::Error),
    #[error("the summary cannot be printed")]
    Print(#[source] std::io::Error),
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let config = flags.place.config(flags.packages.named())?;
    let base = packages::registry(&config)?;
    let source = flags.place.open_existing()?;
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let database = flags.to.database();
    let mut target = Refill::begin(database, &permit)?;
    let mut progress = Progress::new("migrating", "versions");
    // The rows that search parameters in the store want are made at once.
    let (all, registry) = source.survey(&permit, |view| -> Result<_, store::Error> {
        Ok((view.versions_count()?, view.own_registry(&base)?))
    })?;
    let rest = refill::run(&registry, &mut target, &mut progress, all, |loader| {
        source.survey(&permit, |view| -> Result<_, store::Error> {
            view.each_version(|stored| {
                // Whoever wants no more has said why.
                let _wanted = loader.add(Copied::from(stored));
                Ok::<(), store::Error>(())
            })?;
            view.each_carried(|carried| {
                let _wanted = loader.carry(carried);
                Ok::<(), store::Error>(())
            })?;
            view.followers()
        })
    })?;
    for (name, handled) in rest.unwrap_or_default() {
        target.note_follower(&name, handled)?;
    }
    target.finish(&registry)?;
    let done = progress.finish();
    let (findings, took) = verify::check(&Store::open_to_read(database, &config.limits)?, &base)?;
    if findings.count > 0 {
        for finding in &findings.shown {
            say(&format!("kiln: {finding}"));
        }
        say(&format!(
            "kiln: migrated {done}, and the new store is not sound"
        ));
        return Ok(ExitCode::from(FAILED));
    }
    print(&format!("migrated {done}; verified {took}\n")).map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}
