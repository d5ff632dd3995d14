//! The index of texts as searches see it: where it is, up to where it goes, one state of it at a time.
//!
//! Its files lie in the data directory, also where the database is PostgreSQL: each node keeps an index of its own, made of
//! the feed (`server/src/feed/text_index.rs`). A search waits until it holds what was written before the search came.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use search::text::{self, Snapshot, TextIndex};

use crate::auth::Permit;
use crate::fault::{Fault, Kind};
use crate::limits;
use crate::store::{Progress, Store};

/// How often it is asked whether the index knows new search parameters.
const LEARN: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Texts {
    pub directory: PathBuf,
    pub progress: Arc<Progress>,
    /// None until it was found to be sound.
    index: RwLock<Option<TextIndex>>,
    is_doubtful: AtomicBool,
    /// Of the search parameters that the index is made for.
    generation: AtomicI64,
}

impl Texts {
    pub fn at(directory: PathBuf) -> Self {
        Self {
            directory,
            progress: Arc::new(Progress::of("text-index")),
            index: RwLock::new(None),
            is_doubtful: AtomicBool::new(false),
            generation: AtomicI64::new(i64::MIN),
        }
    }

    /// A state of the index that holds all that was written until now, and knows the search parameters of this generation.
    pub async fn now(
        &self,
        store: &Store,
        permit: Permit,
        generation: i64,
    ) -> Result<Snapshot, Fault> {
        let end = store.read(permit, |view| view.feed_end()).await;
        let end = end.map_err(|error: crate::store::Error| Fault::from(error))?;
        let wait = Duration::from_millis(limits::TEXT_WAIT_MS);
        let is_ready = tokio::time::timeout(wait, self.learn(generation))
            .await
            .is_ok()
            && self.progress.come_to(end, wait).await;
        let index = is_ready.then(|| self.index()).flatten();
        let index = index.ok_or_else(|| {
            let behind = self.progress.behind_us() / 1_000_000;
            Fault::new(
                Kind::NotReady,
                format!(
                    "the index of texts does not hold the latest changes yet (it is {behind} s behind): try again in a moment"
                ),
            )
        })?;
        Ok(index.snapshot())
    }

    async fn learn(&self, generation: i64) {
        while self.generation.load(Ordering::Relaxed) < generation {
            self.progress.ring();
            tokio::time::sleep(LEARN).await;
        }
    }

    /// The index is made for the search parameters of this generation.
    pub fn knows(&self, generation: i64) {
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// The index that searches go to; None: there is none at the moment.
    pub fn serve(&self, index: Option<TextIndex>) {
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
    }

    fn index(&self) -> Option<TextIndex> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.clone()
    }

    /// Trouble with a search; where it may be that the index is damaged, it is looked at.
    pub fn fault(&self, error: text::Error) -> Fault {
        match error {
            text::Error::TooManyBeginnings(_) => {
                Fault::new(Kind::WrongParameter, error.to_string())
            }
            error => {
                self.doubt();
                Fault::internal(error)
            }
        }
    }

    pub fn doubt(&self) {
        self.is_doubtful.store(true, Ordering::Relaxed);
        self.progress.ring();
    }

    pub fn has_doubt(&self) -> bool {
        self.is_doubtful.load(Ordering::Relaxed)
    }

    pub fn take_doubt(&self) -> bool {
        self.is_doubtful.swap(false, Ordering::Relaxed)
    }
}
