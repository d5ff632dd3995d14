//! A visit: who has come, from where, by which door, and what they did there. Of this the audit tells, and of nothing else.
//!
//! What is read is noted here and kept before the answer leaves; what is written is kept by the transaction that writes it.
//! The patterns are those of IHE's Basic Audit: <https://profiles.ihe.net/ITI/BALP/>

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use fhir_spec::json::write_string;
use memchr::memmem;

use super::Caller;
use crate::instant::Instant;

const PATIENT: &str = "Patient";
/// How references are written in what is stored.
const REFERENCE: &[u8] = b"\"reference\":\"";

/// Somebody who has come, and what they have done so far.
#[derive(Debug)]
pub struct Visit {
    pub caller: Caller,
    /// What tells them from all others: `user:anna`, `sender:LAB`.
    pub who: String,
    /// From where: an address of the network, or what else there is.
    pub address: String,
    /// By which name the request is found in the log.
    pub request: String,
    /// `rest`, `hl7`, `import` ...
    pub door: &'static str,
    /// Why they break the glass.
    pub reason: Option<String>,
    /// The FHIR base, where references to this server may begin with it; empty: they do not.
    pub base: String,
    pub at: Instant,
    steps: Mutex<Vec<Step>>,
    writes: AtomicBool,
    has_written: AtomicBool,
}

/// Something that was done, to the records of these patients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// The code of the interaction or operation, or what else it is called.
    pub code: &'static str,
    /// Create, read, update, delete or execute.
    pub action: Did,
    pub outcome: Ended,
    /// Ids.
    pub patients: Vec<String>,
    /// The resource, or the address, that it was done to.
    pub what: Option<String>,
    /// What was searched for.
    pub query: Option<String>,
    /// For people.
    pub told: Option<String>,
}

/// <https://hl7.org/fhir/R4/valueset-audit-event-action.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Did {
    Create,
    Read,
    Update,
    Delete,
    #[default]
    Execute,
}

/// <https://hl7.org/fhir/R4/valueset-audit-event-outcome.html>
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ended {
    #[default]
    Well,
    /// It was refused.
    Refused,
    /// It failed.
    Failed,
}

/// An event as it is kept: of one patient, or of none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub at: Instant,
    /// The id; empty: of none.
    pub patient: String,
    /// JSON.
    pub body: String,
}

impl Did {
    pub fn letter(self) -> &'static str {
        match self {
            Self::Create => "C",
            Self::Read => "R",
            Self::Update => "U",
            Self::Delete => "D",
            Self::Execute => "E",
        }
    }

    /// What an interaction of this name does.
    pub fn of_interaction(code: &str) -> Self {
        match code {
            "create" => Self::Create,
            "read" | "vread" => Self::Read,
            "update" | "patch" => Self::Update,
            "delete" => Self::Delete,
            _ if code.starts_with("history") => Self::Read,
            _ => Self::Execute,
        }
    }
}

impl Ended {
    pub fn code(self) -> &'static str {
        match self {
            Self::Well => "0",
            Self::Refused => "4",
            Self::Failed => "8",
        }
    }

    pub fn of_status(status: u16) -> Self {
        match status {
            0..400 => Self::Well,
            400..500 => Self::Refused,
            _ => Self::Failed,
        }
    }
}

impl Visit {
    pub fn new(caller: Caller, door: &'static str, at: Instant) -> Self {
        Self {
            who: caller.name().to_owned(),
            caller,
            address: String::new(),
            request: String::new(),
            door,
            reason: None,
            base: String::new(),
            at,
            steps: Mutex::default(),
            writes: AtomicBool::new(false),
            has_written: AtomicBool::new(false),
        }
    }

    /// Something was done. It is kept before the answer leaves.
    pub fn note(&self, step: Step) {
        self.steps().push(step);
    }

    /// A resource was seen.
    pub fn saw(&self, code: &'static str, (resource_type, id): (&str, &str), text: &[u8]) {
        let mut patients = Vec::new();
        self.patients_of((resource_type, id), text, &mut patients);
        self.note(Step {
            code,
            action: Did::Read,
            patients,
            what: Some(format!("{resource_type}/{id}")),
            ..Step::default()
        });
    }

    /// All that was noted and is not kept yet.
    pub fn records(&self) -> Vec<Record> {
        let steps = std::mem::take(&mut *self.steps());
        let mut records = Vec::with_capacity(steps.len());
        for step in &steps {
            self.record(step, self.at, &mut records);
        }
        records
    }

    /// Whether anything was noted or written.
    pub fn has_done(&self) -> bool {
        self.has_written() || !self.steps().is_empty()
    }

    pub fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// A transaction that tells of it is about to be committed.
    pub fn writes(&self) {
        self.writes.store(true, Ordering::Relaxed);
    }

    /// And has been, or not.
    pub fn settled(&self, is_written: bool) {
        if self.writes.swap(false, Ordering::Relaxed) && is_written {
            self.has_written.store(true, Ordering::Relaxed);
        }
    }

    /// The patients whom a resource is or names. A mention discloses something, so it counts whatever the compartment says.
    pub fn patients_of(
        &self,
        (resource_type, id): (&str, &str),
        text: &[u8],
        patients: &mut Vec<String>,
    ) {
        let mut add = |id: &str| {
            if !patients.iter().any(|known| known == id) {
                patients.push(id.to_owned());
            }
        };
        if resource_type == PATIENT {
            add(id);
        }
        // Most of what names no patient ends here.
        if memmem::find(text, b"Patient/").is_none() {
            return;
        }
        for at in memmem::find_iter(text, REFERENCE) {
            let rest = text.get(at + REFERENCE.len()..).unwrap_or_default();
            let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
            let reference = std::str::from_utf8(rest.get(..end).unwrap_or_default());
            if let Some(id) = reference.ok().and_then(|text| self.patient_in(text)) {
                add(id);
            }
        }
    }

    /// The id of the patient that a reference leads to.
    pub fn patient_in<'t>(&self, reference: &'t str) -> Option<&'t str> {
        let own = (!self.base.is_empty()).then(|| reference.strip_prefix(self.base.as_str()));
        let relative = own
            .flatten()
            .map_or(reference, |rest| rest.trim_start_matches('/'));
        let rest = relative.strip_prefix("Patient/")?;
        let id = rest.split(['/', '#', '?']).next().unwrap_or_default();
        (!id.is_empty()).then_some(id)
    }

    /// As it is kept: once for each patient, or once when there is none.
    pub fn record(&self, step: &Step, at: Instant, records: &mut Vec<Record>) {
        let body = self.body(step);
        match step.patients.split_last() {
            None => records.push(Record {
                at,
                patient: String::new(),
                body,
            }),
            Some((last, others)) => {
                records.extend(others.iter().map(|patient| Record {
                    at,
                    patient: patient.clone(),
                    body: body.clone(),
                }));
                records.push(Record {
                    at,
                    patient: last.clone(),
                    body,
                });
            }
        }
    }

    fn body(&self, step: &Step) -> String {
        let mut out = String::with_capacity(256);
        let user = self.caller.fhir_user();
        let parts = [
            ("code", Some(step.code)),
            ("action", Some(step.action.letter())),
            ("outcome", Some(step.outcome.code())),
            ("door", Some(self.door)),
            ("who", Some(self.who.as_str())),
            ("user", user),
            (
                "address",
                Some(self.address.as_str()).filter(|text| !text.is_empty()),
            ),
            (
                "request",
                Some(self.request.as_str()).filter(|text| !text.is_empty()),
            ),
            ("what", step.what.as_deref()),
            ("query", step.query.as_deref()),
            ("told", step.told.as_deref()),
            ("reason", self.reason.as_deref()),
        ];
        for (name, value) in parts {
            if let Some(value) = value {
                out.push(if out.is_empty() { '{' } else { ',' });
                out.push('"');
                out.push_str(name);
                out.push_str("\":");
                write_string(value, &mut out);
            }
        }
        out.push('}');
        out
    }

    fn steps(&self) -> std::sync::MutexGuard<'_, Vec<Step>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit() -> Visit {
        Visit {
            address: "10.0.0.1".to_owned(),
            base: "https://kiln.example/fhir".to_owned(),
            ..Visit::new(Caller::Open, "rest", Instant::from_micros(1))
        }
    }

    #[test]
    fn patients_are_those_whom_a_resource_is_or_names() {
        let visit = visit();
        let of = |named, text: &str| {
            let mut patients = Vec::new();
            visit.patients_of(named, text.as_bytes(), &mut patients);
            patients
        };
        assert_eq!(of(("Patient", "1"), "{}"), ["1"]);
        assert!(
            of(
                ("Observation", "1"),
                r#"{"subject":{"reference":"Group/1"}}"#
            )
            .is_empty()
        );
        assert_eq!(
            of(
                ("Observation", "1"),
                r#"{"subject":{"reference":"Patient/2/_history/3"},"performer":[{"reference":"Patient/2"},
                {"reference":"https://kiln.example/fhir/Patient/4"},{"reference":"https://other.example/fhir/Patient/5"}],
                "note":[{"text":"\"reference\":\"Patient/6\""}]}"#
            ),
            ["2", "4"]
        );
    }

    #[test]
    fn each_patient_has_an_event_of_their_own() {
        let visit = visit();
        visit.note(Step {
            code: "search-type",
            patients: vec!["1".to_owned(), "2".to_owned()],
            query: Some("Observation?code=\"x\"".to_owned()),
            ..Step::default()
        });
        assert!(visit.has_done());
        let records = visit.records();
        let patients: Vec<&str> = records
            .iter()
            .map(|record| record.patient.as_str())
            .collect();
        assert_eq!(patients, ["1", "2"]);
        assert_eq!(
            records[0].body,
            r#"{"code":"search-type","action":"E","outcome":"0","door":"rest","who":"open","address":"10.0.0.1","query":"Observation?code=\"x\""}"#
        );
        assert!(visit.records().is_empty() && !visit.has_done());
        visit.settled(true);
        assert!(!visit.has_written(), "nothing was about to be written");
        visit.writes();
        visit.settled(true);
        assert!(visit.has_done());
    }
}
