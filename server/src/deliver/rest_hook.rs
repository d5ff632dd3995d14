//! The channel `rest-hook`: the resource itself as R4 has it, or a Bundle about a topic, by HTTP.
//! <https://hl7.org/fhir/R4/subscription.html#rest-hook>

use std::time::Duration;

use bytes::Bytes;
use fhir_spec::format::Format;
use fhir_spec::json::parse;
use hyper::{Method, Uri};

use super::channel::{Delivery, What};
use super::client::Notification;
use super::signature::signatures;
use super::{Outcome, Worker};
use crate::store::{Event, Found};
use crate::subscriptions::bundle::written;

pub(super) async fn deliver(worker: &Worker, delivery: &Delivery<'_>) -> Outcome {
    let made = match (delivery.subscription().topic(), delivery.what) {
        (Some(_), _) => of_bundle(delivery, delivery.bundle()),
        (None, What::Events([(event, Some(found)), ..])) => of_resource(delivery, event, found),
        // It was erased for good, or may not be seen: there is nothing to tell.
        (None, _) => return Outcome::Delivered,
    };
    match made {
        Ok(notification) => post(worker, delivery, &notification).await,
        Err(why) => Outcome::Failed(why, None),
    }
}

/// A Bundle, sent to the endpoint itself. Err: why it cannot be made.
pub(super) fn of_bundle(delivery: &Delivery<'_>, bundle: String) -> Result<Notification, String> {
    let channel = &delivery.subscription().channel;
    let format = channel.payload.unwrap_or(Format::Json);
    Ok(Notification {
        id: delivery.id(),
        method: Method::POST,
        uri: channel.endpoint.uri.clone(),
        media_type: Some(format.media_type()),
        body: written(bundle, format, delivery.definitions)?,
    })
}

/// With a payload the endpoint is the base of a service where the resource is updated; without one nothing is said but
/// that something has happened.
fn of_resource(
    delivery: &Delivery<'_>,
    event: &Event,
    found: &Found,
) -> Result<Notification, String> {
    let channel = &delivery.subscription().channel;
    let Some(format) = channel.payload else {
        return Ok(Notification {
            id: delivery.id(),
            method: Method::POST,
            uri: channel.endpoint.uri.clone(),
            media_type: None,
            body: Bytes::new(),
        });
    };
    let body = match format {
        Format::Json => Bytes::copy_from_slice(&found.body),
        Format::Xml => {
            let document = parse(&found.body).map_err(|error| error.to_string())?;
            let written = format.write(&document, delivery.definitions);
            Bytes::from(written.map_err(|issue| issue.diagnostics)?)
        }
    };
    Ok(Notification {
        id: delivery.id(),
        method: Method::PUT,
        uri: below(&channel.endpoint.uri, &event.resource_type, &event.id)?,
        media_type: Some(format.media_type()),
        body,
    })
}

/// Sends it with the headers of the subscription, signed when it has secrets.
pub(super) async fn post(
    worker: &Worker,
    delivery: &Delivery<'_>,
    notification: &Notification,
) -> Outcome {
    let mut headers = delivery.told.headers.clone();
    let now_s = delivery.now.since_epoch().as_secs();
    let mut add = |name: &str, value| headers.push((name.to_owned(), value));
    add("webhook-id", notification.id.clone());
    add("webhook-timestamp", now_s.to_string());
    let secrets = &delivery.told.secrets;
    let signed = signatures(secrets, &notification.id, now_s, &notification.body);
    if !signed.is_empty() {
        add("webhook-signature", signed);
    }
    let timeout = Duration::from_millis(delivery.subscription().channel.timeout_ms);
    worker.client.send(notification, &headers, timeout).await
}

fn below(base: &Uri, resource_type: &str, id: &str) -> Result<Uri, String> {
    let path = base.path().trim_end_matches('/');
    let query = base
        .query()
        .map_or(String::new(), |query| format!("?{query}"));
    let mut parts = base.clone().into_parts();
    let target = format!("{path}/{resource_type}/{id}{query}");
    parts.path_and_query = Some(target.parse().map_err(|_| "the endpoint takes no path")?);
    Uri::from_parts(parts).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_lies_below_the_endpoint() {
        for (base, uri) in [
            ("https://h", "https://h/Patient/1"),
            ("https://h/a/", "https://h/a/Patient/1"),
            ("https://h:1/a?k=v", "https://h:1/a/Patient/1?k=v"),
        ] {
            let base: Uri = base.parse().unwrap();
            assert_eq!(below(&base, "Patient", "1").unwrap(), *uri);
        }
    }
}
