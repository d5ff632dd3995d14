//! What is sent: the resource itself as R4 has it, or a Bundle about a topic. <https://hl7.org/fhir/R4/subscription.html#rest-hook>

use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::format::Format;
use fhir_spec::json::parse;
use hyper::{Method, Uri};

use super::Subscription;
use super::bundle::written;
use crate::store::{Event, Found};

/// One message to somebody.
#[derive(Debug, Clone)]
pub struct Notification {
    /// The same however often it is sent.
    pub id: String,
    pub method: Method,
    pub uri: Uri,
    pub media_type: Option<&'static str>,
    pub body: Bytes,
}

/// With a payload the endpoint is the base of a service where the resource is updated; without one nothing is said but
/// that something has happened. Err: why it cannot be made.
pub fn of_resource(
    subscription_id: &str,
    subscription: &Subscription,
    event: &Event,
    found: &Found,
    definitions: &Definitions,
) -> Result<Notification, String> {
    let channel = &subscription.channel;
    let id = format!("{subscription_id}-{}", event.number);
    let Some(format) = channel.payload else {
        return Ok(Notification {
            id,
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
            let written = format.write(&document, definitions);
            Bytes::from(written.map_err(|issue| issue.diagnostics)?)
        }
    };
    Ok(Notification {
        id,
        method: Method::PUT,
        uri: below(&channel.endpoint.uri, &event.resource_type, &event.id)?,
        media_type: Some(format.media_type()),
        body,
    })
}

/// A Bundle, sent to the endpoint itself.
pub fn of_bundle(
    id: String,
    subscription: &Subscription,
    bundle: String,
    definitions: &Definitions,
) -> Result<Notification, String> {
    let channel = &subscription.channel;
    let format = channel.payload.unwrap_or(Format::Json);
    Ok(Notification {
        id,
        method: Method::POST,
        uri: channel.endpoint.uri.clone(),
        media_type: Some(format.media_type()),
        body: written(bundle, format, definitions)?,
    })
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
