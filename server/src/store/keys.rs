//! Keys by which programs come in: kept under the hash of the key, so that nobody learns a key from the database.

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// Of one name so many may hold at a time: the old one and the one that follows it.
pub const KEYS_OF_NAME_MAX: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// SHA-256, in hex.
    pub hash: String,
    pub name: String,
    pub scope: String,
    pub roles: String,
    /// The id of the patient in context.
    pub patient: Option<String>,
    pub created_at: Instant,
    pub expires_at: Option<Instant>,
    pub revoked_at: Option<Instant>,
}

impl Key {
    pub fn holds(&self, now: Instant) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| end > now)
    }
}

type KeyRow = (Text, Text, Text, Text, Text, BigInt, BigInt, BigInt);
type KeyValues = (String, String, String, String, String, i64, i64, i64);

/// A time that does not come.
const NEVER: i64 = i64::MAX;

const COLUMNS: &str =
    "SELECT hash, name, scope, roles, patient, created_at, expires_at, revoked_at FROM api_keys";
const INSERT: &str = "INSERT INTO api_keys (hash, name, scope, roles, patient, created_at, expires_at, revoked_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const REVOKE: &str = "UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at = ?";
const REVOKE_ONE: &str = "UPDATE api_keys SET revoked_at = ? WHERE hash = ? AND revoked_at = ?";

impl View<'_> {
    /// The key of that hash, whether it holds or not.
    pub fn key(&mut self, hash: &str) -> Result<Option<Key>, Error> {
        let found = self.keys_where(&format!("{COLUMNS} WHERE hash = ?"), &[Bind::Text(hash)])?;
        Ok(found.into_iter().next())
    }

    /// All of them, by name and age.
    pub fn keys(&mut self) -> Result<Vec<Key>, Error> {
        self.keys_where(&format!("{COLUMNS} ORDER BY name, created_at, hash"), &[])
    }

    /// Those of a name, by age.
    pub fn keys_named(&mut self, name: &str) -> Result<Vec<Key>, Error> {
        let sql = format!("{COLUMNS} WHERE name = ? ORDER BY created_at, hash");
        self.keys_where(&sql, &[Bind::Text(name)])
    }

    fn keys_where(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Key>, Error> {
        self.demand(&[Action::Admit])?;
        let done = self.connection.rows(Statement::<KeyRow>::new(sql, binds));
        let rows: Vec<KeyValues> = self.noted(done.map_err(Error::from))?;
        Ok(rows.into_iter().map(key).collect())
    }
}

fn time(micros: i64) -> Option<Instant> {
    (micros != NEVER).then(|| Instant::from_micros(micros))
}

fn key(row: KeyValues) -> Key {
    let (hash, name, scope, roles, patient, created_at, expires_at, revoked_at) = row;
    Key {
        hash,
        name,
        scope,
        roles,
        patient: (!patient.is_empty()).then_some(patient),
        created_at: Instant::from_micros(created_at),
        expires_at: time(expires_at),
        revoked_at: time(revoked_at),
    }
}

impl Tx<'_> {
    /// Keeps a key. False: there are as many of that name as may hold at a time.
    pub fn add_key(&mut self, key: &Key) -> Result<bool, Error> {
        let all = self.keys()?;
        let holding = all
            .iter()
            .filter(|other| other.name == key.name && other.holds(key.created_at));
        if holding.count() >= KEYS_OF_NAME_MAX {
            return Ok(false);
        }
        self.writes();
        let expires_at = key.expires_at.map(Instant::micros);
        let binds = [
            Bind::Text(&key.hash),
            Bind::Text(&key.name),
            Bind::Text(&key.scope),
            Bind::Text(&key.roles),
            Bind::Text(key.patient.as_deref().unwrap_or_default()),
            Bind::Int(key.created_at.micros()),
            Bind::Int(expires_at.unwrap_or(NEVER)),
            Bind::Int(NEVER),
        ];
        let done = self.connection.execute(Statement::new(INSERT, &binds));
        self.noted(done.map_err(Error::from))?;
        Ok(true)
    }

    /// Lets the keys of a name, or the one of that hash, hold no longer. Answers how many there were.
    pub fn revoke_keys(&mut self, name_or_hash: &str, now: Instant) -> Result<usize, Error> {
        self.demand(&[Action::Admit])?;
        self.writes();
        let binds = [
            Bind::Int(now.micros()),
            Bind::Text(name_or_hash),
            Bind::Int(NEVER),
        ];
        let mut revoked = 0;
        for sql in [REVOKE, REVOKE_ONE] {
            let done = self.connection.execute(Statement::new(sql, &binds));
            revoked += self.noted(done.map_err(Error::from))?;
        }
        Ok(revoked)
    }
}
