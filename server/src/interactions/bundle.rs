//! Batch and transaction: several interactions in one request.
//! <https://hl7.org/fhir/R4/http.html#transaction>
//!
//! A transaction is planned outside of the door and verified inside. Outside: what each entry is about is found out, ids
//! are given, links are rewritten, resources are validated and written out, on all processors. Inside: what the plan
//! took for granted is asked again, and then the entries are applied, all or none. When the world has changed meanwhile,
//! it is planned anew. A batch does the same for each entry by itself.

mod answer;
mod batch;
mod change;
mod condition;
mod draft;
mod look;
mod lookup;
pub(crate) mod parallel;
mod plan;
mod planner;
mod prepare;
mod references;
mod step;
mod transaction;
mod trouble;

use std::sync::Arc;

use bytes::Bytes;
use fhir_spec::bundle::{Bundle, Kind as BundleKind, Reading};
use fhir_spec::format::Format;
use fhir_spec::json::{Bounds, Value, parse, skim_bundle};
use fhir_spec::{Issue, IssueCode};

use super::{Return, history, search};
use crate::app::App;
use crate::auth::Caller;
use crate::cx::Cx;
use crate::fault::{Fault, Kind};
use crate::instant::Instant;
use crate::limits::Limits;

/// A bundle as it came. One in JSON is never one tree: its resources are read one by one.
#[derive(Debug, Clone)]
pub struct Sent {
    format: Format,
    text: Arc<String>,
}

/// What the answer depends on beside the bundle.
#[derive(Debug, Clone)]
pub struct Wishes {
    /// The address of the server, as the client knows it.
    pub base: String,
    /// What is told of each resource that was written: nothing when the client does not say, as bundles may be large.
    pub returned: Option<Return>,
    /// How operations are called: they stand above interactions.
    pub operate: fn(&App, &Caller, Invocation) -> Result<Value, Fault>,
    /// How large a page of a history may be,
    pub limits: Limits,
    /// and how it is written.
    pub past: fn(Instant, &str, &history::Asked, &history::Page) -> Result<Bytes, Fault>,
    /// How a page of a search is written.
    pub found: Written,
}

type Written =
    fn(Instant, &str, &search::Asked, &search::Page, &search::Links) -> Result<Bytes, Fault>;

/// An operation that an entry calls.
#[derive(Debug)]
pub struct Invocation {
    /// Without its dollar sign.
    pub code: String,
    pub resource_type: Option<&'static str>,
    pub id: Option<String>,
    /// The parameters of the address, decoded.
    pub query: Vec<(String, String)>,
    pub document: Option<Value>,
    pub now: Instant,
}

/// The text of the bundle that answers.
pub async fn run(cx: &Cx, sent: Sent, wishes: Wishes) -> Result<Bytes, Fault> {
    let bytes = sent.text.len();
    let (app, asked, base) = (cx.app.clone(), sent.clone(), wishes.base.clone());
    let bundle = cx.compute(bytes, move || read(&app, &asked, &base)).await?;
    match bundle.kind {
        BundleKind::Transaction => transaction::run(cx, sent, bundle, wishes).await,
        BundleKind::Batch => batch::run(cx, sent, bundle, wishes).await,
    }
}

fn read(app: &App, sent: &Sent, base: &str) -> Result<Bundle, Fault> {
    let malformed = |issues| Fault::of_issues(Kind::Malformed, issues);
    let text = sent.as_str();
    let document = match sent.format {
        Format::Json => skim(text, &app.limits)?,
        Format::Xml => sent
            .format
            .read(text.as_bytes(), app.definitions())
            .map_err(malformed)?,
    };
    let reading = Reading {
        validator: &app.validator,
        source: Some(text),
        base,
        entries_max: app.limits.bundle_entries_max,
    };
    Bundle::take(document, &reading).map_err(|issues| {
        let is_long = |issue: &Issue| issue.code == IssueCode::TooLong;
        match issues.iter().any(is_long) {
            true => Fault::of_issues(Kind::BodyTooLarge, naming_limit(issues)),
            false => malformed(issues),
        }
    })
}

fn skim(text: &str, limits: &Limits) -> Result<Value, Fault> {
    let bounds = Bounds {
        entries_max: limits.bundle_entries_max,
        resource_bytes_max: limits.body_bytes_max,
        rest_bytes_max: limits.body_bytes_max,
    };
    skim_bundle(text, bounds).map_err(|error| {
        if error.is_too_much() {
            let issues = naming_limit(vec![Issue::from(&error)]);
            return Fault::of_issues(Kind::BodyTooLarge, issues);
        }
        // Who skims may stumble later than who reads.
        let is_small = text.len() <= limits.body_bytes_max;
        let read = is_small.then(|| parse(text.as_bytes()).err()).flatten();
        let issue = Issue::from(&read.unwrap_or(error));
        Fault::of_issues(Kind::Malformed, vec![issue])
    })
}

fn naming_limit(issues: Vec<Issue>) -> Vec<Issue> {
    let named = issues.into_iter().map(|mut issue| {
        let is_of_entries = issue.diagnostics.contains("entries");
        issue.code = IssueCode::TooLong;
        issue.diagnostics.push_str(match is_of_entries {
            true => " (bundle_entries_max)",
            false => " (body_bytes_max)",
        });
        issue
    });
    named.collect()
}

impl Sent {
    pub fn new(format: Format, bytes: Bytes) -> Result<Self, Fault> {
        let text = String::from_utf8(bytes.into())
            .map_err(|error| Fault::new(Kind::Malformed, "the text is not UTF-8").because(error))?;
        Ok(Self {
            format,
            text: Arc::new(text),
        })
    }

    fn as_str(&self) -> &str {
        &self.text
    }

    /// The text from a place on.
    fn from(&self, at: u32) -> &str {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        self.text.get(at..).unwrap_or_default()
    }
}

impl Wishes {
    fn shows_resources(&self) -> bool {
        self.returned == Some(Return::Representation)
    }

    fn tells_notes(&self) -> bool {
        self.returned == Some(Return::OperationOutcome)
    }
}
