//! Destinations as the config file has them: `[[destinations]]`, those who are sent messages of HL7 v2.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use interop::formats::hl7v2::Version;
use interop::formats::hl7v2::emit;
use interop::mapping::Zone;
use interop::route::Filter;
use serde::Deserialize;

use super::folders::Sftp;
use super::{Outside, Transport};

/// How long a connection may take, and an answer, where nothing is said.
const CONNECT_MS: u64 = 5_000;
const ANSWER_MS: u64 = 30_000;
const WAIT_MS_MAX: u64 = 600_000;

/// Somebody who is sent messages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationSettings {
    pub name: String,
    pub transport: Transport,
    /// Of MLLP: host and port.
    pub address: Option<String>,
    pub tls: Option<TlsOut>,
    /// Of files: the folder, here or on a server of SFTP.
    pub folder: Option<String>,
    pub sftp: Option<Sftp>,
    /// `ADT^A08`, `ORU^*`: what is sent. Everything without it.
    #[serde(default)]
    pub take: Vec<String>,
    /// Of HL7 v2, which it is written in.
    #[serde(default = "version")]
    pub version: String,
    /// MSH-3 to MSH-6, MSH-11.
    #[serde(default = "application")]
    pub sending_application: String,
    #[serde(default)]
    pub sending_facility: String,
    #[serde(default)]
    pub receiving_application: String,
    #[serde(default)]
    pub receiving_facility: String,
    #[serde(default = "processing")]
    pub processing: String,
    /// Whether messages are numbered in MSH-13.
    #[serde(default)]
    pub sequence: bool,
    /// Which answers are asked for in MSH-15 and MSH-16.
    #[serde(default)]
    pub mode: AnswerMode,
    pub overlay: Option<String>,
    pub zone: Option<String>,
    pub charset: Option<String>,
    #[serde(default)]
    pub constants: BTreeMap<String, String>,
    #[serde(default = "connect_ms")]
    pub connect_ms: u64,
    /// From the last byte that was sent to the answer.
    #[serde(default = "answer_ms")]
    pub answer_ms: u64,
    /// What follows when no answer comes in time,
    #[serde(default)]
    pub on_timeout: Then,
    /// when it says AE or CE,
    #[serde(default)]
    pub on_error: Then,
    /// and when it says AR or CR.
    #[serde(default = "fail")]
    pub on_reject: Then,
}

/// How the receiver is known, and how it knows us: PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOut {
    /// Who vouches for the receiver.
    pub ca: PathBuf,
    /// The name in its certificate, where that is another one than the host's.
    pub name: Option<String>,
    pub certificate: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// Section 2.9 of the standard: one answer, or one when it is kept and one when it was processed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnswerMode {
    #[default]
    Original,
    /// It is enough that the receiver keeps it: MSH-15 AL, MSH-16 NE.
    Kept,
    /// What became of it is waited for: MSH-15 AL, MSH-16 AL.
    Enhanced,
}

/// What follows when a message was not taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// It is sent again, later and later; after the last time it has failed. What comes behind it about the same patients
    /// waits.
    #[default]
    Resend,
    /// It is set aside until somebody has it sent again or skips it; what comes behind it about the same patients waits.
    Park,
    /// It is a dead letter, and what comes behind it goes on.
    Fail,
}

impl Then {
    pub const ALL: &[Self] = &[Self::Resend, Self::Park, Self::Fail];

    pub fn word(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Park => "park",
            Self::Fail => "fail",
        }
    }
}

impl AnswerMode {
    pub fn word(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Kept => "kept",
            Self::Enhanced => "enhanced",
        }
    }
}

fn version() -> String {
    Version::V2_5_1.name().to_owned()
}

fn application() -> String {
    "KILN".to_owned()
}

fn processing() -> String {
    "P".to_owned()
}

fn connect_ms() -> u64 {
    CONNECT_MS
}

fn answer_ms() -> u64 {
    ANSWER_MS
}

fn fail() -> Then {
    Then::Fail
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDestination {
    #[error("the destination {name}: {problem}")]
    Wrong { name: String, problem: String },
    #[error("two destinations are named {0}")]
    Twice(String),
}

impl DestinationSettings {
    /// What does not go together; nothing is looked for in the world.
    pub fn check(&self) -> Result<(), BadDestination> {
        self.understood().map(drop)
    }

    /// How its messages are written, and which it is sent.
    pub fn understood(&self) -> Result<Understood, BadDestination> {
        let wrong = |problem: String| BadDestination::Wrong {
            name: self.name.clone(),
            problem,
        };
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_name) {
            return Err(wrong(
                "expected a name of letters, digits, - _ . and at most 64 of them".to_owned(),
            ));
        }
        self.check_transport().map_err(wrong)?;
        for (name, ms) in [
            ("connect_ms", self.connect_ms),
            ("answer_ms", self.answer_ms),
        ] {
            if !(1..=WAIT_MS_MAX).contains(&ms) {
                return Err(wrong(format!("{name}: expected 1 to {WAIT_MS_MAX}")));
            }
        }
        let versions = [
            "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8",
        ];
        if !versions.contains(&self.version.as_str()) {
            return Err(wrong(format!(
                "version: expected one of {}",
                versions.join(", ")
            )));
        }
        let filters = self.take.iter().map(|text| Filter::parse(text));
        let filters: Result<Vec<Filter>, _> = filters.collect();
        let zone = self.zone.as_deref().map_or(Ok(Zone::utc()), Zone::parse);
        let usual = emit::Destination::default();
        let charset = match &self.charset {
            None => usual.charset,
            Some(name) => interop::route::charset(name)
                .ok_or_else(|| wrong(format!("'{name}' is no character set of HL7 table 0211")))?,
        };
        let (accept, application) = match self.mode {
            AnswerMode::Original => ("", ""),
            AnswerMode::Kept => ("AL", "NE"),
            AnswerMode::Enhanced => ("AL", "AL"),
        };
        Ok(Understood {
            filters: filters.map_err(|error| wrong(error.to_string()))?,
            zone: zone.map_err(|error| wrong(error.to_string()))?,
            constants: self
                .constants
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            written: emit::Destination {
                sending_application: self.sending_application.clone(),
                sending_facility: self.sending_facility.clone(),
                receiving_application: self.receiving_application.clone(),
                receiving_facility: self.receiving_facility.clone(),
                processing: self.processing.clone(),
                version: Version::read(&self.version),
                charset,
                accept_acknowledgement: accept.to_owned(),
                application_acknowledgement: application.to_owned(),
                ..usual
            },
        })
    }

    fn check_transport(&self) -> Result<(), String> {
        if self.transport == Transport::Mllp {
            if self.folder.is_some() || self.sftp.is_some() {
                return Err("`folder` and `sftp` are for the transports folder and sftp".to_owned());
            }
            self.place()
                .ok_or("address: expected host and port, such as ward.example:2575")?;
            let half = |tls: &TlsOut| tls.certificate.is_some() != tls.key.is_some();
            return match self.tls.as_ref().is_some_and(half) {
                true => Err("tls: a certificate of our own needs its key".to_owned()),
                false => Ok(()),
            };
        }
        if self.address.is_some() || self.tls.is_some() {
            return Err("`address` and `tls` are for the transport mllp".to_owned());
        }
        let folder = self.folder.as_deref().unwrap_or_default();
        match (self.transport, &self.sftp) {
            (Transport::Folder, None) if Path::new(folder).is_absolute() => Ok(()),
            (Transport::Folder, None) => Err("folder: expected an absolute path".to_owned()),
            (Transport::Sftp, Some(sftp)) if !folder.is_empty() => sftp.check(),
            (Transport::Sftp, Some(_)) => Err("folder: expected the path there".to_owned()),
            (Transport::Sftp, None) => Err("`sftp` is missing".to_owned()),
            (Transport::Folder, Some(_)) => Err("`sftp` is for the transport sftp".to_owned()),
            (Transport::Http | Transport::Mllp, _) => {
                Err("transport: expected mllp, folder or sftp".to_owned())
            }
        }
    }

    /// Host and port of MLLP; a scheme before them is no harm.
    pub fn place(&self) -> Option<(String, u16)> {
        let address = self.address.as_deref()?;
        let address = address.strip_prefix("mllp://").unwrap_or(address);
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok().filter(|port| *port != 0)?;
        (!host.is_empty()).then(|| (host.to_owned(), port))
    }

    /// Those of run time write and read nothing but what the config file allows, see the same of routes.
    pub fn check_confined(&self, outside: &Outside) -> Result<(), String> {
        if let (Transport::Folder, Some(folder)) = (self.transport, &self.folder) {
            super::folders::confined(folder, &outside.folders)
                .map_err(|told| format!("folder: {told} of `folders` in the config"))?;
        }
        if let Some(sftp) = &self.sftp {
            sftp.check_confined(outside)?;
        }
        let Some(tls) = &self.tls else { return Ok(()) };
        let files = [Some(&tls.ca), tls.certificate.as_ref(), tls.key.as_ref()];
        files.into_iter().flatten().try_for_each(|file| {
            let file = file.to_string_lossy();
            super::folders::confined(&file, &outside.secrets)
                .map_err(|told| format!("tls: {file}: {told} of `secrets` in the config"))
        })
    }
}

/// The words of a destination, understood.
#[derive(Debug, Clone)]
pub struct Understood {
    pub filters: Vec<Filter>,
    pub zone: Zone,
    pub constants: Vec<(String, String)>,
    pub written: emit::Destination,
}

impl Understood {
    /// Whether it is sent messages of that kind, such as `ADT^A08`.
    pub fn takes(&self, kind: &str) -> bool {
        let (first, event) = kind.split_once('^').unwrap_or((kind, ""));
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.takes(first, event))
    }
}

/// All of the file at once: each in order, no name twice.
pub(super) fn check(all: &[DestinationSettings]) -> Result<(), BadDestination> {
    for (place, one) in all.iter().enumerate() {
        one.check()?;
        let before = all.get(..place).unwrap_or_default();
        if before.iter().any(|other| other.name == one.name) {
            return Err(BadDestination::Twice(one.name.clone()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<DestinationSettings, String> {
        let text = format!("name = 'ward'\n{text}");
        let read: DestinationSettings = toml::from_str(&text).map_err(|error| error.to_string())?;
        read.check().map_err(|error| error.to_string())?;
        Ok(read)
    }

    #[test]
    fn a_destination_is_read() {
        let ward = read("transport = 'mllp'\naddress = 'mllp://[::1]:2575'\nmode = 'enhanced'\ntake = ['ADT^*']").unwrap();
        assert_eq!(ward.place(), Some(("::1".to_owned(), 2575)));
        let understood = ward.understood().unwrap();
        assert!(understood.takes("ADT^A08") && !understood.takes("ORU^R01"));
        assert_eq!(understood.written.application_acknowledgement, "AL");
        assert_eq!(
            (ward.on_timeout, ward.on_reject),
            (Then::Resend, Then::Fail)
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (text, told) in [
            ("transport = 'mllp'", "expected host and port"),
            (
                "transport = 'mllp'\naddress = 'ward'",
                "expected host and port",
            ),
            ("transport = 'http'", "expected mllp, folder or sftp"),
            ("transport = 'folder'\nfolder = 'out'", "absolute"),
            ("transport = 'sftp'\nfolder = 'out'", "`sftp` is missing"),
            (
                "transport = 'mllp'\naddress = 'h:1'\nversion = '2.9'",
                "version",
            ),
            (
                "transport = 'mllp'\naddress = 'h:1'\non_error = 'shrug'",
                "unknown variant",
            ),
            (
                "transport = 'mllp'\naddress = 'h:1'\nanswer_ms = 0",
                "answer_ms",
            ),
            (
                "transport = 'mllp'\naddress = 'h:1'\ntake = ['adt']",
                "is no filter",
            ),
            (
                "transport = 'mllp'\naddress = 'h:1'\ntls = { ca = 'c', key = 'k' }",
                "needs its key",
            ),
            (
                "transport = 'mllp'\naddress = 'h:1'\nfolder = '/x'",
                "for the transports",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
