//! `kiln reindex`: makes the index rows that are missing, or looks at all of them again.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use search::Registry;

use super::packages::{self, Packages};
use super::place::{self, Place};
use super::print;
use super::progress::{Progress, grouped};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, Forbidden, may, may_all};
use crate::config::{self, Config};
use crate::feed::{self, text_index};
use crate::jobs::reindex::{self, Step, Worker};
use crate::store::{self, Remaking, Store};

/// How often is looked what others have done of it.
const WATCHED_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --type and --all: does what new search parameters have left to do, which a server does by itself. With them all\n\
resources of these types are looked at again, and the index is put right where it differs. Works beside a running server,\n\
which shares the work; stopped at any moment it goes on there when it is called again, or the server does.\n\n\
Example:\n  kiln reindex --data ./kiln-data --type Patient --type Observation"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    packages: Packages,
    /// A resource type; may be given more than once
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "all")]
    types: Vec<String>,
    /// All resource types
    #[arg(long)]
    all: bool,
    /// Forgets the index of texts in the data directory: the server makes it anew, from all there is, when it next starts
    /// or writes
    #[arg(long, conflicts_with_all = ["types", "all", "adopt"])]
    text: bool,
    /// From now on the index is that of these packages and this version of Kiln; servers with others stop writing
    #[arg(long)]
    adopt: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error(transparent)]
    Packages(#[from] crate::packages::Error),
    #[error("the store failed")]
    Store(#[from] store::Error),
    #[error("the settings want no index of texts (text_index)")]
    NoTexts,
    #[error("the index of texts cannot be forgotten")]
    Texts(#[from] feed::Error),
    #[error("the index was not made")]
    Reindex(#[from] reindex::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("`{0}` is no resource type of FHIR R4")]
    NoType(String),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error("the summary cannot be printed")]
    Print(#[source] std::io::Error),
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    let config = flags.place.config(flags.packages.named())?;
    if flags.text {
        return forget_texts(flags, &config);
    }
    for name in &flags.types {
        resource_type(name).ok_or_else(|| Error::NoType(name.clone()))?;
    }
    let definitions = packages::definitions(&config.packages)?;
    flags.place.check_existing()?;
    let registry = config.outside.registry(Arc::clone(&definitions));
    let store = open(flags, &config, &registry)?;
    let app = App::new(store.clone(), definitions, &config);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(Error::Runtime)?;
    let mut progress = Progress::new("reindexing", "resources");
    let done = runtime.block_on(reindexed(flags, &app, &mut progress));
    store.close();
    let rows = done?;
    let took = progress.finish();
    let rows = grouped(rows);
    print(&format!(
        "reindexed {took}: {rows} index rows put in or taken out\n"
    ))
    .map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}

fn forget_texts(flags: &Flags, config: &Config) -> Result<ExitCode, Error> {
    flags.place.check_existing()?;
    let directory = config.text_index.as_deref().ok_or(Error::NoTexts)?;
    text_index::forget(directory)?;
    print("the index of texts is forgotten: the server makes it anew\n").map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}

fn open(flags: &Flags, config: &Config, registry: &Registry) -> Result<Store, Error> {
    let (database, limits) = (&config.database, &config.limits);
    Ok(match flags.adopt {
        true => Store::open_to_serve(database, limits, registry)?,
        false => Store::open_to_fill(database, limits, registry)?,
    })
}

/// Works, and watches others work, until nothing is left. How many rows were not as they should be.
async fn reindexed(flags: &Flags, app: &App, progress: &mut Progress) -> Result<u64, Error> {
    ask(flags, app).await?;
    let mut worker = Worker::new(app, flags.types.clone());
    let mut tally = Tally::default();
    loop {
        match worker.step().await? {
            Step::Made(job) => tally.add(&job, progress),
            Step::Lost => {}
            Step::Idle => {
                let left = left(flags, app).await?;
                if left.is_empty() {
                    return Ok(tally.rows);
                }
                for job in &left {
                    tally.add(job, progress);
                }
                tokio::time::sleep(WATCHED_EVERY).await;
            }
        }
    }
}

/// Asks for the types to be gone through that were named.
async fn ask(flags: &Flags, app: &App) -> Result<(), Error> {
    let types: Vec<String> = match flags.all {
        true => {
            let permit = may(&Caller::Kiln, Action::Maintain)?;
            let types = app.store.survey(&permit, |view| view.types())?;
            types.into_iter().map(|(name, _)| name).collect()
        }
        false => flags.types.clone(),
    };
    let permit = may_all(&Caller::Kiln, [Action::Maintain])?;
    let asked = app.store.write(permit, move |tx| {
        for name in &types {
            tx.ask_reindex(name)?;
        }
        Ok::<(), store::Error>(())
    });
    Ok(asked.await?)
}

/// What is not done yet, by whomever.
async fn left(flags: &Flags, app: &App) -> Result<Vec<Remaking>, Error> {
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let all = app.store.read(permit, |view| view.remakings());
    let all: Vec<Remaking> = all.await.map_err(|error: store::Error| error)?;
    let is_meant =
        |job: &Remaking| flags.types.is_empty() || flags.types.contains(&job.resource_type);
    Ok(all.into_iter().filter(is_meant).collect())
}

/// What was done of the types that were seen.
#[derive(Debug, Default)]
struct Tally {
    seen: Vec<(String, u64, u64)>,
    rows: u64,
}

impl Tally {
    fn add(&mut self, job: &Remaking, progress: &mut Progress) {
        let known = self.seen.iter_mut();
        let known = known
            .into_iter()
            .find(|(name, _, _)| *name == job.resource_type);
        let (done, rows) = match known {
            Some((_, done, rows)) => (
                job.done.saturating_sub(std::mem::replace(done, job.done)),
                job.repaired
                    .saturating_sub(std::mem::replace(rows, job.repaired)),
            ),
            None => {
                let name = job.resource_type.clone();
                self.seen.push((name, job.done, job.repaired));
                (0, 0)
            }
        };
        self.rows += rows;
        progress.add(done, Some((job.done, job.total)));
    }
}
