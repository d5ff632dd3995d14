//! Clinical documents at the desk: kept, mapped and applied as messages are, and answered by what became of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fhir_spec::{Issue, IssueCode};
use interop::formats::cda::{Converted, decode};
use interop::host::Submission;
use interop::mapping::Occasion;
use interop::route::Facts;

use super::{Arrival, Desk, Running, Trial};
use crate::instant::Instant;
use crate::shelf::Sender;
use crate::store::{Stage, Whole};
use crate::{conversion, documents};

/// What the maps of documents that Kiln comes with are called where it is told who made a resource.
const PACK: &str = concat!("kiln-cda ", env!("CARGO_PKG_VERSION"));

/// For what a document is mapped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'p> {
    pub(super) id: &'p str,
    pub(super) at: Instant,
    pub(super) trial: Option<&'p Trial>,
    pub(super) trace: bool,
    /// The file that it came in.
    pub(super) file: Option<&'p str>,
}

impl<'p> Purpose<'p> {
    /// To show what made what in a message that is kept.
    pub(super) fn shown(whole: &'p Whole) -> Self {
        let listed = &whole.listed;
        Self {
            id: &listed.id,
            at: listed.received_at,
            trial: None,
            trace: true,
            file: Some(listed.file.as_str()).filter(|file| !file.is_empty()),
        }
    }
}

impl Desk {
    /// What a document says as resources, or how far it came and why no further.
    pub(super) fn of_document(
        &self,
        arrival: &Arrival,
        id: &str,
    ) -> Result<Submission, (Stage, Vec<Issue>)> {
        let purpose = Purpose {
            id,
            at: arrival.at,
            trial: arrival.trial.as_ref(),
            trace: false,
            file: arrival.file.as_deref(),
        };
        let running = &arrival.running;
        let done = self.converted(running, &arrival.bytes, &arrival.facts, purpose)?;
        let mut submission = documents::submission(&arrival.facts, done, PACK.to_owned());
        submission.origin.route.clone_from(&running.route.name);
        id.clone_into(&mut submission.origin.message_id);
        Ok(submission)
    }

    /// A document by the maps of a route.
    pub(super) fn converted(
        &self,
        running: &Running,
        bytes: &[u8],
        facts: &Facts,
        purpose: Purpose<'_>,
    ) -> Result<Converted, (Stage, Vec<Issue>)> {
        let sender = Sender {
            application: Some(facts.sender_application.clone()),
            facility: Some(facts.sender_facility.clone()),
            kind: Some(format!("{}^{}", facts.kind, facts.event)),
            version: None,
            file: purpose.file.map(str::to_owned),
        };
        let now = purpose.at.to_string();
        let occasion = Occasion {
            now: &now,
            seed: purpose.id,
            trace: purpose.trace,
        };
        let translator = self.translator(running, &sender, purpose.trial);
        let translator = translator.map_err(|issue| (Stage::Parsed, vec![issue]))?;
        let converter = translator.documents.get(None);
        let converter =
            converter.map_err(|error| (Stage::Parsed, conversion::no_converter(&error)))?;
        // What a map does to an unforeseen document costs that document an error and nothing else.
        let work = AssertUnwindSafe(|| converter.convert(bytes, occasion));
        match catch_unwind(work) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => Err((Stage::Received, vec![conversion::undocumented(&error)])),
            Err(_) => {
                let text = "the maps failed on this document";
                let issue = Issue::error(IssueCode::Exception, text);
                Err((Stage::Parsed, vec![issue]))
            }
        }
    }

    /// The text of a document as it was read, and what made what in it when that is asked for.
    pub(super) fn document_shown(
        &self,
        running: &Running,
        whole: &Whole,
        is_traced: bool,
    ) -> (String, String) {
        let text = match decode(&whole.raw) {
            Ok(text) => text.into_owned(),
            Err(_) => String::from_utf8_lossy(&whole.raw).into_owned(),
        };
        if !is_traced {
            return (text, String::new());
        }
        let purpose = Purpose::shown(whole);
        let done = self.converted(running, &whole.raw, &whole.listed.facts, purpose);
        (text, done.map_or_else(|_| String::new(), |done| done.trace))
    }
}
