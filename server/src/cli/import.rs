//! `kiln import`: files of resources into the store, checked as the server checks them.
//!
//! One thread reads, all processors parse and validate, one writes. Each transaction notes how far it has come, so an
//! import that was killed goes on where it stood.

mod batch;
mod foreign;
mod keeping;
mod prepare;
mod read;
mod report;
mod source;
mod spoilt;
mod transact;
mod unpack;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use super::mapped::{self, Mapping};
use super::packages::{self, Packages};
use super::place::{self, Place};
use super::progress::{Progress, grouped};
use super::{FAILED, draft, ordered, print, say};
use crate::app::App;
use crate::auth::{Action, Caller, Forbidden, may};
use crate::fault::Fault;
use crate::instant::Instant;
use crate::store::{self, Store};
use foreign::Foreign;
use keeping::Keeping;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Takes resources and bundles in JSON or XML, and NDJSON; plain, .gz or .zst, in folders and in .tar archives.\n\
HL7 v2 (.hl7), clinical documents (C-CDA, .xml) and tables (.csv, .tsv, .psv) go through maps: what they say is merged into\n\
what is there, found by its identifiers. Messages and documents are kept as they came, with what became of them (/api/messages,\nroutes `import` and `import-documents`); one that was here before is not applied twice. Rows and messages that are refused come back in NAME.refused.csv beside the report; mended, they can be\n\
imported from there.\n\
Resources keep their ids. A transaction is done as a whole, a batch, collection or searchset entry by entry; a document\n\
or message is stored as a Bundle. What is refused is reported, the rest is imported, and the exit status is 1.\n\n\
An import that was stopped goes on where it stood when it is called again, and what was imported is not imported twice.\n\n\
Example:\n  kiln import ./bulk patients.ndjson.gz bundles.tar.zst\n  kiln import patients.csv --map patients --const mrn_system=urn:hospital:mrn\n  kiln import adt.hl7 --zone Europe/Berlin"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    /// Files and folders; `-` reads standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    packages: Packages,
    #[command(flatten)]
    mapping: Mapping,
    /// What files are that go through maps, where their beginning does not tell
    #[arg(long, value_name = "hl7v2|ccda|csv", value_parser = mapped::format)]
    from: Option<interop::formats::Format>,
    /// Where to report what is refused, a line of JSON each; added to when it is there
    #[arg(long, value_name = "FILE", default_value = "kiln-refused.ndjson")]
    refused: PathBuf,
    /// Import everything, also what was imported before
    #[arg(long)]
    again: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error(transparent)]
    Packages(#[from] crate::packages::Error),
    #[error(transparent)]
    Mapping(#[from] mapped::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error("the store failed")]
    Store(#[from] store::Error),
    #[error("the store failed: {0}")]
    Fault(String),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error(transparent)]
    Report(#[from] draft::Error),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("the summary cannot be printed")]
    Print(#[source] std::io::Error),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let told = fault.issues.into_iter().map(|issue| issue.diagnostics);
        let cause = fault.source.map(|source| super::chain(&*source));
        Self::Fault(told.chain(cause).collect::<Vec<_>>().join(": "))
    }
}

impl Flags {
    fn foreign(&self, configured: &[PathBuf]) -> Result<Foreign, Error> {
        let maps = self.mapping.maps(configured)?;
        let mapping = &self.mapping;
        Ok(Foreign {
            translator: maps
                .translator(mapping.zone(), mapping.constants())
                .map_err(mapped::Error::from)?,
            zone: mapping.zone().clone(),
            map: mapping.map().map(str::to_owned),
            format: self.from,
            charset: mapping.charset().map(str::to_owned),
            delimiter: mapping.delimiter(),
            now: Instant::from(SystemTime::now()).to_string(),
        })
    }
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let mut config = flags
        .place
        .config(flags.packages.named())
        .map_err(place::Error::from)?;
    let foreign = flags.foreign(&config.maps)?;
    let sources = source::find(&flags.paths)?;
    let definitions = packages::definitions(&config.packages)?;
    let registry = config.outside.registry(Arc::clone(&definitions));
    let store = Store::open_to_fill(&config.database, &config.limits, &registry)?;
    // Where there is an audit it goes on, whoever forgets to say so.
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    config.audit.is_on |= store.survey(&permit, |view| {
        Ok::<_, store::Error>(!view.chain_ends()?.is_empty())
    })?;
    if let Err(error) = store.unlock_where_possible(&config.database, &config.master_key) {
        // Nothing but secrets of Subscriptions wants it.
        tracing::warn!("secrets can be neither sealed nor opened: {error}");
    }
    let app = Arc::new(App::new(store.clone(), definitions, &config));
    let keeping = Keeping::of(&app, &config, &foreign).map_err(crate::config::Error::from);
    let keeping = keeping.map_err(place::Error::from)?;
    let mut report = report::Report::new(&flags.refused);
    let base = match &config.outside.public_url {
        Some(url) => format!("{url}/fhir"),
        None => format!("http://{}/fhir", config.listen),
    };
    let done = import(
        &app,
        base,
        &sources.files,
        (&foreign, &keeping),
        &mut report,
        flags.again,
    );
    store.close();
    let (counts, took) = done?;
    print(&format!("{}\n", summary(counts, &took))).map_err(Error::Print)?;
    if sources.passed_over > 0 {
        let count = grouped(sources.passed_over);
        say(&format!(
            "kiln: passed over in folders: {count} (links, hidden files, other endings)"
        ));
    }
    if report.lines() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let (count, file) = (grouped(report.lines()), flags.refused.display());
    let returned: String = report
        .spoilt()
        .iter()
        .map(|path| format!(", to be mended in {}", path.display()))
        .collect();
    say(&format!("kiln: refused: {count}, see {file}{returned}"));
    Ok(ExitCode::from(FAILED))
}

fn summary(counts: write::Counts, took: &str) -> String {
    let known = match counts.known {
        0 => String::new(),
        known => format!("; messages that were here before: {}", grouped(known)),
    };
    format!(
        "imported {took}: {} created, {} updated, {} unchanged, {} deleted{known}",
        grouped(counts.created),
        grouped(counts.updated),
        grouped(counts.unchanged),
        grouped(counts.deleted)
    )
}

fn import(
    app: &Arc<App>,
    base: String,
    sources: &[source::Source],
    (foreign, keeping): (&Foreign, &Keeping),
    report: &mut report::Report,
    again: bool,
) -> Result<(write::Counts, String), Error> {
    let all: u64 = sources.iter().map(|source| source.bytes).sum();
    let ahead = read::Ahead::default();
    let mut progress = Progress::new("importing", "resources");
    let mut writing = write::Writing::new(Arc::clone(app), base, report)?;
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let known = app.store.survey(&permit, |view| view.imports())?;
    ordered::run(
        |give| {
            read::all(sources, &ahead, again, &known, foreign, give);
            Ok(())
        },
        |chunk| prepare::prepare(app, foreign, keeping, chunk),
        |prepared| {
            let (bytes, read) = (prepared.bytes, prepared.read);
            let before = writing.counts.all();
            let taken = writing.take(prepared);
            match taken {
                Ok(()) => ahead.remove(bytes),
                Err(_) => ahead.end(),
            }
            let part = (all > 0).then_some((read, all));
            progress.add(writing.counts.all() - before, part);
            taken
        },
    )?;
    let before = writing.counts.all();
    writing.flush()?;
    progress.add(writing.counts.all() - before, None);
    Ok((writing.counts, progress.finish()))
}
