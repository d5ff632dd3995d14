//! Entries that only look: read, vread, history and search.
//! <https://hl7.org/fhir/R4/http.html#read>

use std::sync::Arc;

use ::search::query::Handling;
use fhir_spec::bundle::{Asked, Entry, Kind as BundleKind, Method};
use fhir_spec::json::Text;
use fhir_spec::time::DateTime;

use super::Wishes;
use super::step::Done;
use crate::accept::resource_type;
use crate::auth::{AUDITED, Action};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::precondition::Versions;
use crate::interactions::search::{self, Scope};
use crate::interactions::{history, parameters, read, vread};
use crate::store::{Found, View};

#[derive(Debug, Clone)]
pub(super) enum Look {
    Read(Read),
    History {
        asked: history::Asked,
        is_head: bool,
    },
    Search {
        asked: Arc<search::Asked>,
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
    pub(super) fn of(entry: &Entry, cx: &Cx) -> Result<Self, Fault> {
        let request = &entry.request;
        let is_head = request.method == Method::Head;
        let (named, id, version) = match &request.address.asked {
            Asked::Instance(name, id) => (name, id, None),
            Asked::Version(name, id, version) => (name, id, Some(version.to_string())),
            Asked::History(name, id) => {
                let name = name.as_deref().and_then(resource_type);
                let query = parameters::decoded(request.address.query())?;
                let asked = history::Asked::of(name, id.as_deref(), &query, Handling::Strict)?;
                return Ok(Self::History { asked, is_head });
            }
            Asked::Metadata => return Err(unsupported()),
            searched => {
                if entry.resource.is_some() {
                    let told = "the parameters of a search within a bundle stand in its url";
                    return Err(Fault::new(Kind::WrongParameter, told));
                }
                let scope = scope(searched, cx)?;
                let asked = search::ask_within_bundle(
                    cx,
                    scope,
                    parameters::decoded(request.address.query())?,
                )?;
                let asked = Arc::new(asked);
                return Ok(Self::Search { asked, is_head });
            }
        };
        let Some(resource_type) = resource_type(named) else {
            return Err(Fault::internal("a type that was not checked"));
        };
        if resource_type == AUDITED && cx.app.audit.is_on() {
            let told = "events of the audit are read by themselves, or searched";
            return Err(Fault::new(Kind::NotImplemented, told));
        }
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

    /// A search of texts waits until the index has what was written before. In a transaction it would have to find what
    /// only the commit brings there.
    pub(super) async fn settle(&self, cx: &Cx, kind: BundleKind) -> Result<(), Fault> {
        match self {
            Self::Search { asked, .. } if asked.is_of_text() && kind == BundleKind::Transaction => {
                Err(Fault::new(
                    Kind::WrongParameter,
                    "texts (_text, _content, :text) are not searched within a transaction, which the index of texts sees only once it is committed: send this search by itself, or in a batch",
                ))
            }
            Self::Search { asked, .. } => search::settle(cx, asked).await,
            Self::Read(_) | Self::History { .. } => Ok(()),
        }
    }

    pub(super) fn actions(&self) -> Vec<Action> {
        match self {
            Self::Read(read) => vec![Action::Read(read.resource_type)],
            Self::History { asked, .. } => vec![asked.action()],
            Self::Search { asked, .. } => asked.actions().collect(),
        }
    }

    pub(super) fn apply(
        &self,
        view: &mut View<'_>,
        cx: &Cx,
        wishes: &Wishes,
    ) -> Result<Done, Fault> {
        let (now, base) = (cx.now, &wishes.base);
        let (body, is_head) = match self {
            Self::Read(read) => return read.apply(view, cx),
            Self::History { asked, is_head } => {
                let page = history::within(view, asked, &wishes.limits)?;
                asked.note(cx, &page);
                ((wishes.past)(now, base, asked, &page)?, *is_head)
            }
            Self::Search { asked, is_head } => {
                let mut page = search::within(view, asked)?;
                asked.note(cx, &page);
                let links =
                    search::links_within_bundle(&cx.app, &cx.caller, now, asked, &mut page)?;
                ((wishes.found)(now, base, asked, &page, &links)?, *is_head)
            }
        };
        let body = (!is_head).then_some(body);
        Ok(Done {
            status: "200 OK",
            body,
            is_shown: true,
            ..Done::default()
        })
    }
}

impl Read {
    fn apply(&self, view: &mut View<'_>, cx: &Cx) -> Result<Done, Fault> {
        let (code, found) = match &self.version {
            None => ("read", read::within(view, self.resource_type, &self.id)?),
            Some(version) => {
                let found = vread::within(view, self.resource_type, &self.id, version)?;
                ("vread", found)
            }
        };
        read::note(cx, code, (self.resource_type, &self.id), &found);
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

/// Where a search looks.
fn scope(asked: &Asked, cx: &Cx) -> Result<Scope, Fault> {
    let named = |name: &Text| resource_type(name);
    match asked {
        Asked::System | Asked::Search(None) => Ok(Scope::default()),
        Asked::Type(name) | Asked::Search(Some(name)) => Ok(Scope {
            resource_type: named(name),
            compartment: None,
        }),
        Asked::Compartment(owner, id, inner) => {
            Scope::within(cx.app.definitions(), owner, id, named(inner))
        }
        _ => Err(Fault::internal("an address that was not checked")),
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
