//! Operations: one file each. <https://hl7.org/fhir/R4/operations.html>

pub mod fhirpath;
pub mod validate;

use bytes::Bytes;
use fhir_spec::json::{Object, Value};

use crate::accept::Submitted;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::bundle::Invocation;

/// What this server does beyond interactions. Routes and the CapabilityStatement are both read from here.
pub const ALL: &[Operation] = &[validate::OPERATION, fhirpath::OPERATION];

/// An operation: where it may be called, and what it does.
#[derive(Debug)]
pub struct Operation {
    /// With the dollar sign, as it stands in the address.
    pub code: &'static str,
    /// The canonical url of the OperationDefinition of the specification; None for one of our own.
    pub definition: Option<&'static str>,
    pub on_system: bool,
    pub on_type: bool,
    pub run: fn(&App, &Call) -> Result<Value, Fault>,
}

/// One call of an operation.
#[derive(Debug)]
pub struct Call {
    /// The type it was addressed to; None on the system.
    pub resource_type: Option<&'static str>,
    pub submitted: Submitted,
    /// The parameters of the address, decoded.
    pub query: Vec<(String, String)>,
    pub now: Instant,
}

impl Operation {
    pub fn applies(&self, resource_type: Option<&str>) -> bool {
        match resource_type {
            None => self.on_system,
            Some(_) => self.on_type,
        }
    }
}

/// How the CapabilityStatement names the operations of a level: those that the specification defines.
pub fn declared(resource_type: Option<&str>) -> Vec<Value> {
    ALL.iter()
        .filter(|operation| operation.applies(resource_type))
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
}

/// An operation that an entry of a bundle calls.
pub fn within_bundle(app: &App, caller: Caller, asked: Invocation) -> Result<Value, Fault> {
    let known = ALL.iter().find(|operation| {
        let is_meant = operation.code.strip_prefix('$') == Some(asked.code.as_str());
        is_meant && asked.id.is_none() && operation.applies(asked.resource_type)
    });
    let Some(operation) = known else {
        let told = format!("there is no operation ${} at this address", asked.code);
        return Err(Fault::new(Kind::UnknownPath, told));
    };
    may(caller, Action::Invoke(operation.code))?;
    let Some(document) = asked.document else {
        let told = "an operation is called with a resource, this entry has none";
        return Err(Fault::new(Kind::Malformed, told));
    };
    let call = Call {
        resource_type: asked.resource_type,
        // Its lines are not those of the bundle.
        submitted: Submitted {
            document,
            source: Bytes::new(),
        },
        query: asked.query,
        now: asked.now,
    };
    (operation.run)(app, &call)
}
