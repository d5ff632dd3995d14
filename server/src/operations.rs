//! Operations: one file each. <https://hl7.org/fhir/R4/operations.html>

mod binding_token;
pub mod ccd;
mod closure;
pub mod document;
pub mod events;
pub mod fhirpath;
pub mod status;
pub mod validate;

use std::pin::Pin;

use bytes::Bytes;
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::parameters::Parameters;

use crate::accept::Submitted;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::bundle::Invocation;

/// What this server does beyond interactions. Routes and the CapabilityStatement are both read from here.
pub const ALL: &[Operation] = &[
    validate::OPERATION,
    fhirpath::OPERATION,
    document::OPERATION,
    status::OPERATION,
    events::OPERATION,
    binding_token::OPERATION,
    ccd::OPERATION,
];

/// An operation: where it may be called, and what it does.
#[derive(Debug)]
pub struct Operation {
    /// With the dollar sign, as it stands in the address.
    pub code: &'static str,
    /// The canonical url of the OperationDefinition of the specification; None for one of our own.
    pub definition: Option<&'static str>,
    pub on_system: bool,
    pub on_type: Types,
    pub on_instance: Types,
    pub run: Run,
}

/// The types that an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Types {
    None,
    Any,
    Only(&'static str),
}

/// What an operation works on.
#[derive(Debug, Clone, Copy)]
pub enum Run {
    /// On what was sent.
    Sent(fn(&App, &Call) -> Result<Value, Fault>),
    /// On what is stored. It changes nothing unless it is told to, so GET may ask for it.
    Stored(for<'a> fn(&'a Cx, &'a Call) -> Working<'a>),
}

pub type Working<'a> = Pin<Box<dyn Future<Output = Result<Answer, Fault>> + 'a>>;

/// What an operation answers.
#[derive(Debug)]
pub enum Answer {
    Resource(Value),
    /// A Bundle around stored texts, in JSON.
    Bundle(Bytes),
    /// A clinical document.
    Clinical(String),
}

/// One call of an operation.
#[derive(Debug)]
pub struct Call {
    /// The type it was addressed to; None on the system.
    pub resource_type: Option<&'static str>,
    /// And the resource; None on a type.
    pub id: Option<String>,
    /// Parameters without any when nothing was sent.
    pub submitted: Submitted,
    /// The parameters of the address, decoded.
    pub query: Vec<(String, String)>,
    /// The FHIR base as the client knows it.
    pub base: String,
    /// A clinical document is wanted, where there is one.
    pub wants_cda: bool,
    /// The method says that something may change.
    pub may_change: bool,
    pub now: Instant,
}

impl Types {
    fn have(self, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::Only(only) => only == name,
        }
    }
}

impl Operation {
    pub fn applies(&self, resource_type: Option<&str>, is_instance: bool) -> bool {
        match resource_type {
            None => self.on_system,
            Some(name) if is_instance => self.on_instance.have(name),
            Some(name) => self.on_type.have(name),
        }
    }

    /// Whether it answers with a clinical document unless FHIR is asked for.
    pub fn is_clinical(&self) -> bool {
        self.code == ccd::OPERATION.code
    }

    /// Whether GET may ask for it.
    pub fn is_readable(&self) -> bool {
        matches!(self.run, Run::Stored(_))
    }
}

/// How the CapabilityStatement names the operations of a level: those that the specification defines.
pub fn declared(resource_type: Option<&str>) -> Vec<Value> {
    ALL.iter()
        .filter(|operation| {
            [false, true]
                .iter()
                .any(|is| operation.applies(resource_type, *is))
        })
        .filter_map(|operation| {
            let name = operation.code.trim_start_matches('$');
            let members = [("name", name), ("definition", operation.definition?)];
            Some(Object::from_iter(members).into())
        })
        .collect()
}

impl Call {
    fn query_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a parameter, wherever they stand, as text.
    fn values(&self, name: &str) -> Vec<String> {
        let asked = self.query_values(name).map(str::to_owned);
        let sent = Parameters::of(&self.submitted.document);
        let sent = sent
            .into_iter()
            .flat_map(|sent| sent.texts(name).map(str::to_owned).collect::<Vec<_>>());
        asked.chain(sent).collect()
    }

    /// The value of a parameter, wherever it stands, as text.
    fn value(&self, name: &str) -> Option<String> {
        let asked = self.query_values(name).next().map(str::to_owned);
        asked.or_else(|| {
            let sent = Parameters::of(&self.submitted.document)?;
            let value = sent.values(name).next()?;
            match &value.data {
                Data::String(text) | Data::Number(text) => Some(text.to_string()),
                Data::Bool(is_so) => Some(is_so.to_string()),
                _ => value.str_of("reference").map(str::to_owned),
            }
        })
    }

    /// Parameters that the operation does not have are refused: to pass them over would answer something else.
    fn has_only(&self, known: &[&str]) -> Result<(), Fault> {
        let asked = self.query.iter().map(|(name, _)| name.as_str());
        let sent = Parameters::of(&self.submitted.document).ok_or_else(|| {
            let told = "expected a body of Parameters, or none";
            Fault::new(Kind::Malformed, told)
        })?;
        let unknown = |name: &&str| !known.contains(name) && !OF_THE_ANSWER.contains(name);
        let Some(unknown) = asked.chain(sent.names()).find(unknown) else {
            return Ok(());
        };
        let shown: String = unknown.chars().take(40).collect();
        let told = format!(
            "`{shown}` is no parameter here; these are: {}",
            known.join(", ")
        );
        Err(Fault::new(Kind::WrongParameter, told))
    }
}

/// How the answer should look: every operation has them.
const OF_THE_ANSWER: &[&str] = &["_format", "_pretty", "_summary", "_elements"];

/// An operation that an entry of a bundle calls.
pub fn within_bundle(app: &App, caller: &Caller, asked: Invocation) -> Result<Value, Fault> {
    let known = ALL.iter().find(|operation| {
        let is_meant = operation.code.strip_prefix('$') == Some(asked.code.as_str());
        is_meant && operation.applies(asked.resource_type, asked.id.is_some())
    });
    let Some(operation) = known else {
        let told = format!("there is no operation ${} at this address", asked.code);
        return Err(Fault::new(Kind::UnknownPath, told));
    };
    may(caller, Action::Invoke(operation.code))?;
    let Run::Sent(run) = operation.run else {
        let told = format!(
            "{} is not done within a bundle: ask for it by itself",
            operation.code
        );
        return Err(Fault::new(Kind::NotImplemented, told));
    };
    let Some(document) = asked.document else {
        let told = "an operation is called with a resource, this entry has none";
        return Err(Fault::new(Kind::Malformed, told));
    };
    let call = Call {
        resource_type: asked.resource_type,
        id: asked.id,
        // Its lines are not those of the bundle.
        submitted: Submitted {
            document,
            source: Bytes::new(),
        },
        query: asked.query,
        base: String::new(),
        wants_cda: false,
        may_change: true,
        now: asked.now,
    };
    run(app, &call)
}
