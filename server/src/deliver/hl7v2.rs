//! The channel `hl7v2`: what has happened becomes messages of HL7 v2, which stand in the row of their destination as soon as
//! the event is settled. What becomes of them there stands in the store of messages.

use super::channel::{Delivery, What};
use super::told::acting;
use super::{Outcome, Worker};
use crate::fault::Fault;
use crate::outbound::speak::{Told, tell};

pub(super) async fn deliver(worker: &Worker, delivery: &Delivery<'_>) -> Outcome {
    let What::Events(events) = delivery.what else {
        return Outcome::Delivered;
    };
    let name = delivery.subscription().channel.destination();
    let Some(destination) = name.and_then(|name| worker.app.destinations.get(name)) else {
        let name = name.unwrap_or_default();
        return Outcome::Failed(format!("there is no destination `{name}`"), None);
    };
    let caller = match acting(&worker.app, &delivery.told.author).await {
        Ok(Some(caller)) => caller,
        Ok(None) => {
            return Outcome::Failed("who subscribed has no rights any more".to_owned(), None);
        }
        Err(fault) => return Outcome::Failed(said(&fault), None),
    };
    for (event, found) in events {
        // What may not be seen is not told.
        let Some(found) = found else { continue };
        let told = Told {
            subscription: &delivery.target.id,
            event,
            found,
        };
        if let Err(fault) = tell(&worker.app, &caller, &destination, told).await {
            return Outcome::Failed(said(&fault), None);
        }
    }
    Outcome::Delivered
}

fn said(fault: &Fault) -> String {
    let told = fault.issues.iter().map(|issue| issue.diagnostics.as_str());
    let told: Vec<&str> = told.collect();
    told.join("; ")
}
