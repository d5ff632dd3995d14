//! The bundle that answers: one entry for each of the request, in its order.
//! <https://hl7.org/fhir/R4/http.html#transaction-response>

use bytes::Bytes;
use fhir_spec::bundle::Kind as BundleKind;
use fhir_spec::json::{Object, Value};
use fhir_spec::outcome::operation_outcome;
use fhir_spec::{Issue, IssueCode, Severity};

use super::Wishes;
use super::step::Done;
use crate::cx::Cx;
use crate::entries::{Entries, Envelope};
use crate::fault::Fault;
use crate::interactions::Return;

/// By the places of the entries.
pub(super) type Outcomes = Vec<(usize, Result<Done, Fault>)>;

pub(super) fn answer(
    cx: &Cx,
    kind: BundleKind,
    mut outcomes: Outcomes,
    wishes: &Wishes,
) -> Result<Bytes, Fault> {
    outcomes.sort_by_key(|(place, _)| *place);
    let mut entries = Entries::open(&Envelope {
        kind: kind.response_code(),
        at: cx.now,
        total: None,
        links: &[],
    });
    for (_, outcome) in outcomes {
        match outcome {
            Ok(done) => push_done(&mut entries, &done, wishes)?,
            Err(fault) => push_fault(&mut entries, &fault),
        }
    }
    Ok(entries.close())
}

fn push_done(entries: &mut Entries, done: &Done, wishes: &Wishes) -> Result<(), Fault> {
    let base = &wishes.base;
    let mut response = Object::from_iter([("status", done.status)]);
    if let (true, Some((resource_type, id)), Some(version)) =
        (done.is_located, &done.address, done.version)
    {
        let location = format!("{base}/{resource_type}/{id}/_history/{version}");
        response.set("location", location);
    }
    if let Some(version) = done.version {
        response.set("etag", format!("W/\"{version}\""));
    }
    if let Some(at) = done.at {
        response.set("lastModified", at.to_string());
    }
    if wishes.returned == Some(Return::OperationOutcome) && !done.is_shown {
        response.set("outcome", told(done));
    }
    let resource = done
        .body
        .as_deref()
        .map(std::str::from_utf8)
        .transpose()
        .map_err(Fault::internal)?;
    let full_url = match (&done.address, resource) {
        (Some((resource_type, id)), Some(_)) => Some(format!("{base}/{resource_type}/{id}")),
        _ => None,
    };
    let about = Object::from_iter([("response", Value::from(response))]);
    entries.push(full_url.as_deref(), resource, &about);
    Ok(())
}

fn told(done: &Done) -> Value {
    let what = match &done.address {
        Some((resource_type, id)) => format!("{resource_type}/{id}: {}", done.status),
        None => done.status.to_owned(),
    };
    let mut said = vec![Issue::new(
        Severity::Information,
        IssueCode::Informational,
        what,
    )];
    said.extend(done.notes.iter().cloned());
    operation_outcome(&said)
}

fn push_fault(entries: &mut Entries, fault: &Fault) {
    let response = Object::from_iter([
        ("status", Value::from(fault.kind.row().status.to_string())),
        ("outcome", operation_outcome(&fault.issues)),
    ]);
    let about = Object::from_iter([("response", Value::from(response))]);
    entries.push(None, None, &about);
}
