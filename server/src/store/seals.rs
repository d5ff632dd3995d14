//! What secrets within the store are sealed with: keys of several versions. The newest one seals, the others still open
//! what they have sealed. In the database they are wrapped by the master key, which is never there.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::{Arc, PoisonError, RwLock};

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use diesel::sql_types::{BigInt, Binary, Text};
use sha2::{Digest, Sha256};

use super::Store;
use super::connection::Connection;
use super::error::Error;
use super::sealing::chance;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::config::{Database, MasterKey};
use crate::instant::Instant;

const NONCE_BYTES: usize = 24;
/// Characters of a master key at least.
const MASTER_MIN: usize = 32;
const SUBSCRIPTION: &str = "Subscription";
/// Versions that are looked at in one transaction.
const STEP: &str = "64";

type Key = [u8; 32];

/// The master key, and a name for it that tells nothing of it.
struct Master {
    key: Key,
    name: String,
}

/// The keys as they were when the database was asked last.
#[derive(Default)]
struct Keys(BTreeMap<i64, Key>);

type Load = Box<dyn Fn() -> Result<Keys, Error> + Send + Sync>;

/// The keys, unwrapped.
pub struct Ring {
    keys: RwLock<Arc<Keys>>,
    load: Load,
}

/// How far a change of keys has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealVersion {
    pub version: i64,
    /// Whether all that older ones had sealed is sealed by it.
    pub is_done: bool,
}

const SELECT: &str = "SELECT version, master, wrapped, done_at FROM seals ORDER BY version";
const INSERT: &str = "INSERT INTO seals (version, master, wrapped, made_at, done_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const DONE: &str = "UPDATE seals SET done_at = ? WHERE version = ?";
const FORGET: &str = "DELETE FROM seals WHERE version < ? - 1";
const HAS_SEALED: &str =
    "SELECT CAST(1 AS BIGINT) FROM versions WHERE type = 'Subscription' LIMIT 1";
const RESEAL: &str = "UPDATE versions SET body = ? WHERE key = ?";

type SealRow = (i64, String, Vec<u8>, i64);

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ring(...)")
    }
}

impl Ring {
    #[cfg(test)]
    pub(super) fn example(byte: u8) -> Self {
        let keys = move || Keys(BTreeMap::from([(1, [byte; 32])]));
        Self {
            keys: RwLock::new(Arc::new(keys())),
            load: Box::new(move || Ok(keys())),
        }
    }

    /// The key of that version; one that is not known yet may have been made by another node.
    pub fn key(&self, version: i64) -> Option<Key> {
        let keys = Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner));
        if let Some(key) = keys.0.get(&version) {
            return Some(*key);
        }
        self.reloaded().ok()?.0.get(&version).copied()
    }

    /// The key that seals, as the database knows it now, and its version.
    pub fn newest(&self) -> Result<(i64, Key), Error> {
        let keys = self.reloaded()?;
        let newest = keys.0.last_key_value();
        newest
            .map(|(version, key)| (*version, *key))
            .ok_or(Error::Secret)
    }

    fn reloaded(&self) -> Result<Arc<Keys>, Error> {
        let keys = Arc::new((self.load)()?);
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&keys);
        Ok(keys)
    }
}

impl Master {
    fn read(source: &MasterKey, may_make: bool) -> Result<Self, Error> {
        let text = match source {
            MasterKey::Text(text) => text.clone(),
            MasterKey::Usual(path) if may_make && !path.exists() => {
                super::make_directory(path)?;
                let text: String = chance()?.iter().map(|byte| format!("{byte:02x}")).collect();
                let mut options = OpenOptions::new();
                let made = options.create_new(true).write(true).mode(0o600).open(path);
                let written = made.and_then(|mut file| {
                    file.write_all(format!("{text}\n").as_bytes())?;
                    file.sync_all()
                });
                written.map_err(|error| Error::Master(format!("{}: {error}", path.display())))?;
                text
            }
            MasterKey::Usual(path) | MasterKey::File(path) => std::fs::read_to_string(path)
                .map_err(|error| Error::Master(format!("{}: {error}", path.display())))?,
            MasterKey::Command(command) => {
                let output = Command::new("sh").args(["-c", command]).output();
                let output = output.map_err(|error| Error::Master(error.to_string()))?;
                if !output.status.success() {
                    let told = format!("its command ended with {}", output.status);
                    return Err(Error::Master(told));
                }
                String::from_utf8(output.stdout)
                    .map_err(|_| Error::Master("its command printed no text".to_owned()))?
            }
        };
        Self::of(text.trim())
    }

    fn of(text: &str) -> Result<Self, Error> {
        if text.len() < MASTER_MIN {
            let told = format!("it has {MASTER_MIN} characters at least");
            return Err(Error::Master(told));
        }
        let key: Key = Sha256::digest([b"master".as_slice(), text.as_bytes()].concat()).into();
        let digest = Sha256::digest([b"name".as_slice(), &key].concat());
        let name = { digest.iter().take(8) }.map(|byte| format!("{byte:02x}"));
        Ok(Self {
            key,
            name: name.collect(),
        })
    }

    fn wrap(&self, version: i64, key: &Key) -> Result<Vec<u8>, Error> {
        let nonce: Vec<u8> = chance()?.into_iter().take(NONCE_BYTES).collect();
        let payload = Payload {
            msg: key,
            aad: &version.to_le_bytes(),
        };
        let at = XNonce::try_from(nonce.as_slice()).map_err(|_| Error::Secret)?;
        let cipher = XChaCha20Poly1305::new(&self.key.into());
        let wrapped = cipher.encrypt(&at, payload).map_err(|_| Error::Secret)?;
        Ok([nonce, wrapped].concat())
    }

    fn unwrap(&self, (version, master, wrapped, _): &SealRow) -> Result<Key, Error> {
        if *master != self.name {
            return Err(Error::OtherMaster);
        }
        let (nonce, wrapped) = wrapped.split_at_checked(NONCE_BYTES).ok_or(Error::Secret)?;
        let payload = Payload {
            msg: wrapped,
            aad: &version.to_le_bytes(),
        };
        let nonce = XNonce::try_from(nonce).map_err(|_| Error::Secret)?;
        let cipher = XChaCha20Poly1305::new(&self.key.into());
        let key = cipher.decrypt(&nonce, payload).map_err(|_| Error::Secret)?;
        key.try_into().map_err(|_| Error::Secret)
    }

    fn keys(&self, rows: &[SealRow]) -> Result<Keys, Error> {
        let keys = rows.iter().map(|row| Ok((row.0, self.unwrap(row)?)));
        Ok(Keys(keys.collect::<Result<_, Error>>()?))
    }
}

fn rows(connection: &mut Connection) -> Result<Vec<SealRow>, Error> {
    let statement = Statement::<(BigInt, Text, Binary, BigInt)>::new(SELECT, &[]);
    Ok(connection.rows(statement)?)
}

fn insert(
    connection: &mut Connection,
    (version, name, wrapped): (i64, &str, &[u8]),
    now: Instant,
    done_at: i64,
) -> Result<(), Error> {
    let binds = [
        Bind::Int(version),
        Bind::Text(name),
        Bind::Bytes(wrapped),
        Bind::Int(now.micros()),
        Bind::Int(done_at),
    ];
    connection.execute(Statement::new(INSERT, &binds))?;
    Ok(())
}

impl Store {
    /// From now on secrets can be sealed and opened. The first one who does so makes the first key, and the master key
    /// where it lies in its usual place.
    pub fn unlock(&self, database: &Database, source: &MasterKey) -> Result<(), Error> {
        let secret = self.secret()?;
        let mut connection = match database {
            Database::Sqlite(path) => Connection::sqlite_writer(path, None)?,
            Database::Postgres(url) => Connection::postgres(url.as_str(), None)?,
        };
        let mut known = rows(&mut connection)?;
        let master = Master::read(source, known.is_empty())?;
        if known.is_empty() {
            let statement = Statement::<BigInt>::new(HAS_SEALED, &[]);
            let has_sealed: Vec<i64> = connection.rows(statement)?;
            // What was sealed before there were versions.
            let first = match has_sealed.is_empty() {
                true => chance()?,
                false => *secret.bytes(),
            };
            let (now, wrapped) = (super::now(), master.wrap(1, &first)?);
            let key = (1, master.name.as_str(), wrapped.as_slice());
            insert(&mut connection, key, now, now.micros())?;
            known = rows(&mut connection)?;
        }
        drop(connection);
        let keys = RwLock::new(Arc::new(master.keys(&known)?));
        let engine = Arc::clone(&self.engine);
        let load: Load = Box::new(move || {
            let mut taken = engine.readers().take()?;
            master.keys(&rows(taken.connection()?)?)
        });
        // Who has unlocked it first stays.
        let _first = secret.ring().set(Ring { keys, load });
        Ok(())
    }

    /// The same for who may never need it: no folder is made for it.
    pub fn unlock_where_possible(
        &self,
        database: &Database,
        source: &MasterKey,
    ) -> Result<(), Error> {
        let has_place = match source {
            MasterKey::Usual(path) => path
                .parent()
                .is_none_or(|folder| folder.as_os_str().is_empty() || folder.is_dir()),
            _ => true,
        };
        if has_place {
            self.unlock(database, source)?;
        }
        Ok(())
    }

    /// A key of the next version, wrapped. It seals from the moment at which it is kept.
    pub fn next_seal(&self, source: &MasterKey, version: i64) -> Result<(String, Vec<u8>), Error> {
        let master = Master::read(source, false)?;
        let wrapped = master.wrap(version, &chance()?)?;
        Ok((master.name, wrapped))
    }
}

impl View<'_> {
    /// The newest version.
    pub fn newest_seal(&mut self) -> Result<Option<SealVersion>, Error> {
        self.demand(&[Action::Admit])?;
        let done = rows(self.connection);
        let rows = self.noted(done)?;
        Ok(rows.last().map(|(version, _, _, done_at)| SealVersion {
            version: *version,
            is_done: *done_at > 0,
        }))
    }

    /// Some versions of Subscriptions behind that one, each with its key: in them secrets are sealed.
    pub fn sealed_after(&mut self, key: i64) -> Result<Vec<(i64, Vec<u8>)>, Error> {
        self.demand(&[Action::Admit])?;
        let sql = format!(
            "SELECT key, body FROM versions WHERE type = '{SUBSCRIPTION}' AND key > ? AND codec = 0 ORDER BY key LIMIT {STEP}"
        );
        let binds = [Bind::Int(key)];
        let statement = Statement::<(BigInt, Binary)>::new(&sql, &binds);
        let done = self.connection.rows(statement).map_err(Error::from);
        self.noted(done)
    }
}

impl Tx<'_> {
    /// Keeps a new key: of two who make one of the same version at a time, the first one.
    pub fn add_seal(
        &mut self,
        version: i64,
        (name, wrapped): &(String, Vec<u8>),
        now: Instant,
    ) -> Result<(), Error> {
        self.demand(&[Action::Admit])?;
        self.writes();
        let done = insert(self.connection, (version, name, wrapped), now, 0);
        self.noted(done)
    }

    /// Bodies of versions that say the same, sealed anew.
    pub fn reseal(&mut self, bodies: &[(i64, String)]) -> Result<(), Error> {
        self.demand(&[Action::Admit])?;
        self.touch(SUBSCRIPTION);
        for (key, body) in bodies {
            let binds = [Bind::Bytes(body.as_bytes()), Bind::Int(*key)];
            let done = self.connection.execute(Statement::new(RESEAL, &binds));
            self.noted(done.map_err(Error::from))?;
        }
        Ok(())
    }

    /// Nothing is sealed by older keys any more. They go but for the last of them, by which a node may just have sealed.
    pub fn seal_is_done(&mut self, version: i64, now: Instant) -> Result<(), Error> {
        self.demand(&[Action::Admit])?;
        self.writes();
        let done = [Bind::Int(now.micros()), Bind::Int(version)];
        let done = self.connection.execute(Statement::new(DONE, &done));
        self.noted(done.map_err(Error::from))?;
        let done = self
            .connection
            .execute(Statement::new(FORGET, &[Bind::Int(version)]));
        self.noted(done.map_err(Error::from)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unwrapped_by_its_master_only() {
        let master = Master::of(&"a".repeat(32)).unwrap();
        let other = Master::of(&"b".repeat(32)).unwrap();
        assert!(Master::of("short").is_err());
        let wrapped = master.wrap(3, &[7; 32]).unwrap();
        let row = |version, name: &str| (version, name.to_owned(), wrapped.clone(), 0);
        assert_eq!(master.unwrap(&row(3, &master.name)).unwrap(), [7; 32]);
        assert!(master.unwrap(&row(4, &master.name)).is_err());
        assert!(matches!(
            other.unwrap(&row(3, &master.name)),
            Err(Error::OtherMaster)
        ));
        assert!(other.unwrap(&row(3, &other.name)).is_err());
        assert!(!format!("{wrapped:?}").contains("7, 7, 7, 7"));
    }
}
