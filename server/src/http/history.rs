//! History: from a request to the question, and from a page of versions to a Bundle.
//! <https://hl7.org/fhir/R4/http.html#history>

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use fhir_spec::json::{Object, Value};

use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, reply, request};
use crate::cx::Cx;
use crate::entries::{Entries, Envelope};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::interactions::history::{self, Asked, PLACE, Page};
use crate::store::{Change, Past};

pub(super) async fn history(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: Option<&'static str>,
    id: Option<&str>,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, resource_type)?;
    let asked = Asked::of(
        resource_type,
        id,
        &request::query(http)?,
        Prefer::of(http).handling,
    )?;
    let base = base::of(&cx.app.outside, http);
    let page = history::run(cx, asked.clone()).await?;
    let bundle = bundle(cx.now, &shape, &base, &asked, &page)?;
    reply::bundle(cx, shape, bundle).await
}

/// The page that an entry of a bundle has asked for.
pub(super) fn within_bundle(
    at: Instant,
    base: &str,
    asked: &Asked,
    page: &Page,
) -> Result<Bytes, Fault> {
    bundle(at, &Shape::as_stored(), base, asked, page)
}

fn link(address: &[&str], parameters: &[(String, String)], place: Option<String>) -> String {
    let place = place.map(|place| (PLACE.to_owned(), place));
    let query: Vec<String> = parameters
        .iter()
        .chain(place.iter())
        .map(|(name, value)| format!("{}={}", request::escaped(name), request::escaped(value)))
        .collect();
    let path = address.join("/");
    match query.is_empty() {
        true => path,
        false => format!("{path}?{}", query.join("&")),
    }
}

fn bundle(
    at: Instant,
    shape: &Shape,
    base: &str,
    asked: &Asked,
    page: &Page,
) -> Result<Bytes, Fault> {
    let address = [
        Some(base),
        asked.resource_type,
        asked.id.as_deref(),
        Some("_history"),
    ];
    let address: Vec<&str> = address.into_iter().flatten().collect();
    let link = |place| link(&address, &asked.parameters, place);
    let mut links = vec![("self", link(None))];
    if let Some(next) = page.next {
        links.push(("next", link(Some(next.to_string()))));
    }
    let mut entries = Entries::open(&Envelope {
        kind: "history",
        at,
        total: page.total,
        links: &links,
    });
    for past in &page.versions {
        let full_url = format!("{base}/{}/{}", past.resource_type, past.id);
        let body = std::str::from_utf8(&past.found.body).map_err(Fault::internal)?;
        let resource = match past.found.is_deleted() {
            true => None,
            false => Some(shape.entry(body)?),
        };
        entries.push(Some(&full_url), resource.as_deref(), &about(past));
    }
    Ok(entries.close())
}

/// What was asked at that time, and what was answered.
fn about(past: &Past) -> Object {
    let Past {
        resource_type, id, ..
    } = past;
    let (method, url, status) = match past.found.change {
        Change::Created => ("POST", resource_type.clone(), "201"),
        Change::Placed => ("PUT", format!("{resource_type}/{id}"), "201"),
        Change::Updated => ("PUT", format!("{resource_type}/{id}"), "200"),
        Change::Deleted => ("DELETE", format!("{resource_type}/{id}"), "204"),
    };
    let request = Object::from_iter([("method", Value::from(method)), ("url", url.into())]);
    let response = Object::from_iter([
        ("status", Value::from(status)),
        ("etag", format!("W/\"{}\"", past.found.version).into()),
        ("lastModified", past.found.at.to_string().into()),
    ]);
    Object::from_iter([("request", request), ("response", response)])
}
