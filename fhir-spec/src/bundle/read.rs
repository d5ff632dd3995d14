//! A bundle is moved apart: nothing of it is copied, and what is wrong comes back entry by entry.
//!
//! The resources are taken out before the rest is validated: they are judged on their own, when their links are what they
//! will be, and on as many processors as there are.

use std::borrow::Cow;
use std::collections::HashSet;

use super::address::Address;
use super::entry::{Bundle, Entry, Kind, Method, Request};
use super::links::normalised;
use super::rules::Checks;
use crate::json::{Data, Object, Text, Value};
use crate::outcome::{Issue, IssueCode};
use crate::validate::{self, Validator};

/// How a bundle is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'r> {
    pub validator: &'r Validator,
    /// The text that the bundle was read from: issues then have lines and columns.
    pub source: Option<&'r str>,
    /// Where the server is, for urls that say it.
    pub base: &'r str,
    pub entries_max: usize,
}

/// What was taken out of an entry before the rest of it is validated.
struct Taken {
    full_url: Option<Value>,
    resource: Option<Value>,
    has_request: bool,
}

impl Bundle {
    /// `Err` when the bundle as a whole cannot be processed.
    pub fn take(mut document: Value, reading: &Reading<'_>) -> Result<Self, Vec<Issue>> {
        let kind = kind(&document).map_err(|issue| vec![issue])?;
        let found = document.items_of("entry").len();
        if found > reading.entries_max {
            let max = reading.entries_max;
            let told = format!("the bundle has {found} entries, the limit is {max}");
            return Err(vec![
                Issue::error(IssueCode::TooLong, told).at("Bundle.entry"),
            ]);
        }
        let taken = take_out(&mut document);
        let (mut wrong, whole) = judge_rest(&document, taken.len(), reading);
        if whole.iter().any(Issue::is_error) {
            return Err(whole);
        }
        let mut seen = HashSet::new();
        let mut entries = Vec::with_capacity(taken.len());
        let rests = entries_of(&mut document).map(std::mem::take);
        for (index, (taken, rest)) in taken.into_iter().zip(rests.unwrap_or_default()).enumerate() {
            let mut checks = Checks::new(index);
            checks.issues = wrong.get_mut(index).map(std::mem::take).unwrap_or_default();
            let entry = entry(taken, rest, &mut checks, reading);
            if let Some(entry) = &entry {
                check_unique(entry, kind, &mut seen, &mut checks);
            }
            entries.push(match entry {
                Some(entry) if checks.issues.is_empty() => Ok(entry),
                _ => Err(checks.finish()),
            });
        }
        Ok(Self { kind, entries })
    }
}

fn kind(document: &Value) -> Result<Kind, Issue> {
    match document.str_of("resourceType") {
        Some("Bundle") => {}
        Some(other) => {
            let told = format!("this address is for a Bundle, the document is a {other}");
            return Err(Issue::error(IssueCode::Invalid, told));
        }
        None => {
            let told = "expected a Bundle, the document has no `resourceType`";
            return Err(Issue::error(IssueCode::Structure, told));
        }
    }
    match document.str_of("type") {
        Some("batch") => Ok(Kind::Batch),
        Some("transaction") => Ok(Kind::Transaction),
        other => {
            let found = other.unwrap_or("nothing");
            let told = format!("expected a bundle of type batch or transaction, found {found}");
            Err(Issue::error(IssueCode::Value, told).at("Bundle.type"))
        }
    }
}

fn entries_of(document: &mut Value) -> Option<&mut Vec<Value>> {
    document.get_mut("entry").and_then(Value::as_array_mut)
}

/// Takes resources and full urls out of the entries, one [`Taken`] for each.
fn take_out(document: &mut Value) -> Vec<Taken> {
    let entries = entries_of(document).into_iter().flatten();
    let taken = entries.map(|entry| {
        let Some(entry) = entry.as_object_mut() else {
            return Taken {
                full_url: None,
                resource: None,
                has_request: true,
            };
        };
        let has_request = entry.contains("request");
        if !has_request {
            // The rule that every entry has one is told of this entry, not of the whole.
            let stand_in = [("method", "GET"), ("url", "metadata")];
            entry.set("request", Object::from_iter(stand_in));
        }
        Taken {
            full_url: entry.remove("fullUrl"),
            resource: entry.remove("resource"),
            has_request,
        }
    });
    taken.collect()
}

/// What is wrong with the bundle without its resources: by entry, and the rest.
fn judge_rest(
    document: &Value,
    entries: usize,
    reading: &Reading<'_>,
) -> (Vec<Vec<Issue>>, Vec<Issue>) {
    let request = validate::Request {
        source: reading.source,
        best_practice: None,
        ..validate::Request::default()
    };
    let mut by_entry: Vec<Vec<Issue>> = Vec::new();
    by_entry.resize_with(entries, Vec::new);
    let mut whole = Vec::new();
    let issues = reading.validator.validate(document, &request);
    for issue in issues.into_iter().filter(Issue::is_error) {
        match entry_of(&issue).and_then(|index| by_entry.get_mut(index)) {
            Some(entry) => entry.push(issue),
            None => whole.push(issue),
        }
    }
    (by_entry, whole)
}

/// The index in `Bundle.entry[3].request`.
fn entry_of(issue: &Issue) -> Option<usize> {
    let rest = issue.expression.as_deref()?.strip_prefix("Bundle.entry[")?;
    rest.split_once(']')?.0.parse().ok()
}

/// None: something is so wrong that there is no entry to speak of.
fn entry(
    taken: Taken,
    mut rest: Value,
    checks: &mut Checks,
    reading: &Reading<'_>,
) -> Option<Entry> {
    let full_url = match taken.full_url.map(|url| url.data) {
        None => None,
        Some(Data::String(url)) => Some(url),
        Some(_) => {
            checks.tell("fullUrl", IssueCode::Structure, "expected a url in quotes");
            None
        }
    };
    let resource = taken.resource.filter(|resource| {
        let is_object = resource.as_object().is_some();
        if !is_object {
            checks.tell("resource", IssueCode::Structure, "expected a resource");
        }
        is_object
    });
    if !taken.has_request {
        let told = "an entry of a batch or transaction has a request";
        checks.tell("request", IssueCode::Required, told);
        return None;
    }
    let request = request(rest.get_mut("request")?.as_object_mut()?, checks, reading)?;
    let mut entry = Entry {
        full_url,
        request,
        resource,
    };
    checks.entry(&mut entry, reading.validator.definitions());
    Some(entry)
}

fn request(stated: &mut Object, checks: &mut Checks, reading: &Reading<'_>) -> Option<Request> {
    let mut text = |name: &str| match stated.remove(name)?.data {
        Data::String(text) => Some(text),
        _ => None, // told already
    };
    let method = text("method").as_deref().and_then(Method::named);
    let url = text("url")?;
    let definitions = reading.validator.definitions();
    let address = match Address::parse(&url, reading.base, definitions) {
        Ok(address) => Some(address),
        Err(told) => {
            checks.tell("request.url", IssueCode::Value, told);
            None
        }
    };
    Some(Request {
        method: method?,
        address: address?,
        if_match: text("ifMatch"),
        if_none_match: text("ifNoneMatch"),
        if_modified_since: text("ifModifiedSince"),
        if_none_exist: text("ifNoneExist"),
    })
}

/// A full url stands once in a transaction; in a batch the versions of one resource may share it (bdl-7).
fn check_unique(entry: &Entry, kind: Kind, seen: &mut HashSet<(Text, Text)>, checks: &mut Checks) {
    let Some(full_url) = &entry.full_url else {
        if kind == Kind::Transaction && entry.request.method == Method::Post {
            check_unique_id(entry, seen, checks);
        }
        return;
    };
    let version = match kind {
        Kind::Transaction => None,
        Kind::Batch => entry
            .resource
            .as_ref()
            .and_then(|resource| resource.get("meta")?.str_of("versionId")),
    };
    let key = match normalised(full_url) {
        Cow::Borrowed(_) => full_url.clone(),
        Cow::Owned(lower) => lower.into(),
    };
    if !seen.insert((key, version.unwrap_or_default().into())) {
        let told = format!("another entry has the full url `{full_url}` too");
        checks.tell("fullUrl", IssueCode::Duplicate, told);
    }
}

/// What is posted without a full url is known by its type and id, when it has one.
fn check_unique_id(entry: &Entry, seen: &mut HashSet<(Text, Text)>, checks: &mut Checks) {
    let Some(resource) = &entry.resource else {
        return;
    };
    let (Some(resource_type), Some(id)) = (resource.str_of("resourceType"), resource.str_of("id"))
    else {
        return;
    };
    if !seen.insert((resource_type.into(), id.into())) {
        let told = format!("another entry is called {resource_type}/{id} too");
        checks.tell("resource.id", IssueCode::Duplicate, told);
    }
}
