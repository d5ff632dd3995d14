//! Where channels plug in. Each is a file beside this one with one function: given what is to be told, and to whom, it tells
//! it and says what became of that. Order, attempts, pauses and leases are no business of theirs.

use fhir_spec::definitions::Definitions;

use super::told::Told;
use super::{Outcome, Worker, hl7v2, message, rest_hook};
use crate::instant::Instant;
use crate::store::{Event, Found, Target};
use crate::subscriptions::Subscription;
use crate::subscriptions::bundle::{About, Type};
use crate::subscriptions::channel::Kind;

/// What is told in one go.
#[derive(Debug, Clone, Copy)]
pub(super) enum What<'a> {
    /// Whether the other side is there. An `Outcome::Delivered` makes the subscription active.
    Handshake,
    /// That there is nothing to say.
    Heartbeat,
    /// What has happened, each with the version that was written, as far as it may be read: one of them, or up to
    /// `backport-max-count` of a topic.
    Events(&'a [(Event, Option<Found>)]),
}

/// To whom it is told. It holds secrets: nothing shows it whole.
#[derive(Clone, Copy)]
pub(super) struct Delivery<'a> {
    /// The FHIR base of this server.
    pub(super) base: &'a str,
    pub(super) definitions: &'a Definitions,
    pub(super) target: &'a Target,
    /// The subscription, its secrets in the clear.
    pub(super) told: &'a Told,
    pub(super) what: What<'a>,
    pub(super) now: Instant,
}

impl Worker {
    pub(super) async fn deliver(&self, delivery: &Delivery<'_>) -> Outcome {
        // Who has failed lately waits for the answer in a room apart.
        let room = match delivery.target.attempts {
            0 => None,
            _ => self.troubled.acquire().await.ok(),
        };
        let outcome = match delivery.subscription().channel.kind {
            Kind::RestHook => rest_hook::deliver(self, delivery).await,
            Kind::Message => message::deliver(self, delivery).await,
            Kind::Hl7v2 => hl7v2::deliver(self, delivery).await,
            Kind::Websocket => Outcome::Failed("who listens comes here".to_owned(), None),
        };
        drop(room);
        outcome
    }
}

impl<'a> Delivery<'a> {
    pub(super) fn subscription(&self) -> &'a Subscription {
        &self.told.subscription
    }

    /// The same however often it is sent, so that the receiver knows it again.
    pub(super) fn id(&self) -> String {
        let id = &self.target.id;
        let number = |event: Option<&(Event, _)>| event.map_or(0, |(event, _)| event.number);
        match self.what {
            What::Handshake => format!("{id}-handshake-{}", self.target.version),
            What::Heartbeat => format!("{id}-heartbeat-{}", self.now.micros()),
            What::Events(events) => match (number(events.first()), number(events.last())) {
                (first, last) if first == last => format!("{id}-{first}"),
                (first, last) => format!("{id}-{first}-{last}"),
            },
        }
    }

    /// The notification of a topic, in JSON.
    /// <https://hl7.org/fhir/uv/subscriptions-backport/notifications.html>
    pub(super) fn bundle(&self) -> String {
        let (kind, events) = match self.what {
            What::Handshake => (Type::Handshake, &[][..]),
            What::Heartbeat => (Type::Heartbeat, &[][..]),
            What::Events(events) => (Type::EventNotification, events),
        };
        let last = events.last().map_or(0, |(event, _)| event.number);
        let about = About {
            base: self.base,
            id: &self.target.id,
            subscription: self.subscription(),
            state: self.target.state,
            // More may have been born since the target was looked at.
            born: self.target.born.max(last),
            content: self.subscription().channel.content,
            now: self.now,
        };
        let events = events.iter().map(|(event, found)| (event, found.as_ref()));
        about.bundle(kind, &self.id(), &events.collect::<Vec<_>>())
    }
}
