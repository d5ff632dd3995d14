//! Routes as the config file has them: `[[routes]]`. What a word means is checked when the server starts, all of it at once.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use interop::mapping::Zone;
use interop::route::{Filter, Policy, Route};
use serde::Deserialize;

use super::folders::{Folder, Sftp};

/// A route of the config file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    pub name: String,
    pub transport: Transport,
    /// Of MLLP: where it listens, unless it is the address of `--mllp`.
    pub listen: Option<SocketAddr>,
    #[serde(default)]
    pub format: Format,
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// The overlay of the maps; without it the one that names the sender.
    pub overlay: Option<String>,
    /// `ADT^A08`, `ORU^*`: what is taken in. Everything without it.
    #[serde(default)]
    pub take: Vec<String>,
    /// Where times are that say no zone.
    pub zone: Option<String>,
    /// The character set of messages whose MSH-18 is empty.
    pub charset: Option<String>,
    /// Values for the constants of maps.
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    pub tls: Option<Tls>,
    /// Where messages are passed on that are acknowledged there (`acknowledge = "downstream"`),
    pub destination: Option<String>,
    /// and whether they are applied here too.
    #[serde(default = "yes")]
    pub apply: bool,
    /// Of files: when it is looked for them,
    pub schedule: Option<String>,
    /// where,
    pub folder: Option<Folder>,
    pub sftp: Option<Sftp>,
    /// and of tables by which map they are read (without it the one that fits their columns),
    pub map: Option<String>,
    /// and what stands between their values.
    pub delimiter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Mllp,
    Http,
    Folder,
    Sftp,
}

impl Transport {
    pub fn word(self) -> &'static str {
        match self {
            Self::Mllp => "mllp",
            Self::Http => "http",
            Self::Folder => "folder",
            Self::Sftp => "sftp",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Hl7v2,
    /// Clinical documents: C-CDA, CDA R2.
    #[serde(alias = "ccda")]
    Cda,
    /// Delimited text of any dialect.
    Csv,
}

impl Format {
    pub fn word(self) -> &'static str {
        match self {
            Self::Hl7v2 => "hl7v2",
            Self::Cda => "cda",
            Self::Csv => "csv",
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    #[default]
    Applied,
    Stored,
    /// By the destination that it is passed on to.
    Downstream,
}

impl Acknowledge {
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Stored => "stored",
            Self::Downstream => "downstream",
        }
    }
}

fn yes() -> bool {
    true
}

/// Certificates for an address, as PEM files. They are read again when they change.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate and those that lead to its root.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Whose certificates are believed: senders by MLLP must show one, callers by HTTP may (`kiln key add --certificate`).
    pub client_ca: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRoute {
    #[error("the route {name}: {problem}")]
    Wrong { name: String, problem: String },
    #[error("two routes are named {0}")]
    Twice(String),
    #[error("the routes {0} and {1} both listen on {2}")]
    SameAddress(String, String, SocketAddr),
    #[error(
        "the route {name} would listen on {address} without TLS, and HL7 v2 has no protection of its own: give it `tls`, or set `allow_plaintext = true`"
    )]
    Plaintext { name: String, address: SocketAddr },
}

impl RouteSettings {
    /// A route that is there without being configured.
    pub fn usual(name: &str, transport: Transport, listen: Option<SocketAddr>) -> Self {
        Self {
            name: name.to_owned(),
            transport,
            listen,
            format: Format::default(),
            acknowledge: Acknowledge::default(),
            overlay: None,
            take: Vec::new(),
            zone: None,
            charset: None,
            constants: BTreeMap::new(),
            tls: None,
            destination: None,
            apply: true,
            schedule: None,
            folder: None,
            sftp: None,
            map: None,
            delimiter: None,
        }
    }

    /// What it says, understood.
    pub fn route(&self) -> Result<Route, BadRoute> {
        let wrong = |problem: String| BadRoute::Wrong {
            name: self.name.clone(),
            problem,
        };
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_name) {
            return Err(wrong(
                "expected a name of letters, digits, - _ . and at most 64 of them".to_owned(),
            ));
        }
        if self.transport == Transport::Http && (self.listen.is_some() || self.tls.is_some()) {
            return Err(wrong(
                "`listen` and `tls` are for the transport mllp: HTTP comes by the server's own address".to_owned(),
            ));
        }
        if self.format == Format::Cda && self.transport == Transport::Mllp {
            return Err(wrong(
                "documents (`format = \"cda\"`) do not come by the transport mllp".to_owned(),
            ));
        }
        self.check_files().map_err(wrong)?;
        self.check_downstream().map_err(wrong)?;
        let zone = self.zone.as_deref().map_or(Ok(Zone::utc()), Zone::parse);
        let charset =
            match &self.charset {
                // Tables have character sets of their own.
                _ if self.format == Format::Csv => None,
                None => None,
                Some(name) => Some(interop::route::charset(name).ok_or_else(|| {
                    wrong(format!("'{name}' is no character set of HL7 table 0211"))
                })?),
            };
        let filters = self.take.iter().map(|text| Filter::parse(text));
        let filters: Result<_, _> = filters.collect();
        let constants = self.constants.iter();
        Ok(Route {
            name: self.name.clone(),
            policy: match self.acknowledge {
                Acknowledge::Applied => Policy::Applied,
                Acknowledge::Stored => Policy::Stored,
                Acknowledge::Downstream => Policy::Downstream,
            },
            zone: zone.map_err(|error| wrong(error.to_string()))?,
            charset,
            constants: constants
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            overlay: self.overlay.clone(),
            destination: self.destination.clone(),
            applies: self.apply,
            filters: filters
                .map_err(|error: interop::route::BadFilter| wrong(error.to_string()))?,
        })
    }
}

impl RouteSettings {
    fn check_downstream(&self) -> Result<(), String> {
        let is_downstream = self.acknowledge == Acknowledge::Downstream;
        if is_downstream != self.destination.is_some() || (!is_downstream && !self.apply) {
            let told = "`destination`, and `apply` with it, go with `acknowledge = \"downstream\"`";
            return Err(told.to_owned());
        }
        match is_downstream && self.format != Format::Hl7v2 {
            true => Err("only messages are passed on".to_owned()),
            false => Ok(()),
        }
    }
}

/// The routes that there are: those of the file, and one for `--mllp`, for messages by HTTP and for documents by HTTP where
/// the file has none.
pub(super) fn resolve(
    mut routes: Vec<RouteSettings>,
    mllp: Option<SocketAddr>,
    allow_plaintext: bool,
) -> Result<Vec<RouteSettings>, BadRoute> {
    for route in &mut routes {
        if route.transport == Transport::Mllp && route.listen.is_none() {
            route.listen = mllp;
        }
    }
    if let Some(address) = mllp
        && routes.iter().all(|route| route.listen != Some(address))
    {
        routes.push(RouteSettings::usual("mllp", Transport::Mllp, Some(address)));
    }
    for (name, format) in [("http", Format::Hl7v2), ("documents", Format::Cda)] {
        let is_it =
            |route: &RouteSettings| route.transport == Transport::Http && route.format == format;
        if !routes.iter().any(is_it) {
            routes.push(RouteSettings {
                format,
                ..RouteSettings::usual(name, Transport::Http, None)
            });
        }
    }
    for (place, route) in routes.iter().enumerate() {
        route.route()?;
        let before = routes.get(..place).unwrap_or_default();
        if before.iter().any(|other| other.name == route.name) {
            return Err(BadRoute::Twice(route.name.clone()));
        }
        if route.transport != Transport::Mllp {
            continue;
        }
        let Some(address) = route.listen else {
            return Err(BadRoute::Wrong {
                name: route.name.clone(),
                problem: "it needs an address to listen on, as `--mllp` is off".to_owned(),
            });
        };
        let same = before.iter().find(|other| other.listen == Some(address));
        if let Some(other) = same.filter(|_| address.port() != 0) {
            let (one, two) = (other.name.clone(), route.name.clone());
            return Err(BadRoute::SameAddress(one, two, address));
        }
        if route.tls.is_none() && !allow_plaintext && !address.ip().is_loopback() {
            return Err(BadRoute::Plaintext {
                name: route.name.clone(),
                address,
            });
        }
    }
    Ok(routes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<RouteSettings>, String> {
        #[derive(Deserialize)]
        struct File {
            #[serde(default)]
            routes: Vec<RouteSettings>,
            #[serde(default)]
            allow_plaintext: bool,
        }
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mllp = Some("127.0.0.1:2575".parse().unwrap());
        resolve(file.routes, mllp, file.allow_plaintext).map_err(|error| error.to_string())
    }

    fn names(text: &str) -> Vec<String> {
        let routes = read(text).unwrap();
        routes.into_iter().map(|route| route.name).collect()
    }

    #[test]
    fn there_is_a_road_for_each_transport() {
        assert_eq!(names(""), ["mllp", "http", "documents"]);
        let lab = "[[routes]]\nname = 'lab'\ntransport = 'mllp'";
        assert_eq!(names(lab), ["lab", "http", "documents"]);
        let beside = "[[routes]]\nname = 'lab'\ntransport = 'mllp'\nlisten = '127.0.0.1:2576'";
        assert_eq!(names(beside), ["lab", "mllp", "http", "documents"]);
        let own = "[[routes]]\nname = 'ccd'\ntransport = 'http'\nformat = 'ccda'";
        assert_eq!(names(own), ["ccd", "mllp", "http"]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let route = |more: &str| format!("[[routes]]\nname = 'x'\ntransport = 'mllp'\n{more}");
        for (text, told) in [
            (route("lisen = '1'"), "unknown field `lisen`"),
            (route("acknowledge = 'never'"), "unknown variant `never`"),
            (route("zone = 'Nowhere'"), "is no time zone"),
            (route("format = 'cda'"), "do not come by the transport mllp"),
            (route("take = ['adt']"), "is no filter"),
            (route("charset = 'EBCDIC'"), "table 0211"),
            (route("listen = '0.0.0.0:2575'"), "allow_plaintext"),
            (route("").replace("'x'", "'a b'"), "a name of letters"),
            (
                route("") + &route("listen = '127.0.0.1:3'"),
                "two routes are named x",
            ),
            (
                route("") + &route("").replace("'x'", "'y'"),
                "both listen on",
            ),
            (
                route("listen = '127.0.0.1:3'").replace("mllp", "http"),
                "for the transport mllp",
            ),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert!(
            read(&format!(
                "allow_plaintext = true\n{}",
                route("listen = '0.0.0.0:2575'")
            ))
            .is_ok()
        );
    }
}
