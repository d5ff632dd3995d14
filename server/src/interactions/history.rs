//! History: the versions of a resource, of a type, or of everything, newest first.
//! <https://hl7.org/fhir/R4/http.html#history>

use fhir_spec::time::DateTime;
use search::query::Handling;

use super::read::not_found;
use crate::auth::{Action, Did, Step, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::limits::Limits;
use crate::store::{Mark, Past, Range, View};

/// Which versions are asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub resource_type: Option<&'static str>,
    pub id: Option<String>,
    pub since: Option<Instant>,
    pub during: Option<(Instant, Instant)>,
    pub count: Option<u32>,
    /// Where the page before has ended.
    pub before: Option<Mark>,
    /// The parameters as they came, without the place: links repeat them.
    pub parameters: Vec<(String, String)>,
}

#[derive(Debug)]
pub struct Page {
    pub versions: Vec<Past>,
    /// Of the whole history; only of a resource's, where counting costs nothing.
    pub total: Option<u64>,
    /// Where the next page begins, when there is one.
    pub next: Option<Mark>,
}

/// The parameter that carries a place from one page to the next.
pub const PLACE: &str = "_page";

pub async fn run(cx: &Cx, asked: Asked) -> Result<Page, Fault> {
    let permit = may(&cx.caller, asked.action())?;
    let limits = cx.app.limits;
    let of_read = asked.clone();
    let read = move |view: &mut View<'_>| within(view, &of_read, &limits);
    let page = cx.app.store.read(permit, read).await?;
    asked.note(cx, &page);
    Ok(page)
}

/// A page, within a state of the database that was opened for more.
pub fn within(view: &mut View<'_>, asked: &Asked, limits: &Limits) -> Result<Page, Fault> {
    let action = asked.action();
    let page_size = asked
        .count
        .unwrap_or(limits.page_size_default)
        .min(limits.page_size_max);
    let total = asked.total(view, action)?;
    let mut range = asked.range();
    // One more than is shown tells whether there is a next page.
    range.versions_max = page_size.saturating_add(1);
    let mut versions = view.history(action, range)?;
    let shown = usize::try_from(page_size).unwrap_or(usize::MAX);
    let is_more = versions.len() > shown;
    versions.truncate(shown);
    Ok(Page {
        next: versions.last().filter(|_| is_more).map(|last| last.mark),
        total,
        versions,
    })
}

impl Asked {
    /// The audit tells whose records it has shown.
    pub fn note(&self, cx: &Cx, page: &Page) {
        let Some(visit) = cx.caller.visit() else {
            return;
        };
        let mut patients = Vec::new();
        for past in &page.versions {
            let named = (past.resource_type.as_str(), past.id.as_str());
            visit.patients_of(named, &past.found.body, &mut patients);
        }
        let (code, what) = match (self.resource_type, &self.id) {
            (Some(name), Some(id)) => ("history-instance", Some(format!("{name}/{id}"))),
            (Some(name), None) => ("history-type", Some(name.to_owned())),
            (None, _) => ("history-system", None),
        };
        visit.note(Step {
            code,
            action: Did::Read,
            patients,
            what,
            ..Step::default()
        });
    }

    /// What the caller must be allowed to do.
    pub fn action(&self) -> Action {
        match (self.resource_type, &self.id) {
            (Some(resource_type), Some(_)) => Action::Versions(resource_type),
            (resource_type, _) => Action::History(resource_type),
        }
    }

    /// Reads the parameters; what is wrong with them is told for each.
    pub fn of(
        resource_type: Option<&'static str>,
        id: Option<&str>,
        query: &[(String, String)],
        handling: Handling,
    ) -> Result<Self, Fault> {
        let mut asked = Self {
            resource_type,
            id: id.map(str::to_owned),
            ..Self::default()
        };
        for (name, value) in query {
            match name.as_str() {
                "_since" => asked.since = Some(instant(value)?),
                "_at" => asked.during = Some(interval(value)?),
                "_count" => asked.count = Some(count(value)?),
                PLACE => asked.before = Some(Mark::parse(value).ok_or_else(unknown_place)?),
                "_format" | "_pretty" | "_summary" | "_elements" => {}
                // The link `self` tells the client which parameters counted.
                _ if handling == Handling::Lenient => continue,
                _ => return Err(unknown_parameter(name)),
            }
            if name != PLACE {
                asked.parameters.push((name.clone(), value.clone()));
            }
        }
        Ok(asked)
    }

    /// Of a resource's history; that of a resource which never was is no history.
    fn total(&self, view: &mut View<'_>, action: Action) -> Result<Option<u64>, Fault> {
        let (Some(resource_type), Some(id)) = (self.resource_type, self.id.as_deref()) else {
            return Ok(None);
        };
        let total = view.history_count(action, self.range())?;
        let everything = Range {
            resource_type: Some(resource_type),
            id: Some(id),
            ..Range::default()
        };
        if total == 0 && view.history_count(action, everything)? == 0 {
            return Err(not_found(resource_type));
        }
        Ok(u64::try_from(total).ok())
    }

    fn range(&self) -> Range<'_> {
        Range {
            resource_type: self.resource_type,
            id: self.id.as_deref(),
            since: self.since,
            during: self.during,
            before: self.before,
            versions_max: 0,
        }
    }
}

fn instant(value: &str) -> Result<Instant, Fault> {
    let (from, _) = interval(value)?;
    Ok(from)
}

/// A date or a moment; what has no zone is meant in UTC.
fn interval(value: &str) -> Result<(Instant, Instant), Fault> {
    // A `+` of a zone arrives as a space when it was not escaped.
    let parsed = DateTime::parse_fhir(&value.replace(' ', "+"));
    let (from, until) = parsed
        .map(|moment| moment.interval(0))
        .ok_or_else(|| wrong_value(value, "a date or an instant, such as 2024-02-29T12:00:00Z"))?;
    Ok((Instant::from_micros(from), Instant::from_micros(until)))
}

fn count(value: &str) -> Result<u32, Fault> {
    value
        .parse()
        .map_err(|_| wrong_value(value, "a number from 0 on for _count"))
}

fn wrong_value(value: &str, expected: &str) -> Fault {
    let shown: String = value.chars().take(40).collect();
    let diagnostics = format!("expected {expected}, found `{shown}`");
    Fault::new(Kind::WrongParameter, diagnostics)
}

fn unknown_place() -> Fault {
    let diagnostics = "this is no place in a history: follow the links of a page as they are";
    Fault::new(Kind::WrongParameter, diagnostics)
}

fn unknown_parameter(name: &str) -> Fault {
    let shown: String = name.chars().take(40).collect();
    let diagnostics = format!(
        "a history has no parameter `{shown}`; it has _since, _at, _count, _format, _pretty, _summary, _elements"
    );
    Fault::new(Kind::WrongParameter, diagnostics)
}
