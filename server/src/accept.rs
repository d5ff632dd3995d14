//! The second key to the store: a document that was found sound.
//!
//! Only `accept` makes an `Accepted`, and only that can be stamped with id and version and then stored.

use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::validate::{Request, Validator};
use fhir_spec::{Issue, IssueCode};

use crate::instant::Instant;

/// A document as it came, not yet judged.
#[derive(Debug, Clone)]
pub struct Submitted {
    pub document: Value,
    /// The text it was read from: issues name lines and columns of it.
    pub source: Bytes,
}

/// A sound resource, not yet stored.
#[derive(Debug)]
pub struct Accepted {
    resource_type: &'static str,
    document: Object,
    notes: Vec<Issue>,
}

/// A sound resource with its id, version and time: the bytes that are stored and that every read answers.
#[derive(Debug, Clone)]
pub struct Stamped {
    resource_type: &'static str,
    id: String,
    version: u64,
    at: Instant,
    bytes: Bytes,
}

/// Validates a document; all that is wrong with it comes back at once.
pub fn accept(validator: &Validator, submitted: Submitted) -> Result<Accepted, Vec<Issue>> {
    let Submitted { document, source } = submitted;
    let request = Request {
        source: std::str::from_utf8(&source).ok(),
        best_practice: None,
        ..Request::default()
    };
    let notes = validator.validate(&document, &request);
    if notes.iter().any(Issue::is_error) {
        return Err(notes);
    }
    let resource_type = document.str_of("resourceType").and_then(resource_type);
    match (resource_type, document.data) {
        (Some(resource_type), Data::Object(document)) => Ok(Accepted {
            resource_type,
            document,
            notes,
        }),
        _ => Err(vec![Issue::error(
            IssueCode::Structure,
            "expected a resource of FHIR R4",
        )]),
    }
}

/// The resource type of that name, in the spelling that lives as long as the program.
pub fn resource_type(name: &str) -> Option<&'static str> {
    let definitions = Definitions::r4();
    if !definitions.is_resource_type(name) {
        return None;
    }
    definitions
        .types()
        .named(name)
        .map(|definition| &*definition.name)
}

impl Accepted {
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// What the validation had to say that is no error.
    pub fn take_notes(&mut self) -> Vec<Issue> {
        std::mem::take(&mut self.notes)
    }

    /// Gives the resource its id, `meta.versionId` and `meta.lastUpdated`; what the client sent for them goes.
    pub fn stamp(self, id: String, version: u64, at: Instant) -> Stamped {
        let Self {
            resource_type,
            mut document,
            notes: _,
        } = self;
        let mut meta = match document.remove("meta").map(|meta| meta.data) {
            Some(Data::Object(meta)) => meta,
            _ => Object::new(),
        };
        meta.insert_at(0, "versionId", version.to_string());
        meta.insert_at(1, "lastUpdated", at.to_string());
        document.insert_at(0, "resourceType", resource_type);
        document.insert_at(1, "id", id.as_str());
        document.insert_at(2, "meta", meta);
        let mut text = String::new();
        Value::from(document).write_to(&mut text);
        Stamped {
            resource_type,
            id,
            version,
            at,
            bytes: Bytes::from(text),
        }
    }
}

impl Stamped {
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn at(&self) -> Instant {
        self.at
    }

    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    fn accepted(text: &str) -> Result<Accepted, Vec<Issue>> {
        let submitted = Submitted {
            document: parse(text.as_bytes()).unwrap(),
            source: Bytes::copy_from_slice(text.as_bytes()),
        };
        accept(Validator::r4(), submitted)
    }

    #[test]
    fn a_stamp_replaces_what_the_client_said_about_id_and_version() {
        let stamped = accepted(
            r#"{"active":true,"id":"mine","meta":{"tag":[{"code":"t"}],"versionId":"9"},"resourceType":"Patient"}"#,
        )
        .unwrap()
        .stamp("a".to_owned(), 1, Instant::from_micros(0));
        assert_eq!(
            stamped.bytes(),
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"1970-01-01T00:00:00.000000Z","tag":[{"code":"t"}]},"active":true}"#
        );
    }

    #[test]
    fn what_is_no_resource_is_refused() {
        for text in [
            "[]",
            "7",
            "{}",
            r#"{"resourceType":7}"#,
            r#"{"resourceType":"Elephant"}"#,
            r#"{"resourceType":"DomainResource"}"#,
            r#"{"resourceType":"Patient","meta":[]}"#,
        ] {
            assert!(accepted(text).is_err(), "{text}");
        }
    }
}
