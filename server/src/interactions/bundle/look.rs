//! Entries that only look: read, vread and history.
//! <https://hl7.org/fhir/R4/http.html#read>

use fhir_spec::bundle::{Asked, Method, Request};
use fhir_spec::json::Text;
use fhir_spec::time::DateTime;
use search::query::Handling;

use super::Wishes;
use super::draft::no_search;
use super::step::Done;
use crate::accept::resource_type;
use crate::auth::Action;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::precondition::Versions;
use crate::interactions::{history, read, vread};
use crate::store::{Found, View};

#[derive(Debug, Clone)]
pub(super) enum Look {
    Read(Read),
    History {
        asked: history::Asked,
        is_head: bool,
    },
}

/// Of a resource, or of a version of it.
#[derive(Debug, Clone)]
pub(super) struct Read {
    resource_type: &'static str,
    id: String,
    version: Option<String>,
    is_head: bool,
    if_none_match: Option<Versions>,
    if_modified_since: Option<Instant>,
}

impl Look {
    pub(super) fn of(request: &Request) -> Result<Self, Fault> {
        let is_head = request.method == Method::Head;
        let (named, id, version) = match &request.address.asked {
            Asked::Instance(name, id) => (name, id, None),
            Asked::Version(name, id, version) => (name, id, Some(version.to_string())),
            Asked::History(name, id) => {
                let name = name.as_deref().and_then(resource_type);
                let query = request.address.parameters();
                let asked = history::Asked::of(name, id.as_deref(), &query, Handling::Strict)?;
                return Ok(Self::History { asked, is_head });
            }
            Asked::Metadata => return Err(unsupported()),
            _ => return Err(no_search()),
        };
        let Some(resource_type) = resource_type(named) else {
            return Err(Fault::internal("a type that was not checked"));
        };
        Ok(Self::Read(Read {
            resource_type,
            id: id.to_string(),
            version,
            is_head,
            // What cannot be read is no condition, as in a header.
            if_none_match: request.if_none_match.as_deref().and_then(Versions::parse),
            if_modified_since: request.if_modified_since.as_ref().and_then(instant),
        }))
    }

    pub(super) fn action(&self) -> Action {
        match self {
            Self::Read(read) => Action::Read(read.resource_type),
            Self::History { asked, .. } => asked.action(),
        }
    }

    pub(super) fn apply(
        &self,
        view: &mut View<'_>,
        wishes: &Wishes,
        now: Instant,
    ) -> Result<Done, Fault> {
        let (asked, is_head) = match self {
            Self::Read(read) => return read.apply(view),
            Self::History { asked, is_head } => (asked, *is_head),
        };
        let page = history::within(view, asked, &wishes.limits)?;
        let body = match is_head {
            true => None,
            false => Some((wishes.past)(now, &wishes.base, asked, &page)?),
        };
        Ok(Done {
            status: "200 OK",
            body,
            is_shown: true,
            ..Done::default()
        })
    }
}

impl Read {
    fn apply(&self, view: &mut View<'_>) -> Result<Done, Fault> {
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

fn unsupported() -> Fault {
    let told = "capabilities are asked for at /metadata, not in a bundle";
    Fault::new(Kind::NotImplemented, told)
}
