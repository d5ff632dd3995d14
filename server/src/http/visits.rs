//! Who has come, as the audit tells of them, and what was done for them, kept before they are answered.
//! <https://profiles.ihe.net/ITI/BALP/>

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};

use super::routes::Answer;
use super::{address, request, shown};
use crate::app::App;
use crate::audit::{self, Entering, Entrance};
use crate::auth::{Caller, Did, Ended, Step, Visit};
use crate::fault::{Fault, Kind};

/// Why somebody breaks the glass: sees what is restricted, or withheld by a patient.
const GLASS: &str = "x-break-glass";
const REASON_BYTES_MAX: usize = 200;

/// The name of a request, for those who have only the request.
#[derive(Debug, Clone)]
struct Named(String);

/// Remembers the name of a request.
pub(super) fn name(app: &App, http: &HttpRequest, id: &str) {
    if app.audit.is_on() {
        http.extensions_mut().insert(Named(id.to_owned()));
    }
}

/// Who asks. Where there is an audit, what they do is noted.
pub(super) async fn caller(app: &App, http: &HttpRequest) -> Result<Caller, Fault> {
    let found = shown::caller(app, http).await;
    if !app.audit.is_on() {
        return found;
    }
    let inner = match &found {
        Ok(caller) => caller.clone(),
        // Whoever shows nothing is told to, and that is all.
        Err(_) if !shown::shows_something(http) => return found,
        Err(_) => Caller::Open,
    };
    let glass = http.headers().get(GLASS);
    let glass = glass.map(|value| broken(&inner, value.to_str().unwrap_or_default()));
    let (inner, reason, refused) = match glass {
        None => (inner, None, None),
        Some(Ok((caller, reason))) => (caller, Some(reason), None),
        Some(Err(fault)) => (inner, None, Some(fault)),
    };
    let mut visit = Visit::new(inner, "rest", (app.clock)());
    visit.reason = reason;
    if found.is_err() {
        "unknown".clone_into(&mut visit.who);
    }
    let address = address::of(&app.outside, http);
    visit.address = address
        .map(|address| address.to_string())
        .unwrap_or_default();
    let named = http
        .extensions()
        .get::<Named>()
        .map(|named| named.0.clone());
    visit.request = named.or_else(|| request::id(http)).unwrap_or_default();
    if let Some(url) = &app.outside.public_url {
        visit.base = format!("{url}{}", super::routes::FHIR);
    }
    let visit = Arc::new(visit);
    http.extensions_mut().insert(Arc::clone(&visit));
    found?;
    match refused {
        Some(fault) => Err(fault),
        None => Ok(Caller::Noted(visit)),
    }
}

/// The caller in an emergency, with the reason that they give.
fn broken(caller: &Caller, reason: &str) -> Result<(Caller, String), Fault> {
    let reason = reason.trim();
    if !(1..=REASON_BYTES_MAX).contains(&reason.len()) {
        let told = format!("X-Break-Glass says why, in 1 to {REASON_BYTES_MAX} letters");
        return Err(Fault::new(Kind::WrongParameter, told));
    }
    match caller.in_emergency() {
        Some(caller) => Ok((caller, reason.to_owned())),
        None => Err(Fault::new(Kind::Forbidden, "you may not break the glass")),
    }
}

/// Tells of somebody at the entrance: who, whether they were let in, and what for.
pub(super) async fn entered(
    app: &App,
    http: &HttpRequest,
    what: Entrance,
    (who, is_let_in, told): (&str, bool, &str),
) -> Result<(), Fault> {
    let address = address::of(&app.outside, http).map(|address| address.to_string());
    let request = request::id(http).unwrap_or_default();
    let who: String = who.chars().take(WHO_MAX).collect();
    let entering = Entering {
        what,
        who: &who,
        address: &address.unwrap_or_default(),
        request: &request,
        is_let_in,
        told,
    };
    audit::entered(app, entering).await
}

/// What strangers say to be is kept up to here.
const WHO_MAX: usize = 80;

/// Keeps what was done for whoever has asked. Not one answer leaves before that.
pub(super) async fn settle(
    app: &App,
    http: &HttpRequest,
    interaction: &'static str,
    answer: Answer,
) -> Answer {
    if !app.audit.is_on() {
        return answer;
    }
    let visit = http.extensions().get::<Arc<Visit>>().cloned();
    let Some(visit) = visit else {
        return answer;
    };
    let status = match &answer {
        Ok(response) => response.status().as_u16(),
        Err(fault) => fault.kind.row().status,
    };
    if visit.reason.is_some() {
        // Somebody is to look at it.
        tracing::warn!(
            caller = visit.who,
            request.id = visit.request,
            "the glass was broken"
        );
        visit.note(Step {
            code: "emergency",
            ..rest(http, interaction, status, &visit)
        });
    }
    if status >= 400 || !visit.has_done() {
        visit.note(rest(http, interaction, status, &visit));
    }
    app.audit.settle(&app.store, &visit).await?;
    answer
}

/// What nobody has told in more detail, failures among them.
fn rest(http: &HttpRequest, interaction: &'static str, status: u16, visit: &Visit) -> Step {
    let path = http.match_info().as_str();
    let within = super::routes::within_fhir(path);
    let what = within.unwrap_or(path);
    let patient = within.and_then(|path| visit.patient_in(path));
    let searches = interaction.starts_with("search") && !http.query_string().is_empty();
    Step {
        code: interaction,
        action: Did::of_interaction(interaction),
        outcome: Ended::of_status(status),
        patients: patient.map(str::to_owned).into_iter().collect(),
        what: (!what.is_empty()).then(|| what.to_owned()),
        query: searches.then(|| format!("{what}?{}", http.query_string())),
        told: (status >= 400).then(|| format!("answered {status}")),
    }
}
