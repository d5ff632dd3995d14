//! `kiln client`: programs that get tokens by themselves, registered with their public keys.

use std::path::PathBuf;
use std::process::ExitCode;

use fhir_spec::json::{Data, Value, parse};

use super::change::{self, look, open, open_existing, show, write};
use super::place::Place;
use crate::smart::{Registration, Unfit};
use crate::store::Client;

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Register a client and print what is known of it, as JSON
    #[command(
        after_help = "A backend service signs an assertion with its private key and gets a token for five minutes at /auth/token\n\
(SMART Backend Services).\n\n\
Example:\n  kiln client add nightly --name \"Nightly report\" --grant client_credentials --jwks keys.json --scope \"system/Observation.rs\""
    )]
    Add(AddFlags),
    /// Print all that are registered, as JSON, one a line
    #[command(after_help = "Example:\n  kiln client list --data ./kiln-data")]
    List(PlaceFlags),
    /// Take a client out, with the tokens that it holds
    #[command(after_help = "Example:\n  kiln client remove nightly")]
    Remove(RemoveFlags),
}

#[derive(Debug, clap::Args)]
struct PlaceFlags {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Grant {
    ClientCredentials,
}

#[derive(Debug, clap::Args)]
struct AddFlags {
    /// By what it names itself
    id: String,
    /// For people
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    name: String,
    /// How it comes to a token
    #[arg(long, value_name = "GRANT", default_value = "client_credentials")]
    grant: Grant,
    /// Its public keys: a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks: PathBuf,
    /// What it may get: scopes of the level `system`
    #[arg(long, value_name = "SCOPES")]
    scope: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct RemoveFlags {
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Change(#[from] change::Error),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("there is a client {0} already: remove it first")]
    Registered(String),
    #[error("no client of that id is registered")]
    NoClient,
    #[error("the keys in `{path}` cannot be read")]
    Keys {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    match &flags.command {
        Command::Add(flags) => add(flags),
        Command::List(flags) => list(flags),
        Command::Remove(flags) => remove(flags),
    }
}

fn add(flags: &AddFlags) -> Result<ExitCode, Error> {
    let Grant::ClientCredentials = flags.grant;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:/".contains(c);
    if !(1..=64).contains(&flags.id.len()) || !flags.id.chars().all(is_plain) {
        return Err(Unfit::Id.into());
    }
    let keys = std::fs::read_to_string(&flags.jwks).map_err(|source| Error::Keys {
        path: flags.jwks.display().to_string(),
        source,
    })?;
    let (_, store) = open(&flags.place)?;
    let registration = Registration::of(&flags.name, &flags.scope, &keys, &store.registry())?;
    let client = Client {
        id: flags.id.clone(),
        body: registration.to_json()?.to_string(),
        created_at: std::time::SystemTime::now().into(),
    };
    let shown = shown(&client)?;
    match write(&store, move |tx| tx.add_client(&client))? {
        true => Ok(show(&format!("{shown}\n"))?),
        false => Err(Error::Registered(flags.id.clone())),
    }
}

/// What is kept of it, with its id before it.
fn shown(client: &Client) -> Result<Value, Error> {
    let body = parse(client.body.as_bytes()).map_err(|_| Unfit::Kept)?;
    let Data::Object(body) = body.data else {
        return Err(Unfit::Kept.into());
    };
    let mut object = fhir_spec::json::Object::new();
    object.set("client_id", client.id.as_str());
    for (name, value) in body.iter() {
        object.set(name, value.clone());
    }
    Ok(object.into())
}

fn list(flags: &PlaceFlags) -> Result<ExitCode, Error> {
    let store = flags.place.open_existing().map_err(change::Error::from)?;
    let mut text = String::new();
    for client in &look(&store, |view| view.clients())? {
        text += &format!("{}\n", shown(client)?);
    }
    Ok(show(&text)?)
}

fn remove(flags: &RemoveFlags) -> Result<ExitCode, Error> {
    let (_, store) = open_existing(&flags.place)?;
    let (id, now) = (flags.id.clone(), std::time::SystemTime::now().into());
    match write(&store, move |tx| tx.remove_client(&id, now))? {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Error::NoClient),
    }
}
