//! What a document means for the store: everything that can be done before the door opens, on any processor.

use bytes::Bytes;
use fhir_spec::bundle::{Kind, Links, Target, within};
use fhir_spec::format::Format;
use fhir_spec::json::{Bounds, Object, Value, skim_bundle};
use fhir_spec::{Issue, IssueCode};

use super::batch::{Raw, Said};
use super::foreign::{Foreign, Matter};
use super::keeping::Keeping;
use super::read::{Chunk, Item, Origin};
use crate::accept::{Sealed, Submitted, accept};
use crate::app::App;
use crate::interactions::bundle::Sent;
use crate::limits::Limits;
use crate::store::Reached;

/// What is to be done, and where the source stands when it is done.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) origin: Origin,
    /// Of a bundle.
    pub(super) entry: Option<usize>,
    pub(super) known: Option<Reached>,
    pub(super) to: Reached,
    pub(super) task: Task,
}

#[derive(Debug)]
pub(super) enum Task {
    /// Under the id it came with.
    Place(Sealed),
    /// It came without an id.
    Create(Sealed),
    /// A transaction, to be done as the server does it.
    Run(Sent),
    Refuse(Vec<Issue>),
    /// A row or message of another format, or why there is none.
    Foreign(Raw, Result<Said, Vec<Issue>>),
    /// A bundle without entries is done as soon as it is seen.
    Nothing,
}

/// A chunk made ready.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) steps: Vec<Step>,
    pub(super) broken: Option<(Origin, String)>,
    /// Of the text that it came from.
    pub(super) bytes: usize,
    pub(super) read: u64,
}

pub(super) fn prepare(app: &App, foreign: &Foreign, keeping: &Keeping, chunk: Chunk) -> Prepared {
    let mut steps = Vec::with_capacity(chunk.items.len());
    for item in chunk.items {
        document(app, (foreign, keeping), item, &mut steps);
    }
    Prepared {
        steps,
        broken: chunk.broken,
        bytes: chunk.bytes,
        read: chunk.read,
    }
}

fn document(
    app: &App,
    (foreign, keeping): (&Foreign, &Keeping),
    item: Item,
    steps: &mut Vec<Step>,
) {
    let Item {
        origin,
        text,
        trouble,
        matter,
        skip,
        known,
        at,
    } = item;
    let (tasks, is_bundle) = match (trouble, matter) {
        (Some(issue), _) => (vec![Task::Refuse(vec![issue])], false),
        (None, Matter::Fhir) => tasks(app, Bytes::from(text)),
        (None, Matter::Row(row)) => {
            let said = row.outcome.map(Said::Entries);
            let raw = Raw::Row(row.table, text);
            (vec![Task::Foreign(raw, said)], false)
        }
        (None, Matter::Message) => {
            let seed = format!("{}#{}", origin.source, at.documents);
            let text = Bytes::from(text);
            let said = keeping.message(foreign, &text, &origin, &seed);
            (vec![Task::Foreign(Raw::Message(text), Ok(said))], false)
        }
        (None, Matter::Clinical) => {
            let seed = format!("{}#{}", origin.source, at.documents);
            let said = keeping.clinical(foreign, Bytes::from(text), &origin, &seed);
            (vec![Task::Foreign(Raw::Clinical, Ok(said))], false)
        }
    };
    let last = tasks.len().saturating_sub(1);
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    for (index, task) in tasks.into_iter().enumerate().skip(skip) {
        let to = match index == last {
            true => Reached {
                documents: at.documents + 1,
                ..at
            },
            false => Reached {
                entries: u64::try_from(index).unwrap_or(u64::MAX) + 1,
                ..at
            },
        };
        steps.push(Step {
            origin: origin.clone(),
            entry: is_bundle.then_some(index),
            known,
            to,
            task,
        });
    }
}

/// What a text asks for, and whether each task is an entry of a bundle.
fn tasks(app: &App, source: Bytes) -> (Vec<Task>, bool) {
    let format = Format::of(&source);
    if format == Format::Json && is_transaction(&source, &app.limits) {
        // It need not be read here: that is done when it is planned.
        return (vec![run(format, source)], false);
    }
    let document = match format.read(&source, app.definitions()) {
        Ok(document) => document,
        Err(issues) => return (vec![Task::Refuse(issues)], false),
    };
    if document.str_of("resourceType") != Some("Bundle") {
        return (vec![resource(app, document, source)], false);
    }
    match document.str_of("type") {
        Some("transaction") => (vec![run(format, source)], false),
        Some("batch") => (singly(document), true),
        // What these hold are resources, each by itself.
        Some("collection" | "searchset") => (entries(app, document, &source), true),
        // What happened elsewhere is not what should happen here.
        Some(kind @ ("history" | "transaction-response" | "batch-response")) => {
            let diagnostics = format!("a bundle of type {kind} is not imported");
            let issue = Issue::error(IssueCode::NotSupported, diagnostics).at("Bundle.type");
            (vec![Task::Refuse(vec![issue])], false)
        }
        // A document or a message is stored as the whole that it is.
        _ => (vec![resource(app, document, source)], false),
    }
}

/// Where a bundle says its type, usually.
const HEAD_BYTES: usize = 1024;

fn is_transaction(text: &[u8], limits: &Limits) -> bool {
    let head = text.get(..HEAD_BYTES).unwrap_or(text);
    if !head.windows(BUNDLE.len()).any(|part| part == BUNDLE) {
        return false;
    }
    let bounds = Bounds {
        entries_max: limits.bundle_entries_max,
        resource_bytes_max: limits.body_bytes_max,
        rest_bytes_max: limits.body_bytes_max,
    };
    let text = std::str::from_utf8(text).unwrap_or_default();
    match skim_bundle(text, bounds) {
        Ok(bundle) => {
            bundle.str_of("resourceType") == Some("Bundle")
                && bundle.str_of("type") == Some("transaction")
        }
        // Whoever does transactions says by which limit.
        Err(error) => error.is_too_much(),
    }
}

const BUNDLE: &[u8] = b"\"Bundle\"";

fn run(format: Format, source: Bytes) -> Task {
    match Sent::new(format, source) {
        Ok(sent) => Task::Run(sent),
        Err(fault) => Task::Refuse(fault.issues),
    }
}

/// The entries of a batch, each as a transaction of its own.
fn singly(mut batch: Value) -> Vec<Task> {
    let entries = batch.get_mut("entry").and_then(Value::as_array_mut);
    let entries = entries.map(std::mem::take).unwrap_or_default();
    if entries.is_empty() {
        return vec![Task::Nothing];
    }
    let alone = |entry: Value| {
        let bundle = Object::from_iter([
            ("resourceType", Value::from("Bundle")),
            ("type", Value::from("transaction")),
            ("entry", Value::from(vec![entry])),
        ]);
        run(Format::Json, Bytes::from(Value::from(bundle).to_string()))
    };
    entries.into_iter().map(alone).collect()
}

fn resource(app: &App, document: Value, source: Bytes) -> Task {
    let id = document.str_of("id").map(str::to_owned);
    match accept(&app.validator, Submitted { document, source }) {
        Err(issues) => Task::Refuse(issues),
        Ok(accepted) => {
            let (own_id, make): (_, fn(Sealed) -> Task) = match id {
                Some(id) => (id, Task::Place),
                None => ((app.ids)((app.clock)()), Task::Create),
            };
            let sealed = app.seal(accepted, own_id);
            sealed.map_or_else(Task::Refuse, make)
        }
    }
}

/// The resources of a collection. Links between them lead to where they will be.
fn entries(app: &App, mut bundle: Value, source: &Bytes) -> Vec<Task> {
    let types = app.definitions().types();
    let mut links = Links::new(Kind::Transaction, types);
    for entry in bundle.items_of("entry") {
        if let (Some(url), Some(resource)) = (entry.str_of("fullUrl"), entry.get("resource"))
            && let (Some(name), Some(id)) = (resource.str_of("resourceType"), resource.str_of("id"))
        {
            links.add(url, Target::new(name, id, None).of(url, resource));
        }
    }
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut);
    let entries = entries.map(std::mem::take).unwrap_or_default();
    if entries.is_empty() {
        return vec![Task::Nothing];
    }
    entries
        .into_iter()
        .enumerate()
        .map(|(index, entry)| self::entry(app, &links, index, entry, source))
        .collect()
}

fn entry(app: &App, links: &Links, index: usize, mut entry: Value, source: &Bytes) -> Task {
    let full_url = entry.str_of("fullUrl").map(str::to_owned);
    let mode = entry.get("search").and_then(|search| search.str_of("mode"));
    if mode == Some("outcome") {
        // It is about the search, not about a patient.
        return Task::Nothing;
    }
    let Some(mut document) = entry
        .as_object_mut()
        .and_then(|entry| entry.remove("resource"))
    else {
        let issue = Issue::error(IssueCode::Required, "the entry has no resource");
        return Task::Refuse(vec![within(index, issue)]);
    };
    let types = app.definitions().types();
    let place = || format!("Bundle.entry[{index}].resource");
    let found = links.rewrite(&mut document, full_url.as_deref(), place, types);
    if found.issues.iter().any(Issue::is_error) {
        return Task::Refuse(found.issues);
    }
    resource(app, document, source.clone())
}
