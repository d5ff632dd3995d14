//! Routes that fetch files: where those lie, which they are, and how a server of SFTP is known and entered.

use std::path::{Path, PathBuf};

use interop::formats::delimited;
use interop::mapping::Zone;
use serde::Deserialize;

use super::Outside;
use super::routes::{Acknowledge, Format, RouteSettings, Transport};
use crate::conversion;
use crate::schedule::Schedule;

/// How often it is looked where nothing is said.
const SCHEDULE: &str = "every 30s";
/// How long a file must have stayed as it is, and how long that may be.
const SETTLE_MS: u64 = 2_000;
const SETTLE_MS_MAX: u64 = 3_600_000;
const SSH_PORT: u16 = 22;

/// A folder from which files are taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Of the transport folder an absolute path; of sftp the path there.
    pub path: String,
    /// Which files: a name with `*` and `?`.
    #[serde(default = "all")]
    pub names: String,
    #[serde(default)]
    pub order: Order,
    /// Folders below `path`, made when they are not there: for files that were taken,
    #[serde(default = "archive")]
    pub archive: String,
    /// and for what was refused, with the reason beside.
    #[serde(default = "errors")]
    pub errors: String,
    /// A file that has changed within this time is still being written.
    #[serde(default = "settle_ms")]
    pub settle_ms: u64,
}

/// Which file is the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Name,
    /// When it was written last.
    Time,
}

/// A server of SFTP. Secrets stand in files or in the environment, never here.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sftp {
    pub host: String,
    #[serde(default = "port")]
    pub port: u16,
    pub user: String,
    /// The key by which the server is known: `SHA256:...` as `ssh-keygen -l` prints it, or the line of its `.pub` file.
    pub host_key: String,
    pub password_file: Option<String>,
    pub password_env: Option<String>,
    /// A private key in the format of OpenSSH or PEM.
    pub key_file: Option<String>,
    pub key_env: Option<String>,
    pub passphrase_file: Option<String>,
    pub passphrase_env: Option<String>,
}

fn all() -> String {
    "*".to_owned()
}

fn archive() -> String {
    "archive".to_owned()
}

fn errors() -> String {
    "errors".to_owned()
}

fn settle_ms() -> u64 {
    SETTLE_MS
}

fn port() -> u16 {
    SSH_PORT
}

impl Order {
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Time => "time",
        }
    }
}

impl Transport {
    /// Whether files are fetched.
    pub fn fetches(self) -> bool {
        matches!(self, Self::Folder | Self::Sftp)
    }
}

impl RouteSettings {
    /// When it is looked for files.
    pub fn schedule(&self) -> Result<Schedule, String> {
        let zone = self.zone.as_deref().map_or(Ok(Zone::utc()), Zone::parse);
        let zone = zone.map_err(|error| error.to_string())?;
        let text = self.schedule.as_deref().unwrap_or(SCHEDULE);
        Schedule::parse(text, &zone).map_err(|error| error.to_string())
    }

    /// What does not go together, of what is said of files.
    pub(super) fn check_files(&self) -> Result<(), String> {
        if !self.transport.fetches() {
            let is_said = self.folder.is_some() || self.sftp.is_some() || self.schedule.is_some();
            if is_said || self.map.is_some() || self.delimiter.is_some() {
                return Err(
                    "`folder`, `sftp`, `schedule`, `map` and `delimiter` are for the transports folder and sftp"
                        .to_owned(),
                );
            }
            return match self.format {
                Format::Csv => Err("tables come by the transports folder and sftp".to_owned()),
                _ => Ok(()),
            };
        }
        if self.listen.is_some() || self.tls.is_some() {
            return Err(
                "`listen` and `tls` are for the transport mllp: files are fetched".to_owned(),
            );
        }
        if self.acknowledge != Acknowledge::Applied {
            return Err(
                "nobody is there to be answered: a file is done when what it says is stored"
                    .to_owned(),
            );
        }
        self.schedule()?;
        let folder = self.folder.as_ref().ok_or("`folder` is missing")?;
        folder.check()?;
        match (self.transport, &self.sftp) {
            (Transport::Sftp, None) => return Err("`sftp` is missing".to_owned()),
            (Transport::Sftp, Some(sftp)) => sftp.check()?,
            (_, Some(_)) => return Err("`sftp` is for the transport sftp".to_owned()),
            _ if !Path::new(&folder.path).is_absolute() => {
                return Err("folder.path: expected an absolute path".to_owned());
            }
            _ => {}
        }
        self.check_table()
    }

    /// Who may arrange routes is not thereby allowed to read and move whatever this server can, nor to have its secrets
    /// sent somewhere: both must lie where the config file says.
    pub fn check_confined(&self, outside: &Outside) -> Result<(), String> {
        if let (Transport::Folder, Some(folder)) = (self.transport, &self.folder) {
            confined(&folder.path, &outside.folders)
                .map_err(|told| format!("folder.path: {told} of `folders` in the config"))?;
        }
        match &self.sftp {
            None => Ok(()),
            Some(sftp) => sftp.check_confined(outside),
        }
    }

    fn check_table(&self) -> Result<(), String> {
        if self.format != Format::Csv {
            return match self.map.is_some() || self.delimiter.is_some() {
                true => Err("`map` and `delimiter` are for tables: `format = \"csv\"`".to_owned()),
                false => Ok(()),
            };
        }
        if !self.take.is_empty() {
            return Err("`take` is about kinds of messages, not about tables".to_owned());
        }
        if let Some(delimiter) = &self.delimiter {
            conversion::delimiter(delimiter)
                .map_err(|expected| format!("delimiter: expected {expected}"))?;
        }
        match self.charset.as_deref() {
            Some(name) if delimited::Charset::named(name).is_none() => {
                Err(format!("'{name}' is no character set"))
            }
            _ => Ok(()),
        }
    }
}

impl Folder {
    fn check(&self) -> Result<(), String> {
        if self.path.is_empty() || self.path.contains('\0') {
            return Err("folder.path: expected a path".to_owned());
        }
        for (setting, name) in [("archive", &self.archive), ("errors", &self.errors)] {
            if !is_plain(name) {
                return Err(format!(
                    "folder.{setting}: expected the name of a folder below `path`"
                ));
            }
        }
        if self.archive == self.errors {
            return Err("folder.errors: expected another name than that of `archive`".to_owned());
        }
        if self.names.is_empty() || self.names.contains('/') {
            return Err("folder.names: expected a name with * and ?".to_owned());
        }
        match self.settle_ms {
            ..=SETTLE_MS_MAX => Ok(()),
            _ => Err(format!(
                "folder.settle_ms: expected {SETTLE_MS_MAX} at most"
            )),
        }
    }
}

/// Whether it is there and below one of these, links followed.
pub(super) fn confined(path: &str, roots: &[PathBuf]) -> Result<(), &'static str> {
    let is =
        std::fs::canonicalize(path).map_err(|_| "expected something that is there, below one")?;
    let roots = roots
        .iter()
        .filter_map(|root| std::fs::canonicalize(root).ok());
    match roots.into_iter().any(|root| is.starts_with(root)) {
        true => Ok(()),
        false => Err("expected something below one"),
    }
}

/// A name of something in a folder, and nothing that leads out of it.
pub fn is_plain(name: &str) -> bool {
    let is_path = name.contains(['/', '\\', '\0']);
    !name.is_empty() && !is_path && name != "." && name != ".."
}

impl Sftp {
    /// Files with secrets.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let all = [&self.password_file, &self.key_file, &self.passphrase_file];
        all.into_iter().filter_map(|file| file.as_deref())
    }

    /// Variables with secrets.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let all = [&self.password_env, &self.key_env, &self.passphrase_env];
        all.into_iter().filter_map(|variable| variable.as_deref())
    }

    /// See the same of routes.
    pub(super) fn check_confined(&self, outside: &Outside) -> Result<(), String> {
        if self.variables().next().is_some() {
            return Err("sftp: secrets of the environment are for those of the config".to_owned());
        }
        self.files().try_for_each(|file| {
            confined(file, &outside.secrets)
                .map_err(|told| format!("sftp: {file}: {told} of `secrets` in the config"))
        })
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.host.is_empty() || self.user.is_empty() || self.port == 0 {
            return Err("sftp: expected a host, a port and a user".to_owned());
        }
        let is_key = |text: &str| text.starts_with("SHA256:") || text.contains("AAAA");
        if !is_key(&self.host_key) {
            return Err(
                "sftp.host_key: expected `SHA256:...` as `ssh-keygen -l` prints it, or a public key"
                    .to_owned(),
            );
        }
        let ways = [
            &self.password_file,
            &self.password_env,
            &self.key_file,
            &self.key_env,
        ];
        if ways.into_iter().flatten().count() != 1 {
            return Err(
                "sftp: expected one of `password_file`, `password_env`, `key_file`, `key_env`"
                    .to_owned(),
            );
        }
        let has_key = self.key_file.is_some() || self.key_env.is_some();
        let phrases = [&self.passphrase_file, &self.passphrase_env];
        match phrases.into_iter().flatten().count() {
            0 => Ok(()),
            1 if has_key => Ok(()),
            _ => Err("sftp: expected one passphrase, and that of a key".to_owned()),
        }
    }
}
