//! Rows and messages on their way into the store: many rows at a time, and fewer when some of them are refused.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use fhir_spec::Issue;
use interop::host::{Applied, Effect, Submission};
use interop::mapping::Entry;

use super::foreign::{self, Table};
use super::read::Origin;
use super::write::Counts;
use crate::cx::Cx;
use crate::facade;
use crate::fault::Fault;
use crate::limits;
use crate::messages::{Arrival, Desk};
use crate::store::{Reached, Stage};

/// What came in, so that it can come back.
#[derive(Debug, Clone)]
pub(super) enum Raw {
    Row(Arc<Table>, Vec<u8>),
    Message(Bytes),
    /// A clinical document, which is the file itself.
    Clinical,
}

/// A row or a message.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) origin: Origin,
    pub(super) raw: Raw,
    pub(super) said: Said,
    /// Where its source stands behind it.
    pub(super) to: Reached,
}

#[derive(Debug)]
pub(super) enum Said {
    /// Of a row: it goes with others.
    Entries(Vec<Entry>),
    /// Of a message or document: it goes by itself.
    Whole(Box<Whole>),
    /// Nothing can be made of it; that was reported.
    Nothing,
}

/// A message or document, which is kept whatever becomes of it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) desk: Arc<Desk>,
    pub(super) arrival: Arrival,
    /// What it says as resources, or how far it came and why no further.
    pub(super) said: Result<Submission, (Stage, Vec<Issue>)>,
}

impl Whole {
    async fn write(&self, cx: &Cx) -> Result<Counts, Fault> {
        match &self.said {
            Err((stage, issues)) => {
                let refused = self.desk.refuse_imported(cx, &self.arrival, *stage, issues);
                refused.await.map(|()| Counts::default())
            }
            Ok(submission) => {
                let applied = self.desk.apply_imported(cx, &self.arrival, submission);
                let known = Counts {
                    known: 1,
                    ..Counts::default()
                };
                Ok(applied.await?.map_or(known, |applied| counts(&applied)))
            }
        }
    }
}

impl Said {
    /// Why nothing can be made of it.
    pub(super) fn refused(&self) -> Option<&[Issue]> {
        match self {
            Self::Whole(whole) => whole.said.as_ref().err().map(|(_, issues)| &issues[..]),
            Self::Entries(_) | Self::Nothing => None,
        }
    }
}

impl Piece {
    /// One that the store does not take is kept with its reason. Whether it is one that is kept.
    pub(super) async fn keep(&self, cx: &Cx, issues: &[Issue]) -> Result<bool, Fault> {
        let Said::Whole(whole) = &self.said else {
            return Ok(false);
        };
        let refused = { &whole.desk }.refuse_imported(cx, &whole.arrival, Stage::Mapped, issues);
        refused.await.map(|()| true)
    }
}

/// Pieces of one source that are written together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) source: Arc<str>,
    pub(super) from: Option<Reached>,
    pub(super) pieces: Vec<Piece>,
}

impl Batch {
    pub(super) fn to(&self) -> Option<Reached> {
        self.pieces.last().map(|piece| piece.to)
    }

    /// Whether another piece may join.
    pub(super) fn takes(&self, piece: &Piece) -> bool {
        let is_alone = |piece: &Piece| matches!(piece.said, Said::Whole(_));
        self.source == piece.origin.source
            && self.pieces.len() < limits::IMPORT_ROWS_MAX
            && !is_alone(piece)
            && !self.pieces.iter().any(is_alone)
    }

    /// Whether something is to be written.
    pub(super) fn says(&self, range: Range<usize>) -> bool {
        let pieces = self.pieces.get(range).unwrap_or_default();
        pieces
            .iter()
            .any(|piece| !matches!(piece.said, Said::Nothing))
    }

    fn submission(&self, range: Range<usize>) -> Option<Submission> {
        let pieces = self.pieces.get(range)?;
        let (first, last) = (pieces.first()?, pieces.last()?);
        let mut all = Vec::with_capacity(pieces.len());
        let mut table = None;
        for piece in pieces {
            if let (Said::Entries(entries), Raw::Row(of, _)) = (&piece.said, &piece.raw) {
                table = table.or(Some(of));
                all.extend(entries.iter().cloned());
            }
        }
        let name = self.source.rsplit('/').next().unwrap_or_default();
        let line = |piece: &Piece| piece.origin.line.unwrap_or_default();
        let place = format!("{name} lines {} to {}", line(first), line(last));
        Some(foreign::submission(table?, all, place))
    }

    /// Writes a range of it, whole or not at all.
    pub(super) async fn write(&self, cx: &Cx, range: Range<usize>) -> Result<Counts, Fault> {
        if let Some(Said::Whole(whole)) = self.pieces.get(range.start).map(|piece| &piece.said) {
            return whole.write(cx).await;
        }
        let Some(submission) = self.submission(range) else {
            return Ok(Counts::default());
        };
        let (applied, ()) = facade::apply(cx, submission, &[], |_, _| Ok(())).await?;
        Ok(counts(&applied))
    }
}

/// What is known of the source itself does not count.
const PROVENANCE: &str = "Provenance";

fn counts(applied: &Applied) -> Counts {
    let mut counts = Counts::default();
    for touched in &applied.touched {
        match touched.effect {
            Effect::Created if touched.resource_type == PROVENANCE => {}
            Effect::Created => counts.created += 1,
            Effect::Updated => counts.updated += 1,
            Effect::Deleted => counts.deleted += 1,
            Effect::Unchanged | Effect::Stale => counts.unchanged += 1,
        }
    }
    counts
}

/// Halves of what was refused, the first one to be tried next.
pub(super) fn halves(range: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let middle = range.start + range.len() / 2;
    (range.len() > 1).then_some((range.start..middle, middle..range.end))
}

/// A piece that was refused, and why.
pub(super) type Refuse<'r> = &'r mut dyn FnMut(&Piece, &[Issue]) -> Result<(), super::Error>;
