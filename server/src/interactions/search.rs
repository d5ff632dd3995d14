//! Search: what is found by what is in it, page by page.
//! <https://hl7.org/fhir/R4/search.html>
//!
//! What a client asks becomes `Asked` (`asked.rs`), without looking into the database; its pages are found inside one state
//! of the database (`page.rs`); the links to other pages are sealed (`link.rs`).

mod asked;
mod contained;
mod cost;
mod explain;
mod include;
mod link;
mod log;
mod page;
mod place;
mod seal;
mod text;
mod whole;

use std::sync::{Arc, OnceLock};

use fhir_spec::Issue;
use fhir_spec::definitions::Definitions;
use search::Registry;
use search::query::{Answered, Include, Query, Total};
use search::text::Snapshot;

use crate::accept;
use crate::auth::{Action, Caller, Did, Permit, Step, may, may_all};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits::Limits;
use crate::texts::Texts;

pub use asked::{ask, ask_within_bundle};
pub use link::{Links, links_within_bundle};
pub use log::read as read_audit;
pub use page::within;
pub use place::Place;
pub use whole::whole;

/// The parameter that carries a place from one page to the next.
pub const PLACE: &str = "_page";
/// What every page is asked for anew: links repeat it.
pub const OF_EACH_PAGE: &[&str] = &["_format", "_pretty", explain::PARAMETER];

/// Where is searched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// None: in all types.
    pub resource_type: Option<&'static str>,
    /// In what belongs to this resource.
    pub compartment: Option<(&'static str, String)>,
}

/// A search, understood.
#[derive(Debug)]
pub struct Asked {
    pub scope: Scope,
    /// Those that counted, as they were written.
    pub parameters: Vec<(String, String)>,
    /// Of these, what every page is asked for anew.
    pub of_each_page: Vec<(String, String)>,
    /// The link that was followed to this page.
    pub token: Option<String>,
    /// What was passed over.
    pub ignored: Vec<Issue>,
    registry: Arc<Registry>,
    /// Where texts are asked for.
    texts: Option<Arc<Texts>>,
    /// The state of them in which they are looked for.
    text: OnceLock<Snapshot>,
    /// A query for each type, in the order of their names; their sort keys and all that is about pages is the same.
    parts: Vec<Part>,
    page_size: u32,
    total: Option<Total>,
    counts_only: bool,
    /// What the database did is told beside.
    explains: bool,
    /// Events of the audit are asked for, which are kept elsewhere.
    is_of_audit: bool,
    place: Place,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Part {
    resource_type: &'static str,
    /// What is contained in other resources is searched, and so it is answered.
    contained: Option<Answered>,
    query: Query,
}

/// What a page shows.
#[derive(Debug, Default)]
pub struct Page {
    pub hits: Vec<Entry>,
    /// What comes along with the hits.
    pub included: Vec<Entry>,
    pub total: Option<u64>,
    /// For the client to be told beside.
    pub issues: Vec<Issue>,
    /// Where other pages begin.
    next: Option<Place>,
    previous: Option<Place>,
    last: Option<Place>,
    /// And the rest of what comes along with these hits.
    related: Option<Place>,
}

/// A resource as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub resource_type: &'static str,
    pub rid: i64,
    pub id: String,
    pub text: Vec<u8>,
    /// How well it fits.
    pub score: Option<String>,
}

pub async fn run(cx: &Cx, asked: &Arc<Asked>) -> Result<(Page, Links), Fault> {
    let within = {
        let asked = Arc::clone(asked);
        move |view: &mut crate::store::View<'_>| page::within(view, &asked)
    };
    settle(cx, asked).await?;
    let begun = std::time::Instant::now();
    let found = cx.app.store.read(asked.permit(cx)?, within).await;
    asked.took(begun.elapsed());
    let page = found?;
    asked.note(cx, &page);
    let links = link::links(cx, asked, &page).await?;
    Ok((page, links))
}

/// Before a search of texts: waits until the index has what was written before.
pub async fn settle(cx: &Cx, asked: &Asked) -> Result<(), Fault> {
    if let Some(texts) = &asked.texts {
        let follow = may(&Caller::Kiln, Action::Follow)?;
        let generation = asked.registry.generation();
        let snapshot = texts.now(&cx.app.store, follow, generation).await?;
        // Those who ask again get what they got.
        let _known = asked.text.set(snapshot);
    }
    Ok(())
}

impl Scope {
    pub fn of_type(resource_type: &'static str) -> Self {
        Self {
            resource_type: Some(resource_type),
            compartment: None,
        }
    }

    /// What belongs to a resource, of one type or of all.
    pub fn within(
        definitions: &Definitions,
        owner: &str,
        id: &str,
        resource_type: Option<&'static str>,
    ) -> Result<Self, Fault> {
        let known = definitions.compartment(owner);
        let Some(owner) = known.and_then(|known| accept::resource_type(&known.code)) else {
            let all = definitions.compartments().iter();
            let all: Vec<&str> = all.map(|compartment| &*compartment.code).collect();
            let diagnostics = format!(
                "there is no compartment of that kind, only of a {}",
                all.join(", ")
            );
            return Err(Fault::new(Kind::UnknownPath, diagnostics));
        };
        Ok(Self {
            resource_type,
            compartment: Some((owner, id.to_owned())),
        })
    }

    /// The address from the base on: `Observation`, `Patient/1/Observation`, `Patient/1/*`, nothing for the whole system.
    pub fn path(&self) -> String {
        match (&self.compartment, self.resource_type) {
            (Some((kind, id)), type_) => format!("{kind}/{id}/{}", type_.unwrap_or("*")),
            (None, type_) => type_.unwrap_or_default().to_owned(),
        }
    }
}

impl Asked {
    /// Whether the index of texts is asked.
    pub fn is_of_text(&self) -> bool {
        self.texts.is_some()
    }

    /// What the caller must be allowed to do.
    pub fn actions(&self) -> impl Iterator<Item = Action> {
        let searched = self.parts.iter().map(|part| part.resource_type);
        // Containers are of whatever type.
        let has_containers = self.parts.iter().any(|part| part.contained.is_some());
        let includes = !self.includes().is_empty() || has_containers;
        let includes = includes.then_some(Action::Include);
        let explains = self.explains.then_some(Action::Explain);
        searched.map(Action::Search).chain(includes).chain(explains)
    }

    /// The audit tells what was asked, and whose records it has found.
    pub fn note(&self, cx: &Cx, page: &Page) {
        let Some(visit) = cx.caller.visit() else {
            return;
        };
        let mut patients = Vec::new();
        if !self.is_of_audit {
            for entry in page.hits.iter().chain(&page.included) {
                let named = (entry.resource_type, entry.id.as_str());
                visit.patients_of(named, &entry.text, &mut patients);
            }
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.parameters.iter().chain(&self.of_each_page));
        let query = query.finish();
        visit.note(Step {
            code: match self.scope.resource_type {
                Some(_) => "search-type",
                None => "search-system",
            },
            action: Did::Execute,
            patients,
            query: Some(format!("{}?{query}", self.scope.path())),
            ..Step::default()
        });
    }

    /// They are the same for every type.
    fn includes(&self) -> &[Include] {
        let first = self.parts.first();
        first.map_or(&[], |part| part.query.includes.as_slice())
    }

    fn permit(&self, cx: &Cx) -> Result<Permit, Fault> {
        Ok(may_all(&cx.caller, self.actions())?)
    }

    /// Whatever makes an answer: one of the types that are searched.
    fn action(&self) -> Action {
        let first = self.parts.first();
        Action::Search(first.map_or("Resource", |part| part.resource_type))
    }
}
