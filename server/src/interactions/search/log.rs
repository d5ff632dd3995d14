//! A search in the audit: its events are no resources of the store, they are made from what is kept of them.
//! <https://hl7.org/fhir/R4/auditevent.html#search>
//!
//! Patient and time lead to the events that can be meant; each of them is then held against all that is asked, as
//! subscriptions are. The newest comes first.

use fhir_spec::time::DateTime;
use fhir_spec::{Issue, IssueCode, Severity};
use search::condition::{Bind, Condition};
use search::extract;
use search::matching::{Alone, Subject};
use search::query::Total;
use search::sql::Position;

use super::place::Start;
use super::{Asked, Entry, Page, Part};
use crate::audit::event;
use crate::auth::{AUDITED, Action, Letters, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::read::not_found;
use crate::limits::{AUDIT_EVENTS_LOOKED_AT_MAX, AUDIT_EVENTS_READ_AT_ONCE};
use crate::store::{Found, Sought, Told, View};

/// How far the number of a chain is moved to stand before that of an event.
const CHAIN_BITS: u32 = 44;

/// What leads to the events that can be meant.
#[derive(Debug, Default)]
struct Narrowed<'a> {
    patient: Option<&'a str>,
    from: Option<i64>,
    until: Option<i64>,
    oldest_first: bool,
}

/// The current version of an event, which has one.
pub async fn read(cx: &Cx, id: &str) -> Result<Found, Fault> {
    let permit = may(&cx.caller, Action::Read(AUDITED))?;
    let Some((chain, seq)) = event::place(id) else {
        return Err(not_found(AUDITED));
    };
    let registry = cx.app.search();
    let read = move |view: &mut View<'_>| {
        let Some(told) = view.audit_event(chain, seq)? else {
            return Ok(None);
        };
        let document = event::document(&told);
        let rows = extract::rows(&registry, &document).rows;
        let id = event::id(&told);
        let subject = Subject {
            resource_type: AUDITED,
            id: &id,
            at: told.at.micros(),
            rows: &rows,
        };
        let is_seen = view.reach(AUDITED, Letters::READ).has(&subject);
        let text = document.to_string().into_bytes();
        Ok::<_, Fault>(is_seen.then(|| Found::told(told.at, text)))
    };
    let found = cx.app.store.read(permit, read).await?;
    found.ok_or_else(|| not_found(AUDITED))
}

/// A page of a search in it.
pub(super) fn found(view: &mut View<'_>, asked: &Asked, part: &Part) -> Result<Page, Fault> {
    check(asked, part)?;
    let narrowed = Narrowed::of(asked, part)?;
    let wanted = usize::try_from(asked.page_size).unwrap_or(usize::MAX);
    let mut looked = Looked::new(&narrowed, asked.place.start.as_ref());
    let mut hits = Vec::new();
    let mut last = None;
    if !asked.counts_only {
        while let Some(told) = looked.next(view)? {
            let Some(entry) = meant(view, asked, part, &told) else {
                continue;
            };
            if hits.len() == wanted {
                looked.has_more = true;
                break;
            }
            last = Some(start(&told));
            hits.push(entry);
        }
        if looked.is_tired() {
            last = looked.last.clone();
        }
    }
    let is_whole = asked.place.start.is_none() && !looked.has_more && !looked.is_tired();
    let total = match asked.total {
        _ if asked.place.total.is_some() => asked.place.total,
        None | Some(Total::None) if !asked.counts_only => {
            is_whole.then(|| u64::try_from(hits.len()).unwrap_or(u64::MAX))
        }
        _ => Some(count(view, asked, part, &narrowed)?),
    };
    let has_next = looked.has_more || looked.is_tired();
    let next = last.filter(|_| has_next);
    let mut page = Page {
        next: next.map(|start| asked.place.next(start, total)),
        previous: asked.place.previous(),
        hits,
        total,
        ..Page::default()
    };
    if looked.is_tired() {
        let told = "many events were looked at: the link `next` goes on from there";
        page.issues
            .push(Issue::new(Severity::Warning, IssueCode::Incomplete, told));
    }
    Ok(page)
}

/// What cannot be asked of the audit.
fn check(asked: &Asked, part: &Part) -> Result<(), Fault> {
    let has_more = !asked.includes().is_empty() || part.contained.is_some();
    let mut conditions = part.query.criteria.iter();
    match has_more || !conditions.all(|one| is_plain(&one.condition)) {
        false => Ok(()),
        true => Err(Fault::new(
            Kind::WrongParameter,
            "the audit is searched by what stands in its events: without chains, includes and texts",
        )),
    }
}

fn is_plain(condition: &Condition) -> bool {
    match condition {
        Condition::All(all) | Condition::Any(all) => all.iter().all(is_plain),
        Condition::Not(inner) => is_plain(inner),
        Condition::Refers(_)
        | Condition::IsReferred(_)
        | Condition::Text(_)
        | Condition::Among(_) => false,
        Condition::Rows(_) | Condition::Id(_) | Condition::Updated(_) | Condition::Never => true,
    }
}

/// The event, if it is what is asked for and may be seen.
fn meant(view: &View<'_>, asked: &Asked, part: &Part, told: &Told) -> Option<Entry> {
    let document = event::document(told);
    let rows = extract::rows(&asked.registry, &document).rows;
    let id = event::id(told);
    let subject = Subject {
        resource_type: AUDITED,
        id: &id,
        at: told.at.micros(),
        rows: &rows,
    };
    let mut criteria = part.query.criteria.iter();
    let is_meant = criteria.all(|one| one.condition.holds_for(&subject, &Alone))
        && view.reach(AUDITED, Letters::SEARCH).has(&subject);
    let number = number(told);
    is_meant.then(|| Entry {
        resource_type: AUDITED,
        rid: number,
        text: document.to_string().into_bytes(),
        id,
        score: None,
    })
}

fn count(
    view: &mut View<'_>,
    asked: &Asked,
    part: &Part,
    narrowed: &Narrowed<'_>,
) -> Result<u64, Fault> {
    let mut looked = Looked::new(narrowed, None);
    let mut count = 0;
    while let Some(told) = looked.next(view)? {
        count += u64::from(meant(view, asked, part, &told).is_some());
    }
    match looked.is_tired() {
        false => Ok(count),
        true => Err(Fault::new(
            Kind::TooCostly,
            "there are more events than can be counted: name a patient or a shorter time",
        )),
    }
}

fn number(told: &Told) -> i64 {
    told.chain << CHAIN_BITS | told.seq
}

fn start(told: &Told) -> Start {
    Start {
        resource_type: AUDITED.into(),
        position: Position {
            keys: vec![Some(Bind::Int(told.at.micros()))],
            rid: number(told),
        },
    }
}

/// The events one after the other, read many at a time, up to a number.
struct Looked<'a> {
    narrowed: &'a Narrowed<'a>,
    after: Option<(i64, i64, i64)>,
    read: std::vec::IntoIter<Told>,
    is_last: bool,
    left: usize,
    last: Option<Start>,
    has_more: bool,
}

impl<'a> Looked<'a> {
    fn new(narrowed: &'a Narrowed<'a>, start: Option<&Start>) -> Self {
        let after = start.and_then(|start| match start.position.keys.first() {
            Some(Some(Bind::Int(at))) => {
                let rid = start.position.rid;
                Some((*at, rid >> CHAIN_BITS, rid & ((1 << CHAIN_BITS) - 1)))
            }
            _ => None,
        });
        Self {
            narrowed,
            after,
            read: Vec::new().into_iter(),
            is_last: false,
            left: AUDIT_EVENTS_LOOKED_AT_MAX,
            last: None,
            has_more: false,
        }
    }

    /// Whether it stopped before the end.
    fn is_tired(&self) -> bool {
        self.left == 0
    }

    fn next(&mut self, view: &mut View<'_>) -> Result<Option<Told>, Fault> {
        if self.is_tired() {
            return Ok(None);
        }
        if let Some(told) = self.read.next() {
            return Ok(Some(self.passed(told)));
        }
        if self.is_last {
            return Ok(None);
        }
        let events = view.audit_events(Sought {
            patient: self.narrowed.patient,
            from: self.narrowed.from,
            until: self.narrowed.until,
            after: self.after,
            oldest_first: self.narrowed.oldest_first,
            events_max: AUDIT_EVENTS_READ_AT_ONCE,
        })?;
        self.is_last = u32::try_from(events.len()).is_ok_and(|n| n < AUDIT_EVENTS_READ_AT_ONCE);
        if let Some(last) = events.last() {
            self.after = Some((last.at.micros(), last.chain, last.seq));
        }
        self.read = events.into_iter();
        Ok(self.read.next().map(|told| self.passed(told)))
    }

    fn passed(&mut self, told: Told) -> Told {
        self.left -= 1;
        self.last = Some(start(&told));
        told
    }
}

impl<'a> Narrowed<'a> {
    fn of(asked: &'a Asked, part: &Part) -> Result<Self, Fault> {
        let mut narrowed = Self {
            oldest_first: oldest_first(part)?,
            ..Self::default()
        };
        if let Some(("Patient", id)) = &asked.scope.compartment {
            narrowed.patient = Some(id);
        }
        for (name, value) in &asked.parameters {
            // What is meant in some other way is found by looking at all of them.
            let is_one = !value.contains([',', '\\', '$', '|']);
            match name.as_str() {
                "patient" if is_one => narrowed.patient = Some(patient(value)),
                "entity" if is_one && value.starts_with("Patient/") => {
                    narrowed.patient = Some(patient(value));
                }
                "date" if is_one => narrowed.take_date(value),
                _ => {}
            }
        }
        // What could stand for something else is no id.
        narrowed.patient = narrowed
            .patient
            .filter(|id| fhir_spec::reference::is_id(id));
        Ok(narrowed)
    }

    fn take_date(&mut self, value: &str) {
        let (prefix, date) = match value.get(..2) {
            Some(prefix) if prefix.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                (prefix, value.get(2..).unwrap_or_default())
            }
            _ => ("eq", value),
        };
        let Some((from, until)) = DateTime::parse_fhir(date).map(|date| date.interval(0)) else {
            return;
        };
        let (from, until) = match prefix {
            "eq" => (Some(from), Some(until)),
            "ge" | "gt" | "sa" => (Some(from), None),
            "le" | "lt" | "eb" => (None, Some(until)),
            _ => return,
        };
        self.from = self.from.max(from);
        self.until = match (self.until, until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

fn patient(value: &str) -> &str {
    value.strip_prefix("Patient/").unwrap_or(value)
}

fn oldest_first(part: &Part) -> Result<bool, Fault> {
    match part.query.sort.as_slice() {
        [] => Ok(false),
        [key] if matches!(&*key.code, "date" | "_lastUpdated") => Ok(!key.is_descending),
        _ => Err(Fault::new(
            Kind::WrongParameter,
            "events of the audit are sorted by `date` or `_lastUpdated`",
        )),
    }
}
