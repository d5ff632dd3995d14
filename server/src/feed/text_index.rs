//! The follower that keeps the index of texts. <https://hl7.org/fhir/R4/search.html#text>
//!
//! With each commit of the index goes a mark: of which database it is, made by which version and for which parameters, and
//! up to which version of which resource. An index whose mark does not fit, or whose files are damaged, is made anew from
//! the first entry of the feed; searches wait, a little, and are then told to come back.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::TryLockError;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use search::text::{Document, TextIndex, VERSION, Writer};

use super::{Error, Follower};
use crate::accept::resource_type;
use crate::app::App;
use crate::auth::{Action, Caller, may};
use crate::limits;
use crate::store::{Entry, Position, Progress};
use crate::texts::Texts;

#[derive(Debug)]
pub struct Follows {
    app: Arc<App>,
    texts: Arc<Texts>,
    index: Option<TextIndex>,
    /// Open while there is something to do: it takes memory and threads.
    writer: Option<Writer>,
    /// What makes an index another one.
    identity: String,
    /// Of the search parameters that it was made for.
    generation: i64,
}

/// Where the index stands.
struct Mark {
    identity: String,
    position: Position,
    /// When that version was written: another database, or an older copy of this one, tells another time.
    at: i64,
}

impl Follows {
    /// None when the settings want no index.
    pub fn of(app: &Arc<App>) -> Option<Self> {
        Some(Self {
            app: Arc::clone(app),
            texts: Arc::clone(app.texts.as_ref()?),
            index: None,
            writer: None,
            identity: String::new(),
            generation: 0,
        })
    }

    /// Opens the index and finds its place; Err: why it cannot be used.
    fn open(&self) -> Result<(TextIndex, Position), String> {
        let told = |error: search::text::Error| {
            let source = std::error::Error::source(&error);
            source.map_or(error.to_string(), |source| format!("{error}: {source}"))
        };
        let directory = &self.texts.directory;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let index = TextIndex::open(directory)?;
            index.check()?;
            let mark = index.mark()?;
            Ok((index, mark))
        }));
        let opened = opened.map_err(|_| "its files cannot be read".to_owned())?;
        let (index, mark) = opened.map_err(told)?;
        let Some(mark) = mark else {
            return Ok((index, Position::default()));
        };
        let mark = Mark::read(&mark).ok_or("its mark cannot be read")?;
        if mark.identity != self.identity {
            return Err("it was made of another database, by another version or for other search parameters".into());
        }
        Ok((index, mark.position))
    }

    /// Whether the database holds what the index was made of.
    fn is_of_this_database(&self, index: &TextIndex) -> Result<bool, Error> {
        let mark = index.mark()?;
        let Some(mark) = mark.as_deref().and_then(Mark::read) else {
            return Ok(true);
        };
        let permit = may(&Caller::Kiln, Action::Follow)?;
        let position = mark.position;
        let stored = self
            .app
            .store
            .look(&permit, |view| view.feed_at(position))?;
        Ok(stored == Some(mark.at))
    }

    /// Of an index for the search parameters that there are now.
    fn identity(&self) -> Result<String, Error> {
        let database = self.app.store.identity()?;
        let parameters = search::text::parameters_of(&self.app.search());
        Ok(format!("{VERSION}-{database}-{parameters:x}"))
    }

    fn writer(&mut self) -> Result<&mut Writer, Error> {
        let writer = match (self.writer.take(), &self.index) {
            (Some(writer), _) => writer,
            (None, Some(index)) => index.writer()?,
            (None, None) => return Err(search::text::Error::Busy.into()),
        };
        Ok(self.writer.insert(writer))
    }

    fn commit(&mut self, mark: &Mark) -> Result<(), Error> {
        self.writer()?.commit(&mark.to_text())?;
        if let Some(index) = &self.index {
            index.reload()?;
        }
        Ok(())
    }

    /// After trouble the index is opened and looked at anew, unless it was only another process that wrote into it.
    fn noted(&mut self, done: Result<(), Error>) -> Result<(), Error> {
        if !matches!(done, Ok(()) | Err(Error::Text(search::text::Error::Busy))) {
            self.index = None;
        }
        done
    }

    /// Goes on where the index is by now, when nothing speaks against it.
    fn resume(&mut self) -> Result<Option<Position>, Error> {
        let (Some(index), false) = (self.index.take(), self.texts.take_doubt()) else {
            return Ok(None);
        };
        let mark = index.mark()?;
        let mark = mark.as_deref().and_then(Mark::read);
        let Some(mark) = mark.filter(|mark| mark.identity == self.identity) else {
            return Ok(None);
        };
        index.reload()?;
        self.index = Some(index);
        self.texts.progress.reach(Some(mark.position));
        self.texts.knows(self.generation);
        Ok(Some(mark.position))
    }

    /// What resources of one type say now.
    fn put(&mut self, kind: &'static str, rids: &[i64]) -> Result<(), Error> {
        let permit = may(&Caller::Kiln, Action::Follow)?;
        let store = self.app.store.clone();
        let registry = self.app.search();
        let writer = self.writer()?;
        for rids in rids.chunks(limits::FEED_BODIES_MAX) {
            let bodies = store.look(&permit, |view| view.bodies(Action::Follow, kind, rids))?;
            let mut gone: HashSet<i64> = rids.iter().copied().collect();
            for body in bodies {
                let text = match body.text {
                    Some(text) => text,
                    None => store.look(&permit, |view| {
                        view.large_body(Action::Follow, kind, body.rid)
                    })?,
                };
                // What is stored was read before; if it ever cannot be, its words are not found.
                let resource = fhir_spec::json::parse(&text).ok();
                let document = resource.and_then(|resource| Document::of(&registry, &resource));
                writer.put(body.rid, document)?;
                gone.remove(&body.rid);
            }
            gone.into_iter().try_for_each(|rid| writer.put(rid, None))?;
        }
        Ok(())
    }
}

impl Follower for Follows {
    fn begin(&mut self) -> Result<Position, Error> {
        self.writer = None;
        self.generation = self.app.search().generation();
        self.identity = self.identity()?;
        if let Some(position) = self.resume()? {
            return Ok(position);
        }
        self.texts.serve(None);
        self.texts.progress.reach(None);
        make_directory(&self.texts.directory)?;
        let opened = match self.open() {
            Ok((index, position)) => match self.is_of_this_database(&index)? {
                true => Ok((index, position)),
                false => Err("the database does not hold what it was made of".to_owned()),
            },
            Err(why) => Err(why),
        };
        let (index, position) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                tracing::info!("the index of texts is made anew: {why}");
                forget(&self.texts.directory)?;
                make_directory(&self.texts.directory)?;
                (TextIndex::open(&self.texts.directory)?, Position::default())
            }
        };
        self.texts.serve(Some(index.clone()));
        self.texts.progress.reach(Some(position));
        self.texts.knows(self.generation);
        self.index = Some(index);
        Ok(position)
    }

    fn handle(&mut self, entries: &[Entry]) -> Result<(), Error> {
        // A resource that has changed more than once is looked at once, as it is now.
        let mut kinds: BTreeMap<&'static str, BTreeSet<i64>> = BTreeMap::new();
        for entry in entries {
            if let Some(kind) = resource_type(&entry.resource_type) {
                kinds.entry(kind).or_default().insert(entry.rid);
            }
        }
        let handled = catch_unwind(AssertUnwindSafe(|| {
            kinds.iter().try_for_each(|(kind, rids)| {
                let rids: Vec<i64> = rids.iter().copied().collect();
                self.put(kind, &rids)
            })
        }));
        let handled = handled.unwrap_or(Err(Error::Panicked));
        self.noted(handled)
    }

    fn settle(&mut self, last: &Entry) -> Result<(), Error> {
        let mark = Mark {
            identity: self.identity.clone(),
            position: last.position,
            at: last.at,
        };
        let settled = self.commit(&mark);
        self.noted(settled)
    }

    fn rest(&mut self) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        if let Err(error) = writer.finish() {
            tracing::debug!("the writer of the index of texts did not end well: {error}");
        }
    }

    fn is_in_doubt(&mut self) -> bool {
        let generation = self.app.search().generation();
        if generation == self.generation || self.texts.has_doubt() {
            return self.texts.has_doubt();
        }
        // Most parameters bring no element that was not known already.
        let is_same = self
            .identity()
            .is_ok_and(|identity| identity == self.identity);
        if is_same {
            self.generation = generation;
            self.texts.knows(generation);
        }
        !is_same
    }

    fn progress(&self) -> &Arc<Progress> {
        &self.texts.progress
    }
}

impl Mark {
    fn to_text(&self) -> String {
        let (xact, key) = self.position.numbers();
        format!("{} {xact} {key} {}", self.identity, self.at)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let identity = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse().ok();
        Some(Self {
            identity,
            position: Position::of_numbers(number()?, number()?),
            at: number()?,
        })
    }
}

/// Has the index made anew when a server next starts on this directory.
pub fn forget(directory: &Path) -> Result<(), Error> {
    // Whoever writes into it holds this lock.
    let lock = std::fs::File::open(directory.join(".tantivy-writer.lock"));
    if lock.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
        return Err(search::text::Error::Busy.into());
    }
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::Directory(error)),
        _ => Ok(()),
    }
}

fn make_directory(directory: &Path) -> Result<(), Error> {
    // What is in it is for the server's own user.
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(directory).map_err(Error::Directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = Mark {
            identity: "1-abc-7".into(),
            position: Position::of_numbers(3, 4),
            at: -5,
        };
        let read = Mark::read(&mark.to_text()).unwrap();
        assert_eq!(read.identity, mark.identity);
        assert_eq!((read.position, read.at), (mark.position, mark.at));
        for wrong in ["", "x", "x 1 2", "x 1 2 z"] {
            assert!(Mark::read(wrong).is_none(), "{wrong}");
        }
    }
}
