//! A small look at the store, or a small change of it, from the command line: of keys, clients and people.

use std::io::Read;
use std::process::ExitCode;

use super::packages;
use super::place::{self, Place};
use crate::auth::{Action, Caller, Forbidden, may};
use crate::config::{self, Config};
use crate::smart::password;
use crate::store::{self, Store, Tx, View};

/// Why nothing came of it, whatever it was to be.
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
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("the answer cannot be printed")]
    Print(#[source] std::io::Error),
}

/// A store to write to, beside a running server or before there is one.
pub(super) fn open(place: &Place) -> Result<(Config, Store), Error> {
    let config = place.config(None)?;
    let registry = packages::registry(&config)?;
    let store = Store::open_to_fill(&config.database, &config.limits, &registry)?;
    Ok((config, store))
}

/// The same, where there must be one already.
pub(super) fn open_existing(place: &Place) -> Result<(Config, Store), Error> {
    place.check_existing()?;
    open(place)
}

/// What is there, as one who decides who comes in sees it.
pub(super) fn look<T>(
    store: &Store,
    work: impl Fn(&mut View<'_>) -> Result<T, store::Error>,
) -> Result<T, Error> {
    Ok(store.look(&may(&Caller::Kiln, Action::Admit)?, work)?)
}

/// Changes it in one transaction, as such a one.
pub(super) fn write<T: Send + 'static>(
    store: &Store,
    work: impl Fn(&mut Tx<'_>) -> Result<T, store::Error> + Send + 'static,
) -> Result<T, Error> {
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().map_err(Error::Runtime)?;
    Ok(runtime.block_on(store.write(permit, work))?)
}

/// What was typed or piped in, without the end of its line.
pub(super) fn secret_from_stdin() -> std::io::Result<String> {
    let most = u64::try_from(password::BYTES_MAX).unwrap_or(u64::MAX) + 2;
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(most)
        .read_to_string(&mut text)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// Shows it, and that is all.
pub(super) fn show(text: &str) -> Result<ExitCode, Error> {
    super::print(text).map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}
