//! What the links of pages are sealed with: one secret for all nodes, kept in the database. And the searches that are too
//! long to stand in a link.

use std::sync::{Arc, OnceLock};

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Generate, Key};
use diesel::sql_types::Binary;
use sha2::{Digest, Sha256};

use super::connection::Connection;
use super::error::Error;
use super::seals::Ring;
use super::statement::{Bind, Statement};
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// A key of 256 bits. It is not shown and not logged.
#[derive(Clone)]
pub struct Secret {
    bytes: [u8; 32],
    /// By what secrets in the store are sealed, once that is unlocked.
    ring: Arc<OnceLock<Ring>>,
}

/// By what a long search is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongSearch(pub [u8; 32]);

const PAGES: &str = "pages";
const SELECT: &str = "SELECT secret FROM sealing_keys WHERE name = ?";
const INSERT: &str = "INSERT INTO sealing_keys (name, secret) VALUES (?, ?) ON CONFLICT DO NOTHING";
const FIND: &str = "SELECT parameters FROM long_searches WHERE hash = ? AND expires_at > ?";
const KEEP: &str = "INSERT INTO long_searches (hash, parameters, expires_at) VALUES (?, ?, ?) \
     ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at \
     WHERE long_searches.expires_at < excluded.expires_at";
const FORGET: &str = "DELETE FROM long_searches WHERE expires_at <= ?";

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(...)")
    }
}

impl Secret {
    /// One that stands in no database.
    #[cfg(test)]
    pub(crate) fn example(byte: u8) -> Self {
        let secret = Self::of([byte; 32]);
        let _first = secret.ring.set(Ring::example(byte));
        secret
    }

    fn of(bytes: [u8; 32]) -> Self {
        Self {
            bytes,
            ring: Arc::default(),
        }
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    pub fn ring(&self) -> &Arc<OnceLock<Ring>> {
        &self.ring
    }
}

impl LongSearch {
    pub fn of(parameters: &[u8]) -> Self {
        Self(Sha256::digest(parameters).into())
    }
}

/// Bytes that nobody can guess.
pub fn chance() -> Result<[u8; 32], Error> {
    let made = Key::<XChaCha20Poly1305>::try_generate();
    made.map(Into::into)
        .map_err(|error| Error::Chance(error.to_string()))
}

/// The secret; the first one who asks makes it, and of several that do so at a time all get the same.
pub(super) fn secret(connection: &mut Connection) -> Result<Secret, Error> {
    if let Some(secret) = stored(connection)? {
        return Ok(secret);
    }
    let made = chance()?;
    let binds = [Bind::Text(PAGES), Bind::Bytes(&made)];
    connection.execute(Statement::new(INSERT, &binds))?;
    stored(connection)?.ok_or(Error::Secret)
}

fn stored(connection: &mut Connection) -> Result<Option<Secret>, Error> {
    let binds = [Bind::Text(PAGES)];
    let found: Vec<Vec<u8>> = connection.rows(Statement::<Binary>::new(SELECT, &binds))?;
    let first = found.into_iter().next();
    first
        .map(|bytes| Ok(Secret::of(bytes.try_into().map_err(|_| Error::Secret)?)))
        .transpose()
}

/// A name for the database that its secret belongs to; it tells nothing of the secret.
pub(super) fn identity(secret: &Secret) -> String {
    let digest = Sha256::digest([b"identity".as_slice(), &secret.bytes].concat());
    digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl View<'_> {
    /// The parameters of a long search, while they are kept.
    pub fn long_search(
        &mut self,
        action: Action,
        search: LongSearch,
        now: Instant,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.demand(&[action])?;
        let binds = [Bind::Bytes(&search.0), Bind::Int(now.micros())];
        let done = self.connection.rows(Statement::<Binary>::new(FIND, &binds));
        let found: Vec<Vec<u8>> = self.noted(done.map_err(Error::from))?;
        Ok(found.into_iter().next())
    }
}

/// Keeps a long search for a while; those whose time is over go.
pub(super) fn keep(
    connection: &mut Connection,
    parameters: &[u8],
    now: Instant,
    until: Instant,
) -> Result<(), Error> {
    let search = LongSearch::of(parameters);
    connection.execute(Statement::new(FORGET, &[Bind::Int(now.micros())]))?;
    let binds = [
        Bind::Bytes(&search.0),
        Bind::Bytes(parameters),
        Bind::Int(until.micros()),
    ];
    connection.execute(Statement::new(KEEP, &binds))?;
    Ok(())
}
