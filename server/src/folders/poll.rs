//! One look into a folder: what is there, and each file that is ready, one after another.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant as Clock};

use super::error::Error;
use super::place::{Away, Found, Listing, Moved, Place, Writing};
use super::report::Report;
use super::settled::Settled;
use super::{names, pieces, rows};
use crate::auth::{Action, Caller, may};
use crate::config::{Folder, Format, Order};
use crate::fault::Fault;
use crate::messages::{Desk, Mode, Running};
use crate::store::Reached;

/// Why it went no further. What was not done is done the next time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    #[error(transparent)]
    Place(#[from] Error),
    #[error("the store could not take it: {0}")]
    Store(String),
    #[error("the route was stopped")]
    Told,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        let told = fault.issues.into_iter().map(|issue| issue.diagnostics);
        Self::Store(told.collect::<Vec<_>>().join("; "))
    }
}

/// A folder that is being looked at.
pub(super) struct Look<'a> {
    pub(super) desk: &'a Arc<Desk>,
    pub(super) running: &'a Arc<Running>,
    pub(super) place: &'a Place,
    /// How far tables were taken that were begun.
    pub(super) begun: &'a HashMap<String, Reached>,
}

/// What a file brought.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Nothing of it could be read: why.
    pub(super) spoilt: Option<String>,
}

pub(super) async fn poll(
    desk: &Arc<Desk>,
    running: &Arc<Running>,
    settled: &mut Settled,
) -> Report {
    let mut report = Report::new((desk.app.clock)());
    match look(desk, running, settled, &mut report).await {
        Ok(()) | Err(Stop::Told) => {}
        Err(stop) => {
            let route = running.name();
            tracing::warn!(route, error = %stop, "files could not be fetched");
            report.error = stop.to_string();
        }
    }
    report.ended = (desk.app.clock)();
    report
}

async fn look(
    desk: &Arc<Desk>,
    running: &Arc<Running>,
    settled: &mut Settled,
    report: &mut Report,
) -> Result<(), Stop> {
    let settings = &running.settings;
    let folder = settings.folder.as_ref().ok_or(Error::Nowhere)?;
    let place = Place::open(settings, &desk.app.limits).await?;
    let done = async {
        let (ready, listing) = ready(desk, folder, &place, settled, report).await?;
        let begun = begun(desk, running, &listing).await?;
        let look = Look {
            desk,
            running,
            place: &place,
            begun: &begun,
        };
        look.take_all(ready, report).await
    };
    let done = done.await;
    place.close().await;
    done
}

/// The files that have stopped to change, in their order.
async fn ready(
    desk: &Arc<Desk>,
    folder: &Folder,
    place: &Place,
    settled: &mut Settled,
    report: &mut Report,
) -> Result<(Vec<Found>, Listing), Stop> {
    let wait = Duration::from_millis(folder.settle_ms);
    let most = desk.app.limits.files_max;
    let mut listing = place.list(folder, most).await?;
    let (mut ready, mut waiting) = settled.ready(&listing.files, Clock::now(), wait);
    if waiting > 0 {
        tokio::time::sleep(wait).await;
        listing = place.list(folder, most).await?;
        (ready, waiting) = settled.ready(&listing.files, Clock::now(), wait);
    }
    report.waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
    report.passed_over = listing.passed_over;
    report.is_cut = listing.is_cut;
    match folder.order {
        Order::Name => ready.sort_by(|one, other| one.name.cmp(&other.name)),
        Order::Time => ready.sort_by(|one, other| {
            (one.modified_us, &one.name).cmp(&(other.modified_us, &other.name))
        }),
    }
    Ok((ready, listing))
}

/// How far tables of this route were taken; what is noted of files that are not there any more is forgotten.
async fn begun(
    desk: &Arc<Desk>,
    running: &Arc<Running>,
    listing: &Listing,
) -> Result<HashMap<String, Reached>, Stop> {
    if running.settings.format != Format::Csv {
        return Ok(HashMap::new());
    }
    let (from, before) = rows::notes(running.name());
    let permit = may(&Caller::Kiln, Action::Maintain).map_err(Fault::from)?;
    let store = &desk.app.store;
    let read = store.read(permit, move |view| view.imports_between(&from, &before));
    let known: HashMap<String, Reached> = read.await.map_err(Fault::from)?;
    let files = listing.files.iter();
    let files: Vec<String> = files.map(|file| rows::note(running.name(), file)).collect();
    let is_gone = |note: &&String| !files.contains(note);
    let gone: Vec<String> = known.keys().filter(is_gone).cloned().collect();
    if !gone.is_empty() && !listing.is_cut {
        let permit = may(&Caller::Kiln, Action::Maintain).map_err(Fault::from)?;
        let written = store.write(permit, move |tx| tx.forget_imports(&gone));
        written.await.map_err(Fault::from)?;
    }
    Ok(known)
}

impl Look<'_> {
    async fn take_all(&self, ready: Vec<Found>, report: &mut Report) -> Result<(), Stop> {
        for found in ready {
            if self.running.mode() != Mode::Started {
                return Err(Stop::Told);
            }
            match self.take(&found).await {
                Ok(taken) => {
                    report.files += 1;
                    report.accepted += taken.accepted;
                    report.refused += taken.refused;
                    report.last_file.clone_from(&found.name);
                }
                Err(Stop::Place(Error::Changed(_))) => report.waiting += 1,
                Err(Stop::Place(Error::NoFile(_))) => report.passed_over += 1,
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    /// Takes a file and puts it away.
    async fn take(&self, found: &Found) -> Result<Taken, Stop> {
        let limits = &self.desk.app.limits;
        let of_messages = u64::try_from(limits.message_bytes_max).unwrap_or(u64::MAX);
        let format = self.running.settings.format;
        let most = match format {
            Format::Csv => limits.file_bytes_max,
            _ => limits.file_bytes_max.min(of_messages),
        };
        let taken = match found.size > most {
            true => Taken {
                refused: 1,
                spoilt: Some(format!(
                    "it has {} bytes, at most {most} are taken",
                    found.size
                )),
                accepted: 0,
            },
            false => {
                let bytes = self.place.read(found).await?;
                match format {
                    Format::Csv => rows::take(self, found, bytes).await?,
                    _ => pieces::take(self, found, bytes).await?,
                }
            }
        };
        match &taken.spoilt {
            None => self.archive(&found.name).await?,
            Some(reason) => self.reject(&found.name, reason).await?,
        }
        let (route, size) = (self.running.name(), found.size);
        let (accepted, refused) = (taken.accepted, taken.refused);
        tracing::info!(route, size, accepted, refused, "a file was taken");
        Ok(taken)
    }

    /// What a file is called where there is one of its name already.
    fn called(&self, name: &str) -> [String; 2] {
        let now = (self.desk.app.clock)();
        [name.to_owned(), names::other(name, now)]
    }

    async fn archive(&self, name: &str) -> Result<(), Error> {
        for other in self.called(name) {
            match self.place.put_away(name, Away::Archive, &other).await? {
                Moved::Done => return Ok(()),
                Moved::Taken => {}
                Moved::Gone => break,
            }
        }
        Err(Error::Changed(name.to_owned()))
    }

    /// The whole file into the folder of errors; the reason is there first.
    async fn reject(&self, name: &str, reason: &str) -> Result<(), Error> {
        for other in self.called(name) {
            if !self.tell(&other, name, reason).await? {
                continue;
            }
            match self.place.put_away(name, Away::Errors, &other).await? {
                Moved::Done => return Ok(()),
                Moved::Taken => {}
                Moved::Gone => break,
            }
        }
        Err(Error::Changed(name.to_owned()))
    }

    /// What was refused of a file is in the folder of errors under a name that is not its own yet.
    pub(super) async fn publish(&self, name: &str, reason: &str) -> Result<(), Error> {
        let refused = names::refused(name);
        let part = names::part(&refused);
        for other in self.called(&refused) {
            if !self.tell(&other, name, reason).await? {
                continue;
            }
            match self.place.publish(&part, &other).await? {
                // It was given its name before somebody was killed.
                Moved::Done | Moved::Gone => return Ok(()),
                Moved::Taken => {}
            }
        }
        Err(Error::Changed(refused))
    }

    /// The reason beside what will be there; false: there is one already.
    async fn tell(&self, beside: &str, of: &str, reason: &str) -> Result<bool, Error> {
        let name = names::reason(beside);
        let (route, now) = (self.running.name(), (self.desk.app.clock)());
        let text = format!("{of}, fetched by the route {route}, {now}\n{reason}\n");
        // One for all attempts at a name: none is left behind.
        let part = names::part(&names::reason(of));
        self.place
            .write(&part, text.into_bytes(), Writing::Anew)
            .await?;
        Ok(self.place.publish(&part, &name).await? == Moved::Done)
    }
}
