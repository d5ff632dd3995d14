//! Clinical documents that messages bring along: what they say goes into the store with what the message says.

use fhir_spec::json::{Object, Value};
use fhir_spec::{Issue, IssueCode, Severity};
use interop::formats::hl7v2::Message;
use interop::mapping::Entry;
use interop::route::{Embedded, embedded};

use super::document::Purpose;
use super::translate::Translated;
use super::{Desk, Running};
use crate::{conversion, documents};

impl Desk {
    /// Adds what the documents in a message say. One that cannot be read is told, and the message is taken without it.
    pub(super) fn with_documents(
        &self,
        running: &Running,
        message: &Message<'_>,
        purpose: Purpose<'_>,
        translated: &mut Translated,
    ) {
        for Embedded { place, bytes } in embedded(message) {
            let told = |issue: Issue| Issue {
                place: None,
                diagnostics: format!("{place}: {}", issue.diagnostics),
                severity: issue.severity.min(Severity::Warning),
                ..issue
            };
            let facts = match documents::facts(&bytes, &running.route.zone) {
                Ok(facts) => facts,
                Err(error) => {
                    let issue = conversion::undocumented(&error);
                    translated.issues.push(told(issue));
                    continue;
                }
            };
            let seed = format!("{}{place}", purpose.id);
            let own = Purpose {
                id: &seed,
                ..purpose
            };
            match self.converted(running, &bytes, &facts, own) {
                Err((_, issues)) => translated.issues.extend(issues.into_iter().map(told)),
                Ok(done) => {
                    let mut entries = done.mapped.entries;
                    let patient = translated.entries.iter().find(|entry| is_patient(entry));
                    if let Some(false) = patient.map(|of| join(of, &mut entries)) {
                        let text = "the document is about somebody else than the message";
                        let code = IssueCode::BusinessRule;
                        let issue = Issue::new(Severity::Warning, code, text);
                        translated.issues.push(told(issue));
                    }
                    translated.entries.extend(entries);
                    translated.issues.extend(done.issues.into_iter().map(told));
                    for line in done.trace.lines() {
                        translated.trace.push_str(&format!("{place} {line}\n"));
                    }
                }
            }
        }
    }
}

fn is_patient(entry: &Entry) -> bool {
    entry.resource.get("resourceType").and_then(Value::as_str) == Some("Patient")
}

/// Whom a document speaks of is found as the patient of its message is, when it is the same person.
fn join(patient: &Entry, entries: &mut [Entry]) -> bool {
    let Some(own) = entries.iter_mut().find(|entry| is_patient(entry)) else {
        return true;
    };
    let is_same = is_same(&patient.resource, &own.resource);
    if is_same {
        own.request = patient.request.clone();
    }
    is_same
}

/// By a number that both have, or by name and day of birth.
fn is_same(one: &Object, other: &Object) -> bool {
    let numbers = |of: &Object| -> Vec<(String, String)> {
        let all = of.get("identifier").and_then(Value::as_array);
        let pair = |number: &Value| {
            let (system, value) = (number.str_of("system")?, number.str_of("value")?);
            Some((system.to_owned(), value.to_owned()))
        };
        all.into_iter().flatten().filter_map(pair).collect()
    };
    let known = numbers(one);
    if numbers(other).iter().any(|number| known.contains(number)) {
        return true;
    }
    let person = |of: &Object| {
        let born = of.get("birthDate")?.as_str()?.get(..10)?.to_owned();
        let name = of.get("name")?.as_array()?.first()?;
        let family = name.str_of("family")?.trim().to_lowercase();
        let given = name.items_of("given").first()?.as_str()?;
        Some((born, family, given.trim().to_lowercase()))
    };
    person(one).is_some_and(|found| person(other) == Some(found))
}

#[cfg(test)]
mod tests {
    use fhir_spec::json::parse;

    use super::*;

    #[test]
    fn a_person_is_known_by_number_or_by_name_and_birth() {
        let read = |text: &str| parse(text.as_bytes()).unwrap().as_object().unwrap().clone();
        let patient = read(
            r#"{"identifier":[{"system":"urn:a","value":"1"}],"birthDate":"1980-01-02","name":[{"family":"Lee","given":["Ann"]}]}"#,
        );
        for (other, expected) in [
            (
                r#"{"identifier":[{"system":"urn:b","value":"1"},{"system":"urn:a","value":"1"}]}"#,
                true,
            ),
            (r#"{"identifier":[{"system":"urn:b","value":"1"}]}"#, false),
            (
                r#"{"birthDate":"1980-01-02T03:04:00Z","name":[{"family":"LEE","given":["Ann","B"]}]}"#,
                true,
            ),
            (
                r#"{"birthDate":"1980-01-02","name":[{"family":"Lee","given":["Bob"]}]}"#,
                false,
            ),
            (r#"{"name":[{"family":"Lee","given":["Ann"]}]}"#, false),
        ] {
            assert_eq!(is_same(&patient, &read(other)), expected, "{other}");
        }
    }
}
