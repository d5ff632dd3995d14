//! Reports of the audit: who saw the record of a patient, and to whom what of it has gone (45 CFR 164.528).
//! <https://www.ecfr.gov/current/title-45/section-164.528>

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value, parse};
use fhir_spec::reference::is_id;
use fhir_spec::time::DateTime;

use super::arranged::made;
use super::reply::NO_SNIFF;
use super::{base, request};
use crate::audit::event;
use crate::auth::{AUDITED, Action, may};
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::limits::{AUDIT_EVENTS_LOOKED_AT_MAX, AUDIT_EVENTS_READ_AT_ONCE};
use crate::store::{Error, Sought, Told, View};

type Answer = Result<HttpResponse, Fault>;

const PARAMETERS: &str = "from, until, limit, after, format";
/// The columns of a report, as the audit keeps them; `at`, `patient` and `event` stand beside.
const COLUMNS: &[&str] = &[
    "who", "user", "address", "door", "code", "action", "outcome", "what", "query", "request",
    "reason", "told",
];

/// What is asked for.
#[derive(Debug, Clone, Default)]
struct Asked {
    patient: String,
    only_sent: bool,
    from: Option<i64>,
    until: Option<i64>,
    after: Option<(i64, i64, i64)>,
    limit: usize,
    is_csv: bool,
}

/// What is asked for by an address below `/api/audit`.
pub(super) async fn follow(cx: &Cx, http: &HttpRequest, path: &str) -> Answer {
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (patient, only_sent) = match *segments.as_slice() {
        ["patients", id] if is_id(id) => (id, false),
        ["patients", id, "disclosures"] if is_id(id) => (id, true),
        _ => {
            let told =
                "reports are at /api/audit/patients/ID and /api/audit/patients/ID/disclosures";
            return Err(Fault::new(Kind::UnknownPath, told));
        }
    };
    if !matches!(*http.method(), Method::GET | Method::HEAD) {
        return Err(super::routes::method_not_allowed("GET, HEAD"));
    }
    let asked = Asked {
        patient: patient.to_owned(),
        only_sent,
        ..asked(cx, http)?
    };
    let permit = may(&cx.caller, Action::Search(AUDITED))?;
    let of_read = asked.clone();
    let read = cx.app.store.read(permit, move |view| found(view, &of_read));
    let (found, next): (Vec<Told>, _) = read.await.map_err(|error: Error| Fault::from(error))?;
    let next = next.map(|next| link(cx, http, path, next)).transpose()?;
    Ok(match asked.is_csv {
        true => csv(&found, next.as_deref()),
        false => json(&asked, &found, next),
    })
}

fn asked(cx: &Cx, http: &HttpRequest) -> Result<Asked, Fault> {
    let limits = &cx.app.limits;
    let mut asked = Asked {
        limit: usize::try_from(limits.page_size_default).unwrap_or(usize::MAX),
        is_csv: http
            .headers()
            .get(header::ACCEPT)
            .is_some_and(|accept| accept.as_bytes() == b"text/csv"),
        ..Asked::default()
    };
    for (name, value) in request::query(http)? {
        let wrong = |expected: &str| {
            Fault::new(Kind::WrongParameter, format!("{name}: expected {expected}"))
        };
        let time = || {
            let time = DateTime::parse_fhir(&value).map(|time| time.interval(0).0);
            time.ok_or_else(|| wrong("a date or time such as 2026-01-31T08:00:00Z"))
        };
        match name.as_str() {
            "from" => asked.from = Some(time()?),
            "until" => asked.until = Some(time()?),
            "limit" => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=limits.page_size_max).contains(number));
                let number: u32 = number.ok_or_else(|| {
                    wrong(&format!("a number from 1 to {}", limits.page_size_max))
                })?;
                asked.limit = usize::try_from(number).unwrap_or(usize::MAX);
            }
            "after" => asked.after = Some(place(&value).ok_or_else(|| wrong("a link as it is"))?),
            "format" => match value.as_str() {
                "csv" => asked.is_csv = true,
                "json" => asked.is_csv = false,
                _ => return Err(wrong("json or csv")),
            },
            _ => {
                let told = format!("`{name}` is no parameter of this; these are: {PARAMETERS}");
                return Err(Fault::new(Kind::WrongParameter, told));
            }
        }
    }
    Ok(asked)
}

/// Behind which event a page begins.
fn place(text: &str) -> Option<(i64, i64, i64)> {
    let mut parts = text.split('-').map(|part| part.parse().ok());
    let place = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(place)
}

/// The newest first; and behind which event there is more.
#[allow(clippy::type_complexity)]
fn found(
    view: &mut View<'_>,
    asked: &Asked,
) -> Result<(Vec<Told>, Option<(i64, i64, i64)>), Error> {
    let (mut found, mut after, mut looked) = (Vec::new(), asked.after, 0);
    loop {
        let events = view.audit_events(Sought {
            patient: Some(&asked.patient),
            from: asked.from,
            until: asked.until,
            after,
            oldest_first: false,
            events_max: AUDIT_EVENTS_READ_AT_ONCE,
        })?;
        let is_last = u32::try_from(events.len()).is_ok_and(|n| n < AUDIT_EVENTS_READ_AT_ONCE);
        for told in events {
            if asked.only_sent && !is_sent(&told) {
                after = Some((told.at.micros(), told.chain, told.seq));
                looked += 1;
                continue;
            }
            if found.len() == asked.limit {
                return Ok((found, after));
            }
            after = Some((told.at.micros(), told.chain, told.seq));
            found.push(told);
        }
        if is_last {
            return Ok((found, None));
        }
        if looked >= AUDIT_EVENTS_LOOKED_AT_MAX {
            return Ok((found, after));
        }
    }
}

/// Whether it tells of something that has left the house.
fn is_sent(told: &Told) -> bool {
    let body = parse(told.body.as_bytes()).ok();
    body.is_some_and(|body| {
        body.str_of("code") == Some(event::SENT) && body.str_of("outcome") == Some("0")
    })
}

fn link(
    cx: &Cx,
    http: &HttpRequest,
    path: &str,
    (at, chain, seq): (i64, i64, i64),
) -> Result<String, Fault> {
    let base = base::of(&cx.app.outside, http);
    let base = base.strip_suffix("/fhir").unwrap_or_default();
    let mut url = format!("{base}/api/audit{path}?");
    for (name, value) in request::query(http)? {
        if name != "after" {
            let (name, value) = (request::escaped(&name), request::escaped(&value));
            url.push_str(&format!("{name}={value}&"));
        }
    }
    url.push_str(&format!("after={at}-{chain}-{seq}"));
    Ok(url)
}

fn json(asked: &Asked, found: &[Told], next: Option<String>) -> HttpResponse {
    let rows = found.iter().map(|told| {
        let said = parse(told.body.as_bytes()).unwrap_or_else(|_| Object::new().into());
        let mut row = Object::from_iter([("at", told.at.to_string())]);
        for name in COLUMNS {
            if let Some(value) = said.str_of(name) {
                row.set(name, value);
            }
        }
        row.set("event", format!("AuditEvent/{}", event::id(told)));
        Value::from(row)
    });
    let name = match asked.only_sent {
        true => "disclosures",
        false => "accesses",
    };
    let rows: Vec<Value> = rows.collect();
    let patient = format!("Patient/{}", asked.patient);
    let mut report = Object::from_iter([("patient", Value::from(patient)), (name, rows.into())]);
    if let Some(next) = next {
        report.set("next", next);
    }
    made(StatusCode::OK, report)
}

fn csv(found: &[Told], next: Option<&str>) -> HttpResponse {
    let mut text = format!("at,patient,{},event\r\n", COLUMNS.join(","));
    for told in found {
        let said = parse(told.body.as_bytes()).unwrap_or_else(|_| Object::new().into());
        let cells = COLUMNS
            .iter()
            .map(|name| cell(said.str_of(name).unwrap_or_default()));
        let cells: Vec<String> = cells.collect();
        let (at, patient) = (told.at, cell(&told.patient));
        let line = format!("{at},{patient},{},{}\r\n", cells.join(","), event::id(told));
        text.push_str(&line);
    }
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF));
    if let Some(next) = next {
        response.insert_header((header::LINK, format!("<{next}>; rel=\"next\"")));
    }
    response.body(text)
}

/// A value as it stands in a table: never what a spreadsheet would take for a formula.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quote = if is_formula { "'" } else { "" };
    match is_formula || text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{quote}{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
        assert_eq!(place("1-2-3"), Some((1, 2, 3)));
        assert_eq!(place("1-2"), None);
        assert_eq!(place("1-2-3-4"), None);
    }
}
