//! The pages that people open themselves: what they have allowed (`grants`), and the small launcher (`launch`).
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#launch-app-ehr-launch>

use std::fmt::Write;
use std::sync::Arc;

use actix_web::http::{Method, StatusCode};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};
use fhir_spec::reference::is_id;

use super::form::{Form, MARK};
use super::pages::{alert, escaped, lead, page, stale};
use super::{Signed, sign_in};
use crate::audit::Entrance;
use crate::cx::Cx;
use crate::fault::Fault;
use crate::http::Front;
use crate::http::base;
use crate::http::routes::{Answer, method_not_allowed};
use crate::http::visits;
use crate::smart::session::Here;
use crate::smart::{grants, launch, patients, redirect, session};

const FIELDS: &str = "<p><label for=\"username\">Name</label>\n\
     <input id=\"username\" name=\"username\" autocomplete=\"username\" autofocus required maxlength=\"64\"></p>\n\
     <p><label for=\"password\">Password</label>\n\
     <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required></p>\n\
     <p><button type=\"submit\">Sign in</button></p>\n";

/// A form that leads to this page again.
fn form(place: &str, mark: &str, inner: &str) -> String {
    format!(
        "<form method=\"post\" action=\"{place}\">\n\
         <input type=\"hidden\" name=\"{MARK}\" value=\"{}\">\n{inner}</form>\n",
        escaped(mark)
    )
}

/// Who opens the page; or the page to sign in.
async fn who(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    form: &mut Form,
    place: &str,
) -> Result<Result<(Here, bool), HttpResponse>, Fault> {
    let told = match sign_in(front, cx, http, form).await? {
        Signed::In(here, cookie) => {
            form.cookie = Some(cookie);
            return Ok(Ok((*here, true)));
        }
        Signed::Not(told, status) => (told, status),
        Signed::NotAsked => {
            if let Some(cookie) = &form.cookie
                && let Some(here) = session::here(&cx.app, cookie, cx.now).await?
            {
                return Ok(Ok((here, false)));
            }
            ("", StatusCode::OK)
        }
    };
    let is_new = form.cookie.is_none();
    if is_new {
        form.cookie = Some(session::cookie()?);
    }
    let inner = format!(
        "{}{}",
        alert(told.0),
        self::form(place, &form.mark(), FIELDS)
    );
    let mut shown = page(told.1, "Sign in", &inner, "");
    if is_new {
        form.hand_out(&mut shown);
    }
    Ok(Err(shown))
}

/// What somebody has allowed, and taking it back.
pub(in crate::http) async fn grants(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Answer {
    const PLACE: &str = "grants";
    let mut form = read(cx, http, payload).await?;
    let (here, is_new) = match who(front, cx, http, &mut form, PLACE).await? {
        Ok(here) => here,
        Err(page) => return Ok(page),
    };
    if let Some(id) = form.own("revoke") {
        if !form.is_ours() {
            return Ok(stale());
        }
        grants::revoke(&cx.app, &here, id, cx.now).await?;
        let who = format!("user:{}", here.person.name);
        visits::entered(&cx.app, http, Entrance::Revoked, (&who, true, "")).await?;
    }
    if form.own("leave").is_some() && form.is_ours() {
        session::sign_out(&cx.app, &here).await?;
        let who = format!("user:{}", here.person.name);
        visits::entered(&cx.app, http, Entrance::SignedOut, (&who, true, "")).await?;
        return Ok(lead(PLACE));
    }
    let mut inner = String::new();
    for granted in grants::of(&cx.app, &here, cx.now).await? {
        let mut list = String::new();
        for words in &granted.words {
            let _written = writeln!(list, "<li>{}</li>", escaped(words));
        }
        let button = format!(
            "<p><button type=\"submit\" name=\"revoke\" value=\"{}\">Take back</button></p>\n",
            escaped(&granted.id)
        );
        let since = granted.since.to_string();
        let _written = write!(
            inner,
            "<section>\n<h2>{}</h2>\n<p>Since {}</p>\n<ul>\n{list}</ul>\n{}</section>\n",
            escaped(&granted.name),
            escaped(since.get(..16).unwrap_or_default()),
            self::form(PLACE, &form.mark(), &button)
        );
    }
    if inner.is_empty() {
        inner = "<p>You have allowed no app anything.</p>\n".to_owned();
    }
    let leave = "<p><button type=\"submit\" name=\"leave\" value=\"yes\" class=\"second\">Sign out</button></p>\n";
    inner += &self::form(PLACE, &form.mark(), leave);
    let mut shown = page(StatusCode::OK, "What you have allowed", &inner, "");
    if is_new {
        form.hand_out(&mut shown);
    }
    Ok(shown)
}

/// Opens an app for a patient, as the record would.
pub(in crate::http) async fn launch(
    front: &Front,
    cx: &Cx,
    http: &HttpRequest,
    payload: &mut Payload,
) -> Answer {
    const PLACE: &str = "launch";
    let mut form = read(cx, http, payload).await?;
    let (here, is_new) = match who(front, cx, http, &mut form, PLACE).await? {
        Ok(here) => here,
        Err(page) => return Ok(page),
    };
    let cx = &Cx {
        app: Arc::clone(&cx.app),
        caller: here.caller(&cx.app).await?,
        now: cx.now,
    };
    let apps = launch::apps(&cx.app).await?;
    let mut told = "";
    if let Some(wanted) = form.own("client") {
        if !form.is_ours() {
            return Ok(stale());
        }
        let context = (
            form.own("patient").unwrap_or_default(),
            form.own("encounter").unwrap_or_default(),
        );
        match apps.iter().find(|app| app.id == wanted) {
            None => told = "There is no such app.",
            Some(app) => match launch::begin(cx, &here, app, context).await? {
                Some(token) => {
                    let base = base::of(&cx.app.outside, http);
                    let parameters = [("iss", base.as_str()), ("launch", token.as_str())];
                    return Ok(lead(&redirect::with(&app.url, &parameters)));
                }
                None => told = "There is no such patient or encounter.",
            },
        }
    }
    let mut shown = launcher(&form, &apps, told, &patients::found(cx, "").await?);
    if is_new {
        form.hand_out(&mut shown);
    }
    Ok(shown)
}

fn launcher(
    form: &Form,
    apps: &[launch::Launchable],
    told: &str,
    found: &[patients::Patient],
) -> HttpResponse {
    let option = |(id, name): (&str, &str)| {
        format!(
            "<option value=\"{}\">{}</option>\n",
            escaped(id),
            escaped(name)
        )
    };
    let of_apps: String = apps
        .iter()
        .map(|app| option((&app.id, &app.name)))
        .collect();
    let of_patients: String = found
        .iter()
        .filter(|patient| is_id(&patient.id))
        .map(|patient| option((&patient.id, &patient.name)))
        .collect();
    let inner = format!(
        "<p><label for=\"client\">App</label>\n<select id=\"client\" name=\"client\" required>\n{of_apps}</select></p>\n\
         <p><label for=\"patient\">Patient</label>\n<input id=\"patient\" name=\"patient\" list=\"patients\" required>\n\
         <datalist id=\"patients\">\n{of_patients}</datalist></p>\n\
         <p><label for=\"encounter\">Encounter, if it is about one</label>\n<input id=\"encounter\" name=\"encounter\"></p>\n\
         <p><button type=\"submit\">Launch</button></p>\n"
    );
    let inner = format!(
        "{}{}",
        alert(told),
        self::form("launch", &form.mark(), &inner)
    );
    let leads: Vec<&str> = apps.iter().map(|app| redirect::origin(&app.url)).collect();
    page(StatusCode::OK, "Launch an app", &inner, &leads.join(" "))
}

async fn read(cx: &Cx, http: &HttpRequest, payload: &mut Payload) -> Result<Form, Fault> {
    match *http.method() {
        Method::GET | Method::POST => Form::read(cx, http, payload).await,
        _ => Err(method_not_allowed("GET, POST")),
    }
}
