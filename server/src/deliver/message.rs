//! The channel `message`: a message of FHIR, posted to where messages are processed. What has happened stands behind its
//! header: the resource, or the notification of a topic.
//! <https://hl7.org/fhir/R4/messaging.html>

use fhir_spec::json::{Object, Value};

use super::channel::{Delivery, What};
use super::rest_hook::{of_bundle, post};
use super::{Outcome, Worker};
use crate::subscriptions::bundle::uuid_of;

/// What a message is about when no topic says it: a resource was created or changed.
const CHANGED: &str = "urn:kiln:event:changed";

pub(super) async fn deliver(worker: &Worker, delivery: &Delivery<'_>) -> Outcome {
    let bundle = match (delivery.subscription().topic(), delivery.what) {
        (Some(topic), _) => {
            let address = format!("urn:uuid:{}", uuid_of(&delivery.id()));
            message(delivery, topic, &address, Some(&delivery.bundle()))
        }
        (None, What::Events([(event, Some(found)), ..])) => {
            let address = format!("{}/{}/{}", delivery.base, event.resource_type, event.id);
            let body = std::str::from_utf8(&found.body).ok();
            let wants_it = delivery.subscription().channel.payload.is_some();
            message(delivery, CHANGED, &address, body.filter(|_| wants_it))
        }
        (None, _) => return Outcome::Delivered,
    };
    match of_bundle(delivery, bundle) {
        Ok(notification) => post(worker, delivery, &notification).await,
        Err(why) => Outcome::Failed(why, None),
    }
}

/// In JSON; its focus comes along when there is a body.
fn message(delivery: &Delivery<'_>, event: &str, focus: &str, body: Option<&str>) -> String {
    let id = delivery.id();
    let one = |name: &'static str, value: &str| Object::from_iter([(name, Value::from(value))]);
    let header_id = uuid_of(&format!("{id}-header"));
    let mut source = one("endpoint", delivery.base);
    source.set("software", "Kiln");
    let endpoint = delivery.subscription().channel.endpoint.uri.to_string();
    let reason = format!("Subscription/{}", delivery.target.id);
    let header = Object::from_iter([
        ("resourceType", Value::from("MessageHeader")),
        ("id", header_id.as_str().into()),
        ("eventUri", event.into()),
        (
            "destination",
            vec![Value::from(one("endpoint", &endpoint))].into(),
        ),
        ("source", source.into()),
        ("reason", one("text", &reason).into()),
        ("focus", vec![Value::from(one("reference", focus))].into()),
    ]);
    let head = Object::from_iter([
        ("resourceType", Value::from("Bundle")),
        ("id", uuid_of(&format!("{id}-message")).into()),
        ("type", "message".into()),
        ("timestamp", delivery.now.to_string().into()),
    ]);
    let mut text = Value::from(head).to_string();
    // Open again: the entries follow.
    text.pop();
    let header = Value::from(header);
    text.push_str(&format!(
        r#","entry":[{{"fullUrl":"urn:uuid:{header_id}","resource":{header}}}"#
    ));
    if let Some(body) = body {
        text.push_str(&format!(r#",{{"fullUrl":"{focus}","resource":{body}}}"#));
    }
    text.push_str("]}");
    text
}
