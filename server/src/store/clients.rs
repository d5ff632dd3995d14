//! Clients of SMART, the tokens that they hold, and the assertions that counted already.

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

/// A client as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub id: String,
    /// JSON.
    pub body: String,
    pub created_at: Instant,
}

/// What a token is good for; the token itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256, in hex.
    pub hash: String,
    pub client: String,
    pub scope: String,
    /// What a person allowed, of which it came; empty: the client came by itself.
    pub grant: String,
    pub created_at: Instant,
    pub expires_at: Instant,
}

/// A time that does not come.
const NEVER: i64 = i64::MAX;

const CLIENTS: &str = "SELECT id, body, created_at FROM clients WHERE removed_at = ?";
const ADD_CLIENT: &str = "INSERT INTO clients (id, body, created_at, removed_at) VALUES (?, ?, ?, ?) \
     ON CONFLICT (id) DO UPDATE SET body = excluded.body, created_at = excluded.created_at, removed_at = excluded.removed_at \
     WHERE clients.removed_at < excluded.removed_at";
const REMOVE_CLIENT: &str = "UPDATE clients SET removed_at = ? WHERE id = ? AND removed_at = ?";
const TOKEN: &str = "SELECT t.hash, t.client, t.scope, t.grant_id, t.created_at, t.expires_at FROM access_tokens t \
     JOIN clients c ON c.id = t.client WHERE t.hash = ? AND t.expires_at > ? AND c.removed_at = ?";
const ADD_TOKEN: &str = "INSERT INTO access_tokens (hash, client, scope, grant_id, created_at, expires_at) \
     VALUES (?, ?, ?, ?, ?, ?)";
const REVOKE_TOKEN: &str = "DELETE FROM access_tokens WHERE hash = ? AND client = ?";
const REVOKE_TOKENS: &str = "DELETE FROM access_tokens WHERE client = ?";
const ADD_ASSERTION: &str =
    "INSERT INTO assertions (hash, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
const FORGET_TOKENS: &str = "DELETE FROM access_tokens WHERE expires_at <= ?";
const FORGET_ASSERTIONS: &str = "DELETE FROM assertions WHERE expires_at <= ?";

impl View<'_> {
    /// The client of that id.
    pub fn client(&mut self, id: &str) -> Result<Option<Client>, Error> {
        let sql = format!("{CLIENTS} AND id = ?");
        let found = self.clients_where(&sql, &[Bind::Int(NEVER), Bind::Text(id)])?;
        Ok(found.into_iter().next())
    }

    /// All of them, by their ids.
    pub fn clients(&mut self) -> Result<Vec<Client>, Error> {
        self.clients_where(&format!("{CLIENTS} ORDER BY id"), &[Bind::Int(NEVER)])
    }

    fn clients_where(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Client>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, BigInt);
        let done = self.connection.rows(Statement::<Row>::new(sql, binds));
        let rows: Vec<(String, String, i64)> = self.noted(done.map_err(Error::from))?;
        let client = |(id, body, created_at)| Client {
            id,
            body,
            created_at: Instant::from_micros(created_at),
        };
        Ok(rows.into_iter().map(client).collect())
    }

    /// The token of that hash, while it holds and its client is there.
    pub fn token(&mut self, hash: &str, now: Instant) -> Result<Option<Token>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, Text, BigInt, BigInt);
        type Values = (String, String, String, String, i64, i64);
        let binds = [Bind::Text(hash), Bind::Int(now.micros()), Bind::Int(NEVER)];
        let done = self.connection.rows(Statement::<Row>::new(TOKEN, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let token = |(hash, client, scope, grant, created_at, expires_at)| Token {
            hash,
            client,
            scope,
            grant,
            created_at: Instant::from_micros(created_at),
            expires_at: Instant::from_micros(expires_at),
        };
        Ok(rows.into_iter().next().map(token))
    }
}

impl Tx<'_> {
    /// False: there is one of that id.
    pub fn add_client(&mut self, client: &Client) -> Result<bool, Error> {
        let binds = [
            Bind::Text(&client.id),
            Bind::Text(&client.body),
            Bind::Int(client.created_at.micros()),
            Bind::Int(NEVER),
        ];
        Ok(self.admitting(ADD_CLIENT, &binds)? > 0)
    }

    /// What it was given holds no longer. False: there is none.
    pub fn remove_client(&mut self, id: &str, now: Instant) -> Result<bool, Error> {
        let binds = [Bind::Int(now.micros()), Bind::Text(id), Bind::Int(NEVER)];
        let removed = self.admitting(REMOVE_CLIENT, &binds)?;
        self.admitting(REVOKE_TOKENS, &[Bind::Text(id)])?;
        self.revoke_app_grants_to(id, now)?;
        Ok(removed > 0)
    }

    /// Notes that an assertion has counted. False: it has before.
    pub fn use_assertion(
        &mut self,
        hash: &str,
        until: Instant,
        now: Instant,
    ) -> Result<bool, Error> {
        self.admitting(FORGET_ASSERTIONS, &[Bind::Int(now.micros())])?;
        let binds = [Bind::Text(hash), Bind::Int(until.micros())];
        Ok(self.admitting(ADD_ASSERTION, &binds)? > 0)
    }

    pub fn add_token(&mut self, token: &Token) -> Result<(), Error> {
        self.admitting(FORGET_TOKENS, &[Bind::Int(token.created_at.micros())])?;
        let binds = [
            Bind::Text(&token.hash),
            Bind::Text(&token.client),
            Bind::Text(&token.scope),
            Bind::Text(&token.grant),
            Bind::Int(token.created_at.micros()),
            Bind::Int(token.expires_at.micros()),
        ];
        self.admitting(ADD_TOKEN, &binds).map(drop)
    }

    /// Takes a token back from the client that holds it.
    pub fn revoke_token(&mut self, hash: &str, client: &str) -> Result<(), Error> {
        let binds = [Bind::Text(hash), Bind::Text(client)];
        self.admitting(REVOKE_TOKEN, &binds).map(drop)
    }

    pub(super) fn admitting(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<usize, Error> {
        self.demand(&[Action::Admit])?;
        self.writes();
        let done = self.connection.execute(Statement::new(sql, binds));
        self.noted(done.map_err(Error::from))
    }
}
