//! Entries that only look: read, vread and history.
//! <https://hl7.org/fhir/R4/http.html#read>

use fhir_spec::bundle::{Asked, Method, Request};
use fhir_spec::json::Text;
use fhir_spec::time::DateTime;

use super::draft::no_search;
use super::step::Done;
use crate::accept::resource_type;
use crate::auth::Action;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::precondition::Versions;
use crate::interactions::{read, vread};
use crate::store::{Found, View};

#[derive(Debug, Clone)]
pub(super) struct Look {
    resource_type: &'static str,
    id: String,
    version: Option<String>,
    is_head: bool,
    if_none_match: Option<Versions>,
    if_modified_since: Option<Instant>,
}

impl Look {
    pub(super) fn of(request: &Request) -> Result<Self, Fault> {
        let (named, id, version) = match &request.address.asked {
            Asked::Instance(name, id) => (name, id, None),
            Asked::Version(name, id, version) => (name, id, Some(version.to_string())),
            Asked::History(..) => return Err(unsupported("histories")),
            Asked::Metadata => return Err(unsupported("capabilities")),
            _ => return Err(no_search()),
        };
        let Some(resource_type) = resource_type(named) else {
            return Err(Fault::internal("a type that was not checked"));
        };
        Ok(Self {
            resource_type,
            id: id.to_string(),
            version,
            is_head: request.method == Method::Head,
            // What cannot be read is no condition, as in a header.
            if_none_match: request.if_none_match.as_deref().and_then(Versions::parse),
            if_modified_since: request.if_modified_since.as_ref().and_then(instant),
        })
    }

    pub(super) fn action(&self) -> Action {
        Action::Read(self.resource_type)
    }

    pub(super) fn apply(&self, view: &mut View<'_>) -> Result<Done, Fault> {
        let found = match &self.version {
            None => read::within(view, self.resource_type, &self.id)?,
            Some(version) => vread::within(view, self.resource_type, &self.id, version)?,
        };
        let mut done = Done {
            status: "200 OK",
            address: Some((self.resource_type, self.id.clone())),
            version: Some(found.version),
            at: Some(found.at),
            ..Done::default()
        };
        if self.holds(&found) {
            done.status = "304 Not Modified";
        } else if !self.is_head {
            done.body = Some(found.body.into());
            done.is_shown = true;
        }
        Ok(done)
    }

    /// Whether the client has this version. Versions decide when they are given: times are less exact.
    fn holds(&self, found: &Found) -> bool {
        match (&self.if_none_match, self.if_modified_since) {
            (Some(versions), _) => versions.include(found.version),
            (None, Some(since)) => found.at <= since,
            (None, None) => false,
        }
    }
}

fn instant(text: &Text) -> Option<Instant> {
    let (from, _) = DateTime::parse_fhir(text)?.interval(0);
    Some(Instant::from_micros(from))
}

fn unsupported(what: &str) -> Fault {
    let told = format!("{what} are not supported in a bundle yet");
    Fault::new(Kind::NotImplemented, told)
}
