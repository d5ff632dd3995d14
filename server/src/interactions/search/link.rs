//! The links of a page: each holds all that is needed to go on, sealed, bound to who asked, and for a while.
//! <https://hl7.org/fhir/R4/http.html#paging>
//!
//! What would make a link too long for an address is kept in the database, under its hash, for as long as the link lives.

use fhir_spec::{Issue, IssueCode, Severity};
use form_urlencoded::{Serializer, parse};

use super::place::{Carried, Place, Start, Ticket};
use super::seal::{open, seal};
use super::{Asked, PLACE, Page, Scope};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::limits::Limits;
use crate::store::LongSearch;

/// What the parameter `_page` holds for other pages of the same search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links {
    pub first: Option<String>,
    pub previous: Option<String>,
    pub next: Option<String>,
    pub last: Option<String>,
    pub related: Option<String>,
}

/// The links to other pages, and what they need that does not fit into them is kept.
pub(super) async fn links(cx: &Cx, asked: &Asked, page: &Page) -> Result<Links, Fault> {
    let mut writer = Writer::of(&cx.app, &cx.caller, cx.now, asked);
    let links = writer.links(page)?;
    let kept = writer.kept;
    if !kept.is_empty() {
        let (action, now) = (asked.action(), cx.now);
        // Twice as long as the link: what other links keep too is not written anew for each of them.
        let until = later(later(now, &cx.app.limits), &cx.app.limits);
        let keep = move |tx: &mut crate::store::Tx<'_>| {
            kept.iter()
                .try_for_each(|text| tx.keep_search(action, text.as_bytes(), now, until))
        };
        let permit = may(&cx.caller, action)?;
        cx.app
            .store
            .write(permit, keep)
            .await
            .map_err(Fault::from)?;
    }
    Ok(links)
}

/// The same for an entry of a bundle. Nothing is kept there: links that would need it are missing, and the page says so.
pub fn links_within_bundle(
    app: &App,
    caller: &Caller,
    now: Instant,
    asked: &Asked,
    page: &mut Page,
) -> Result<Links, Fault> {
    let mut writer = Writer::of(app, caller, now, asked);
    let links = writer.links(page)?;
    if writer.kept.is_empty() {
        return Ok(links);
    }
    let told = "there are more pages; this search is too long for links within a bundle: send it by itself";
    page.issues
        .push(Issue::new(Severity::Warning, IssueCode::Incomplete, told));
    Ok(Links::default())
}

/// What a link says: the parameters of the search, and the place of the page.
pub(super) async fn follow(
    cx: &Cx,
    scope: &Scope,
    token: &str,
) -> Result<(Vec<(String, String)>, Place), Fault> {
    let changed = "is no link of this server, or was changed";
    let text = open(cx.app.store.secret()?, token).ok_or_else(|| refused(changed))?;
    let ticket = Ticket::of_text(&text).ok_or_else(|| refused(changed))?;
    if let Some(why) = ticket.is_not_for(scope, cx.caller.name(), cx.now) {
        return Err(refused(&why));
    }
    let parameters = fetch(cx, ticket.parameters).await?;
    let start = match ticket.start {
        None => None,
        Some(start) => {
            let text = fetch(cx, start).await?;
            Some(Start::of_text(&text).ok_or_else(|| refused(changed))?)
        }
    };
    let statistics = match ticket.statistics {
        None => None,
        Some(statistics) => Some(fetch(cx, statistics).await?),
    };
    let place = Place {
        start,
        statistics,
        trail: ticket.trail,
        is_trail_cut: ticket.is_trail_cut,
        total: ticket.total,
        asked_at: ticket.asked_at,
        is_last: ticket.is_last,
        included: ticket.included,
    };
    Ok((parse(parameters.as_bytes()).into_owned().collect(), place))
}

async fn fetch(cx: &Cx, carried: Carried) -> Result<String, Fault> {
    let hash = match carried {
        Carried::Here(text) => return Ok(text),
        Carried::Kept(hash) => LongSearch(hash),
    };
    // Whoever holds the link was allowed to search when it was made; what it leads to is asked for anew.
    let action = Action::Search("Resource");
    let now = cx.now;
    let find = move |view: &mut crate::store::View<'_>| view.long_search(action, hash, now);
    let found = cx.app.store.read(may(&cx.caller, action)?, find).await?;
    let text = found.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| refused("leads to a search that is not kept any more"))
}

fn refused(why: &str) -> Fault {
    let diagnostics = format!("`{PLACE}` {why}: begin the search anew");
    Fault::new(Kind::WrongParameter, diagnostics)
}

fn later(now: Instant, limits: &Limits) -> Instant {
    let micros = i64::try_from(limits.page_lifetime_s.saturating_mul(1_000_000));
    Instant::from_micros(now.micros().saturating_add(micros.unwrap_or(i64::MAX)))
}

struct Writer<'a> {
    app: &'a App,
    caller: &'a Caller,
    now: Instant,
    asked: &'a Asked,
    /// What does not fit into links.
    kept: Vec<String>,
}

impl<'a> Writer<'a> {
    fn of(app: &'a App, caller: &'a Caller, now: Instant, asked: &'a Asked) -> Self {
        Self {
            app,
            caller,
            now,
            asked,
            kept: Vec::new(),
        }
    }

    fn links(&mut self, page: &Page) -> Result<Links, Fault> {
        let place = &self.asked.place;
        let is_first = place.start.is_none() && !place.is_last;
        let first = (!is_first).then(|| Place {
            total: place.total,
            ..Place::first(place.asked_at)
        });
        Ok(Links {
            first: self.token(first.as_ref())?,
            previous: self.token(page.previous.as_ref())?,
            next: self.token(page.next.as_ref())?,
            last: self.token(page.last.as_ref())?,
            related: self.token(page.related.as_ref())?,
        })
    }

    fn token(&mut self, place: Option<&Place>) -> Result<Option<String>, Fault> {
        let Some(place) = place else {
            return Ok(None);
        };
        let limits = &self.app.limits;
        // Of the whole address the parameters may take a quarter, the place an eighth, places before it an eighth; the rest
        // is for the path, for what else a ticket says, and for the letters that bytes are written with.
        let room = limits.target_bytes_max;
        let expires_at = later(self.now, limits);
        let mut parameters = Serializer::new(String::new());
        parameters.extend_pairs(&self.asked.parameters);
        let parameters = self.carried(parameters.finish(), room / 4);
        let start = place.start.as_ref().map(Start::to_text);
        let start = start.map(|start| self.carried(start, room / 8));
        let statistics = place.statistics.clone();
        let statistics = statistics.map(|text| self.carried(text, room / 8));
        let mut left = room / 8;
        let latest = place.trail.iter().rev().take_while(|start| {
            let bytes = start.to_text().len();
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        });
        let mut trail: Vec<Start> = latest.cloned().collect();
        trail.reverse();
        let ticket = Ticket {
            scope: self.asked.scope.path(),
            caller: self.caller.name().to_owned(),
            expires_at,
            parameters,
            start,
            statistics,
            is_trail_cut: place.is_trail_cut || trail.len() < place.trail.len(),
            trail,
            total: place.total,
            asked_at: place.asked_at,
            is_last: place.is_last,
            included: place.included,
        };
        seal(self.app.store.secret()?, &ticket.to_text()).map(Some)
    }

    fn carried(&mut self, text: String, bytes_max: usize) -> Carried {
        if text.len() <= bytes_max {
            return Carried::Here(text);
        }
        let hash = LongSearch::of(text.as_bytes()).0;
        if !self.kept.contains(&text) {
            self.kept.push(text);
        }
        Carried::Kept(hash)
    }
}
