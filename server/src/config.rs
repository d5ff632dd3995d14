//! What can be set, from four places: the command line wins over the environment, that over the file, that over the
//! defaults. `server/kiln.example.toml` shows every setting of the file.

mod addresses;
mod audit;
mod destinations;
mod folders;
mod master;
mod routes;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use fhir_spec::definitions::Definitions;
use search::Registry;
use serde::Deserialize;

pub use addresses::{Exit, Network, Origin, PublicUrl, is_host};
pub use audit::{Audit, Auditing, Policy};
pub use destinations::{AnswerMode, BadDestination, DestinationSettings, Then, TlsOut, Understood};
pub use folders::{Folder, Order, Sftp, is_plain};
pub use master::MasterKey;
pub use routes::{Acknowledge, BadRoute, Format, RouteSettings, Tls, Transport};

use crate::limits::{Limits, OutOfRange};
use crate::telemetry::{Log, LogFormat};

/// The settings of one source; the command line and the environment have the same ones as the file.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub data: Option<PathBuf>,
    pub database: Option<DatabaseUrl>,
    pub master_key: Option<MasterKey>,
    pub listen: Option<SocketAddr>,
    pub mllp: Option<Mllp>,
    /// In the file only.
    pub tls: Option<Tls>,
    pub allow_plaintext: Option<bool>,
    pub auth: Option<Auth>,
    pub packages: Option<Vec<PathBuf>>,
    pub maps: Option<Vec<PathBuf>>,
    pub folders: Option<Vec<PathBuf>>,
    pub secrets: Option<Vec<PathBuf>>,
    pub public_url: Option<PublicUrl>,
    pub trusted_proxies: Option<Vec<Network>>,
    pub cors_origins: Option<Vec<Origin>>,
    pub outbound_allow: Option<Vec<Exit>>,
    pub text_index: Option<bool>,
    pub provenance: Option<bool>,
    pub log: Option<String>,
    pub log_format: Option<LogFormat>,
    /// In the file only.
    pub limits: Option<Limits>,
    pub routes: Option<Vec<RouteSettings>>,
    pub destinations: Option<Vec<DestinationSettings>>,
    pub messages: Option<Messages>,
    pub deliveries: Option<Deliveries>,
    pub audit: Option<Audit>,
    pub policies: Option<Vec<Policy>>,
}

/// What the server runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub database: Database,
    pub master_key: MasterKey,
    pub listen: SocketAddr,
    /// With it HTTP is spoken by TLS only.
    pub tls: Option<Tls>,
    /// How messages come in.
    pub routes: Vec<RouteSettings>,
    /// To whom messages go.
    pub destinations: Vec<DestinationSettings>,
    /// The usual address for MLLP, which nobody has asked for: when it is taken, the server goes without.
    pub mllp_unasked: Option<SocketAddr>,
    pub messages: Messages,
    pub deliveries: Deliveries,
    pub auth: Auth,
    pub audit: Auditing,
    pub policies: Vec<Policy>,
    /// FHIR packages (.tgz) laid over R4.
    pub packages: Vec<PathBuf>,
    /// Maps of the operator: files, and folders of them.
    pub maps: Vec<PathBuf>,
    pub outside: Outside,
    /// Where the index of texts is; None: there is none.
    pub text_index: Option<PathBuf>,
    /// Whether it is kept for every message who sent it and what it changed.
    pub provenance: bool,
    pub log: Log,
    pub limits: Limits,
}

/// How the server looks from outside.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outside {
    /// None: the address that the client used.
    pub public_url: Option<PublicUrl>,
    /// Who is believed about the address that the client used.
    pub trusted_proxies: Vec<Network>,
    /// Whose pages may ask; none by default: without sign-in a page of anybody could read what is here.
    pub cors_origins: Vec<Origin>,
    /// Whether the server itself speaks TLS.
    pub is_https: bool,
    /// Whether HL7 v2 may travel in the clear to addresses that others reach.
    pub allow_plaintext: bool,
    /// Where routes that are arranged while the server runs may fetch files, and where their secrets are.
    pub folders: Vec<PathBuf>,
    pub secrets: Vec<PathBuf>,
}

impl Outside {
    /// What resources are found by. References that begin with the public url are references to this server.
    pub fn registry(&self, definitions: Arc<Definitions>) -> Registry {
        let registry = Registry::new(definitions);
        match &self.public_url {
            Some(url) => registry.at(&format!("{url}/fhir")),
            None => registry,
        }
    }

    /// What addresses of this server begin with, where nobody stands before it.
    pub fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Whether this is a proxy that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let proxies = self.trusted_proxies.iter();
        proxies.copied().any(|network| network.contains(address))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// Everyone who can connect may do everything; on loopback only
    Open,
    /// Users and apps sign in
    Smart,
}

/// Where MLLP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Mllp {
    At(SocketAddr),
    Off,
}

/// How long messages are kept, in days, by what became of them; None: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    pub keep_applied_days: Option<u32>,
    pub keep_filtered_days: Option<u32>,
    pub keep_error_days: Option<u32>,
    pub keep_held_days: Option<u32>,
    pub keep_dead_days: Option<u32>,
    pub keep_sent_days: Option<u32>,
}

/// How others are told of what has changed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Deliveries {
    /// Where the server calls although it is not public, or in the clear: what `outbound_allow` says is added.
    pub allow: Vec<Exit>,
    /// How long is waited before each attempt, in seconds; after the last one the target is given up.
    pub attempts_s: Vec<u64>,
    /// How long events can be asked for again after they were told.
    pub keep_days: u32,
}

impl Default for Deliveries {
    /// As Standard Webhooks has it: ten attempts in about three days.
    fn default() -> Self {
        const HOUR: u64 = 3_600;
        let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * HOUR);
        Self {
            allow: Vec::new(),
            attempts_s: [0, 5, 300, 1_800].into_iter().chain(hours).collect(),
            keep_days: 7,
        }
    }
}

/// Where the resources are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(PostgresUrl),
}

/// A `--database` that was read; a SQLite path in it is not yet joined to anything.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct DatabaseUrl(Database);

/// A PostgreSQL URL, which may hold a password: it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the config file `{path}` cannot be read")]
    File {
        path: String,
        source: std::io::Error,
    },
    #[error("the config file `{path}` is wrong")]
    Toml {
        path: String,
        source: Box<toml::de::Error>,
    },
    #[error(
        "`auth = open` lets everyone in and is allowed on loopback addresses only, such as 127.0.0.1:8080; {0} is not one"
    )]
    OpenToAll(SocketAddr),
    #[error(transparent)]
    Route(#[from] BadRoute),
    #[error(transparent)]
    Destination(#[from] BadDestination),
    #[error(transparent)]
    Limit(#[from] OutOfRange),
    #[error(
        "HTTP on {0} would travel in the clear: give it `tls`, or put a proxy with TLS before it and set `allow_plaintext = true`"
    )]
    InTheClear(SocketAddr),
}

const DATA_DEFAULT: &str = "./kiln-data";
const TEXT_INDEX: &str = "text-index";
const SQLITE_FILE: &str = "kiln.sqlite";
const MLLP_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 2575);
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

impl Settings {
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            path: shown(),
            source,
        })?;
        toml::from_str(&text).map_err(|source| Error::Toml {
            path: shown(),
            source: Box::new(source),
        })
    }

    /// These settings, and the other's where these say nothing.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            data: self.data.or(other.data),
            database: self.database.or(other.database),
            master_key: self.master_key.or(other.master_key),
            listen: self.listen.or(other.listen),
            mllp: self.mllp.or(other.mllp),
            tls: self.tls.or(other.tls),
            allow_plaintext: self.allow_plaintext.or(other.allow_plaintext),
            auth: self.auth.or(other.auth),
            packages: self.packages.or(other.packages),
            maps: self.maps.or(other.maps),
            folders: self.folders.or(other.folders),
            secrets: self.secrets.or(other.secrets),
            public_url: self.public_url.or(other.public_url),
            trusted_proxies: self.trusted_proxies.or(other.trusted_proxies),
            cors_origins: self.cors_origins.or(other.cors_origins),
            outbound_allow: self.outbound_allow.or(other.outbound_allow),
            text_index: self.text_index.or(other.text_index),
            provenance: self.provenance.or(other.provenance),
            log: self.log.or(other.log),
            log_format: self.log_format.or(other.log_format),
            limits: self.limits.or(other.limits),
            routes: self.routes.or(other.routes),
            destinations: self.destinations.or(other.destinations),
            messages: self.messages.or(other.messages),
            deliveries: self.deliveries.or(other.deliveries),
            audit: self.audit.or(other.audit),
            policies: self.policies.or(other.policies),
        }
    }

    /// Fills in the defaults and checks what goes together.
    pub fn resolve(self) -> Result<Config, Error> {
        let data = self.data.unwrap_or_else(|| DATA_DEFAULT.into());
        let mllp = match self.mllp {
            None => Some(MLLP_DEFAULT),
            Some(Mllp::At(address)) => Some(address),
            Some(Mllp::Off) => None,
        };
        let configured = self.routes.unwrap_or_default();
        let is_configured = configured
            .iter()
            .filter(|route| route.transport == Transport::Mllp)
            .any(|route| route.listen == mllp || route.listen.is_none());
        let is_unasked = self.mllp.is_none() && !is_configured;
        let allow_plaintext = self.allow_plaintext.unwrap_or(false);
        let auth = self.auth.unwrap_or(Auth::Open);
        let audit = self.audit.unwrap_or_default();
        let mut deliveries = self.deliveries.unwrap_or_default();
        deliveries
            .allow
            .extend(self.outbound_allow.unwrap_or_default());
        if auth == Auth::Open {
            // Whoever reaches such a server is on this machine and reaches what is here anyway.
            deliveries
                .allow
                .extend(Network::LOOPBACK.map(Exit::Network));
        }
        let database = self
            .database
            .map_or_else(|| Database::Sqlite(data.join(SQLITE_FILE)), |url| url.0);
        let master_key = self.master_key;
        let config = Config {
            master_key: master_key.unwrap_or_else(|| MasterKey::usual(&database, &data)),
            database,
            listen: self.listen.unwrap_or(LISTEN_DEFAULT),
            tls: self.tls.clone(),
            routes: routes::resolve(configured, mllp, allow_plaintext)?,
            destinations: self.destinations.unwrap_or_default(),
            mllp_unasked: mllp.filter(|_| is_unasked),
            messages: self.messages.unwrap_or_default(),
            deliveries,
            auth,
            audit: Auditing {
                is_on: audit.enabled.unwrap_or(auth == Auth::Smart),
                retain_days: audit.retain_days,
            },
            policies: self.policies.unwrap_or_default(),
            packages: self.packages.unwrap_or_default(),
            maps: self.maps.unwrap_or_default(),
            outside: Outside {
                public_url: self.public_url,
                trusted_proxies: self.trusted_proxies.unwrap_or_default(),
                cors_origins: self.cors_origins.unwrap_or_default(),
                is_https: self.tls.is_some(),
                allow_plaintext,
                folders: self.folders.unwrap_or_default(),
                secrets: self.secrets.unwrap_or_default(),
            },
            text_index: (self.text_index.unwrap_or(true)).then(|| data.join(TEXT_INDEX)),
            provenance: self.provenance.unwrap_or(true),
            log: Log {
                format: self.log_format.unwrap_or_default(),
                filter: self.log.filter(|filter| !filter.trim().is_empty()),
            },
            limits: self.limits.unwrap_or_default(),
        };
        config.limits.check()?;
        destinations::check(&config.destinations)?;
        match config.auth {
            Auth::Open if !config.listen.ip().is_loopback() => Err(Error::OpenToAll(config.listen)),
            Auth::Smart
                if !config.listen.ip().is_loopback()
                    && config.tls.is_none()
                    && !allow_plaintext =>
            {
                Err(Error::InTheClear(config.listen))
            }
            Auth::Open | Auth::Smart => Ok(config),
        }
    }
}

impl FromStr for Mllp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| "expected an address such as 127.0.0.1:2575, or `off`".to_owned()),
        }
    }
}

impl TryFrom<String> for Mllp {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl DatabaseUrl {
    pub fn database(&self) -> &Database {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        match url.split_once(':') {
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self(Database::Postgres(PostgresUrl(url.to_owned()))))
            }
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if path.is_empty() {
                    return Err("expected a path after `sqlite:`".to_owned());
                }
                Ok(Self(Database::Sqlite(path.into())))
            }
            // The rest of it may hold a password and is not repeated.
            _ => Err("expected `sqlite:PATH` or `postgres://USER@HOST/NAME`".to_owned()),
        }
    }
}

impl TryFrom<String> for DatabaseUrl {
    type Error = String;

    fn try_from(url: String) -> Result<Self, String> {
        url.parse()
    }
}

impl PostgresUrl {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://…")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_sources_win_and_defaults_fill_the_gaps() {
        let flags = Settings {
            listen: Some("127.0.0.1:1".parse().unwrap()),
            ..Settings::default()
        };
        let file = toml::from_str("listen = '[::1]:2'\ndata = '/d'").unwrap();
        let config = flags.or(file).resolve().unwrap();
        assert_eq!(config.listen.port(), 1);
        assert_eq!(config.database, Database::Sqlite("/d/kiln.sqlite".into()));
    }

    #[test]
    fn a_database_url_needs_a_scheme_that_is_known() {
        for wrong in [
            "kiln.db",
            "mysql://h/d",
            "postgre://h/d",
            "sqlite:",
            "",
            "C:\\x",
        ] {
            assert!(wrong.parse::<DatabaseUrl>().is_err(), "{wrong}");
        }
        for (url, path) in [("sqlite:a/b", "a/b"), ("sqlite:///a/b", "/a/b")] {
            let expected = DatabaseUrl(Database::Sqlite(path.into()));
            assert_eq!(url.parse(), Ok(expected));
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let url: DatabaseUrl = "postgres://u:secret@h/d".parse().unwrap();
        assert!(!format!("{url:?}").contains("secret"));
        let wrong = "postgre://u:secret@h/d".parse::<DatabaseUrl>().unwrap_err();
        assert!(!wrong.contains("secret"));
    }

    #[test]
    fn open_is_for_loopback_and_nothing_leaves_in_the_clear_unasked() {
        let resolve = |text: &str| toml::from_str::<Settings>(text).unwrap().resolve();
        assert!(matches!(
            resolve("listen = '0.0.0.0:80'"),
            Err(Error::OpenToAll(_))
        ));
        assert!(resolve("auth = 'smart'").is_ok());
        assert!(matches!(
            resolve("listen = '0.0.0.0:80'\nauth = 'smart'"),
            Err(Error::InTheClear(_))
        ));
        let proxied = "listen = '0.0.0.0:80'\nauth = 'smart'\nallow_plaintext = true";
        assert!(resolve(proxied).is_ok());
        assert!(resolve("listen = '[::1]:80'\nauth = 'open'").is_ok());
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = toml::from_str::<Settings>("lisen = '127.0.0.1:1'").unwrap_err();
        assert!(
            error.to_string().contains("unknown field `lisen`"),
            "{error}"
        );
    }

    #[test]
    fn limits_are_held_against_what_makes_sense() {
        let resolve = |text: &str| toml::from_str::<Settings>(text).unwrap().resolve();
        let config = resolve("[limits]\nbody_bytes_max = 2048").unwrap();
        assert_eq!(config.limits.body_bytes_max, 2048);
        let other = Limits::default().target_bytes_max;
        assert_eq!(config.limits.target_bytes_max, other);
        let error = resolve("[limits]\nbody_bytes_max = 1").unwrap_err();
        let expected = "`limits.body_bytes_max` is 1, it may be from 1024 to 1073741824";
        assert_eq!(error.to_string(), expected);
        for wrong in ["body_bytes_max = -1", "body_bytes_max = '1'", "bodies = 1"] {
            assert!(toml::from_str::<Settings>(&format!("[limits]\n{wrong}")).is_err());
        }
        assert_eq!(Limits::default().check(), Ok(()));
    }

    /// A setting that is added without a line in the example fails to compile here, or fails this test.
    #[test]
    fn the_example_is_complete_and_valid() {
        let example = include_str!("../kiln.example.toml");
        assert_eq!(
            toml::from_str(example),
            Ok(Settings::default()),
            "all is commented out"
        );
        let uncommented: String = example
            .lines()
            .filter_map(|line| line.strip_prefix("# "))
            .filter(|line| line.contains(" = ") || line.starts_with('['))
            .fold(String::new(), |text, line| text + line + "\n");
        let Settings {
            data,
            database,
            master_key,
            listen,
            auth,
            packages,
            maps,
            folders,
            secrets,
            public_url,
            trusted_proxies,
            cors_origins,
            outbound_allow,
            text_index,
            provenance,
            log,
            log_format,
            limits,
            mllp,
            tls,
            allow_plaintext,
            routes,
            destinations,
            messages,
            deliveries,
            audit,
            policies,
        } = toml::from_str(&uncommented).unwrap();
        assert!(data.is_some() && database.is_some() && listen.is_some());
        assert!(matches!(master_key, Some(MasterKey::File(_))));
        assert!(tls.is_some());
        assert!(mllp.is_some() && allow_plaintext.is_some() && messages.is_some());
        assert!(routes.is_some_and(|routes| routes.iter().all(|route| route.route().is_ok())));
        let all = destinations.unwrap();
        assert!(all.len() == 2 && all.iter().all(|one| one.check().is_ok()));
        assert!(auth.is_some() && packages.is_some() && public_url.is_some());
        assert!(trusted_proxies.is_some() && cors_origins.is_some());
        assert!(outbound_allow.is_some());
        assert!(maps.is_some() && folders.is_some() && secrets.is_some());
        assert!(text_index.is_some() && provenance.is_some());
        assert!(policies.is_some_and(|policies| crate::policies::Policies::of(&policies).is_ok()));
        assert!(audit.is_some_and(|audit| audit.retain_days.is_some() && audit.enabled.is_some()));
        assert!(log.is_some() && log_format.is_some());
        let attempts = deliveries.map(|deliveries| deliveries.attempts_s);
        assert_eq!(attempts, Some(Deliveries::default().attempts_s));
        assert_eq!(limits, Some(Limits::default()), "the defaults are true");
        for (name, default) in Limits::DEFAULTS {
            let line = format!("# {name} = {default}\n");
            assert!(example.contains(&line), "{line}");
        }
    }
}
