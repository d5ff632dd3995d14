//! How far imports have come. A note is written in the transaction that stores what it is about, so both are there or
//! neither is.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Text};
use tokio::sync::watch;

use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;

/// A place in a source, behind the last thing that is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Documents that are done.
    pub documents: u64,
    /// Entries of the next document that are done.
    pub entries: u64,
    /// Of all documents that were begun, with their CRC-32.
    pub bytes: u64,
    pub checksum: u32,
}

/// That a source was imported from one place up to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub source: String,
    /// None: it was never begun.
    pub from: Option<Reached>,
    pub to: Reached,
}

/// What a store notes with every write, and when it may write.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) step: Step,
    pub(super) turn: Turn,
}

/// A place in a row of writes that may be prepared side by side and must be written one after another.
#[derive(Debug, Clone)]
pub struct Turn {
    number: u64,
    settled: watch::Receiver<u64>,
}

impl Turn {
    /// It comes when so many before it are settled.
    pub fn new(number: u64, settled: watch::Receiver<u64>) -> Self {
        Self { number, settled }
    }

    /// `Err`: whoever counted is gone, and it will never come.
    pub(super) async fn come(&self) -> Result<(), Error> {
        let mut settled = self.settled.clone();
        let come = settled.wait_for(|settled| *settled >= self.number).await;
        come.map(drop).map_err(|_| Error::Closed)
    }
}

const SELECT: &str = "SELECT source, documents, entries, bytes, checksum FROM imports";
/// Sources whose names begin alike: from one text up to, but not with, another.
const SELECT_SOME: &str = "SELECT source, documents, entries, bytes, checksum FROM imports WHERE source >= ? AND source < ?";
const DELETE: &str = "DELETE FROM imports WHERE source = ?";
const INSERT: &str =
    "INSERT INTO imports (documents, entries, bytes, checksum, source) VALUES (?, ?, ?, ?, ?)";
const UPDATE: &str = "UPDATE imports SET documents = ?, entries = ?, bytes = ?, checksum = ? WHERE source = ? \
     AND documents = ? AND entries = ? AND bytes = ? AND checksum = ?";

impl View<'_> {
    /// How far each source has been imported.
    pub fn imports(&mut self) -> Result<HashMap<String, Reached>, Error> {
        self.imported(SELECT, &[])
    }

    /// Of those whose names come from one text on and before another.
    pub fn imports_between(
        &mut self,
        from: &str,
        before: &str,
    ) -> Result<HashMap<String, Reached>, Error> {
        self.imported(SELECT_SOME, &[Bind::Text(from), Bind::Text(before)])
    }

    fn imported(
        &mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<HashMap<String, Reached>, Error> {
        self.demand(&[Action::Maintain])?;
        let statement = Statement::<(Text, BigInt, BigInt, BigInt, BigInt)>::new(sql, binds);
        let done = self.connection.rows(statement).map_err(Error::from);
        let rows: Vec<(String, i64, i64, i64, i64)> = self.noted(done)?;
        let reached = |(source, documents, entries, bytes, checksum)| {
            let reached = Reached {
                documents: u64::try_from(documents).unwrap_or_default(),
                entries: u64::try_from(entries).unwrap_or_default(),
                bytes: u64::try_from(bytes).unwrap_or_default(),
                checksum: u32::try_from(checksum).unwrap_or_default(),
            };
            (source, reached)
        };
        Ok(rows.into_iter().map(reached).collect())
    }
}

impl Tx<'_> {
    /// Notes how far an import has come. When another import of the source has done so meanwhile, nothing of this
    /// transaction may stay.
    pub fn advance_import(&mut self, step: &Step) -> Result<(), Error> {
        self.demand(&[Action::Maintain])?;
        self.note(step)
    }

    /// What is noted of these sources is not needed any more.
    pub fn forget_imports(&mut self, sources: &[String]) -> Result<(), Error> {
        self.demand(&[Action::Maintain])?;
        self.writes();
        for source in sources {
            let binds = [Bind::Text(source)];
            let done = self.connection.execute(Statement::new(DELETE, &binds));
            self.noted(done.map_err(Error::from))?;
        }
        Ok(())
    }

    /// For a store whose holder was permitted to have it note.
    pub(super) fn note(&mut self, step: &Step) -> Result<(), Error> {
        let to = numbers(step.to);
        let [documents, entries, bytes, checksum] = to.map(Bind::Int);
        let source = Bind::Text(&step.source);
        let mut binds = vec![documents, entries, bytes, checksum, source];
        let sql = match step.from {
            None => INSERT,
            Some(from) => {
                binds.extend(numbers(from).map(Bind::Int));
                UPDATE
            }
        };
        let done = self.connection.execute(Statement::new(sql, &binds));
        match self.noted(done.map_err(Error::from)) {
            Ok(1) => Ok(()),
            Ok(_) => self.noted(Err(Error::Overtaken(step.source.clone()))),
            Err(error) => Err(error),
        }
    }
}

fn numbers(reached: Reached) -> [i64; 4] {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    [
        number(reached.documents),
        number(reached.entries),
        number(reached.bytes),
        i64::from(reached.checksum),
    ]
}
