//! Search: from a request to the question, and from a page of hits to a Bundle.
//! <https://hl7.org/fhir/R4/http.html#search>

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;

use super::body::{self, Cap};
use super::prefer::Prefer;
use super::shape::Shape;
use super::{base, reply, request};
use crate::cx::Cx;
use crate::entries::{Entries, Envelope};
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::parameters;
use crate::interactions::search::{self, Asked, Entry, Links, PLACE, Page, Scope};

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) async fn search(
    cx: &Cx,
    http: &HttpRequest,
    scope: Scope,
    payload: &mut Payload,
) -> Result<HttpResponse, Fault> {
    let mut parameters = request::query(http)?;
    if *http.method() == Method::POST {
        parameters.extend(form(cx, http, payload).await?);
    }
    let asked = search::ask(cx, scope, parameters, Prefer::of(http).handling).await?;
    let shape = shape(http, &asked)?;
    let base = base::of(&cx.app.outside, http);
    let asked = Arc::new(asked);
    let (page, links) = search::run(cx, &asked).await?;
    let bundle = bundle(cx.now, &shape, &base, &asked, &page, &links)?;
    reply::bundle(cx, shape, bundle).await
}

/// The page that an entry of a bundle has asked for.
pub(super) fn within_bundle(
    at: Instant,
    base: &str,
    asked: &Asked,
    page: &Page,
    links: &Links,
) -> Result<Bytes, Fault> {
    let shape = Shape::within_bundle(&shown(asked), asked.scope.resource_type)?;
    bundle(at, &shape, base, asked, page, links)
}

/// The parameters in the body.
async fn form(
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Result<Vec<(String, String)>, Fault> {
    let sent = http.headers().get(header::CONTENT_TYPE);
    let media = sent.and_then(|value| value.to_str().ok()).unwrap_or(FORM);
    let media = media.split(';').next().unwrap_or_default().trim();
    let bytes = body::read_within(cx, http, payload, Cap::of_search(&cx.app.limits)).await?;
    if !media.eq_ignore_ascii_case(FORM) {
        let diagnostics = format!("expected the parameters of a search as {FORM}");
        return Err(Fault::new(Kind::UnsupportedMedia, diagnostics));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Fault::new(Kind::Malformed, "the body is not UTF-8").because(error))?;
    parameters::decoded(text)
}

/// How the answer should look, by the parameters of the search and by those of this page.
fn shape(http: &HttpRequest, asked: &Asked) -> Result<Shape, Fault> {
    Shape::asked(http, &shown(asked), asked.scope.resource_type)
}

fn shown(asked: &Asked) -> Vec<(String, String)> {
    let all = asked.parameters.iter().chain(&asked.of_each_page);
    // Of what is only counted nothing is shown.
    let all = all.filter(|(name, value)| !(name == "_summary" && value == "count"));
    all.cloned().collect()
}

fn bundle(
    at: Instant,
    shape: &Shape,
    base: &str,
    asked: &Asked,
    page: &Page,
    links: &Links,
) -> Result<Bytes, Fault> {
    let links = addresses(base, asked, links);
    let mut entries = Entries::open(&Envelope {
        kind: "searchset",
        at,
        total: page.total,
        links: &links,
    });
    let modes = [("match", &page.hits), ("include", &page.included)];
    for (mode, found) in modes {
        let plain = about(mode, None);
        for entry in found {
            let about = match &entry.score {
                None => &plain,
                score => &about(mode, score.as_deref()),
            };
            push(&mut entries, shape, base, entry, about)?;
        }
    }
    let told = [asked.ignored.as_slice(), &page.issues].concat();
    if !told.is_empty() {
        let outcome = operation_outcome(&told).to_string();
        entries.push(None, Some(&outcome), &about("outcome", None));
    }
    Ok(entries.close())
}

fn push(
    entries: &mut Entries,
    shape: &Shape,
    base: &str,
    entry: &Entry,
    about: &Object,
) -> Result<(), Fault> {
    let text = std::str::from_utf8(&entry.text).map_err(Fault::internal)?;
    let full_url = format!("{base}/{}/{}", entry.resource_type, entry.id);
    // What is contained and has no id of its own is found at no address.
    let full_url = (!full_url.ends_with('#')).then_some(&*full_url);
    entries.push(full_url, Some(&shape.entry(text)?), about);
    Ok(())
}

fn about(mode: &'static str, score: Option<&str>) -> Object {
    let mut search = Object::from_iter([("mode", mode)]);
    if let Some(score) = score {
        search.set("score", Value::number(score));
    }
    Object::from_iter([("search", Value::from(search))])
}

/// What was understood, and where other pages are.
fn addresses(base: &str, asked: &Asked, links: &Links) -> Vec<(&'static str, String)> {
    let path = asked.scope.path();
    let path = match path.as_str() {
        "" => base.to_owned(),
        path => format!("{base}/{path}"),
    };
    let of_page = |token: &str| {
        let page = (PLACE.to_owned(), token.to_owned());
        address(&path, [&page].into_iter().chain(&asked.of_each_page))
    };
    let own = match &asked.token {
        Some(token) => of_page(token),
        None => address(&path, asked.parameters.iter().chain(&asked.of_each_page)),
    };
    let others = [
        ("first", &links.first),
        ("previous", &links.previous),
        ("next", &links.next),
        ("last", &links.last),
        ("related", &links.related),
    ];
    let others = others
        .into_iter()
        .filter_map(|(relation, token)| Some((relation, of_page(token.as_ref()?))));
    [("self", own)].into_iter().chain(others).collect()
}

fn address<'p>(path: &str, parameters: impl Iterator<Item = &'p (String, String)>) -> String {
    let query: Vec<String> = parameters
        .map(|(name, value)| format!("{}={}", request::escaped(name), request::escaped(value)))
        .collect();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", query.join("&")),
    }
}
