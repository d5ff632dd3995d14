//! `kiln export`: what is stored as NDJSON, the stored bytes as they are. <https://hl7.org/fhir/uv/bulkdata/>
//!
//! Each type is read from one state of the store, oldest first. Deletions, which have no body, are told as the bulk data
//! specification does: as transactions of one DELETE, in files of their own.

mod file;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fhir_spec::time::DateTime;

use super::place::{self, Place};
use super::progress::Progress;
use super::{draft, print, say};
use crate::accept::resource_type;
use crate::auth::{Action, Caller, Forbidden, may};
use crate::instant::Instant;
use crate::store::{self, Store, Stored, Wanted};
use file::{Packing, Sink};

/// A run that is under way, or was killed, leaves this beside its files.
const MARKER: &str = "export.partial";
/// Counted so many at a time: looking at the clock for each would cost more than writing it.
const COUNTED_AT_ONCE: u64 = 64;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without --history the current version of each resource is written. A file is under its name only when it is complete.\n\nExample:\n  kiln export --out ./bulk --type Patient --type Observation --compress zst"
)]
pub(super) struct Flags {
    #[command(flatten)]
    place: Place,
    /// A folder for one file a type; a file that ends in .ndjson, .ndjson.gz or .ndjson.zst for all; or `-` for standard output
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
    /// Only this type; may be given more than once
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only what was written at that moment or later, deletions too [example: 2026-01-31T08:00:00Z]
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    since: Option<Instant>,
    /// All versions, deletions too
    #[arg(long)]
    history: bool,
    /// Pack the files of a folder
    #[arg(long, value_enum)]
    compress: Option<Packing>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Place(#[from] place::Error),
    #[error("the store cannot be read")]
    Store(#[from] store::Error),
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error("`{0}` is no resource type of FHIR R4")]
    Type(String),
    #[error("{0} holds an export already")]
    Taken(PathBuf),
    #[error(transparent)]
    Write(#[from] draft::Error),
    #[error("the summary cannot be printed")]
    Print(#[source] std::io::Error),
}

fn instant(text: &str) -> Result<Instant, String> {
    let wrong = || "expected a moment such as 2026-01-31T08:00:00Z".to_owned();
    let moment = DateTime::parse_fhir(text).ok_or_else(wrong)?;
    Ok(Instant::from_micros(moment.interval(0).0))
}

pub(super) fn run(flags: &Flags) -> Result<ExitCode, Error> {
    for name in &flags.types {
        resource_type(name).ok_or_else(|| Error::Type(name.clone()))?;
    }
    let store = flags.place.open_existing()?;
    let mut export = Export {
        progress: Progress::new("exporting", "resources"),
        types: types(&store, flags)?,
        store,
        flags,
        done: 0,
    };
    let out = &flags.out;
    let summary = match Packing::of_file(out) {
        Some(packing) => {
            export.one_file(out, packing)?;
            format!("exported {}", export.progress.finish())
        }
        None if out == Path::new("-") => {
            let mut sink = Sink::stdout();
            export.all(&mut sink)?;
            sink.close()?;
            say(&format!("exported {}", export.progress.finish()));
            return Ok(ExitCode::SUCCESS);
        }
        None => {
            let files = export.folder(out)?;
            let of = format!("{files} {}", if files == 1 { "file" } else { "files" });
            format!("exported {} into {of}", export.progress.finish())
        }
    };
    print(&format!("{summary}: {}\n", out.display())).map_err(Error::Print)?;
    Ok(ExitCode::SUCCESS)
}

/// What is to be read, and how many resources there are of each type.
fn types(store: &Store, flags: &Flags) -> Result<Vec<(String, u64)>, Error> {
    let permit = may(&Caller::Kiln, Action::Maintain)?;
    let mut types = store.survey(&permit, |view| view.types())?;
    types.retain(|(name, _)| flags.types.is_empty() || flags.types.contains(name));
    Ok(types)
}

struct Export<'a> {
    flags: &'a Flags,
    store: Store,
    types: Vec<(String, u64)>,
    progress: Progress,
    done: u64,
}

impl Export<'_> {
    fn one_file(&mut self, out: &Path, packing: Packing) -> Result<(), Error> {
        let mut sink = Sink::create(out, packing)?;
        self.all(&mut sink)?;
        Ok(sink.close()?)
    }

    fn all(&mut self, sink: &mut Sink) -> Result<(), Error> {
        for (name, _) in self.types.clone() {
            self.of_type(&name, |stored| {
                let line = match stored.is_deleted() {
                    true => deletion(&stored),
                    false => stored.found.body,
                };
                Ok(sink.line(&line)?)
            })?;
        }
        Ok(())
    }

    /// A file for each type; answers how many.
    fn folder(&mut self, folder: &Path) -> Result<usize, Error> {
        let marker = begin(folder)?;
        let packing = self.flags.compress.unwrap_or(Packing::None);
        let mut files = 0;
        for (name, _) in self.types.clone() {
            let path = |prefix: &str| folder.join(packing.name(&format!("{prefix}{name}.ndjson")));
            let mut kept = Lazy::new(path(""), packing);
            let mut gone = Lazy::new(path("deleted-"), packing);
            self.of_type(&name, |stored| {
                if stored.is_deleted() {
                    gone.line(&deletion(&stored))
                } else {
                    kept.line(&stored.found.body)
                }
            })?;
            files += kept.close()? + gone.close()?;
        }
        std::fs::remove_file(&marker).map_err(draft::Error::of(&marker))?;
        draft::sync_folder(folder)?;
        Ok(files)
    }

    fn of_type(
        &mut self,
        name: &str,
        mut take: impl FnMut(Stored) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let permit = may(&Caller::Kiln, Action::Maintain)?;
        let wanted = Wanted {
            resource_type: name,
            since: self.flags.since,
            history: self.flags.history,
        };
        // Who asks what has changed wants to know what is gone; who asks what there is does not.
        let tells_deletions = self.flags.history || self.flags.since.is_some();
        let all: u64 = self.types.iter().map(|(_, count)| count).sum();
        let is_whole = !self.flags.history && self.flags.since.is_none();
        let (progress, done) = (&mut self.progress, &mut self.done);
        let mut uncounted = 0;
        self.store.survey(&permit, |view| {
            view.each_of_type(wanted, |stored| {
                if stored.is_deleted() && !tells_deletions {
                    return Ok(());
                }
                uncounted += 1;
                if uncounted == COUNTED_AT_ONCE {
                    *done += uncounted;
                    progress.add(uncounted, is_whole.then_some((*done, all)));
                    uncounted = 0;
                }
                take(stored)
            })
        })?;
        self.done += uncounted;
        self.progress.add(uncounted, None);
        Ok(())
    }
}

/// Makes the folder ready: nothing of an earlier export may be mistaken for this one's.
fn begin(folder: &Path) -> Result<PathBuf, Error> {
    let write = |error| draft::Error::of(folder)(error);
    std::fs::create_dir_all(folder).map_err(write)?;
    let marker = folder.join(MARKER);
    for entry in std::fs::read_dir(folder).map_err(write)? {
        let path = entry.map_err(write)?.path();
        if !file::is_ours(&path) {
            continue;
        }
        if !marker.exists() {
            return Err(Error::Taken(folder.to_owned()));
        }
        std::fs::remove_file(&path).map_err(write)?;
    }
    let mut file = std::fs::File::create(&marker).map_err(write)?;
    file.write_all(b"An export into this folder is under way, or was cut short.\n")
        .and_then(|()| file.sync_all())
        .map_err(write)?;
    Ok(marker)
}

/// As bulk data tells it.
fn deletion(stored: &Stored) -> Vec<u8> {
    format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[{{"request":{{"method":"DELETE","url":"{}/{}"}}}}]}}"#,
        stored.resource_type, stored.id
    )
    .into_bytes()
}

/// A file that is made when there is something to write.
struct Lazy {
    path: PathBuf,
    packing: Packing,
    sink: Option<Sink>,
}

impl Lazy {
    fn new(path: PathBuf, packing: Packing) -> Self {
        Self {
            path,
            packing,
            sink: None,
        }
    }

    fn line(&mut self, text: &[u8]) -> Result<(), Error> {
        if self.sink.is_none() {
            self.sink = Some(Sink::create(&self.path, self.packing)?);
        }
        if let Some(sink) = &mut self.sink {
            sink.line(text)?;
        }
        Ok(())
    }

    fn close(self) -> Result<usize, Error> {
        match self.sink {
            Some(sink) => sink.close()?,
            None => return Ok(0),
        }
        Ok(1)
    }
}
