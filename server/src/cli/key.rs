//! `kiln key`: keys by which programs come in.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fhir_spec::time::DateTime;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use super::change::{self, look, open, open_existing, show, write};
use super::place::Place;
use super::rotate;
use crate::auth::{BadScope, Scope, role};
use crate::callers;
use crate::instant::Instant;
use crate::store::{KEYS_OF_NAME_MAX, Key, Store, chance};

/// So that a key is recognised where it should not be.
const BEGINS: &str = "kiln_";

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it: it is shown once
    #[command(
        after_help = "Two keys of one name may hold at a time: make the new one, hand it out, revoke the old one.\n\n\
Example:\n  kiln key add lab --scope \"system/Observation.crus system/Patient.rs\" --role integrator --expires 2027-01-01\n  \
kiln key add lab --role sender --certificate lab.pem"
    )]
    Add(AddFlags),
    /// List keys: what they may do and whether they hold
    #[command(after_help = "Example:\n  kiln key list --data ./kiln-data")]
    List(PlaceFlags),
    /// Seal the secrets in the store by a new key
    Rotate(rotate::Flags),
    /// Let a key hold no longer
    #[command(after_help = "Example:\n  kiln key revoke lab")]
    Revoke(RevokeFlags),
}

#[derive(Debug, clap::Args)]
struct PlaceFlags {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct AddFlags {
    /// Whose it is
    name: String,
    /// Scopes of SMART: what may be done with resources [default: what the roles allow]
    #[arg(
        long,
        value_name = "SCOPES",
        default_value = "",
        hide_default_value = true
    )]
    scope: String,
    /// admin, clinician, patient, integrator, sender or auditor; may be given more than once
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The id of the patient whom scopes of the level `patient` are about
    #[arg(long, value_name = "ID")]
    patient: Option<String>,
    /// A certificate (PEM) that stands for the key: callers who show it by TLS need no other
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// From when on it does not hold: a date or a time
    #[arg(long, value_name = "DATE")]
    expires: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct RevokeFlags {
    /// The name, which means all keys of that name, or the hash that `kiln key list` shows
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Change(#[from] change::Error),
    #[error("--scope {text}: {told}")]
    Scope { text: String, told: BadScope },
    #[error("--role {0}: there are admin, clinician, patient, integrator, sender and auditor")]
    Role(String),
    #[error("a key needs --scope or --role: without them it allows nothing")]
    Nothing,
    #[error("--certificate {path}: {told}")]
    Certificate { path: String, told: String },
    #[error("that certificate stands for a key already, one that may have been revoked")]
    Shown,
    #[error("--expires {0}: expected a date or a time to come, such as 2027-01-01")]
    Expires(String),
    #[error("a name has 1 to 64 letters, digits, dots, dashes and underscores")]
    Name,
    #[error("{KEYS_OF_NAME_MAX} keys of the name {0} hold already: revoke one first")]
    Several(String),
    #[error("no key of that name or hash holds")]
    Unknown,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    match &flags.command {
        Command::Add(flags) => add(flags),
        Command::List(flags) => list(flags),
        Command::Rotate(flags) => Ok(rotate::run(flags)?),
        Command::Revoke(flags) => revoke(flags),
    }
}

fn add(flags: &AddFlags) -> Result<ExitCode, Error> {
    let (_, store) = open(&flags.place)?;
    let (hash, told) = match &flags.certificate {
        Some(path) => {
            let told = |error: pem::Error| Error::Certificate {
                path: path.display().to_string(),
                told: error.to_string(),
            };
            let certificate = CertificateDer::from_pem_file(path).map_err(told)?;
            let hash = callers::hash_of_certificate(&certificate);
            (hash.clone(), hash)
        }
        None => {
            let key = format!(
                "{BEGINS}{}",
                URL_SAFE_NO_PAD.encode(chance().map_err(change::Error::from)?)
            );
            (callers::hash(&key), key)
        }
    };
    let kept = checked(flags, &store, hash)?;
    if look(&store, |view| view.key(&kept.hash))?.is_some() {
        return Err(Error::Shown);
    }
    match write(&store, move |tx| tx.add_key(&kept))? {
        true => Ok(show(&format!("{told}\n"))?),
        false => Err(Error::Several(flags.name.clone())),
    }
}

/// What is kept of the key, when all that was said of it makes sense.
fn checked(flags: &AddFlags, store: &Store, hash: String) -> Result<Key, Error> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if !(1..=64).contains(&flags.name.len()) || !flags.name.chars().all(is_plain) {
        return Err(Error::Name);
    }
    let mut scopes = Vec::new();
    for text in flags.scope.split_whitespace() {
        let told = |told| Error::Scope {
            text: text.to_owned(),
            told,
        };
        let scope = Scope::parse(text).map_err(told)?;
        scope.check(&store.registry()).map_err(told)?;
        scopes.push(scope.to_string());
    }
    if let Some(unknown) = flags.roles.iter().find(|name| role::named(name).is_none()) {
        return Err(Error::Role(unknown.clone()));
    }
    if scopes.is_empty() && flags.roles.is_empty() {
        return Err(Error::Nothing);
    }
    let created_at: Instant = std::time::SystemTime::now().into();
    let expires_at = flags.expires.as_ref().map(|text| {
        let end = DateTime::parse_fhir(text).map(|end| Instant::from_micros(end.interval(0).0));
        let end = end.filter(|end| *end > created_at);
        end.ok_or_else(|| Error::Expires(text.clone()))
    });
    Ok(Key {
        hash,
        name: flags.name.clone(),
        scope: scopes.join(" "),
        roles: flags.roles.join(" "),
        patient: flags.patient.clone(),
        created_at,
        expires_at: expires_at.transpose()?,
        revoked_at: None,
    })
}

fn list(flags: &PlaceFlags) -> Result<ExitCode, Error> {
    let store = flags.place.open_existing().map_err(change::Error::from)?;
    let keys = look(&store, |view| view.keys())?;
    let now: Instant = std::time::SystemTime::now().into();
    let mut text = String::new();
    for key in &keys {
        let state = match (key.holds(now), key.revoked_at) {
            (true, _) => "holds",
            (false, Some(_)) => "revoked",
            (false, None) => "expired",
        };
        let until = key.expires_at.map(|end| format!(" until {end}"));
        let patient = key.patient.as_ref().map(|id| format!(" patient={id}"));
        let parts = [
            format!("{} {state}{}", key.name, until.unwrap_or_default()),
            format!(
                "scope=\"{}\" roles=\"{}\"{}",
                key.scope,
                key.roles,
                patient.unwrap_or_default()
            ),
            format!("hash={}", key.hash),
        ];
        text += &parts.join("  ");
        text.push('\n');
    }
    Ok(show(&text)?)
}

fn revoke(flags: &RevokeFlags) -> Result<ExitCode, Error> {
    let (_, store) = open_existing(&flags.place)?;
    let (name, now) = (flags.name.clone(), std::time::SystemTime::now().into());
    match write(&store, move |tx| tx.revoke_keys(&name, now))? {
        0 => Err(Error::Unknown),
        revoked => Ok(show(&format!("{revoked} revoked\n"))?),
    }
}
