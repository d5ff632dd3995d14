//! What operators arrange while the server runs, in versions: the last of each name holds, the others are its history.

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// What is arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arranged {
    Route,
    Overlay,
    Destination,
}

/// One version of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrangement {
    pub name: String,
    pub version: u64,
    pub at: Instant,
    /// JSON; None: there is none from this version on.
    pub body: Option<String>,
}

impl Arranged {
    fn word(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Overlay => "overlay",
            Self::Destination => "destination",
        }
    }
}

type Kinds = (Text, BigInt, BigInt, BigInt, Text);

const CURRENT: &str = "SELECT name, version, at, is_deleted, body FROM arrangements a WHERE kind = ? \
     AND version = (SELECT max(version) FROM arrangements b WHERE b.kind = a.kind AND b.name = a.name) ORDER BY name";
const HISTORY: &str = "SELECT name, version, at, is_deleted, body FROM arrangements \
     WHERE kind = ? AND name = ? ORDER BY version DESC";
const INSERT: &str = "INSERT INTO arrangements (kind, name, version, at, is_deleted, body) VALUES (?, ?, ?, ?, ?, ?)";

impl View<'_> {
    /// What holds, and what did before it was taken out.
    pub fn arrangements(&mut self, kind: Arranged) -> Result<Vec<Arrangement>, Error> {
        self.arranged(CURRENT, &[Bind::Text(kind.word())])
    }

    /// Every version of a name, the last one first.
    pub fn arrangement(&mut self, kind: Arranged, name: &str) -> Result<Vec<Arrangement>, Error> {
        self.arranged(HISTORY, &[Bind::Text(kind.word()), Bind::Text(name)])
    }

    fn arranged(
        &mut self,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<Vec<Arrangement>, Error> {
        self.demand(&[Action::Arrange])?;
        let done = self.connection.rows(Statement::<Kinds>::new(sql, binds));
        let rows: Vec<(String, i64, i64, i64, String)> = self.noted(done.map_err(Error::from))?;
        let arrangement = |(name, version, at, is_deleted, body)| Arrangement {
            name,
            version: u64::try_from(version).unwrap_or_default(),
            at: Instant::from_micros(at),
            body: (is_deleted == 0).then_some(body),
        };
        Ok(rows.into_iter().map(arrangement).collect())
    }
}

impl Tx<'_> {
    /// Makes the next version; `body` None takes it out. Answers the version.
    pub fn arrange(
        &mut self,
        kind: Arranged,
        name: &str,
        body: Option<&str>,
        now: Instant,
    ) -> Result<u64, Error> {
        let before = self.arrangement(kind, name)?;
        let version = before.first().map_or(0, |last| last.version) + 1;
        let binds = [
            Bind::Text(kind.word()),
            Bind::Text(name),
            Bind::Int(i64::try_from(version).unwrap_or(i64::MAX)),
            Bind::Int(now.micros()),
            Bind::Int(i64::from(body.is_none())),
            Bind::Text(body.unwrap_or_default()),
        ];
        let done = self.connection.execute(Statement::new(INSERT, &binds));
        self.noted(done.map_err(Error::from))?;
        Ok(version)
    }
}
