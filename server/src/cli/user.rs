//! `kiln user`: people who sign in.

use std::process::ExitCode;

use fhir_spec::reference::is_id;

use super::change::{self, look, open, open_existing, show, write};
use super::place::Place;
use crate::auth::role;
use crate::instant::Instant;
use crate::smart::password;
use crate::store::Person;

/// What may stand for a person, and what such a person is when nothing else is said.
const FHIR_USERS: &[(&str, Option<&str>)] = &[
    ("Patient", Some("patient")),
    ("Practitioner", Some("clinician")),
    ("PractitionerRole", Some("clinician")),
    ("RelatedPerson", None),
    ("Person", None),
];

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Let somebody sign in
    #[command(
        after_help = "A patient sees their own record; whoever stands for a practitioner chooses the patient.\n\n\
Example:\n  printf %s \"$PASSWORD\" | kiln user add anna --password-stdin --fhir-user Practitioner/1 --role clinician"
    )]
    Add(AddFlags),
    /// List people: what they are and whether they may come in
    #[command(after_help = "Example:\n  kiln user list --data ./kiln-data")]
    List(PlaceFlags),
    /// Let somebody in no longer; what they allowed apps ends too
    #[command(after_help = "Example:\n  kiln user disable anna")]
    Disable(NameFlags),
    /// Change a password; whoever is signed in with the old one is not any more
    #[command(
        after_help = "Example:\n  printf %s \"$PASSWORD\" | kiln user password anna --password-stdin"
    )]
    Password(PasswordFlags),
}

#[derive(Debug, clap::Args)]
struct PlaceFlags {
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct NameFlags {
    name: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct PasswordFlags {
    name: String,
    /// Read the password from the standard input
    #[arg(long, required = true)]
    password_stdin: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
struct AddFlags {
    /// What they sign in with
    name: String,
    /// Read the password from the standard input
    #[arg(long, required = true)]
    password_stdin: bool,
    /// The resource that stands for them, such as Practitioner/1 or Patient/1
    #[arg(long, value_name = "REFERENCE")]
    fhir_user: Option<String>,
    /// admin, clinician, patient, integrator, sender or auditor; may be given more than once [default: what the fhir user is]
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Change(#[from] change::Error),
    #[error("a name has 1 to 64 letters, digits, dots, dashes, underscores and at signs")]
    Name,
    #[error("--role {0}: there are admin, clinician, patient, integrator, sender and auditor")]
    Role(String),
    #[error("--role is needed: nothing else says what they may do")]
    NoRole,
    #[error(
        "--fhir-user {0}: expected a Patient, Practitioner, PractitionerRole, RelatedPerson or Person with its id"
    )]
    FhirUser(String),
    #[error(transparent)]
    Password(#[from] password::Error),
    #[error("the password cannot be read from the standard input")]
    Stdin(#[source] std::io::Error),
    #[error("there is somebody of the name {0} already")]
    Taken(String),
    #[error("nobody of that name may come in")]
    Unknown,
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    match &flags.command {
        Command::Add(flags) => add(flags),
        Command::List(flags) => list(flags),
        Command::Disable(flags) => disable(flags),
        Command::Password(flags) => set_password(flags),
    }
}

fn add(flags: &AddFlags) -> Result<ExitCode, Error> {
    let is_plain = |c: char| c.is_alphanumeric() || ".-_@".contains(c);
    if !(1..=64).contains(&flags.name.len()) || !flags.name.chars().all(is_plain) {
        return Err(Error::Name);
    }
    let person = Person {
        name: flags.name.clone(),
        roles: roles(flags)?,
        fhir_user: flags.fhir_user.clone(),
        password: password::kept(&change::secret_from_stdin().map_err(Error::Stdin)?)?,
        created_at: now(),
        disabled_at: None,
    };
    let (_, store) = open(&flags.place)?;
    match write(&store, move |tx| tx.add_person(&person))? {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Error::Taken(flags.name.clone())),
    }
}

/// What they are: what is said, else what those are whom the resource stands for.
fn roles(flags: &AddFlags) -> Result<String, Error> {
    let mut usual = None;
    if let Some(reference) = &flags.fhir_user {
        let known = reference.split_once('/').filter(|(_, id)| is_id(id));
        let known = known.and_then(|(named, _)| FHIR_USERS.iter().find(|(name, _)| *name == named));
        let (_, role) = known.ok_or_else(|| Error::FhirUser(reference.clone()))?;
        usual = *role;
    }
    if let Some(unknown) = flags.roles.iter().find(|name| role::named(name).is_none()) {
        return Err(Error::Role(unknown.clone()));
    }
    match (flags.roles.is_empty(), usual) {
        (true, None) => Err(Error::NoRole),
        (true, Some(usual)) => Ok(usual.to_owned()),
        (false, _) => Ok(flags.roles.join(" ")),
    }
}

fn list(flags: &PlaceFlags) -> Result<ExitCode, Error> {
    let store = flags.place.open_existing().map_err(change::Error::from)?;
    let mut text = String::new();
    for person in look(&store, |view| view.people())? {
        let state = match person.disabled_at {
            None => "comes in",
            Some(_) => "disabled",
        };
        let fhir_user = person
            .fhir_user
            .map(|reference| format!("  fhir-user={reference}"));
        let fhir_user = fhir_user.unwrap_or_default();
        text += &format!(
            "{} {state}  roles=\"{}\"{fhir_user}\n",
            person.name, person.roles
        );
    }
    Ok(show(&text)?)
}

fn disable(flags: &NameFlags) -> Result<ExitCode, Error> {
    let (_, store) = open_existing(&flags.place)?;
    let (name, now) = (flags.name.clone(), now());
    known(write(&store, move |tx| tx.disable_person(&name, now))?)
}

fn set_password(flags: &PasswordFlags) -> Result<ExitCode, Error> {
    let kept = password::kept(&change::secret_from_stdin().map_err(Error::Stdin)?)?;
    let (_, store) = open_existing(&flags.place)?;
    let name = flags.name.clone();
    known(write(&store, move |tx| tx.set_password(&name, &kept))?)
}

fn known(is_known: bool) -> Result<ExitCode, Error> {
    match is_known {
        true => Ok(ExitCode::SUCCESS),
        false => Err(Error::Unknown),
    }
}

fn now() -> Instant {
    std::time::SystemTime::now().into()
}
