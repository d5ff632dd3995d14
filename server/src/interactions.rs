//! What FHIR lets a client ask of a server, in FHIR's words; nothing here knows HTTP.
//! <https://hl7.org/fhir/R4/http.html>

pub mod bundle;
pub mod capabilities;
pub mod conditional;
pub mod create;
pub mod delete;
pub mod history;
pub mod parameters;
pub mod patch;
pub mod precondition;
pub mod read;
pub mod search;
pub mod update;
pub mod vread;

use std::borrow::Cow;

use fhir_spec::Issue;

use crate::accept::{Accepted, Sealed, Stamped, Submitted, accept};
use crate::app::App;
use crate::fault::{Fault, Kind};
use crate::store::{Before, Found};

/// What this server does. Routes and the CapabilityStatement are both read from here.
pub const ALL: &[Interaction] = &[
    Interaction::Read,
    Interaction::Vread,
    Interaction::Update,
    Interaction::Patch,
    Interaction::Delete,
    Interaction::HistoryInstance,
    Interaction::HistoryType,
    Interaction::Create,
    Interaction::SearchType,
    Interaction::SearchCompartment,
    Interaction::ConditionalUpdate,
    Interaction::ConditionalPatch,
    Interaction::ConditionalDelete,
    Interaction::HistorySystem,
    Interaction::SearchSystem,
    Interaction::Transaction,
    Interaction::Batch,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interaction {
    Create,
    Read,
    Vread,
    Update,
    Patch,
    Delete,
    HistoryInstance,
    HistoryType,
    HistorySystem,
    SearchType,
    SearchCompartment,
    SearchSystem,
    Transaction,
    Batch,
    ConditionalUpdate,
    ConditionalPatch,
    ConditionalDelete,
}

/// What an interaction is addressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `[base]`
    System,
    /// `[base]/_search`
    SystemSearch,
    /// `[base]/_history`
    SystemHistory,
    /// `[base]/Type`
    Type,
    /// `[base]/Type/_search`
    TypeSearch,
    /// `[base]/Type/_history`
    TypeHistory,
    /// `[base]/Type/id`
    Instance,
    /// `[base]/Type/id/Type` and `[base]/Type/id/*`
    Compartment,
    /// `[base]/Type/id/Type/_search`
    CompartmentSearch,
    /// `[base]/Type/id/_history`
    InstanceHistory,
    /// `[base]/Type/id/_history/version`
    Version,
}

impl Interaction {
    /// <https://hl7.org/fhir/R4/valueset-type-restful-interaction.html>
    pub fn code(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Vread => "vread",
            Self::Update | Self::ConditionalUpdate => "update",
            Self::Patch | Self::ConditionalPatch => "patch",
            Self::Delete | Self::ConditionalDelete => "delete",
            Self::HistoryInstance => "history-instance",
            Self::HistoryType => "history-type",
            Self::HistorySystem => "history-system",
            Self::SearchType | Self::SearchCompartment => "search-type",
            Self::SearchSystem => "search-system",
            Self::Transaction => "transaction",
            Self::Batch => "batch",
        }
    }

    pub fn level(self) -> Level {
        match self {
            Self::Create
            | Self::SearchType
            | Self::ConditionalUpdate
            | Self::ConditionalPatch
            | Self::ConditionalDelete => Level::Type,
            Self::Read | Self::Update | Self::Patch | Self::Delete => Level::Instance,
            Self::Vread => Level::Version,
            Self::HistoryInstance => Level::InstanceHistory,
            Self::HistoryType => Level::TypeHistory,
            Self::HistorySystem => Level::SystemHistory,
            Self::SearchCompartment => Level::Compartment,
            Self::SearchSystem | Self::Transaction | Self::Batch => Level::System,
        }
    }

    /// Whether it is declared for each type; the others are declared once, for the system.
    pub fn is_of_a_type(self) -> bool {
        !matches!(self.level(), Level::System | Level::SystemHistory)
    }
}

/// What the answer to a write should tell of it. <https://hl7.org/fhir/R4/http.html#ops>
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Return {
    Minimal,
    #[default]
    Representation,
    OperationOutcome,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Created,
    Updated,
    /// What was sent is what was there.
    Unchanged,
}

/// What was stored, what that did, and what validation had to say beside.
#[derive(Debug)]
pub struct Written {
    pub resource: Stamped,
    pub effect: Effect,
    pub notes: Vec<Issue>,
}

/// What the index holds of the current version: as it was found before the door opened, when that is still the one.
pub(crate) fn before<'a>(
    app: &App,
    current: &Found,
    guess: Option<&'a Before>,
) -> Result<Cow<'a, Before>, Fault> {
    match guess {
        Some(guess) if guess.is_of(current) => Ok(Cow::Borrowed(guess)),
        _ => Ok(Cow::Owned(Before::of(&app.search(), current)?)),
    }
}

/// A document of the type that it is addressed to, found sound. All that is wrong comes back at once.
pub(crate) fn checked(
    app: &App,
    resource_type: &str,
    submitted: Submitted,
) -> Result<(Accepted, Vec<Issue>), Fault> {
    match submitted.document.str_of("resourceType") {
        Some(named) if named != resource_type => {
            return Err(Fault::new(
                Kind::WrongType,
                format!("this address is for a {resource_type}, the document is a {named}"),
            ));
        }
        _ => {}
    }
    let mut accepted = accept(&app.validator, submitted)
        .map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))?;
    let notes = accepted.take_notes();
    Ok((accepted, notes))
}

/// Written out under its id, or all that keeps it from being served.
pub(crate) fn sealed(app: &App, accepted: Accepted, id: String) -> Result<Sealed, Fault> {
    let sealed = app.seal(accepted, id);
    sealed.map_err(|issues| Fault::of_issues(Kind::Unprocessable, issues))
}
