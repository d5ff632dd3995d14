//! People who sign in, and their sessions: passwords are kept as Argon2id, cookies as hashes.

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::grants;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    /// Argon2id, as a PHC string.
    pub password: String,
    /// With spaces between.
    pub roles: String,
    /// The resource that stands for the person, such as `Practitioner/1`.
    pub fhir_user: Option<String>,
    pub created_at: Instant,
    pub disabled_at: Option<Instant>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Somebody has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of what the cookie says, in hex.
    pub hash: String,
    pub person: String,
    pub created_at: Instant,
    pub seen_at: Instant,
    pub expires_at: Instant,
}

/// A time that does not come.
const NEVER: i64 = i64::MAX;

const PEOPLE: &str = "SELECT name, password, roles, fhir_user, created_at, disabled_at FROM people";
const ADD: &str = "INSERT INTO people (name, password, roles, fhir_user, created_at, disabled_at) VALUES (?, ?, ?, ?, ?, ?) \
     ON CONFLICT DO NOTHING";
const DISABLE: &str = "UPDATE people SET disabled_at = ? WHERE name = ? AND disabled_at = ?";
const PASSWORD: &str =
    "UPDATE people SET password = ? WHERE name = ? AND disabled_at = 9223372036854775807";
const SESSION: &str = "SELECT s.hash, s.person, s.created_at, s.seen_at, s.expires_at FROM sessions s \
     JOIN people p ON p.name = s.person WHERE s.hash = ? AND s.expires_at > ? AND p.disabled_at = ?";
const ADD_SESSION: &str =
    "INSERT INTO sessions (hash, person, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?)";
const SEE_SESSION: &str = "UPDATE sessions SET seen_at = ? WHERE hash = ?";
const END_SESSION: &str = "DELETE FROM sessions WHERE hash = ?";
const END_SESSIONS: &str = "DELETE FROM sessions WHERE person = ?";
const FORGET_SESSIONS: &str = "DELETE FROM sessions WHERE expires_at <= ?";

impl View<'_> {
    /// The person of that name, whether they may still come in or not.
    pub fn person(&mut self, name: &str) -> Result<Option<Person>, Error> {
        let sql = format!("{PEOPLE} WHERE name = ?");
        Ok(self.people_where(&sql, &[Bind::Text(name)])?.pop())
    }

    /// All of them, by their names.
    pub fn people(&mut self) -> Result<Vec<Person>, Error> {
        self.people_where(&format!("{PEOPLE} ORDER BY name"), &[])
    }

    fn people_where(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Person>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, Text, BigInt, BigInt);
        type Values = (String, String, String, String, i64, i64);
        let done = self.connection.rows(Statement::<Row>::new(sql, binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let person = |(name, password, roles, fhir_user, created_at, disabled_at)| Person {
            name,
            password,
            roles,
            fhir_user: Some(fhir_user).filter(|named: &String| !named.is_empty()),
            created_at: Instant::from_micros(created_at),
            disabled_at: (disabled_at != NEVER).then(|| Instant::from_micros(disabled_at)),
        };
        Ok(rows.into_iter().map(person).collect())
    }

    /// The session of that hash, while it lasts and its person may come in.
    pub fn session(&mut self, hash: &str, now: Instant) -> Result<Option<Session>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, BigInt, BigInt, BigInt);
        type Values = (String, String, i64, i64, i64);
        let binds = [Bind::Text(hash), Bind::Int(now.micros()), Bind::Int(NEVER)];
        let done = self.connection.rows(Statement::<Row>::new(SESSION, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let session = |(hash, person, created_at, seen_at, expires_at)| Session {
            hash,
            person,
            created_at: Instant::from_micros(created_at),
            seen_at: Instant::from_micros(seen_at),
            expires_at: Instant::from_micros(expires_at),
        };
        Ok(rows.into_iter().next().map(session))
    }
}

impl Tx<'_> {
    /// False: there is one of that name.
    pub fn add_person(&mut self, person: &Person) -> Result<bool, Error> {
        let binds = [
            Bind::Text(&person.name),
            Bind::Text(&person.password),
            Bind::Text(&person.roles),
            Bind::Text(person.fhir_user.as_deref().unwrap_or_default()),
            Bind::Int(person.created_at.micros()),
            Bind::Int(NEVER),
        ];
        Ok(self.admitting(ADD, &binds)? > 0)
    }

    /// They come in no longer, and what they allowed apps ends. False: there is none who may.
    pub fn disable_person(&mut self, name: &str, now: Instant) -> Result<bool, Error> {
        let binds = [Bind::Int(now.micros()), Bind::Text(name), Bind::Int(NEVER)];
        let disabled = self.admitting(DISABLE, &binds)? > 0;
        self.admitting(END_SESSIONS, &[Bind::Text(name)])?;
        self.admitting(grants::REVOKE_OF_PERSON, &binds)?;
        Ok(disabled)
    }

    /// Their sessions end with the password that they were begun with. False: there is none who may come in.
    pub fn set_password(&mut self, name: &str, password: &str) -> Result<bool, Error> {
        let changed = self.admitting(PASSWORD, &[Bind::Text(password), Bind::Text(name)])?;
        self.admitting(END_SESSIONS, &[Bind::Text(name)])?;
        Ok(changed > 0)
    }

    pub fn add_session(&mut self, session: &Session) -> Result<(), Error> {
        self.admitting(FORGET_SESSIONS, &[Bind::Int(session.created_at.micros())])?;
        let binds = [
            Bind::Text(&session.hash),
            Bind::Text(&session.person),
            Bind::Int(session.created_at.micros()),
            Bind::Int(session.seen_at.micros()),
            Bind::Int(session.expires_at.micros()),
        ];
        self.admitting(ADD_SESSION, &binds).map(drop)
    }

    pub fn see_session(&mut self, hash: &str, now: Instant) -> Result<(), Error> {
        let binds = [Bind::Int(now.micros()), Bind::Text(hash)];
        self.admitting(SEE_SESSION, &binds).map(drop)
    }

    pub fn end_session(&mut self, hash: &str) -> Result<(), Error> {
        self.admitting(END_SESSION, &[Bind::Text(hash)]).map(drop)
    }
}
