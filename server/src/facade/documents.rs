//! Documents that take the place of others: the older one is superseded, whichever of them comes first.
//! <https://hl7.org/fhir/R4/documentreference-definitions.html#DocumentReference.relatesTo>
//!
//! A document names the one that it replaces, or both are versions of one document: they have an identifier in common and
//! each says its version.

use std::cmp::Ordering;

use fhir_spec::json::{Object, Value, parse};

use super::draft::Drafts;
use super::orders;
use super::patients::escaped;
use super::planner::{How, Planner, Work, information};
use super::provenance::{Behind, participant};
use super::world::World;
use crate::fault::Fault;
use crate::interactions::conditional::Criteria;
use crate::store::{Found, Head};

const DOCUMENT: &str = "DocumentReference";
const SUPERSEDED: &str = "superseded";
/// Where R4 keeps what R5 calls the version of a document.
const VERSION: &str =
    "http://hl7.org/fhir/5.0/StructureDefinition/extension-DocumentReference.version";

/// Which document is current after this one.
pub(super) fn supersede<W: World>(
    planner: &mut Planner<'_, W>,
    works: &mut Vec<Work>,
) -> Result<(), Fault> {
    let mut older = Vec::new();
    for place in 0..works.len() {
        let is_meant = works.get(place).is_some_and(|work| {
            work.resource_type == DOCUMENT && matches!(work.how, How::Update | How::Once)
        });
        if !is_meant {
            continue;
        }
        let known: Vec<String> = works.iter().map(|work| work.subject.id.clone()).collect();
        let Some(work) = works.get_mut(place) else {
            continue;
        };
        if was_superseded(work)? {
            mark(&mut work.said);
        }
        let replaced = replaced(&work.said);
        for (head, found) in others(planner, &work.said, &replaced)? {
            if known.contains(&head.id) {
                continue;
            }
            let other = parse(&found.body).map_err(Fault::internal)?;
            match relation(&work.said, &replaced, &other) {
                Some(Ordering::Less) => {
                    point(&mut work.said, &head.id, &other);
                    older.push((head, found, other));
                }
                Some(Ordering::Greater) => mark(&mut work.said),
                _ => {}
            }
        }
        if is_replaced(planner, &work.said)? {
            mark(&mut work.said);
        }
    }
    for (head, found, other) in older {
        if other.str_of("status") != Some("current") {
            continue;
        }
        planner.issues.push(information(format!(
            "{DOCUMENT}/{}: a newer version takes its place",
            head.id
        )));
        works.push(gone(head, found));
    }
    Ok(())
}

/// What is written of a document that another one replaces.
fn gone(head: Head, found: Found) -> Work {
    let mut said = Value::from(Object::from_iter([("resourceType", DOCUMENT)]));
    mark(&mut said);
    Work {
        resource_type: DOCUMENT,
        subject: orders::subject((head, found)),
        how: How::Update,
        // It has happened, and holds however late it is told.
        event: Some(said.clone()),
        said,
        deletes: Vec::new(),
        lost: Vec::new(),
    }
}

fn mark(document: &mut Value) {
    let is_marked = document.str_of("status") == Some("entered-in-error");
    if let (false, Some(document)) = (is_marked, document.as_object_mut()) {
        document.set("status", SUPERSEDED);
    }
}

/// A document that comes again does not come to life.
fn was_superseded(work: &Work) -> Result<bool, Fault> {
    let living = work.subject.found.as_ref();
    let Some(found) = living.filter(|found| !found.is_deleted()) else {
        return Ok(false);
    };
    let stored = parse(&found.body).map_err(Fault::internal)?;
    Ok(stored.str_of("status") == Some(SUPERSEDED))
}

/// As a search asks for it.
fn token(identifier: &Value) -> Option<String> {
    let (system, value) = (identifier.str_of("system")?, identifier.str_of("value")?);
    Some(format!("{}|{}", escaped(system), escaped(value)))
}

/// The identifiers of documents that it says to replace.
fn replaced(document: &Value) -> Vec<String> {
    let relations = document.items_of("relatesTo").iter();
    let replaces = relations.filter(|relation| relation.str_of("code") == Some("replaces"));
    replaces
        .filter_map(|relation| token(relation.get("target")?.get("identifier")?))
        .collect()
}

fn version(document: &Value) -> Option<&str> {
    let mut extensions = document.items_of("extension").iter();
    let version = extensions.find(|extension| extension.str_of("url") == Some(VERSION))?;
    version.str_of("valueString")
}

/// Those that it replaces, and the current version of the same document.
fn others<W: World>(
    planner: &mut Planner<'_, W>,
    document: &Value,
    replaced: &[String],
) -> Result<Vec<(Head, Found)>, Fault> {
    let mut found = Vec::new();
    if !replaced.is_empty() {
        found.extend(find(planner, &[("identifier", &replaced.join(","))])?);
    }
    let set = version(document).map(|_| document.items_of("identifier"));
    let set: Vec<String> = set.into_iter().flatten().filter_map(token).collect();
    if !set.is_empty() {
        let current = [("identifier", &*set.join(",")), ("status", "current")];
        found.extend(find(planner, &current)?);
    }
    let mut known = Vec::new();
    found.retain(|(head, _)| {
        let is_new = !known.contains(&head.rid);
        known.push(head.rid);
        is_new
    });
    Ok(found)
}

fn find<W: World>(
    planner: &mut Planner<'_, W>,
    parameters: &[(&str, &str)],
) -> Result<Vec<(Head, Found)>, Fault> {
    let parameters: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let criteria = Criteria::new(planner.app, DOCUMENT, &parameters, planner.now)?;
    planner.find(criteria)
}

/// Whether a document that is there says to replace this one.
fn is_replaced<W: World>(planner: &mut Planner<'_, W>, document: &Value) -> Result<bool, Fault> {
    let Some(own) = document.get("masterIdentifier").and_then(token) else {
        return Ok(false);
    };
    let asked = [("relatesto:identifier", &*own), ("relation", "replaces")];
    Ok(!find(planner, &asked)?.is_empty())
}

/// Whether another document is older than this one (less), or newer; None: that cannot be told, or they are not the same.
fn relation(document: &Value, replaced: &[String], other: &Value) -> Option<Ordering> {
    let own = other.get("masterIdentifier").and_then(token);
    if own.is_some_and(|own| replaced.contains(&own)) {
        return Some(Ordering::Less);
    }
    // Some senders give one set to all of their documents.
    let subject = |document: &Value| {
        let subject = document.get("subject")?.str_of("reference");
        subject.map(str::to_owned)
    };
    if subject(document) != subject(other) || subject(other).is_none() {
        return None;
    }
    let number = |document| version(document)?.trim().parse::<u64>().ok();
    let order = number(other)?.cmp(&number(document)?);
    order.is_ne().then_some(order)
}

/// The link to a document that is replaced; where it is named by its number, it gets its address too.
fn point(document: &mut Value, id: &str, other: &Value) {
    let reference = format!("{DOCUMENT}/{id}");
    let number = other.get("masterIdentifier").and_then(token);
    let Some(document) = document.as_object_mut() else {
        return;
    };
    if !document.contains("relatesTo") {
        document.set("relatesTo", Vec::<Value>::new());
    }
    let Some(relations) = document.get_mut("relatesTo").and_then(Value::as_array_mut) else {
        return;
    };
    let named = relations.iter_mut().find_map(|relation| {
        let target = relation.get_mut("target")?;
        let is_it = target.get("identifier").and_then(token) == number;
        (is_it && number.is_some())
            .then_some(target)?
            .as_object_mut()
    });
    if let Some(target) = named {
        target.set("reference", reference);
        return;
    }
    let target = Object::from_iter([("reference", reference)]);
    let relation = Object::from_iter([
        ("code", Value::from("replaces")),
        ("target", Value::from(target)),
    ]);
    relations.push(relation.into());
}

/// Who stands behind what a clinical document says: its authors, and who keeps it.
pub(super) fn behind(drafts: &Drafts, works: &[Work]) -> Behind {
    let mut behind = Behind::default();
    if drafts.origin.format != "cda" {
        return behind;
    }
    // Notes are documents, too, and have no number of this kind.
    let is_whole = |work: &&Work| {
        work.resource_type == DOCUMENT && work.said.get("masterIdentifier").is_some()
    };
    let Some(document) = works.iter().find(is_whole) else {
        return behind;
    };
    let authors = document.said.items_of("author").iter();
    let authors = authors.map(|author| participant("author", author.clone()));
    behind.agents.extend(authors);
    let custodian = document.said.get("custodian");
    let custodian = custodian.map(|keeper| participant("custodian", keeper.clone()));
    behind.agents.extend(custodian);
    behind.document = Some(format!("{DOCUMENT}/{}", document.subject.id));
    behind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(version: &str, subject: &str) -> Value {
        let text = format!(
            r#"{{"resourceType":"DocumentReference","status":"current","masterIdentifier":{{"system":"urn:s","value":"{version}"}},
            "subject":{{"reference":"{subject}"}},"extension":[{{"url":"{VERSION}","valueString":"{version}"}}]}}"#
        );
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn versions_of_one_document_follow_each_other() {
        let second = document("2", "Patient/1");
        for (other, subject, expected) in [
            ("1", "Patient/1", Some(Ordering::Less)),
            ("10", "Patient/1", Some(Ordering::Greater)),
            ("2", "Patient/1", None),
            ("x", "Patient/1", None),
            ("1", "Patient/2", None),
        ] {
            let other = document(other, subject);
            assert_eq!(relation(&second, &[], &other), expected);
        }
        // Who is named is replaced, whatever else it says.
        let other = document("9", "Patient/2");
        let named = ["urn:s|9".to_owned()];
        assert_eq!(relation(&second, &named, &other), Some(Ordering::Less));
    }

    #[test]
    fn what_is_replaced_is_named_once() {
        let mut second = document("2", "Patient/1");
        let first = document("1", "Patient/1");
        point(&mut second, "a", &first);
        assert_eq!(second.items_of("relatesTo").len(), 1);
        let text = r#"{"relatesTo":[{"code":"replaces","target":{"identifier":{"system":"urn:s","value":"1"}}}]}"#;
        let mut named = parse(text.as_bytes()).unwrap();
        point(&mut named, "a", &first);
        let all = named.items_of("relatesTo");
        let target = all[0].get("target").unwrap();
        assert_eq!(
            (all.len(), target.str_of("reference")),
            (1, Some("DocumentReference/a"))
        );
    }
}
