//! Tokens by which somebody who listens shows for which subscriptions they may: any node can open them, nobody else.
//! <https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-get-ws-binding-token.html>

use fhir_spec::json::parse;

use super::channel::Kind;
use super::sealing::Seal;
use super::{Subscription, TYPE};
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{Error, Secret, State, Target};

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// By what the rights of who asked for it are found.
    pub standing: String,
    pub expires_at: Instant,
    pub ids: Vec<String>,
}

/// What it is sealed for: it opens nothing else.
const PLACE: &str = "websocket";

impl Binding {
    /// None: it cannot be sealed.
    pub fn sealed(&self, secret: &Secret) -> Option<String> {
        let (expires, ids) = (self.expires_at.micros(), self.ids.join(","));
        let text = format!("{expires}\n{ids}\n{}", self.standing);
        Seal::of(secret).close(PLACE, &text)
    }

    /// None: it is not of this store, or was changed, or its time is over.
    pub fn open(secret: &Secret, token: &str, now: Instant) -> Option<Self> {
        let text = Seal::of(secret).open(PLACE, token)?;
        let (expires, rest) = text.split_once('\n')?;
        let (ids, standing) = rest.split_once('\n')?;
        let expires_at = Instant::from_micros(expires.parse().ok()?);
        (expires_at > now).then(|| Self {
            standing: standing.to_owned(),
            expires_at,
            ids: ids.split(',').map(str::to_owned).collect(),
        })
    }
}

/// Where websockets are opened, by the FHIR base.
pub fn socket_of(base: &str) -> String {
    // http becomes ws, https wss.
    format!("ws{}/websocket", base.trim_start_matches("http"))
}

/// The target of a subscription, when this caller may listen to it: its author, or who looks after deliveries.
pub async fn listened(app: &App, caller: &Caller, id: &str) -> Result<Option<Target>, Fault> {
    let Ok(permit) = may(caller, Action::Read(TYPE)) else {
        return Ok(None);
    };
    let found = app.store.find(&permit, TYPE, id, None).await?;
    let Some(found) = found.filter(|found| !found.is_deleted()) else {
        return Ok(None);
    };
    let subscription = parse(&found.body).ok();
    let subscription = subscription.and_then(|document| Subscription::read(&document).ok());
    if subscription.is_none_or(|subscription| subscription.channel.kind != Kind::Websocket) {
        return Ok(None);
    }
    let (permit, id) = (may(&Caller::Kiln, Action::Deliver)?, id.to_owned());
    let read = app.store.read(permit, move |view| {
        let Some(target) = view.target(&id)? else {
            return Ok(None);
        };
        let author = view.author(target.rid, target.version)?;
        Ok(Some((target, author.unwrap_or_default())))
    });
    let known: Option<(Target, String)> = read.await.map_err(|error: Error| Fault::from(error))?;
    let may_listen = |(target, author): &(Target, String)| {
        let is_theirs = callers::is_of(author, caller) || may(caller, Action::Deliver).is_ok();
        target.state == State::Listening && is_theirs
    };
    Ok(known.filter(may_listen).map(|(target, _)| target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_until_it_expires_and_nowhere_else() {
        let secret = Secret::example(1);
        let binding = Binding {
            standing: "key:lab".to_owned(),
            expires_at: Instant::from_micros(1_000),
            ids: vec!["a".to_owned(), "b".to_owned()],
        };
        let token = binding.sealed(&secret).unwrap();
        assert!(!token.contains("lab"));
        let open = |secret: &Secret, token: &str, now| {
            Binding::open(secret, token, Instant::from_micros(now))
        };
        assert_eq!(open(&secret, &token, 999), Some(binding));
        assert_eq!(open(&secret, &token, 1_000), None);
        assert_eq!(open(&Secret::example(2), &token, 0), None);
        assert_eq!(open(&secret, &token.replace("sealed", "seal"), 0), None);
        // A secret that was sealed for somewhere else is no token.
        let other = Seal::of(&secret).close("https://h:443", "1000\na\nkey:lab");
        assert_eq!(open(&secret, &other.unwrap(), 0), None);
    }
}
