//! From versions to a full store: what restore and migrate share. Index rows are made on all processors.

use std::sync::Arc;

use search::{Registry, Rows};

use super::ordered;
use super::progress::Progress;
use crate::store::carried::Carried;
use crate::store::{self, Copied, Refill};

/// Versions that travel together.
#[derive(Debug, Default)]
pub(super) struct Load {
    versions: Vec<Copied>,
    /// Behind all of them.
    carried: Vec<Carried>,
    bytes: usize,
}

const LOAD_VERSIONS: usize = 64;
const LOAD_BYTES: usize = 256 * 1024;

/// Gathers versions into loads.
pub(super) struct Loader<'a> {
    load: Load,
    give: &'a mut dyn FnMut(Load) -> bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(give: &'a mut dyn FnMut(Load) -> bool) -> Self {
        Self {
            load: Load::default(),
            give,
        }
    }

    /// False when nobody wants more.
    pub(super) fn add(&mut self, version: Copied) -> bool {
        self.load.bytes += version.body.len();
        self.load.versions.push(version);
        let is_full = self.load.versions.len() >= LOAD_VERSIONS || self.load.bytes >= LOAD_BYTES;
        !is_full || self.give()
    }

    /// What goes along, when all versions are given; false when nobody wants more.
    pub(super) fn carry(&mut self, carried: Carried) -> bool {
        self.load.bytes += carried.bytes();
        self.load.carried.push(carried);
        let is_full = self.load.carried.len() >= LOAD_VERSIONS || self.load.bytes >= LOAD_BYTES;
        !is_full || self.give()
    }

    pub(super) fn give(&mut self) -> bool {
        (self.give)(std::mem::take(&mut self.load))
    }
}

/// A load whose versions have their index rows.
type Ready = (Vec<(Copied, Arc<Rows>)>, Vec<Carried>);

/// Fills the store with what `feed` hands out, of which there will be `all`. Answers what `feed` has left to say.
pub(super) fn run<T: Send, E: From<store::Error> + Send>(
    registry: &Registry,
    target: &mut Refill,
    progress: &mut Progress,
    all: u64,
    feed: impl FnOnce(&mut Loader<'_>) -> Result<T, E> + Send,
) -> Result<Option<T>, E> {
    let mut done = 0;
    let mut left = None;
    let fed = &mut left;
    ordered::run::<_, _, E>(
        |give| {
            let mut loader = Loader::new(give);
            *fed = Some(feed(&mut loader)?);
            // When nobody wants it, whoever does not has said why.
            let _wanted = loader.give();
            Ok(())
        },
        |load: Load| -> Result<Ready, store::Error> {
            let with_rows = |version: Copied| {
                let rows = version.rows(registry)?;
                Ok((version, rows))
            };
            let versions = load.versions.into_iter().map(with_rows);
            Ok((versions.collect::<Result<_, store::Error>>()?, load.carried))
        },
        |load| {
            let mut count = 0;
            let (versions, carried) = load?;
            for (version, rows) in versions {
                target.add(&version, &rows)?;
                count += 1;
            }
            for row in &carried {
                target.carry(row)?;
            }
            done += count;
            progress.add(count, Some((done, all)));
            Ok(())
        },
    )?;
    Ok(left)
}
