//! Where the master key comes from: what wraps the keys by which secrets in the store are sealed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

use super::Database;

/// How it is called where nothing else is said.
const FILE: &str = "master.key";

/// The key itself is only read when it is needed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum MasterKey {
    /// Where it lies when nothing else is said; made when it is not there.
    Usual(PathBuf),
    File(PathBuf),
    /// What a shell command prints.
    Command(String),
    /// It stands in the environment.
    Text(String),
}

impl MasterKey {
    /// Beside the database, where that is a file.
    pub(super) fn usual(database: &Database, data: &Path) -> Self {
        Self::Usual(match database {
            Database::Sqlite(path) => path.with_file_name(FILE),
            Database::Postgres(_) => data.join(FILE),
        })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(...)")
    }
}

impl FromStr for MasterKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("command", command)) if !command.trim().is_empty() => {
                Ok(Self::Command(command.to_owned()))
            }
            // It is not repeated.
            _ if text.len() < 32 => Err(
                "expected file:PATH, command:COMMAND, or a key of 32 characters at least"
                    .to_owned(),
            ),
            _ => Ok(Self::Text(text.to_owned())),
        }
    }
}

impl TryFrom<String> for MasterKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
