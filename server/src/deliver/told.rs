//! What is to be told to a target, and on whose behalf: the one may be told of what the other may see.

use std::sync::Arc;
use std::time::Duration;

use crate::accept::resource_type;
use crate::app::App;
use crate::audit::{self, Sending};
use crate::auth::{Action, Caller, may, may_all};
use crate::callers;
use crate::fault::Fault;
use crate::instant::Instant;
use crate::limits;
use crate::store::{Error, Event, Found, NEVER, Target};
use crate::subscriptions::channel::Content;
use crate::subscriptions::sealing::Seal;
use crate::subscriptions::{Subscription, TYPE};

/// What is known of a target while it is worked for.
pub(super) struct Told {
    pub(super) subscription: Subscription,
    /// Headers and secrets as they are sent.
    pub(super) headers: Vec<(String, String)>,
    pub(super) secrets: Vec<String>,
    /// By what the rights of whoever wrote it are found; empty: nobody knows who that was.
    pub(super) author: String,
}

/// Some events of a target, in order.
pub(super) struct Batch {
    pub(super) events: Vec<(Event, Option<Found>)>,
    /// The numbers of those between that their author may not see,
    pub(super) hidden: Vec<i64>,
    /// and up to which number this is all there is.
    pub(super) last: i64,
}

impl Told {
    /// Whether it is time to say that there is nothing to say.
    pub(super) fn is_silent(&self, target: &Target, now: Instant) -> bool {
        self.heartbeat_at(target.sent_at) <= now.micros()
    }

    pub(super) fn heartbeat_at(&self, sent_at: i64) -> i64 {
        let period = self.subscription.channel.heartbeat_s;
        let period = period.filter(|_| self.subscription.topic().is_some());
        let sent_at = Instant::from_micros(sent_at);
        period.map_or(NEVER, |seconds| {
            sent_at.plus(Duration::from_secs(seconds)).micros()
        })
    }

    /// How many events are told at a time.
    pub(super) fn together(&self) -> usize {
        match self.subscription.topic() {
            Some(_) => self.subscription.channel.count_max,
            None => 1,
        }
    }

    /// When something is to be done again though nothing happens.
    pub(super) fn idle_at(&self, target: &Target, sent_at: i64) -> i64 {
        self.heartbeat_at(sent_at).min(target.ends_at)
    }
}

/// None: it makes no sense.
pub(super) async fn told(app: &App, target: &Target) -> Result<Option<Told>, Fault> {
    let permit = may(&Caller::Kiln, Action::Read(TYPE))?;
    let store = &app.store;
    let found = store
        .find(&permit, TYPE, &target.id, Some(target.version))
        .await?;
    let (rid, version) = (target.rid, target.version);
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let author = store.read(permit, move |view| view.author(rid, version));
    let author: Option<String> = author.await.map_err(|error: Error| Fault::from(error))?;
    let document = found.and_then(|found| fhir_spec::json::parse(&found.body).ok());
    let Some(subscription) = document.and_then(|document| Subscription::read(&document).ok())
    else {
        return Ok(None);
    };
    let seal = Seal::of(store.secret()?);
    let place = subscription.channel.endpoint.origin();
    let open = |text: &String| seal.open(&place, text).unwrap_or_else(|| text.clone());
    let channel = &subscription.channel;
    let headers = channel.headers.iter();
    let headers = headers.map(|(name, value)| (name.clone(), open(value)));
    Ok(Some(Told {
        headers: headers.collect(),
        secrets: channel.secrets.iter().map(open).collect(),
        author: author.unwrap_or_default(),
        subscription,
    }))
}

/// Who that is (`Permit::standing`), with the rights of now. None: they have none any more.
pub(super) async fn acting(app: &Arc<App>, standing: &str) -> Result<Option<Caller>, Fault> {
    if let Some(caller) = callers::remembered(app, standing) {
        return Ok(Some(caller));
    }
    app.consents.refresh(app).await?;
    let (own, standing) = (Arc::clone(app), standing.to_owned());
    let permit = may(&Caller::Kiln, Action::Admit)?;
    let read = app
        .store
        .read(permit, move |view| callers::absent(&own, view, &standing));
    read.await.map_err(|error: Error| Fault::from(error))
}

/// The next events with what is to be sent of them, as far as somebody may see it: asked anew for each batch.
pub(super) async fn batch(app: &App, target: &Target, author: &Caller) -> Result<Batch, Fault> {
    let (rid, done) = (target.rid, target.done);
    let permit = may(&Caller::Kiln, Action::Deliver)?;
    let read = app.store.read(permit, move |view| {
        view.events_after(rid, done, limits::DELIVERY_UNSETTLED_MAX)
    });
    let mut events: Vec<Event> = read.await.map_err(|error: Error| Fault::from(error))?;
    let last = events.last().map_or(done, |event| event.number);
    let is_readable = |event: &Event| {
        let named = resource_type(&event.resource_type);
        named.is_some_and(|name| may(author, Action::Read(name)).is_ok())
    };
    events.retain(is_readable);
    let types = events
        .iter()
        .filter_map(|event| resource_type(&event.resource_type));
    let permit = may_all(author, types.map(Action::Read))?;
    let sees_all = permit.rights().is_none();
    let wanted = events.clone();
    let read = app.store.read(permit, move |view| {
        let mut found = Vec::with_capacity(wanted.len());
        let mut bytes: usize = 0;
        for event in &wanted {
            if bytes > limits::DELIVERY_BYTES_MAX {
                break;
            }
            let version = match resource_type(&event.resource_type) {
                Some(type_) => view.version(type_, &event.id, event.version)?,
                None => None,
            };
            bytes += version.as_ref().map_or(0, |found| found.body.len());
            found.push(version);
        }
        Ok::<_, Error>(found)
    });
    let found = read.await?;
    // What did not fit comes with the next batch.
    let last = match events.get(found.len()) {
        Some(next) => next.number - 1,
        None => last,
    };
    let events = events.into_iter().zip(found);
    let seen = events.filter(|(_, found)| sees_all || found.is_some());
    let events: Vec<(Event, Option<Found>)> = seen.collect();
    let is_told = |number| events.iter().any(|(event, _)| event.number == number);
    let hidden = (done + 1..=last).filter(|number| !is_told(*number));
    Ok(Batch {
        hidden: hidden.collect(),
        events,
        last,
    })
}

/// The audit tells what has left the house, to whom and for whom. What it cannot tell is sent again.
pub(super) async fn left_the_house(
    app: &App,
    target: &Target,
    told: &Told,
    to: &str,
    (some, is_sent): (&[(Event, Option<Found>)], bool),
) -> Result<(), Fault> {
    let channel = &told.subscription.channel;
    let is_of_topic = told.subscription.topic().is_some();
    let (content, shows) = match is_of_topic {
        true => (
            channel.content.code(),
            channel.content == Content::FullResource,
        ),
        false => ("full-resource", channel.payload.is_some()),
    };
    let names = shows || channel.content == Content::IdOnly && is_of_topic;
    let resources = some.iter().filter(|_| names).map(|(event, found)| {
        let named = (event.resource_type.as_str(), event.id.as_str());
        (
            named,
            event.version,
            found.as_ref().map(|found| found.body.as_slice()),
        )
    });
    let why = format!(
        "Subscription/{} for {}, {content}",
        target.id,
        told.author.split_whitespace().next().unwrap_or("nobody")
    );
    let sending = Sending {
        to,
        door: channel.kind.code(),
        is_sent,
        why: &why,
    };
    audit::sent(app, &sending, resources).await
}
