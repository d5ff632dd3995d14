//! The second key to the store: a document that was found sound.
//!
//! Only `accept` makes an `Accepted`, and only that can be sealed with an id, stamped with a version, and stored.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::definitions::Definitions;
use fhir_spec::json::{Data, Object, Value};
use fhir_spec::validate::{Request, Validator};
use fhir_spec::{Issue, IssueCode, Severity};
use search::{Registry, Rows, extract};

use crate::instant::Instant;

/// A document as it came, not yet judged.
#[derive(Debug, Clone)]
pub struct Submitted {
    pub document: Value,
    /// The text it was read from: issues name lines and columns of it. Empty when there is none.
    pub source: Bytes,
}

impl Submitted {
    /// About how many bytes there are to look at: of the text, or of what a Binary holds that came without one.
    pub fn weight(&self) -> usize {
        self.source.len() + self.document.str_of("data").map_or(0, str::len)
    }
}

/// A sound resource, not yet stored.
#[derive(Debug)]
pub struct Accepted {
    resource_type: &'static str,
    document: Object,
    notes: Vec<Issue>,
    tells_of: Vec<&'static str>,
}

/// A sound resource under its id, written out but for its version and time, which only the transaction knows.
#[derive(Debug, Clone)]
pub struct Sealed {
    resource_type: &'static str,
    id: String,
    /// The text from behind `meta.lastUpdated` on.
    tail: Arc<str>,
    /// What it is found by,
    rows: Arc<Rows>,
    /// and by what that was made.
    registry: Arc<Registry>,
    tells_of: Vec<&'static str>,
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
    accept_text(validator, document, text_of(&source))
}

/// The text that a document was read from, when there is one.
pub fn text_of(source: &Bytes) -> Option<&str> {
    let text = std::str::from_utf8(source).ok();
    text.filter(|text| !text.is_empty())
}

/// The same, of a document that was read from the beginning of this text.
pub fn accept_text(
    validator: &Validator,
    document: Value,
    source: Option<&str>,
) -> Result<Accepted, Vec<Issue>> {
    let request = Request {
        source,
        best_practice: None,
        unlisted_code: Severity::Warning,
        ..Request::default()
    };
    let mut notes = validator.validate(&document, &request);
    if document.str_of("resourceType") == Some(PARAMETER) {
        notes.iter_mut().for_each(tolerate);
    }
    if notes.iter().any(Issue::is_error) {
        return Err(notes);
    }
    let resource_type = document.str_of("resourceType").and_then(resource_type);
    match (resource_type, document.data) {
        (Some(resource_type), Data::Object(document)) => Ok(Accepted {
            resource_type,
            document,
            notes,
            tells_of: Vec::new(),
        }),
        _ => Err(vec![Issue::error(
            IssueCode::Structure,
            "expected a resource of FHIR R4",
        )]),
    }
}

const PARAMETER: &str = "SearchParameter";

/// Implementation guides publish their search parameters with extensions about how they came to be, of later releases and
/// in places that R4 has not foreseen: all those of US Core. That changes nothing about searches, and is told.
fn tolerate(issue: &mut Issue) {
    let place = issue.expression.as_deref().unwrap_or_default();
    let is_beside = place.contains(".extension[");
    let is_harmless = matches!(issue.code, IssueCode::Extension | IssueCode::CodeInvalid);
    if is_beside && is_harmless && issue.severity == Severity::Error {
        issue.severity = Severity::Warning;
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
    /// Who writes it will be told of resources of these types, and must be one who may read and search them.
    pub fn tells_of(&mut self, types: Vec<&'static str>) {
        self.tells_of = types;
    }

    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// What the validation had to say that is no error.
    pub fn take_notes(&mut self) -> Vec<Issue> {
        std::mem::take(&mut self.notes)
    }

    pub fn document(&self) -> &Object {
        &self.document
    }

    /// For those that make it ready to be stored: what is sound stays sound.
    pub(crate) fn document_mut(&mut self) -> &mut Object {
        &mut self.document
    }

    /// Writes the resource out under its id; what the client sent for id, version and time goes. A search parameter that
    /// cannot be served is refused.
    pub fn seal(self, id: String, registry: &Arc<Registry>) -> Result<Sealed, Vec<Issue>> {
        let Self {
            resource_type,
            document,
            notes: _,
            tells_of,
        } = self;
        let document = Value::from(document);
        if resource_type == PARAMETER {
            let issues = registry.check(&id, &document);
            if !issues.is_empty() {
                return Err(issues);
            }
        }
        let rows = extract::rows(registry, &document).rows;
        let mut document = match document.data {
            Data::Object(document) => document,
            _ => Object::new(),
        };
        document.remove("resourceType");
        document.remove("id");
        let mut meta = match document.remove("meta").map(|meta| meta.data) {
            Some(Data::Object(meta)) => meta,
            _ => Object::new(),
        };
        for written_by_the_stamp in ["versionId", "_versionId", "lastUpdated", "_lastUpdated"] {
            meta.remove(written_by_the_stamp);
        }
        let mut tail = String::new();
        append_members(meta, &mut tail);
        append_members(document, &mut tail);
        Ok(Sealed {
            resource_type,
            id,
            tail: tail.into(),
            rows: Arc::new(rows),
            registry: Arc::clone(registry),
            tells_of,
        })
    }
}

/// The members behind others that were written before, up to the end of the object.
fn append_members(object: Object, text: &mut String) {
    if object.is_empty() {
        text.push('}');
        return;
    }
    let begin = text.len();
    Value::from(object).write_to(text);
    // `{"a":1}` becomes `,"a":1}`.
    text.replace_range(begin..=begin, ",");
}

impl Sealed {
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// Whoever writes it must be one who may read and search these types.
    pub fn told_of(&self) -> &[&'static str] {
        &self.tells_of
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same under another id.
    #[must_use]
    pub fn under(&self, id: String) -> Self {
        Self { id, ..self.clone() }
    }

    /// Which resource it is.
    pub fn name(&self) -> (&'static str, &str) {
        (self.resource_type, &self.id)
    }

    pub(crate) fn rows(&self) -> &Arc<Rows> {
        &self.rows
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// About how many will be stored.
    pub fn bytes(&self) -> usize {
        self.tail.len()
    }

    pub fn stamp(&self, version: u64, at: Instant) -> Stamped {
        let mut text = self.head(version, at);
        text.push_str(&self.tail);
        Stamped {
            resource_type: self.resource_type,
            id: self.id.clone(),
            version,
            at,
            bytes: Bytes::from(text),
        }
    }

    /// Whether a stored version says the same, apart from its version and time.
    pub fn says_the_same_as(&self, version: u64, at: Instant, body: &[u8]) -> bool {
        let head = self.head(version, at);
        let tail = body.strip_prefix(head.as_bytes());
        tail.is_some_and(|tail| tail == self.tail.as_bytes())
    }

    fn head(&self, version: u64, at: Instant) -> String {
        let (resource_type, id) = (self.resource_type, &self.id);
        let mut text = String::with_capacity(self.tail.len() + resource_type.len() + id.len() + 96);
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            r#"{{"resourceType":"{resource_type}","id":"{id}","meta":{{"versionId":"{version}","lastUpdated":"{at}""#
        );
        text
    }
}

impl Stamped {
    /// What is stored already.
    pub(crate) fn stored(
        resource_type: &'static str,
        id: &str,
        version: u64,
        at: Instant,
        body: Vec<u8>,
    ) -> Self {
        Self {
            resource_type,
            id: id.to_owned(),
            version,
            at,
            bytes: body.into(),
        }
    }

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

    fn registry() -> Arc<Registry> {
        let definitions = Definitions::r4().with_packages(Vec::new()).0;
        Arc::new(Registry::new(Arc::new(definitions)))
    }

    fn accepted(text: &str) -> Result<Accepted, Vec<Issue>> {
        let submitted = Submitted {
            document: parse(text.as_bytes()).unwrap(),
            source: Bytes::copy_from_slice(text.as_bytes()),
        };
        accept(Validator::r4(), submitted)
    }

    #[test]
    fn a_stamp_replaces_what_the_client_said_about_id_and_version() {
        let sealed = accepted(
            r#"{"active":true,"id":"mine","meta":{"tag":[{"code":"t"}],"versionId":"9"},"resourceType":"Patient"}"#,
        )
        .unwrap()
        .seal("a".to_owned(), &registry())
        .unwrap();
        let at = Instant::from_micros(0);
        let stamped = sealed.stamp(1, at);
        assert!(sealed.says_the_same_as(1, at, stamped.bytes()));
        assert!(!sealed.says_the_same_as(2, at, stamped.bytes()));
        assert_eq!(
            stamped.bytes(),
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"1970-01-01T00:00:00.000000Z","tag":[{"code":"t"}]},"active":true}"#
        );
    }

    #[test]
    fn a_resource_of_nothing_but_its_type_is_written_whole() {
        let sealed = accepted(r#"{"resourceType":"Patient"}"#)
            .unwrap()
            .seal("a".to_owned(), &registry())
            .unwrap();
        assert_eq!(
            sealed.stamp(1, Instant::from_micros(0)).bytes(),
            r#"{"resourceType":"Patient","id":"a","meta":{"versionId":"1","lastUpdated":"1970-01-01T00:00:00.000000Z"}}"#
        );
    }

    #[test]
    fn what_publishers_say_beside_keeps_no_parameter_out() {
        let said = r#"{"resourceType":"SearchParameter","url":"http://x/a","name":"A","status":"active","description":"d","code":"a","base":["Patient"],
            "extension":[{"url":"http://hl7.org/fhir/StructureDefinition/structuredefinition-wg","valueCode":"cgp"}],"type":"token",
            "_multipleOr":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation","valueCode":"MAY"}]},
            "expression":"Patient.active","multipleOr":true}"#;
        let mut sound = accepted(said).unwrap();
        let notes = sound.take_notes();
        let warnings = notes
            .iter()
            .filter(|note| note.severity == Severity::Warning);
        assert!(warnings.count() >= 2, "{notes:?}");
        assert!(accepted(&said.replace("\"token\"", "\"tokens\"")).is_err());
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
