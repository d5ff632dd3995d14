//! What is signed with: the private keys lie here sealed.

use diesel::sql_types::{BigInt, Text};

use crate::auth::Action;
use crate::instant::Instant;
use crate::store::error::Error;
use crate::store::statement::{Bind, Statement};
use crate::store::tx::Tx;
use crate::store::view::View;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    pub kid: String,
    /// The private key, sealed.
    pub body: String,
    /// JSON Web Key.
    pub public: String,
    pub created_at: Instant,
}

const KEYS: &str =
    "SELECT kid, body, public, created_at FROM signing_keys ORDER BY created_at DESC, kid";
const ADD: &str = "INSERT INTO signing_keys (kid, body, public, created_at) VALUES (?, ?, ?, ?)";

impl View<'_> {
    /// All of them, the newest first.
    pub fn signing_keys(&mut self) -> Result<Vec<SigningKey>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, BigInt);
        type Values = (String, String, String, i64);
        let done = self.connection.rows(Statement::<Row>::new(KEYS, &[]));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let key = |(kid, body, public, created_at)| SigningKey {
            kid,
            body,
            public,
            created_at: Instant::from_micros(created_at),
        };
        Ok(rows.into_iter().map(key).collect())
    }
}

impl Tx<'_> {
    pub fn add_signing_key(&mut self, key: &SigningKey) -> Result<(), Error> {
        let binds = [
            Bind::Text(&key.kid),
            Bind::Text(&key.body),
            Bind::Text(&key.public),
            Bind::Int(key.created_at.micros()),
        ];
        self.admitting(ADD, &binds).map(drop)
    }
}
