//! `kiln verify`: whether everything that is stored agrees with everything else.
//!
//! Everything is read once, from one state of the store, in bounded memory: bodies against their rows, versions against
//! each other, heads against versions, and the index against what the current bodies yield. With `--audit` the chains of
//! the audit instead.

mod body;
mod chains;
mod index;
mod sequence;

use std::process::ExitCode;
use std::sync::Mutex;

use search::Registry;

use super::packages::{self, Packages};
use super::place::{self, Place};
use super::progress::{Progress, grouped};
use super::{FAILED, ordered, print, say};
use crate::auth::{Action, Caller, Forbidden, may};
use crate::config;
use crate::store::{self, Store, VersionRow};
use chains::Chains;
use index::Sums;
use sequence::Sequence;

/// As many findings are printed.
const FINDINGS_SHOWN: usize = 100;
const LOAD_VERSIONS: usize = 64;
const LOAD_BYTES: usize = 256 * 1024;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Works beside a running server. Prints what is wrong, a line each; exit status 1 when something is.\n\nExample:\n  kiln verify --data ./kiln-data\n  kiln verify --audit --data ./kiln-data"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    packages: Packages,
    /// The audit instead: whether its events are what was told, all of them and no others
    #[arg(long)]
    audit: bool,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum Error {
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Packages(#[from] crate::packages::Error),
    #[error("the store cannot be read")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("search parameters have changed meanwhile: verify again")]
    Changed,
    #[error("what was found cannot be printed")]
    Print(#[source] std::io::Error),
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let (findings, took) = match flags.audit {
        true => check_audit(&flags.place.open_existing()?)?,
        false => {
            let config = flags.place.config(flags.packages.named())?;
            let registry = packages::registry(&config)?;
            check(&flags.place.open_existing()?, &registry)?
        }
    };
    if findings.count == 0 {
        print(&format!("verified {took}: all is well\n")).map_err(Error::Print)?;
        return Ok(ExitCode::SUCCESS);
    }
    for finding in &findings.shown {
        print(&format!("{finding}\n")).map_err(Error::Print)?;
    }
    let more = match findings.count > FINDINGS_SHOWN {
        true => format!(", {FINDINGS_SHOWN} of them shown"),
        false => String::new(),
    };
    let count = grouped(u64::try_from(findings.count).unwrap_or(u64::MAX));
    say(&format!(
        "kiln: verified {took}: {count} things are wrong{more}"
    ));
    Ok(ExitCode::from(FAILED))
}

/// What is wrong: how much, and some of it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) count: usize,
    pub(super) shown: Vec<String>,
}

impl Findings {
    fn add(&mut self, finding: String) {
        self.count += 1;
        if self.shown.len() < FINDINGS_SHOWN {
            self.shown.push(finding);
        }
    }
}

/// Whether the chains of the audit hold.
fn check_audit(store: &Store) -> Result<(Findings, String), Error> {
    let mut progress = Progress::new("verifying", "events");
    let findings = Mutex::new(Findings::default());
    let add = |finding| {
        let findings = findings.lock();
        findings
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .add(finding);
    };
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    store.survey(&permit, |view| -> Result<_, store::Error> {
        let mut chains = Chains::new(view.chain_ends()?);
        view.each_audit_event(|told| {
            chains.check(told, &add);
            progress.add(1, None);
            Ok::<(), store::Error>(())
        })?;
        chains.finish(&add);
        Ok(())
    })?;
    let took = progress.finish();
    let findings = findings.into_inner();
    Ok((
        findings.unwrap_or_else(std::sync::PoisonError::into_inner),
        took,
    ))
}

/// Versions that travel together, and what was found in each of them by itself.
#[derive(Debug, Default)]
struct Load {
    rows: Vec<VersionRow>,
    bytes: usize,
}

/// Everything that can be said of a store; and how much was read, in words.
pub(super) fn check(store: &Store, registry: &Registry) -> Result<(Findings, String), Error> {
    let mut progress = Progress::new("verifying", "versions");
    let sums = Sums::default();
    let findings = Mutex::new(Findings::default());
    let add = |finding| {
        let mut findings = findings
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        findings.add(finding);
    };
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let (all, made) = store.survey(&permit, |view| -> Result<_, store::Error> {
        Ok((view.versions_count()?, view.made(registry)?))
    })?;
    let (mut sequence, mut done) = (Sequence::default(), 0);
    ordered::run::<_, _, Error>(
        |give| {
            store.survey(&permit, |view| {
                if view.made(registry)?.registry.generation() != made.registry.generation() {
                    return Err(Error::Changed);
                }
                let mut load = Load::default();
                view.each_version_row(|row| {
                    load.bytes += row.body.len();
                    load.rows.push(row);
                    if load.rows.len() >= LOAD_VERSIONS || load.bytes >= LOAD_BYTES {
                        // Nobody stops wanting them but in an error, which is told elsewhere.
                        let _wanted = give(std::mem::take(&mut load));
                    }
                    Ok::<(), store::Error>(())
                })?;
                let _wanted = give(load);
                view.each_head_astray(|name, id| {
                    add(format!("{name}/{id}: its current version is not there"));
                    Ok::<(), store::Error>(())
                })?;
                Ok(sums.take_index(view, &made)?)
            })
        },
        |mut load| {
            for row in &mut load.rows {
                body::check(row, &made, &sums, &add);
                // From here on only the row counts.
                row.body = Vec::new();
            }
            load
        },
        |load| {
            let count = u64::try_from(load.rows.len()).unwrap_or(u64::MAX);
            for row in load.rows {
                sequence.check(row, &add);
            }
            done += count;
            progress.add(count, Some((done, all)));
            Ok(())
        },
    )?;
    sequence.finish(&add);
    index::name(store, &permit, &made, &sums, &add)?;
    let took = progress.finish();
    let findings = findings
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((findings, took))
}
