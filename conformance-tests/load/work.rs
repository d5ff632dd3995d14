//! The workloads, in the order in which they run, and what they leave behind for each other.

mod conditional;
mod create;
mod documents;
mod import;
mod messages;
mod read;
mod scale;
mod search;
mod update;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fhir_spec::json::{Data, Value};

use crate::Fallible;
use crate::bench::Bench;
use crate::patients;
use crate::wire::{Answer, Connection, request};

/// What the server holds, as far as the kit put it there.
#[derive(Default)]
pub(super) struct Known {
    /// `Type/id` of everything that reads may ask for.
    pub(super) paths: Vec<String>,
    /// The numbers of the patients and their `Patient/id`.
    pub(super) patients: Vec<(u64, String)>,
    /// Where the entries of an imported patient begin among the paths, by its number.
    pub(super) begins: HashMap<u64, usize>,
    /// Observations that were created one by one, by the patient they are about.
    pub(super) created: HashMap<String, Vec<String>>,
    /// The number of the patient that is imported next.
    pub(super) next_patient: u64,
}

pub(crate) fn all(bench: &mut Bench) -> Fallible<()> {
    if bench.arguments.messages {
        return messages::run(bench);
    }
    let mut known = Known::default();
    scale::at(bench, &mut known, scale::SMALL)?;
    import::run(bench, &mut known)?;
    create::run(bench, &mut known)?;
    read::run(bench, &known)?;
    search::run(bench, &known)?;
    conditional::run(bench, &known)?;
    update::run(bench, &known)?;
    messages::run(bench)?;
    documents::run(bench, &mut known)?;
    let great = bench.arguments.scale.unwrap_or(0);
    scale::at(bench, &mut known, great)
}

/// Takes what workers have gathered.
pub(super) fn gathered<T: Default>(mutex: &Mutex<T>) -> T {
    std::mem::take(&mut *mutex.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn gather<T>(mutex: &Mutex<Vec<T>>, item: T) {
    mutex
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(item);
}

/// `Type/id` in a location, which may be a whole URL and may name a version.
pub(super) fn path_of(location: &str) -> Fallible<String> {
    let plain = location.split("/_history/").next().unwrap_or_default();
    let mut parts = plain.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(id), Some(resource_type)) if !id.is_empty() => Ok(format!("{resource_type}/{id}")),
        _ => Err(format!("{location:?} is no location of a resource").into()),
    }
}

/// Where a resource is, of an answer to a create or to a conditional one that found it.
pub(super) fn place_of(answer: &Answer<'_>) -> Fallible<String> {
    let location = answer
        .header("location")
        .or(answer.header("content-location"));
    match location {
        Some(location) => path_of(location),
        None => {
            let resource = fhir_spec::json::parse(answer.body)?;
            let (kind, id) = (resource.str_of("resourceType"), resource.str_of("id"));
            Ok(format!(
                "{}/{}",
                kind.ok_or("no location and no resource")?,
                id.ok_or("no id")?
            ))
        }
    }
}

/// Reads a resource and compares it with what was sent, all but id, version and time.
pub(super) fn check_equal(connection: &mut Connection, path: &str, sent: &str) -> Fallible<()> {
    let answer = connection.get(&format!("/fhir/{path}"))?.expect(200)?;
    let mut stored = fhir_spec::json::parse(answer.body)?;
    let sent = fhir_spec::json::parse(sent.as_bytes())?;
    let id = path.rsplit('/').next();
    if stored.str_of("id") != id {
        return Err(format!("{path} has another id: {stored}").into());
    }
    let meta = stored.get("meta");
    let stamped = meta.is_some_and(|meta| {
        meta.str_of("versionId").is_some() && meta.str_of("lastUpdated").is_some()
    });
    if !stamped {
        return Err(format!("{path} has no version or no time").into());
    }
    let (mut kept, mut wanted) = (stored.clone(), sent);
    for document in [&mut kept, &mut wanted] {
        if let Data::Object(object) = &mut document.data {
            object.remove("id");
            object.remove("meta");
        }
    }
    stored = kept;
    if stored.to_string() == wanted.to_string() {
        Ok(())
    } else {
        Err(format!("{path} holds something else: {stored} instead of {wanted}").into())
    }
}

/// The first of a document's references that is not `Type/id`.
pub(super) fn unresolved(document: &Value) -> Option<&str> {
    match &document.data {
        Data::Array(items) => items.iter().find_map(unresolved),
        Data::Object(object) => object
            .iter()
            .find_map(|(name, value)| match value.as_str() {
                Some(text) if name == "reference" && text.starts_with("urn:") => Some(text),
                _ => unresolved(value),
            }),
        _ => None,
    }
}

/// A POST of a resource.
pub(super) fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    request("POST", path, headers, body)
}

/// As many patients as there are reads to spread, made one by one where no transaction can make them.
pub(super) fn patient_json(seed: u64, number: u64) -> String {
    let mut dice = patients::Dice::new(seed ^ number.wrapping_mul(0x2545_F491_4F6C_DD1D));
    patients::patient(&mut dice, number, &patients::family(seed, number))
}
