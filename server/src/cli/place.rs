//! Where the store is: the flags that every command on it has, read as `kiln serve` reads them.

use std::path::PathBuf;

use crate::config::{self, Config, Database, DatabaseUrl, MasterKey, Settings};
use crate::store::{self, Store};

#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Where the server keeps its files [default: ./kiln-data]
    #[arg(long, value_name = "DIR", env = "KILN_DATA")]
    data: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER@HOST/NAME [default: SQLite inside the data directory]
    #[arg(
        long,
        value_name = "URL",
        env = "KILN_DATABASE",
        hide_env_values = true
    )]
    database: Option<DatabaseUrl>,
    /// What wraps the keys by which secrets in the store are sealed: file:PATH, command:COMMAND, or the key itself, in the
    /// environment [default: master.key beside the SQLite database, else in DIR]
    #[arg(
        long,
        value_name = "SOURCE",
        env = "KILN_MASTER_KEY",
        hide_env_values = true
    )]
    master_key: Option<MasterKey>,
    /// Settings in TOML; flags and environment win over them
    #[arg(long, value_name = "FILE", env = "KILN_CONFIG")]
    config: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("there is no store at {0}")]
    Absent(PathBuf),
    #[error("the database cannot be opened")]
    Store(#[from] store::Error),
}

impl Place {
    /// With these packages, when any are named.
    pub(super) fn config(&self, packages: Option<Vec<PathBuf>>) -> Result<Config, config::Error> {
        self.with(Settings {
            packages,
            ..Settings::default()
        })
    }

    /// With what else was set by flags.
    pub(super) fn with(&self, flags: Settings) -> Result<Config, config::Error> {
        let file = match &self.config {
            Some(path) => Settings::from_file(path)?,
            None => Settings::default(),
        };
        let settings = Settings {
            data: self.data.clone(),
            database: self.database.clone(),
            master_key: self.master_key.clone(),
            ..flags
        };
        settings.or(file).resolve()
    }

    /// Whether there is a store already: a mistyped path does not make an empty one.
    pub(super) fn check_existing(&self) -> Result<(), Error> {
        match &self.config(None)?.database {
            Database::Sqlite(path) if !path.exists() => Err(Error::Absent(path.clone())),
            _ => Ok(()),
        }
    }

    /// A store that is there already, to be read.
    pub(super) fn open_existing(&self) -> Result<Store, Error> {
        let config = self.config(None)?;
        self.check_existing()?;
        Ok(Store::open_to_read(&config.database, &config.limits)?)
    }
}
