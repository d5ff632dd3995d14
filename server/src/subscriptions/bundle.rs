//! Notifications of topics as the backport guide has them in R4: a Bundle that begins with a status.
//! <https://hl7.org/fhir/uv/subscriptions-backport/notifications.html>

use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::{Object, Value, parse, write_string};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::Subscription;
use super::channel::Content;
use crate::instant::Instant;
use crate::store::{Change, Event, Found, State};

/// <https://hl7.org/fhir/uv/subscriptions-backport/ValueSet-backport-notification-type-value-set.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Handshake,
    Heartbeat,
    EventNotification,
    QueryStatus,
    QueryEvent,
}

const STATUS: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4";
const NOTIFICATION: &str = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-notification-r4";

/// What is told of, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The FHIR base of this server.
    pub base: &'a str,
    pub id: &'a str,
    pub subscription: &'a Subscription,
    pub state: State,
    /// Events since it began.
    pub born: i64,
    pub content: Content,
    pub now: Instant,
}

impl Type {
    pub fn code(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Heartbeat => "heartbeat",
            Self::EventNotification => "event-notification",
            Self::QueryStatus => "query-status",
            Self::QueryEvent => "query-event",
        }
    }
}

fn named(name: &str, kind: &str, value: impl Into<Value>) -> Value {
    Object::from_iter([("name", Value::from(name)), (kind, value.into())]).into()
}

fn reference(to: String) -> Value {
    Object::from_iter([("reference", Value::from(to))]).into()
}

/// A UUID that is made of a text, and the same for the same one.
pub fn uuid_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let begin = <[u8; 16]>::try_from(digest.get(..16).unwrap_or_default()).unwrap_or_default();
    Builder::from_custom_bytes(begin).into_uuid().to_string()
}

impl About<'_> {
    /// The status, as Parameters.
    pub fn status(&self, kind: Type, events: &[&Event]) -> Value {
        let mut all = vec![named(
            "subscription",
            "valueReference",
            reference(format!("{}/Subscription/{}", self.base, self.id)),
        )];
        if let Some(topic) = self.subscription.topic() {
            all.push(named("topic", "valueCanonical", topic));
        }
        all.push(named("status", "valueCode", self.state.code()));
        all.push(named("type", "valueCode", kind.code()));
        let born = self.born.to_string();
        all.push(named(
            "events-since-subscription-start",
            "valueString",
            born,
        ));
        for event in events {
            let mut parts = vec![
                named("event-number", "valueString", event.number.to_string()),
                named("timestamp", "valueInstant", event.at.to_string()),
            ];
            if self.content != Content::Empty {
                let focus = reference(self.address(event));
                parts.push(named("focus", "valueReference", focus));
            }
            all.push(named("notification-event", "part", parts));
        }
        let profile = Object::from_iter([("profile", Value::from(vec![Value::from(STATUS)]))]);
        Object::from_iter([
            ("resourceType", Value::from("Parameters")),
            ("meta", profile.into()),
            ("parameter", all.into()),
        ])
        .into()
    }

    fn address(&self, event: &Event) -> String {
        format!("{}/{}/{}", self.base, event.resource_type, event.id)
    }

    /// The whole notification, in JSON; `id` makes it the same when it is sent again.
    pub fn bundle(&self, kind: Type, id: &str, events: &[(&Event, Option<&Found>)]) -> String {
        let told: Vec<&Event> = events.iter().map(|(event, _)| *event).collect();
        let profile =
            Object::from_iter([("profile", Value::from(vec![Value::from(NOTIFICATION)]))]);
        let head = Object::from_iter([
            ("resourceType", Value::from("Bundle")),
            ("id", uuid_of(id).into()),
            ("meta", profile.into()),
            ("type", "history".into()),
            ("timestamp", self.now.to_string().into()),
        ]);
        let mut text = Value::from(head).to_string();
        // Open again: the entries follow.
        text.pop();
        text.push_str(r#","entry":["#);
        let path = format!("Subscription/{}/$status", self.id);
        let status = self.status(kind, &told).to_string();
        let full_url = format!("urn:uuid:{}", uuid_of(&format!("{id}-status")));
        push(&mut text, &full_url, Some(&status), ("GET", &path), "200");
        if self.content != Content::Empty {
            // A resource that has changed twice is one entry each time: the bundle is a history.
            for (event, found) in events {
                text.push(',');
                self.push(&mut text, event, *found);
            }
        }
        text.push_str("]}");
        text
    }

    fn push(&self, text: &mut String, event: &Event, found: Option<&Found>) {
        let own = format!("{}/{}", event.resource_type, event.id);
        let (request, status) = match event.change {
            Change::Created => (("POST", event.resource_type.as_str()), "201"),
            Change::Placed => (("PUT", own.as_str()), "201"),
            Change::Updated => (("PUT", own.as_str()), "200"),
            Change::Deleted => (("DELETE", own.as_str()), "204"),
        };
        let is_full = self.content == Content::FullResource;
        let body = found.filter(|found| is_full && !found.is_deleted());
        let body = body.and_then(|found| std::str::from_utf8(&found.body).ok());
        push(text, &self.address(event), body, request, status);
    }
}

fn push(
    text: &mut String,
    full_url: &str,
    resource: Option<&str>,
    (method, url): (&str, &str),
    status: &str,
) {
    text.push_str(r#"{"fullUrl":"#);
    write_string(full_url, text);
    if let Some(resource) = resource {
        text.push_str(r#","resource":"#);
        text.push_str(resource);
    }
    let request = Object::from_iter([("method", method), ("url", url)]);
    let response = Object::from_iter([("status", status)]);
    for (name, value) in [("request", request), ("response", response)] {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        Value::from(value).write_to(text);
    }
    text.push('}');
}

/// In the notation that the channel wants.
pub fn written(json: String, format: Format, definitions: &Definitions) -> Result<Bytes, String> {
    match format {
        Format::Json => Ok(Bytes::from(json)),
        Format::Xml => {
            let document = parse(json.as_bytes()).map_err(|error| error.to_string())?;
            let written = format.write(&document, definitions);
            Ok(Bytes::from(written.map_err(|issue| issue.diagnostics)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::validate::{Request, Validator};

    use super::*;
    use crate::store::Fate;

    fn event(number: i64, change: Change) -> Event {
        Event {
            target: 1,
            number,
            at: Instant::from_micros(0),
            resource_type: "Patient".into(),
            id: "p".into(),
            version: 1,
            change,
            fate: Fate::None,
            settled_at: Instant::from_micros(0),
        }
    }

    /// K8, K9, K10, K11: what is sent is a sound Bundle of type history whatever is in it.
    #[test]
    fn notifications_are_sound() {
        let document = parse(
            br#"{"resourceType":"Subscription","status":"active","criteria":"urn:kiln:topic:patient-admin","channel":{"type":"rest-hook","endpoint":"https://h/"}}"#,
        )
        .unwrap();
        let subscription = Subscription::read(&document).unwrap();
        let found = Found {
            body: br#"{"resourceType":"Patient","id":"p"}"#.to_vec(),
            ..Found::example(1, Instant::from_micros(0), Change::Created)
        };
        let gone = Found::example(2, Instant::from_micros(0), Change::Deleted);
        let (created, deleted) = (event(1, Change::Created), event(2, Change::Deleted));
        let events = [(&created, Some(&found)), (&deleted, Some(&gone))];
        for content in Content::ALL {
            let about = About {
                base: "http://h/fhir",
                id: "s",
                subscription: &subscription,
                state: State::Active,
                born: 2,
                content: *content,
                now: Instant::from_micros(0),
            };
            let text = about.bundle(Type::EventNotification, "s-1", &events);
            let bundle = parse(text.as_bytes()).unwrap();
            let issues = Validator::r4().validate(&bundle, &Request::default());
            let wrong: Vec<_> = issues.iter().filter(|issue| issue.is_error()).collect();
            assert!(wrong.is_empty(), "{wrong:?} {text}");
            let entries = bundle.items_of("entry").len();
            assert_eq!(entries, if *content == Content::Empty { 1 } else { 3 });
            assert_eq!(text.contains("focus"), *content != Content::Empty);
            assert_eq!(
                text.contains(r#""resourceType":"Patient""#),
                *content == Content::FullResource
            );
            assert_eq!(about.bundle(Type::EventNotification, "s-1", &events), text);
        }
    }
}
