//! What comes with a request of a browser: the parameters, whether they come from a form of ours, and the cookie.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse};

use crate::cx::Cx;
use crate::fault::Fault;
use crate::http::smart::{AUTH, form, root};
use crate::interactions::parameters;
use crate::smart::session;

const COOKIE: &str = "kiln_session";
/// The field by which a form shows that it is ours.
pub(super) const MARK: &str = "form";
/// The field in which our forms carry on the scope that the app asked for.
pub(super) const ASKED_SCOPE: &str = "asked_scope";

pub(in crate::http) struct Form {
    pub(super) parameters: Vec<(String, String)>,
    /// What was ticked on the page of consent.
    pub(super) ticked: Vec<String>,
    is_post: bool,
    pub(super) cookie: Option<String>,
    /// Where everything begins, as the browser knows it.
    pub(super) root: String,
}

impl Form {
    pub(in crate::http) async fn read(
        cx: &Cx,
        http: &HttpRequest,
        payload: &mut Payload,
    ) -> Result<Self, Fault> {
        let is_post = *http.method() == Method::POST;
        let parameters = match is_post {
            true => form(cx, http, payload).await?,
            false => parameters::decoded(http.query_string())?,
        };
        let (parameters, ticked) = parted(parameters);
        let lines = http.headers().get_all(header::COOKIE);
        let mut pairs = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let cookie = pairs.find(|(name, _)| *name == COOKIE);
        Ok(Self {
            parameters,
            ticked,
            is_post,
            cookie: cookie.map(|(_, value)| value.to_owned()),
            root: root(&cx.app, http),
        })
    }

    /// A field that only our own forms have. In an address it does not count.
    pub(in crate::http) fn own(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|(key, _)| key == name);
        let value = named.next().map(|(_, value)| value.as_str());
        value.filter(|_| self.is_post)
    }

    /// Whether it was sent from a form of ours that was shown in this browser.
    pub(in crate::http) fn is_ours(&self) -> bool {
        let mark = self.cookie.as_deref().map(session::mark);
        self.own(MARK)
            .is_some_and(|sent| Some(sent) == mark.as_deref())
    }

    /// What a form shown now carries.
    pub(super) fn mark(&self) -> String {
        self.cookie
            .as_deref()
            .map(session::mark)
            .unwrap_or_default()
    }

    /// From now on the browser comes with the cookie.
    pub(in crate::http) fn hand_out(&self, response: &mut HttpResponse) {
        let cookie = self.cookie.as_deref().unwrap_or_default();
        let (scheme, rest) = self.root.split_once("://").unwrap_or_default();
        let path = rest.find('/').map_or("", |at| rest.split_at(at).1);
        let secure = if scheme == "https" { "; Secure" } else { "" };
        let line = format!("{COOKIE}={cookie}; Path={path}{AUTH}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(line) = HeaderValue::from_str(&line) {
            response.headers_mut().append(header::SET_COOKIE, line);
        }
    }
}

/// Our own forms carry on the scope that was asked for beside what is ticked of it.
fn parted(mut parameters: Vec<(String, String)>) -> (Vec<(String, String)>, Vec<String>) {
    let Some(at) = parameters.iter().position(|(name, _)| name == ASKED_SCOPE) else {
        return (parameters, Vec::new());
    };
    let (_, asked) = parameters.swap_remove(at);
    let (ticked, mut rest): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|(name, _)| name == "scope");
    rest.push(("scope".to_owned(), asked));
    (rest, ticked.into_iter().map(|(_, value)| value).collect())
}
