//! The whole address space, on one page.

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use super::{health, interactions as handlers, page, request};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::Caller;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::interactions::{self, Interaction, Level};

/// Where FHIR begins; what lies elsewhere is not FHIR.
pub(super) const FHIR: &str = "/fhir";

type Answer = Result<HttpResponse, Fault>;

/// Finds what a request is for and has it done. The name of what it was for goes to the log.
pub(super) async fn follow(
    app: &Arc<App>,
    request: &HttpRequest,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    if let Err(fault) = request::within_limits(request) {
        return ("refused", Err(fault));
    }
    // Decoded: `%50atient` is `Patient`.
    let path = request.match_info().as_str();
    match path {
        "/" => ("page", only_get(request, || Ok(page::home()))),
        "/page.css" => ("page", only_get(request, || Ok(page::style()))),
        "/health/live" => ("health", only_get(request, || Ok(health::live()))),
        "/health/ready" => match only_get(request, || Ok(())) {
            Ok(()) => ("health", health::ready(app).await),
            Err(fault) => ("health", Err(fault)),
        },
        _ => match within_fhir(path) {
            Some(rest) => fhir(app, request, rest, payload).await,
            None => ("unknown", Err(unknown_path())),
        },
    }
}

/// The path from the FHIR base on, of a path that leads there.
pub(super) fn within_fhir(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(FHIR)?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
}

async fn fhir(
    app: &Arc<App>,
    request: &HttpRequest,
    path: &str,
    payload: &mut Payload,
) -> (&'static str, Answer) {
    let cx = Cx {
        app: Arc::clone(app),
        caller: Caller::Open,
        now: (app.clock)(),
    };
    let mut segments = path.split('/');
    let (first, second, more) = (
        segments.next().unwrap_or_default(),
        segments.next(),
        segments.next(),
    );
    if first == "metadata" && second.is_none() {
        return (
            "capabilities",
            only_get(request, || handlers::capabilities(&cx, request)),
        );
    }
    let operation = |segment: &str| segment.starts_with(['$', '_']);
    if first.is_empty() || operation(first) || more.is_some() || second.is_some_and(operation) {
        return ("unknown", Err(unknown_path()));
    }
    let Some(resource_type) = resource_type(first) else {
        let diagnostics = format!("`{first}` is not a resource type of FHIR R4");
        return ("unknown", Err(Fault::new(Kind::UnknownType, diagnostics)));
    };
    let level = if second.is_some() {
        Level::Instance
    } else {
        Level::Type
    };
    let Some(interaction) = interaction(level, request.method()) else {
        return ("unknown", Err(method_not_allowed(&allowed(level))));
    };
    let answer = match interaction {
        Interaction::Create => handlers::create(&cx, request, resource_type, payload).await,
        Interaction::Read => {
            handlers::read(&cx, request, resource_type, second.unwrap_or_default()).await
        }
    };
    (interaction.code(), answer)
}

/// <https://hl7.org/fhir/R4/http.html#summary>
fn method(interaction: Interaction) -> Method {
    match interaction {
        Interaction::Create => Method::POST,
        Interaction::Read => Method::GET,
    }
}

fn interaction(level: Level, asked: &Method) -> Option<Interaction> {
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

/// The methods for the Allow header.
fn allowed(level: Level) -> String {
    let mut names = Vec::new();
    for interaction in interactions::ALL {
        if interaction.level() != level {
            continue;
        }
        let method = method(*interaction);
        names.push(method.to_string());
        if method == Method::GET {
            names.push(Method::HEAD.to_string());
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

fn method_not_allowed(allow: &str) -> Fault {
    let mut fault = Fault::new(
        Kind::MethodNotAllowed,
        format!("this method does not apply here; these do: {allow}"),
    );
    fault.allow = Some(allow.to_owned());
    fault
}

fn unknown_path() -> Fault {
    Fault::new(Kind::UnknownPath, "there is nothing at this address")
}
