//! The whole address space, on one page.

use std::sync::Arc;

use actix_web::http::{Method, header};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{
    Front, address, audits, bundle, convert, criteria, deliveries, destinations, documents, health,
    history, hl7, interactions as handlers, messages, metrics, overlays, page, reply, request,
    routes_api, search, smart, sockets, visits, writes,
};
use crate::accept::resource_type;
use crate::auth::{AUDITED, Action, Caller, may};
use crate::config::Auth;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::interactions::search::Scope;
use crate::interactions::{self, Interaction, Level};
use crate::operations;

/// Where FHIR begins; what lies elsewhere is not FHIR.
pub(super) const FHIR: &str = "/fhir";

/// Where the rest begins.
const API: &str = "/api/";

/// What is beside FHIR, and what one must be allowed to do to come in there at all.
const DOORS: &[(&str, Action)] = &[
    ("convert", Action::Invoke("convert")),
    ("maps", Action::Invoke("maps")),
    ("hl7/v2", Action::Submit),
    ("documents", Action::Submit),
    ("messages", Action::Messages),
    ("routes", Action::Arrange),
    ("overlays", Action::Arrange),
    ("deliveries", Action::Deliver),
    ("destinations", Action::Arrange),
    ("audit", Action::Search(AUDITED)),
];

pub(super) type Answer = Result<HttpResponse, Fault>;

/// What is not an interaction and not an operation, by its name in metrics and log.
const OTHERS: &[&str] = &[
    "auth",
    "page",
    "health",
    "metrics",
    "convert",
    "maps",
    "hl7",
    "messages",
    "routes",
    "overlays",
    "deliveries",
    "destinations",
    "audit",
    "capabilities",
    sockets::WEBSOCKET,
    "options",
    "refused",
    "unknown",
];

/// Everything that a request can be for.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let interactions = interactions::ALL
        .iter()
        .map(|interaction| interaction.code());
    let operations = operations::ALL.iter().map(|operation| operation.code);
    interactions.chain(operations).chain(OTHERS.iter().copied())
}

/// Finds what a request is for and has it done. The name of what it was for goes to metrics and log.
pub(super) async fn follow(
    front: &Front,
    request: &HttpRequest,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    if let Err(fault) = request::within_limits(&front.app.limits, request) {
        return ("refused", Err(fault));
    }
    // A browser that asks before it asks shows nothing; it hears nothing either of what is there.
    if is_preflight(request) && front.app.auth == Auth::Smart {
        return ("options", Ok(reply::options(Some(METHODS))));
    }
    // Decoded: `%50atient` is `Patient`.
    let path = request.match_info().as_str();
    let (interaction, answer) = lead(front, request, path, payload).await;
    match answer {
        // OPTIONS is no method of any address: that is how each tells its own.
        Err(fault) if *request.method() == Method::OPTIONS && fault.allow.is_some() => {
            ("options", Ok(reply::options(fault.allow.as_deref())))
        }
        answer => (interaction, answer),
    }
}

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

fn is_preflight(request: &HttpRequest) -> bool {
    let headers = request.headers();
    *request.method() == Method::OPTIONS
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && headers.contains_key(header::ORIGIN)
}

async fn lead(
    front: &Front,
    request: &HttpRequest,
    path: &str,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    match path {
        "/" => ("page", only_get(request, || Ok(page::home()))),
        "/page.css" => ("page", only_get(request, || Ok(page::style()))),
        "/health/live" => ("health", only_get(request, || Ok(health::live()))),
        "/metrics" => ("metrics", Box::pin(watched(front, request)).await),
        "/health/ready" => match only_get(request, || Ok(())) {
            Ok(()) => ("health", Box::pin(health::ready(front)).await),
            Err(fault) => ("health", Err(fault)),
        },
        _ if path.starts_with(smart::AUTH) => {
            let cx = smart::cx(&front.app);
            let rest = path.strip_prefix(smart::AUTH).unwrap_or_default();
            (
                "auth",
                Box::pin(smart::follow(front, &cx, request, payload, rest)).await,
            )
        }
        _ if path.starts_with(API) => api(front, request, path, payload).await,
        _ => match within_fhir(path) {
            Some(rest) => fhir(front, request, rest, payload).await,
            None => ("unknown", Err(unknown_path())),
        },
    }
}

/// What is asked beside FHIR.
async fn api(
    front: &Front,
    request: &HttpRequest,
    path: &str,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    let cx = match cx(front, request).await {
        Ok(cx) => cx,
        Err(fault) => return ("refused", Err(fault)),
    };
    let path = path.strip_prefix(API).unwrap_or_default();
    let mut known = DOORS.iter().filter(|(door, _)| is_below(path, door));
    let Some((_, action)) = known.next() else {
        return ("unknown", Err(unknown_path()));
    };
    if let Err(forbidden) = may(&cx.caller, *action) {
        return ("refused", Err(forbidden.into()));
    }
    match path {
        "convert" => (
            "convert",
            Box::pin(convert::convert(&cx, request, payload)).await,
        ),
        "maps" => ("maps", convert::maps(&cx, request)),
        "hl7/v2" => (
            "hl7",
            match *request.method() {
                Method::POST => Box::pin(hl7::take(front, &cx, request, payload)).await,
                _ => Err(method_not_allowed("POST")),
            },
        ),
        "documents" => (
            "documents",
            match *request.method() {
                Method::POST => Box::pin(documents::take(front, &cx, request, payload)).await,
                _ => Err(method_not_allowed("POST")),
            },
        ),
        _ if is_below(path, "routes") => {
            let rest = path.trim_start_matches("routes");
            let answer = routes_api::follow(front, &cx, request, payload, rest);
            ("routes", Box::pin(answer).await)
        }
        _ if is_below(path, "overlays") => {
            let rest = path.trim_start_matches("overlays");
            let answer = overlays::follow(front, &cx, request, payload, rest);
            ("overlays", Box::pin(answer).await)
        }
        _ if is_below(path, "destinations") => {
            let rest = path.trim_start_matches("destinations");
            let answer = destinations::follow(front, &cx, request, payload, rest);
            ("destinations", Box::pin(answer).await)
        }
        _ if is_below(path, "deliveries") => {
            let rest = path.trim_start_matches("deliveries");
            (
                "deliveries",
                Box::pin(deliveries::follow(&cx, request, rest)).await,
            )
        }
        _ if is_below(path, "audit") => {
            let rest = path.trim_start_matches("audit");
            ("audit", Box::pin(audits::follow(&cx, request, rest)).await)
        }
        _ if is_below(path, "messages") => {
            let rest = path.trim_start_matches("messages");
            let answer = Box::pin(messages::follow(front, &cx, request, rest)).await;
            ("messages", answer)
        }
        _ => ("unknown", Err(unknown_path())),
    }
}

/// Whether it is this address, or one below it.
fn is_below(path: &str, place: &str) -> bool {
    let rest = path.strip_prefix(place);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

async fn cx(front: &Front, request: &HttpRequest) -> Result<Cx, Fault> {
    let app = &front.app;
    let now = (app.clock)();
    let caller = visits::caller(app, request).await;
    within_rates(front, request, caller.as_ref(), now)?;
    Ok(Cx {
        caller: caller?,
        app: Arc::clone(app),
        now,
    })
}

/// Whether somebody who is nobody does not come too often.
pub(super) fn stranger(front: &Front, request: &HttpRequest, now: Instant) -> Result<(), Fault> {
    let nobody = Fault::new(Kind::Unauthorized, "");
    within_rates(front, request, Err(&nobody), now)
}

/// Whether whoever asks does not do so too often.
fn within_rates(
    front: &Front,
    request: &HttpRequest,
    caller: Result<&Caller, &Fault>,
    now: Instant,
) -> Result<(), Fault> {
    let rate = match caller {
        Ok(_) => &front.callers,
        Err(fault) if fault.kind == Kind::Unauthorized => &front.strangers,
        Err(_) => &None,
    };
    let Some(rate) = rate else {
        return Ok(());
    };
    let address = || address::of(&front.app.outside, request).map(|address| address.to_string());
    let is_allowed = match caller {
        Ok(caller) if caller.is_known() => rate.allows(caller.name(), now),
        Ok(_) | Err(_) => rate.allows(&address().unwrap_or_default(), now),
    };
    match is_allowed {
        true => Ok(()),
        false => Err(Fault::new(
            Kind::Throttled,
            "that is too often: try again in a moment",
        )),
    }
}

/// The metrics, for those who may see them.
async fn watched(front: &Front, request: &HttpRequest) -> Answer {
    let cx = cx(front, request).await?;
    may(&cx.caller, Action::Watch)?;
    only_get(request, || Ok(metrics::page(front)))
}

/// The path from the FHIR base on, of a path that leads there.
pub(super) fn within_fhir(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(FHIR)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

async fn fhir(
    front: &Front,
    request: &HttpRequest,
    path: &str,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    let app = &front.app;
    if path == smart::DISCOVERY {
        let found = only_get(request, || smart::discovered(app, request));
        return ("auth", found);
    }
    if path == sockets::WEBSOCKET {
        let opened = sockets::open(front, request, payload);
        return (sockets::WEBSOCKET, Box::pin(opened).await);
    }
    if path == "metadata" {
        return (
            "capabilities",
            only_get(request, || handlers::capabilities(app, request)),
        );
    }
    let cx = match cx(front, request).await {
        Ok(cx) => cx,
        Err(fault) => return ("refused", Err(fault)),
    };
    if let Some((target, code)) = operation_address(path) {
        return Box::pin(operation(&cx, request, target, code, payload)).await;
    }
    let Some(address) = Address::of(path) else {
        return ("unknown", Err(unknown_path()));
    };
    let resource_type = match address.resource_type {
        "" => None,
        "*" if !address.owner.is_empty() => None,
        named => match resource_type(named) {
            None => return ("unknown", Err(unknown_type(named))),
            known => known,
        },
    };
    let level = address.level;
    let Some(interaction) = interaction(level, request.method()) else {
        return ("unknown", Err(method_not_allowed(&allowed(level))));
    };
    let answer = match (interaction, resource_type) {
        (Interaction::Read, Some(type_)) => handlers::read(&cx, request, type_, address.id).await,
        // In a place of its own: a read would carry the room for all that these remember, from hand to hand.
        _ => {
            Box::pin(perform(
                &cx,
                request,
                interaction,
                resource_type,
                &address,
                payload,
            ))
            .await
        }
    };
    (interaction.code(), answer)
}

async fn perform(
    cx: &Cx,
    request: &HttpRequest,
    interaction: Interaction,
    resource_type: Option<&'static str>,
    address: &Address<'_>,
    payload: &mut Payload,
) -> Answer {
    let (id, version) = (address.id, address.version);
    match (interaction, resource_type) {
        (Interaction::Create, Some(type_)) => handlers::create(cx, request, type_, payload).await,
        (Interaction::Read, Some(type_)) => handlers::read(cx, request, type_, id).await,
        (Interaction::Vread, Some(type_)) => handlers::vread(cx, request, type_, id, version).await,
        (Interaction::Update, Some(type_)) => writes::update(cx, request, type_, id, payload).await,
        (Interaction::Patch, Some(type_)) => writes::patch(cx, request, type_, id, payload).await,
        (Interaction::Delete, Some(type_)) => writes::delete(cx, request, type_, id).await,
        (Interaction::ConditionalUpdate, Some(type_)) => {
            criteria::update(cx, request, type_, payload).await
        }
        (Interaction::ConditionalPatch, Some(type_)) => {
            criteria::patch(cx, request, type_, payload).await
        }
        (Interaction::ConditionalDelete, Some(type_)) => criteria::delete(cx, request, type_).await,
        (Interaction::HistoryInstance, _) => {
            history::history(cx, request, resource_type, Some(id)).await
        }
        (Interaction::HistoryType | Interaction::HistorySystem, _) => {
            history::history(cx, request, resource_type, None).await
        }
        (Interaction::SearchType | Interaction::SearchSystem, _) => {
            let scope = Scope {
                resource_type,
                compartment: None,
            };
            search::search(cx, request, scope, payload).await
        }
        (Interaction::SearchCompartment, _) => {
            let scope = Scope::within(cx.app.definitions(), address.owner, id, resource_type)?;
            search::search(cx, request, scope, payload).await
        }
        (Interaction::Transaction | Interaction::Batch, _) => {
            bundle::bundle(cx, request, payload).await
        }
        (_, None) => Err(unknown_path()),
    }
}

/// `$code`, `Type/$code` or `Type/id/$code`: what it is addressed to (empty: the system), and the operation.
fn operation_address(path: &str) -> Option<(&str, &str)> {
    let (target, code) = path.rsplit_once('/').unwrap_or(("", path));
    (code.starts_with('$') && target.matches('/').count() < 2).then_some((target, code))
}

async fn operation(
    cx: &Cx,
    request: &HttpRequest,
    target: &str,
    code: &str,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    let (named, id) = match target.split_once('/') {
        Some((named, id)) => (named, Some(id)),
        None => (target, None),
    };
    let resource_type = match (named, resource_type(named)) {
        ("", _) => None,
        (_, Some(resource_type)) => Some(resource_type),
        _ => return ("unknown", Err(unknown_type(named))),
    };
    let known = operations::ALL
        .iter()
        .find(|operation| operation.code == code && operation.applies(resource_type, id.is_some()));
    let Some(operation) = known else {
        return ("unknown", Err(unknown_path()));
    };
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let allowed = match operation.is_readable() {
        true => "GET, HEAD, POST",
        false => "POST",
    };
    if request.method() != Method::POST && !(is_read && operation.is_readable()) {
        return (operation.code, Err(method_not_allowed(allowed)));
    }
    let answer = handlers::operation(cx, request, operation, (resource_type, id), payload).await;
    (operation.code, answer)
}

fn unknown_type(named: &str) -> Fault {
    let diagnostics = format!("`{named}` is not a resource type of FHIR R4");
    Fault::new(Kind::UnknownType, diagnostics)
}

/// What a path below the base is addressed to; what the level does not have is empty.
struct Address<'p> {
    level: Level,
    /// The type of whose compartment it is.
    owner: &'p str,
    resource_type: &'p str,
    id: &'p str,
    version: &'p str,
}

impl<'p> Address<'p> {
    /// Names with `$` or `_` in front are no types and no ids.
    fn of(path: &'p str) -> Option<Self> {
        let segments: Vec<&str> = path.splitn(5, '/').collect();
        let (level, resource_type, id, version) = match *segments.as_slice() {
            [""] => (Level::System, "", "", ""),
            ["_search"] => (Level::SystemSearch, "", "", ""),
            ["_history"] => (Level::SystemHistory, "", "", ""),
            [resource_type] => (Level::Type, resource_type, "", ""),
            [resource_type, "_search"] => (Level::TypeSearch, resource_type, "", ""),
            [resource_type, "_history"] => (Level::TypeHistory, resource_type, "", ""),
            [resource_type, id] => (Level::Instance, resource_type, id, ""),
            [resource_type, id, "_history"] => (Level::InstanceHistory, resource_type, id, ""),
            [resource_type, id, "_history", version] => {
                (Level::Version, resource_type, id, version)
            }
            [_, id, resource_type] => (Level::Compartment, resource_type, id, ""),
            [_, id, resource_type, "_search"] => (Level::CompartmentSearch, resource_type, id, ""),
            _ => return None,
        };
        let is_name = |segment: &str| !segment.starts_with(['$', '_']);
        let is_of_system = matches!(
            level,
            Level::System | Level::SystemSearch | Level::SystemHistory
        );
        let owner = match level {
            Level::Compartment | Level::CompartmentSearch => segments.first().copied()?,
            _ => "",
        };
        let is_whole = is_of_system || !resource_type.is_empty();
        (is_whole && is_name(owner) && is_name(resource_type) && is_name(id)).then_some(Self {
            level,
            owner,
            resource_type,
            id,
            version,
        })
    }
}

/// <https://hl7.org/fhir/R4/http.html#summary>
fn method(interaction: Interaction) -> Method {
    match interaction {
        Interaction::Create => Method::POST,
        Interaction::Update | Interaction::ConditionalUpdate => Method::PUT,
        Interaction::Patch | Interaction::ConditionalPatch => Method::PATCH,
        Interaction::Delete | Interaction::ConditionalDelete => Method::DELETE,
        Interaction::Read
        | Interaction::SearchType
        | Interaction::SearchCompartment
        | Interaction::SearchSystem
        | Interaction::Vread
        | Interaction::HistoryInstance
        | Interaction::HistoryType
        | Interaction::HistorySystem => Method::GET,
        Interaction::Transaction | Interaction::Batch => Method::POST,
    }
}

fn interaction(level: Level, asked: &Method) -> Option<Interaction> {
    // What a search asks for may come in a body.
    if let Some(search) = searched(level) {
        return (asked == Method::POST).then_some(search);
    }
    let asked = if asked == Method::HEAD {
        &Method::GET
    } else {
        asked
    };
    interactions::ALL
        .iter()
        .copied()
        .find(|interaction| interaction.level() == level && method(*interaction) == asked)
}

/// The search that is asked for at an address that is for nothing else.
fn searched(level: Level) -> Option<Interaction> {
    match level {
        Level::SystemSearch => Some(Interaction::SearchSystem),
        Level::TypeSearch => Some(Interaction::SearchType),
        Level::CompartmentSearch => Some(Interaction::SearchCompartment),
        _ => None,
    }
}

/// The methods for the Allow header.
fn allowed(level: Level) -> String {
    if searched(level).is_some() {
        return Method::POST.to_string();
    }
    let mut names = Vec::new();
    for interaction in interactions::ALL {
        if interaction.level() != level {
            continue;
        }
        let method = method(*interaction);
        let is_read = method == Method::GET;
        for method in [Some(method), is_read.then_some(Method::HEAD)] {
            let name = method.map(|method| method.to_string());
            // A batch and a transaction come by the same one.
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    names.join(", ")
}

fn only_get<T>(
    request: &HttpRequest,
    answer: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, Fault> {
    match *request.method() {
        Method::GET | Method::HEAD => answer(),
        _ => Err(method_not_allowed("GET, HEAD")),
    }
}

pub(super) fn method_not_allowed(allow: &str) -> Fault {
    let mut fault = Fault::new(
        Kind::MethodNotAllowed,
        format!("this method does not apply here; these do: {allow}"),
    );
    fault.allow = Some(allow.to_owned());
    fault
}

pub(super) fn unknown_path() -> Fault {
    Fault::new(Kind::UnknownPath, "there is nothing at this address")
}
