//! The authorization server: who gets a token for what.
//! <https://hl7.org/fhir/smart-app-launch/STU2.2/>
//!
//! A client is registered (`registration.rs`) and proves that it is the one (`client.rs`, `assertion.rs`). A service gets a
//! token by itself (`token.rs`). An app leads a person here (`authorize.rs`), who signs in (`session.rs`) and says what it
//! may do (`consent.rs`); what was allowed is a grant, for whose codes and refresh tokens there are tokens (`exchange.rs`).

mod assertion;
pub mod authorize;
pub mod client;
pub mod consent;
pub mod discovery;
mod exchange;
pub mod grants;
pub mod introspection;
pub mod launch;
pub mod openid;
pub mod origins;
pub mod password;
pub mod patients;
pub mod redirect;
mod registration;
pub mod session;
pub mod signing;
pub mod token;

pub use registration::{Proof, Registration, SECRET, Unfit, WORDS};

/// How long a token of a backend service holds. SMART: at most five minutes.
pub const ALONE_SECONDS: i64 = 300;
/// How long one of an app that a person uses holds.
pub const ACCESS_SECONDS: i64 = 1_800;
/// How long a code may wait to be exchanged.
pub const CODE_SECONDS: i64 = 60;
/// How long an app may take to come with what it was launched with.
pub const LAUNCH_SECONDS: i64 = 300;
/// How long it is remembered that a code was used.
pub const USED_SECONDS: i64 = 86_400;
/// How long a refresh token holds, from its last use on: more than three months.
pub const REFRESH_SECONDS: i64 = 100 * 86_400;

/// Trouble as OAuth tells it. <https://www.rfc-editor.org/rfc/rfc6749#section-5.2>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub error: &'static str,
    /// For whoever set the client up.
    pub told: String,
}

impl Refusal {
    pub fn new(error: &'static str, told: impl Into<String>) -> Self {
        let told = told.into();
        Self { error, told }
    }
}

/// What was sent to an endpoint, and where.
#[derive(Debug)]
pub struct Sent<'a> {
    pub parameters: &'a [(String, String)],
    /// What stands in the Authorization header, when it is Basic.
    pub basic: Option<(&'a str, &'a str)>,
    /// Where everything begins, as clients know it.
    pub root: &'a str,
    /// The address of the token endpoint as clients know it.
    pub endpoint: &'a str,
    pub now: crate::instant::Instant,
}

impl Sent<'_> {
    /// A parameter that may come once.
    pub fn get(&self, name: &str) -> Result<Option<&str>, Refusal> {
        once(self.parameters, name)
    }

    /// Which client it says to be; nothing of it is proven.
    pub fn says(&self) -> String {
        let id = match (self.basic, self.get("client_assertion")) {
            (Some((id, _)), _) => Some(id.to_owned()),
            (None, Ok(Some(assertion))) => assertion::issuer(assertion).ok(),
            _ => self.get("client_id").ok().flatten().map(str::to_owned),
        };
        id.map_or_else(|| "unknown".to_owned(), |id| format!("client:{id}"))
    }

    /// Whether nothing in it says which client it is.
    fn names_nobody(&self) -> bool {
        let names = [
            "client_id",
            "client_secret",
            "client_assertion",
            "client_assertion_type",
        ];
        let is_there = |name: &&str| self.parameters.iter().any(|(key, _)| key == name);
        self.basic.is_none() && !names.iter().any(is_there)
    }

    fn needed(&self, name: &str) -> Result<&str, Refusal> {
        let missing = || Refusal::new("invalid_request", format!("{name} is missing"));
        self.get(name)?.ok_or_else(missing)
    }
}

/// A parameter that may come once. An empty one is none.
fn once<'a>(parameters: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut all = parameters.iter().filter(|(key, _)| key == name);
    let first = all.next().map(|(_, value)| value.as_str());
    match all.next() {
        Some(_) => Err(Refusal::new(
            "invalid_request",
            format!("`{name}` comes twice"),
        )),
        None => Ok(first.filter(|value| !value.is_empty())),
    }
}

/// So many seconds from then.
fn after(now: crate::instant::Instant, seconds: i64) -> crate::instant::Instant {
    let micros = seconds.saturating_mul(1_000_000);
    crate::instant::Instant::from_micros(now.micros().saturating_add(micros))
}

/// A text that nobody can guess, which says what it is.
fn secret(begins: &str) -> Result<String, crate::store::Error> {
    use base64::Engine;
    let chance = crate::store::chance()?;
    let chance = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(chance);
    Ok(format!("{begins}{chance}"))
}
