//! A Bundle of stored resources, written from their stored text: nobody reads them to hand them on.
//! <https://hl7.org/fhir/R4/bundle.html>

use std::fmt::Write;

use bytes::Bytes;
use fhir_spec::json::{Object, Value, write_string};

use crate::instant::Instant;

/// What comes before the entries.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// `history`, `searchset` ...
    pub kind: &'a str,
    pub at: Instant,
    pub total: Option<u64>,
    /// Relation and address.
    pub links: &'a [(&'a str, String)],
}

/// Writes a Bundle, entry by entry.
#[derive(Debug)]
pub struct Entries {
    text: String,
    is_empty: bool,
}

impl Entries {
    pub fn open(envelope: &Envelope<'_>) -> Self {
        let links: Vec<Value> = envelope
            .links
            .iter()
            .map(|(relation, url)| {
                Object::from_iter([("relation", *relation), ("url", url.as_str())]).into()
            })
            .collect();
        let mut head = Object::from_iter([
            ("resourceType", Value::from("Bundle")),
            (
                "meta",
                Object::from_iter([("lastUpdated", envelope.at.to_string())]).into(),
            ),
            ("type", envelope.kind.into()),
        ]);
        if let Some(total) = envelope.total {
            head.set("total", Value::number(total));
        }
        if !links.is_empty() {
            head.set("link", links);
        }
        let mut text = Value::from(head).to_string();
        // Open again: the entries follow.
        text.pop();
        Self {
            text,
            is_empty: true,
        }
    }

    /// `about` are the members beside the resource: `search`, or `request` and `response`.
    pub fn push(&mut self, full_url: Option<&str>, resource: Option<&str>, about: &Object) {
        self.text.push_str(match self.is_empty {
            true => r#","entry":["#,
            false => ",",
        });
        self.is_empty = false;
        let mut before = '{';
        let mut member = |text: &mut String, name: &str| {
            // Writing to a String cannot fail.
            let _written = write!(text, r#"{before}"{name}":"#);
            before = ',';
        };
        if let Some(full_url) = full_url {
            member(&mut self.text, "fullUrl");
            write_string(full_url, &mut self.text);
        }
        if let Some(resource) = resource {
            member(&mut self.text, "resource");
            self.text.push_str(resource);
        }
        for (name, value) in about.iter() {
            member(&mut self.text, name);
            value.write_to(&mut self.text);
        }
        self.text.push('}');
    }

    pub fn close(mut self) -> Bytes {
        self.text.push_str(match self.is_empty {
            true => "}",
            false => "]}",
        });
        self.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_text_goes_in_as_it_is() {
        let envelope = Envelope {
            kind: "searchset",
            at: Instant::from_micros(0),
            total: Some(1),
            links: &[("self", "http://h/fhir/Patient".to_owned())],
        };
        let mut entries = Entries::open(&envelope);
        let stored = r#"{"resourceType":"Patient","id":"1","x":1.0}"#;
        let about = Object::from_iter([(
            "search",
            Value::from(Object::from_iter([("mode", "match")])),
        )]);
        entries.push(Some("http://h/fhir/Patient/1"), Some(stored), &about);
        entries.push(Some("http://h/fhir/Patient/2"), None, &Object::new());
        assert_eq!(
            entries.close(),
            r#"{"resourceType":"Bundle","meta":{"lastUpdated":"1970-01-01T00:00:00.000000Z"},"type":"searchset","total":1,"link":[{"relation":"self","url":"http://h/fhir/Patient"}],"entry":[{"fullUrl":"http://h/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1","x":1.0},"search":{"mode":"match"}},{"fullUrl":"http://h/fhir/Patient/2"}]}"#
        );
        let none = Envelope {
            total: Some(0),
            links: &[],
            ..envelope
        };
        assert!(Entries::open(&none).close().ends_with(br#""total":0}"#));
    }
}
