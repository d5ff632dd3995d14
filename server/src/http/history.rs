//! History: from a request to the question, and from a page of versions to a Bundle.
//! <https://hl7.org/fhir/R4/http.html#history>

use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::json::{Object, Value};

use super::shape::Shape;
use super::{base, reply, request};
use crate::cx::Cx;
use crate::entries::{Entries, Envelope};
use crate::fault::Fault;
use crate::interactions::history::{self, Asked, PLACE, Page};
use crate::store::{Change, Past};

pub(super) async fn history(
    cx: &Cx,
    http: &HttpRequest,
    resource_type: Option<&'static str>,
    id: Option<&str>,
) -> Result<HttpResponse, Fault> {
    let shape = Shape::of(http, resource_type)?;
    let asked = Asked::of(resource_type, id, &request::query(http))?;
    let base = base::of(&cx.app.outside, http);
    let address = [Some(base.as_str()), resource_type, id, Some("_history")];
    let address: Vec<&str> = address.into_iter().flatten().collect();
    let parameters = asked.parameters.clone();
    let page = history::run(cx, asked).await?;
    let mut links = vec![("self", link(&address, &parameters, None))];
    if let Some(next) = page.next {
        links.push(("next", link(&address, &parameters, Some(next.to_string()))));
    }
    let bundle = bundle(cx, &shape, &base, &page, &links)?;
    reply::bundle(cx, shape, bundle).await
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
    cx: &Cx,
    shape: &Shape,
    base: &str,
    page: &Page,
    links: &[(&str, String)],
) -> Result<bytes::Bytes, Fault> {
    let mut entries = Entries::open(&Envelope {
        kind: "history",
        at: cx.now,
        total: page.total,
        links,
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
