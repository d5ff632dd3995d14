//! Messages that came in and are passed on as they came, and what is said to them there: the answer to their senders.

use std::time::Duration;

use tokio::time::{Instant as Clock, sleep_until};

use super::speak::hash;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::destinations::Destination;
use crate::fault::Fault;
use crate::store::{Direction, Error, Followed, Message, NewOutgoing, Packed, Status};

/// How often it is looked what another node has done.
const LOOK: Duration = Duration::from_millis(200);

/// A message that came in, for the row of a destination.
pub fn of(app: &App, destination: &str, incoming: &Message) -> NewOutgoing {
    let key = key(&incoming.id);
    NewOutgoing {
        destination: destination.to_owned(),
        message: Message {
            id: (app.ids)(incoming.received_at),
            direction: Direction::Out,
            route: destination.to_owned(),
            hash: hash(&[destination.as_bytes(), key.as_bytes()]),
            reused: false,
            ..incoming.clone()
        },
        key,
        report: Packed::default(),
        touched: Vec::new(),
        numbered: None,
    }
}

const KEY: &str = "message ";

/// What it is known by in the row, by its id in the message store.
pub fn key(incoming: &str) -> String {
    format!("{KEY}{incoming}")
}

/// The id of the message that was passed on.
pub fn incoming(key: &str) -> Option<&str> {
    key.strip_prefix(KEY)
}

/// What became of it, as soon as that is known, or it is known that nobody can be reached there, or the time is over. None: it
/// is in no row.
pub async fn followed(
    app: &App,
    destination: &Destination,
    incoming: &str,
    within: Duration,
) -> Result<Option<Followed>, Fault> {
    let until = Clock::now() + within;
    loop {
        // Made before it is looked, so that nothing is missed in between.
        let settled = app.destinations.any_settled();
        let (name, key) = (destination.name().to_owned(), key(incoming));
        let permit = may(&Caller::Kiln, Action::Messages)?;
        let read = app
            .store
            .read(permit, move |view| view.followed(&name, &key));
        let found: Option<Followed> = read.await.map_err(|error: Error| Fault::from(error))?;
        let is_over = Clock::now() >= until || destination.outage().is_some();
        let is_known =
            |found: &Followed| found.status != Status::Waiting || !found.reason.is_empty();
        if is_over || found.as_ref().is_none_or(is_known) {
            return Ok(found);
        }
        tokio::select! {
            () = settled => {}
            () = sleep_until(until.min(Clock::now() + LOOK)) => {}
        }
    }
}
