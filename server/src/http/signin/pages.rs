//! What people see: pages that load nothing but their style and run nothing.

use std::fmt::Write;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};

use super::form::{ASKED_SCOPE, Form, MARK};
use crate::smart::authorize::{Asked, PARAMETERS};
use crate::smart::consent::Offer;
use crate::smart::patients::Patient;
use crate::smart::redirect;
use crate::smart::session::Here;

/// Text between and within tags.
pub(super) fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\'' => all.push_str("&#39;"),
            _ => all.push(c),
        }
    }
    all
}

/// A page. `leads`: where its forms may lead beside here.
pub(super) fn page(status: StatusCode, title: &str, inner: &str, leads: &str) -> HttpResponse {
    let title = escaped(title);
    let text = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} · Kiln</title>\n<link rel=\"stylesheet\" href=\"../page.css\">\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{inner}</main>\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self' {leads}; frame-ancestors 'none'"
    );
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_FRAME_OPTIONS, "DENY"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .body(text)
}

/// To the app, with what it gets.
pub(super) fn lead(address: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, address))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::PRAGMA, "no-cache"))
        .finish()
}

pub(super) fn trouble(told: &str) -> HttpResponse {
    let inner = format!(
        "<p role=\"alert\">{}</p>\n<p>Nothing was shared. Go back to the app, or tell those who run it.</p>\n",
        escaped(told)
    );
    page(
        StatusCode::BAD_REQUEST,
        "This app cannot be let in",
        &inner,
        "",
    )
}

pub(super) fn stale() -> HttpResponse {
    let inner =
        "<p role=\"alert\">This form was not shown here, or not to you. Nothing was shared.</p>\n";
    page(StatusCode::FORBIDDEN, "Please begin again", inner, "")
}

/// A form that carries on what the app asked for.
fn form(form: &Form, inner: &str) -> String {
    let mut hidden = String::new();
    let mut add = |name: &str, value: &str| {
        let _written = writeln!(
            hidden,
            "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escaped(name),
            escaped(value)
        );
    };
    for (name, value) in &form.parameters {
        match name.as_str() {
            // The field `scope` is for what is ticked.
            "scope" => add(ASKED_SCOPE, value),
            name if PARAMETERS.contains(&name) => add(name, value),
            _ => {}
        }
    }
    add(MARK, &form.mark());
    format!("<form method=\"post\" action=\"authorize\">\n{hidden}{inner}</form>\n")
}

pub(super) fn alert(told: &str) -> String {
    match told.is_empty() {
        true => String::new(),
        false => format!("<p role=\"alert\">{}</p>\n", escaped(told)),
    }
}

fn app(asked: &Asked) -> String {
    let name = asked.client.name.trim();
    escaped(if name.is_empty() {
        &asked.client_id
    } else {
        name
    })
}

pub(super) fn login(sent: &Form, asked: &Asked, told: &str, status: StatusCode) -> HttpResponse {
    let inner = "<p><label for=\"username\">Name</label>\n\
         <input id=\"username\" name=\"username\" autocomplete=\"username\" autofocus required maxlength=\"64\"></p>\n\
         <p><label for=\"password\">Password</label>\n\
         <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" required></p>\n\
         <p><button type=\"submit\">Sign in</button></p>\n";
    let inner = format!(
        "{}<p><strong>{}</strong> asks for access. Sign in first; then you decide.</p>\n{}",
        alert(told),
        app(asked),
        form(sent, inner)
    );
    page(status, "Sign in", &inner, redirect::origin(&asked.redirect))
}

pub(super) fn patients(sent: &Form, asked: &Asked, found: &[Patient], told: &str) -> HttpResponse {
    let mut list = String::new();
    for patient in found {
        let (id, name) = (escaped(&patient.id), escaped(&patient.name));
        let _written = writeln!(
            list,
            "<li><label><input type=\"radio\" name=\"patient\" value=\"{id}\"> {name}</label></li>"
        );
    }
    let shown = sent.own("find").unwrap_or_default();
    let choose = match found.is_empty() {
        true => "<p>Nobody of that name is here.</p>\n".to_owned(),
        false => format!(
            "<fieldset><legend>Patient</legend>\n<ul>\n{list}</ul>\n</fieldset>\n\
             <p><button type=\"submit\">Choose</button></p>\n"
        ),
    };
    let inner = format!(
        "<p><label for=\"find\">Name</label>\n<input id=\"find\" name=\"find\" value=\"{}\">\n\
         <button type=\"submit\" class=\"second\">Find</button></p>\n{choose}",
        escaped(shown)
    );
    let inner = format!(
        "{}<p>Whose record is <strong>{}</strong> to work with?</p>\n{}",
        alert(told),
        app(asked),
        form(sent, &inner)
    );
    let leads = redirect::origin(&asked.redirect);
    page(StatusCode::OK, "Choose a patient", &inner, leads)
}

pub(super) fn consent(
    sent: &Form,
    asked: &Asked,
    here: &Here,
    patient: Option<&Patient>,
    offers: &[Offer],
) -> HttpResponse {
    let mut list = String::new();
    for offer in offers {
        let warning = offer
            .warning
            .map(|told| format!(" <em>{}</em>", escaped(told)));
        let _written = writeln!(
            list,
            "<li><label><input type=\"checkbox\" name=\"scope\" value=\"{}\" checked> {}{}</label></li>",
            escaped(&offer.scope),
            escaped(&offer.words),
            warning.unwrap_or_default()
        );
    }
    let chosen = patient.map(|patient| {
        format!(
            "<input type=\"hidden\" name=\"patient\" value=\"{}\">\n",
            escaped(&patient.id)
        )
    });
    let about = patient.map(|patient| {
        format!(
            "<p>It is about <strong>{}</strong>.</p>\n",
            escaped(&patient.name)
        )
    });
    let inner = format!(
        "{}<fieldset><legend>It may</legend>\n<ul>\n{list}</ul>\n</fieldset>\n\
         <p><button type=\"submit\" name=\"allow\" value=\"yes\">Allow</button>\n\
         <button type=\"submit\" name=\"deny\" value=\"yes\" class=\"second\">Deny</button></p>\n",
        chosen.unwrap_or_default()
    );
    let inner = format!(
        "<p><strong>{}</strong> asks you, {}, for access. Untick what it may not have.</p>\n{}{}",
        app(asked),
        escaped(&here.person.name),
        about.unwrap_or_default(),
        form(sent, &inner)
    );
    page(
        StatusCode::OK,
        "Allow access?",
        &inner,
        redirect::origin(&asked.redirect),
    )
}
