//! Operations: one file each. <https://hl7.org/fhir/R4/operations.html>

pub mod fhirpath;
pub mod validate;

use fhir_spec::json::{Object, Value};

use crate::accept::Submitted;
use crate::app::App;
use crate::fault::Fault;
use crate::instant::Instant;

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
