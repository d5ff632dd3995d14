//! The pages on which people sign in and say what an app may do: forms that work without scripts.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code>

mod form;
mod own;
mod pages;

use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use self::form::Form;
pub(super) use self::own::{grants, launch};
use super::routes::{Answer, method_not_allowed};
use super::{Front, address, base, visits};
use crate::audit::Entrance;
use crate::cx::Cx;
use crate::fault::Fault;
use crate::smart::authorize::{self, Allowed, Asked, Trouble};
use crate::smart::session::{self, Here};
use crate::smart::{consent, patients};

/// An app leads a person here, or the person answers one of our forms.
pub(super) async fn authorize(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Answer {
    if !matches!(*http.method(), Method::GET | Method::POST) {
        return Err(method_not_allowed("GET, POST"));
    }
    let mut form = Form::read(cx, http, payload).await?;
    let base = base::of(&cx.app.outside, http);
    let asked = match authorize::asked(&cx.app, &form.parameters, &base, cx.now).await? {
        Ok(asked) => asked,
        Err(Trouble::Untrusted(told)) => return Ok(pages::trouble(told)),
        Err(Trouble::Back(address)) => return Ok(pages::lead(&address)),
    };
    let (here, cookie) = match who(front, cx, http, &mut form, &asked).await? {
        Ok(signed_in) => signed_in,
        Err(page) => return Ok(page),
    };
    let is_new = cookie.is_some();
    form.cookie = cookie.or(form.cookie);
    let mut page = decide(cx, http, &form, asked, &here).await?;
    if is_new {
        form.hand_out(&mut page);
    }
    Ok(page)
}

/// What came of a name and a password.
enum Signed {
    In(Box<Here>, String),
    Not(&'static str, StatusCode),
    NotAsked,
}

/// Lets in whoever sends a name and a password by a form of ours.
async fn sign_in(front: &Front, cx: &Cx, http: &HttpRequest, form: &Form) -> Result<Signed, Fault> {
    let (Some(name), Some(password)) = (form.own("username"), form.own("password")) else {
        return Ok(Signed::NotAsked);
    };
    if !form.is_ours() {
        let told = "This form is no longer valid. Please sign in again.";
        return Ok(Signed::Not(told, StatusCode::FORBIDDEN));
    }
    let from = address::of(&cx.app.outside, http).map(|address| address.to_string());
    let (from, account) = (from.unwrap_or_default(), format!("name:{name}"));
    let failures = &front.failed_logins;
    let is_over = |who: &str| {
        failures
            .as_ref()
            .is_some_and(|rate| rate.is_over(who, cx.now))
    };
    if is_over(&from) || is_over(&account) {
        let told = "That was tried too often. Please wait a minute.";
        return Ok(Signed::Not(told, StatusCode::TOO_MANY_REQUESTS));
    }
    let found = session::sign_in(&cx.app, name, password, cx.now).await?;
    let entering = (&*format!("user:{name}"), found.is_some(), "");
    visits::entered(&cx.app, http, Entrance::SignedIn, entering).await?;
    if let Some((cookie, here)) = found {
        return Ok(Signed::In(Box::new(here), cookie));
    }
    for who in [&from, &account] {
        let _counted = failures.as_ref().map(|rate| rate.allows(who, cx.now));
    }
    let told = "The name or the password is not right.";
    Ok(Signed::Not(told, StatusCode::UNAUTHORIZED))
}

/// Who it is, with a new cookie when they have just signed in; or the page to do so.
async fn who(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    form: &mut Form,
    asked: &Asked,
) -> Result<Result<(Here, Option<String>), HttpResponse>, Fault> {
    match sign_in(front, cx, http, form).await? {
        Signed::In(here, cookie) => return Ok(Ok((*here, Some(cookie)))),
        Signed::Not(told, status) => return login(form, asked, told, status).map(Err),
        Signed::NotAsked => {}
    }
    let here = match &form.cookie {
        Some(cookie) => session::here(&cx.app, cookie, cx.now).await?,
        None => None,
    };
    // Who is asked to sign in anew does so once: what our own forms carry on is past that.
    let anew = asked.prompt.as_deref() == Some("login") && !form.is_ours();
    match here.filter(|_| !anew) {
        Some(here) => Ok(Ok((here, None))),
        None if asked.prompt.as_deref() == Some("none") => {
            let address = asked.refused("login_required", "nobody has signed in");
            Ok(Err(pages::lead(&address)))
        }
        None => login(form, asked, "", StatusCode::OK).map(Err),
    }
}

fn login(
    form: &mut Form,
    asked: &Asked,
    told: &str,
    status: StatusCode,
) -> Result<HttpResponse, Fault> {
    let is_new = form.cookie.is_none();
    if is_new {
        form.cookie = Some(session::cookie()?);
    }
    let mut page = pages::login(form, asked, told, status);
    if is_new {
        form.hand_out(&mut page);
    }
    Ok(page)
}

/// What the person says to it: which patient it is about, and what the app may do.
async fn decide(cx: &Cx, http: &HttpRequest, form: &Form, asked: Asked, here: &Here) -> Answer {
    let who = format!("user:{}", here.person.name);
    let told = format!("to client:{}", asked.client_id);
    let decided = async |is_let_in: bool| {
        let entering = (&*who, is_let_in, &*told);
        visits::entered(&cx.app, http, Entrance::Consented, entering).await
    };
    let decides = form.own("allow").is_some() || form.own("deny").is_some();
    if decides && !form.is_ours() {
        return Ok(pages::stale());
    }
    if asked.prompt.as_deref() == Some("none") {
        let address = asked.refused("consent_required", "the person has to be asked");
        return Ok(pages::lead(&address));
    }
    if asked
        .launch
        .as_ref()
        .is_some_and(|launch| launch.person != here.person.name)
    {
        let address = asked.refused("invalid_request", "launch is somebody else's");
        return Ok(pages::lead(&address));
    }
    if form.own("deny").is_some() {
        decided(false).await?;
        let address = asked.refused("access_denied", "the person does not allow it");
        return Ok(pages::lead(&address));
    }
    let cx = &Cx {
        app: Arc::clone(&cx.app),
        caller: here.caller(&cx.app).await?,
        now: cx.now,
    };
    let patient = match patient(cx, form, &asked, here).await? {
        Ok(patient) => patient,
        Err(page) => return Ok(page),
    };
    if form.own("allow").is_none() {
        let offers = consent::offers(&asked);
        return Ok(pages::consent(
            form,
            &asked,
            here,
            patient.as_ref(),
            &offers,
        ));
    }
    let ticked = form.ticked.iter().map(String::as_str);
    let (scopes, words) = consent::chosen(&asked, ticked);
    if scopes.is_empty() && !words.contains(&"openid") {
        decided(false).await?;
        let address = asked.refused("access_denied", "the person allows nothing of it");
        return Ok(pages::lead(&address));
    }
    let allowed = Allowed {
        scopes,
        words,
        patient: patient.map(|patient| patient.id),
    };
    decided(true).await?;
    let address = asked.allowed(&cx.app, here, allowed, cx.now).await?;
    Ok(pages::lead(&address))
}

/// Whose record it is about, when it is about one; or the page to choose.
async fn patient(
    cx: &Cx,
    form: &Form,
    asked: &Asked,
    here: &Here,
) -> Result<Result<Option<patients::Patient>, HttpResponse>, Fault> {
    if !asked.needs_patient() {
        return Ok(Ok(None));
    }
    let of_launch = asked.patient_of_launch();
    let given = of_launch.or_else(|| here.patient().map(str::to_owned));
    if let Some(id) = given {
        return Ok(match patients::named(cx, &id).await? {
            Some(patient) => Ok(Some(patient)),
            None => {
                let told = "the record of the patient is not there for this person";
                Err(pages::lead(&asked.refused("access_denied", told)))
            }
        });
    }
    let chosen = form.own("patient").filter(|_| form.is_ours());
    let mut told = "";
    if let Some(id) = chosen.filter(|id| !id.is_empty()) {
        if let Some(patient) = patients::named(cx, id).await? {
            return Ok(Ok(Some(patient)));
        }
        told = "There is no such patient.";
    }
    let looked_for = form.own("find").unwrap_or_default();
    let found = patients::found(cx, looked_for).await?;
    Ok(Err(pages::patients(form, asked, &found, told)))
}
