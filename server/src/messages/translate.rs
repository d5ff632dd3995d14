//! A message becomes resources: which map, what it could not carry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use fhir_spec::{Issue, IssueCode};
use interop::formats::hl7v2::Message;
use interop::formats::hl7v2::convert::{Converter, Unmapped};
use interop::mapping::{Entry, Occasion};

use super::document::Purpose;
use super::{Desk, Running};
use crate::maps::Translator;
use crate::shelf::{Sender, Shelf};

/// What the maps that Kiln comes with are called where it is told who made a resource.
const PACK: &str = concat!("kiln-hl7v2 ", env!("CARGO_PKG_VERSION"));

/// What a message says, and what is to be said of that.
#[derive(Debug)]
pub struct Translated {
    pub entries: Vec<Entry>,
    /// The loss report.
    pub issues: Vec<Issue>,
    /// The version of the maps.
    pub pack: String,
    /// What made what, a line for each element; empty unless it was asked for.
    pub trace: String,
}

/// Maps with an overlay that does not count yet, and which one that is.
#[derive(Debug, Clone)]
pub struct Trial {
    pub shelf: Arc<Shelf>,
    pub overlay: String,
}

impl Desk {
    /// `Err`: there is no map for it, or none that can be used.
    pub(super) fn translate(
        &self,
        running: &Running,
        message: &Message<'_>,
        purpose: Purpose<'_>,
    ) -> Result<Translated, Issue> {
        let now = purpose.at.to_string();
        let occasion = Occasion {
            now: &now,
            seed: purpose.id,
            trace: purpose.trace,
        };
        let sender = Sender {
            file: purpose.file.map(str::to_owned),
            ..sender(message)
        };
        let translator = self.translator(running, &sender, purpose.trial)?;
        // What a map does to an unforeseen message costs that message an error and nothing else.
        let work = AssertUnwindSafe(|| convert(&translator.messages, message, occasion));
        let translated = catch_unwind(work).unwrap_or_else(|_| {
            let text = "the maps failed on this message";
            Err(Issue::error(IssueCode::Exception, text))
        });
        let mut translated = translated?;
        self.with_documents(running, message, purpose, &mut translated);
        Ok(translated)
    }

    /// The maps of the route, with the overlay that it names or else the one that names the sender.
    pub(super) fn translator(
        &self,
        running: &Running,
        sender: &Sender,
        trial: Option<&Trial>,
    ) -> Result<Arc<Translator>, Issue> {
        let route = &running.route;
        let shelf = trial.map_or(&self.app.shelf, |trial| &trial.shelf);
        let tried = trial.map(|trial| trial.overlay.clone());
        let named = tried
            .or_else(|| route.overlay.clone())
            .or_else(|| shelf.overlay_for(sender));
        let translator = shelf.translator(&route.zone, &route.constants, named.as_deref());
        translator.map_err(|fault| {
            let told = fault.issues.first().map(|issue| issue.diagnostics.clone());
            let told = told.unwrap_or_else(|| "the maps cannot be used".to_owned());
            Issue::error(IssueCode::Exception, told)
        })
    }
}

fn sender(message: &Message<'_>) -> Sender {
    let said = |field| Some(message.of_header(field, 1).trim().to_owned());
    let (kind, event) = (message.of_header(9, 1), message.of_header(9, 2));
    Sender {
        application: said(3),
        facility: said(4),
        kind: Some(format!("{}^{}", kind.trim(), event.trim())),
        version: said(12),
        file: None,
    }
}

fn convert(
    converter: &Converter,
    message: &Message<'_>,
    occasion: Occasion<'_>,
) -> Result<Translated, Issue> {
    let converted = converter
        .convert(message, None, occasion)
        .map_err(|unmapped| {
            let code = match unmapped {
                Unmapped::Kind(_) | Unmapped::Map(_) => IssueCode::NotSupported,
                Unmapped::Unready(..) => IssueCode::Exception,
            };
            Issue::error(code, format!("MSH-9: {unmapped}"))
        })?;
    let trace = match occasion.trace {
        true => converted
            .mapped
            .trace_text(converted.plan(), &converted.source()),
        false => String::new(),
    };
    Ok(Translated {
        issues: converted.issues(),
        trace,
        pack: PACK.to_owned(),
        entries: converted.mapped.entries,
    })
}

impl Translated {
    /// What cannot be stored as it is.
    pub(super) fn has_errors(&self) -> bool {
        self.issues.iter().any(Issue::is_error)
    }
}
