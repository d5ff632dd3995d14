//! `kiln client`: programs that get tokens by themselves, registered with their public keys.

use std::path::PathBuf;
use std::process::ExitCode;

use fhir_spec::json::{Data, Value, parse};

use super::change::{self, look, open, open_existing, show, write};
use super::place::Place;
use crate::smart::{Proof, Registration, SECRET, Unfit};
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
        after_help = "An app that people use is led to /auth/authorize and back to one of its redirects (SMART App Launch). A backend service\n\
signs an assertion with its private key and gets a token for five minutes at /auth/token (SMART Backend Services).\n\n\
Example:\n  kiln client add chart --redirect https://app.example.org/cb --public --scope \"launch/patient offline_access patient/*.rs\"\n  kiln client add nightly --name \"Nightly report\" --grant client_credentials --jwks keys.json --scope \"system/Observation.rs\""
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
    AuthorizationCode,
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
    /// Where people are led back to; may be given more than once
    #[arg(long = "redirect", value_name = "URI")]
    redirects: Vec<String>,
    /// Where it is launched from a record
    #[arg(long, value_name = "URL")]
    launch_url: Option<String>,
    /// How it comes to a token: authorization_code with a redirect, else client_credentials [default: what goes with it]
    #[arg(long = "grant", value_name = "GRANT")]
    grants: Vec<Grant>,
    #[command(flatten)]
    proof: ProofFlags,
    /// What it may get: scopes of the level `system` when it comes by itself, and of others with people
    #[arg(long, value_name = "SCOPES")]
    scope: String,
    #[command(flatten)]
    place: Place,
}

/// By what it shows that it is the one.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct ProofFlags {
    /// It has nothing to show: it runs in browsers or on phones
    #[arg(long)]
    public: bool,
    /// Read its secret from the standard input
    #[arg(long)]
    secret_stdin: bool,
    /// Its public keys: a JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
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
    #[error("the secret cannot be read from the standard input")]
    Stdin(#[source] std::io::Error),
    #[error(
        "--grant authorization_code needs --redirect, and what has a --redirect has that grant"
    )]
    Grant,
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
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:/".contains(c);
    if !(1..=64).contains(&flags.id.len()) || !flags.id.chars().all(is_plain) {
        return Err(Unfit::Id.into());
    }
    let has_redirect = !flags.redirects.is_empty();
    if !flags.grants.is_empty() && flags.grants.contains(&Grant::AuthorizationCode) != has_redirect
    {
        return Err(Error::Grant);
    }
    let is_alone = flags.grants.contains(&Grant::ClientCredentials);
    let registration = Registration {
        name: flags.name.clone(),
        scopes: Vec::new(),
        words: Vec::new(),
        redirects: flags.redirects.clone(),
        launch_url: flags.launch_url.clone(),
        comes_alone: is_alone || (flags.grants.is_empty() && !has_redirect),
        proof: proof(&flags.proof)?,
    };
    let (_, store) = open(&flags.place)?;
    let registration = registration.with_scope(&flags.scope, &store.registry())?;
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

fn proof(flags: &ProofFlags) -> Result<Proof, Error> {
    if flags.secret_stdin {
        let secret = change::secret_from_stdin().map_err(Error::Stdin)?;
        return Ok(Proof::secret(&secret)?);
    }
    let Some(path) = &flags.jwks else {
        return Ok(Proof::None);
    };
    let keys = std::fs::read_to_string(path).map_err(|source| Error::Keys {
        path: path.display().to_string(),
        source,
    })?;
    Ok(Proof::keys(&keys)?)
}

/// What is kept of it and no secret, with its id before it.
fn shown(client: &Client) -> Result<Value, Error> {
    let body = parse(client.body.as_bytes()).map_err(|_| Unfit::Kept)?;
    let Data::Object(body) = body.data else {
        return Err(Unfit::Kept.into());
    };
    let mut object = fhir_spec::json::Object::new();
    object.set("client_id", client.id.as_str());
    for (name, value) in body.iter().filter(|(name, _)| *name != SECRET) {
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
