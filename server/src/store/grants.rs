//! What people allowed apps to do for them: grants, and the codes and refresh tokens that come of them, each of which
//! counts once. What ends a grant ends all that came of it.

mod signing;

use diesel::sql_types::{BigInt, Text};

use super::error::Error;
use super::statement::{Bind, Statement};
use super::tx::Tx;
use super::view::View;
use crate::auth::Action;
use crate::instant::Instant;

pub use self::signing::SigningKey;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppGrant {
    pub id: String,
    pub client: String,
    pub person: String,
    /// With spaces between.
    pub scope: String,
    /// JSON: the patient and what else was in context.
    pub context: String,
    /// The hash of the session that it ends with; empty: it outlives it.
    pub session: String,
    pub created_at: Instant,
    pub expires_at: Instant,
}

/// A code or a refresh token; the text of it is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voucher {
    /// SHA-256, in hex.
    pub hash: String,
    pub grant: String,
    /// JSON: what a code is bound to; empty: it is a refresh token.
    pub bound: String,
    pub expires_at: Instant,
    pub is_used: bool,
}

/// What an app is launched with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// SHA-256, in hex.
    pub hash: String,
    pub client: String,
    pub person: String,
    /// JSON.
    pub context: String,
    pub expires_at: Instant,
}

/// A time that does not come.
const NEVER: i64 = i64::MAX;

const GRANTS: &str = "SELECT g.id, g.client, g.person, g.scope, g.context, g.session, g.created_at, g.expires_at FROM grants g \
     JOIN people p ON p.name = g.person AND p.disabled_at = ? JOIN clients c ON c.id = g.client AND c.removed_at = ? \
     WHERE g.revoked_at = ? AND g.expires_at > ?";
const ADD: &str = "INSERT INTO grants (id, client, person, scope, context, session, created_at, expires_at, revoked_at) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const MOVE_ON: &str = "UPDATE grants SET expires_at = ? WHERE id = ? AND expires_at < ?";
const REVOKE: &str = "UPDATE grants SET revoked_at = ? WHERE id = ? AND revoked_at = ?";
pub(super) const REVOKE_OF_PERSON: &str =
    "UPDATE grants SET revoked_at = ? WHERE person = ? AND revoked_at = ?";
const REVOKE_OF_CLIENT: &str =
    "UPDATE grants SET revoked_at = ? WHERE client = ? AND revoked_at = ?";
const FORGET: &str = "DELETE FROM grants WHERE expires_at <= ?";
const VOUCHER: &str =
    "SELECT hash, grant_id, bound, expires_at, used_at FROM vouchers WHERE hash = ?";
const ADD_VOUCHER: &str =
    "INSERT INTO vouchers (hash, grant_id, bound, expires_at, used_at) VALUES (?, ?, ?, ?, ?)";
const USE_VOUCHER: &str = "UPDATE vouchers SET used_at = ? WHERE hash = ? AND used_at = ?";
const FORGET_VOUCHERS: &str = "DELETE FROM vouchers WHERE expires_at <= ?";
const ADD_LAUNCH: &str =
    "INSERT INTO launches (hash, client, person, context, expires_at) VALUES (?, ?, ?, ?, ?)";
const LAUNCH: &str = "SELECT hash, client, person, context, expires_at FROM launches WHERE hash = ? AND expires_at > ?";
const USE_LAUNCH: &str = "DELETE FROM launches WHERE hash = ?";
const FORGET_LAUNCHES: &str = "DELETE FROM launches WHERE expires_at <= ?";

impl View<'_> {
    /// The grant of that id, while it holds and its app and person are there.
    pub fn app_grant(&mut self, id: &str, now: Instant) -> Result<Option<AppGrant>, Error> {
        let found = self.grants_where("AND g.id = ?", id, now)?;
        Ok(found.into_iter().next())
    }

    /// What a person has allowed, the newest first.
    pub fn app_grants_of(&mut self, person: &str, now: Instant) -> Result<Vec<AppGrant>, Error> {
        self.grants_where(
            "AND g.person = ? ORDER BY g.created_at DESC, g.id",
            person,
            now,
        )
    }

    fn grants_where(
        &mut self,
        more: &str,
        wanted: &str,
        now: Instant,
    ) -> Result<Vec<AppGrant>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, Text, Text, Text, BigInt, BigInt);
        type Values = (String, String, String, String, String, String, i64, i64);
        let binds = [
            Bind::Int(NEVER),
            Bind::Int(NEVER),
            Bind::Int(NEVER),
            Bind::Int(now.micros()),
            Bind::Text(wanted),
        ];
        let sql = format!("{GRANTS} {more}");
        let done = self.connection.rows(Statement::<Row>::new(&sql, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let grant =
            |(id, client, person, scope, context, session, created_at, expires_at)| AppGrant {
                id,
                client,
                person,
                scope,
                context,
                session,
                created_at: Instant::from_micros(created_at),
                expires_at: Instant::from_micros(expires_at),
            };
        Ok(rows.into_iter().map(grant).collect())
    }

    /// The code or refresh token of that hash, whether it still counts or not.
    pub fn voucher(&mut self, hash: &str) -> Result<Option<Voucher>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, BigInt, BigInt);
        type Values = (String, String, String, i64, i64);
        let binds = [Bind::Text(hash)];
        let done = self.connection.rows(Statement::<Row>::new(VOUCHER, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let voucher = |(hash, grant, bound, expires_at, used_at)| Voucher {
            hash,
            grant,
            bound,
            expires_at: Instant::from_micros(expires_at),
            is_used: used_at != NEVER,
        };
        Ok(rows.into_iter().next().map(voucher))
    }

    /// The launch of that hash, while it may be used.
    pub fn launch(&mut self, hash: &str, now: Instant) -> Result<Option<Launch>, Error> {
        self.demand(&[Action::Admit])?;
        type Row = (Text, Text, Text, Text, BigInt);
        type Values = (String, String, String, String, i64);
        let binds = [Bind::Text(hash), Bind::Int(now.micros())];
        let done = self.connection.rows(Statement::<Row>::new(LAUNCH, &binds));
        let rows: Vec<Values> = self.noted(done.map_err(Error::from))?;
        let launch = |(hash, client, person, context, expires_at)| Launch {
            hash,
            client,
            person,
            context,
            expires_at: Instant::from_micros(expires_at),
        };
        Ok(rows.into_iter().next().map(launch))
    }
}

impl Tx<'_> {
    pub fn add_app_grant(&mut self, grant: &AppGrant) -> Result<(), Error> {
        self.admitting(FORGET, &[Bind::Int(grant.created_at.micros())])?;
        let binds = [
            Bind::Text(&grant.id),
            Bind::Text(&grant.client),
            Bind::Text(&grant.person),
            Bind::Text(&grant.scope),
            Bind::Text(&grant.context),
            Bind::Text(&grant.session),
            Bind::Int(grant.created_at.micros()),
            Bind::Int(grant.expires_at.micros()),
            Bind::Int(NEVER),
        ];
        self.admitting(ADD, &binds).map(drop)
    }

    /// Each use of a grant lets it last longer.
    pub fn move_app_grant_on(&mut self, id: &str, until: Instant) -> Result<(), Error> {
        let until = Bind::Int(until.micros());
        self.admitting(MOVE_ON, &[until, Bind::Text(id), until])
            .map(drop)
    }

    /// Ends a grant. False: it had ended.
    pub fn revoke_app_grant(&mut self, id: &str, now: Instant) -> Result<bool, Error> {
        let binds = [Bind::Int(now.micros()), Bind::Text(id), Bind::Int(NEVER)];
        Ok(self.admitting(REVOKE, &binds)? > 0)
    }

    /// Ends all that people allowed an app.
    pub(super) fn revoke_app_grants_to(&mut self, client: &str, now: Instant) -> Result<(), Error> {
        let binds = [
            Bind::Int(now.micros()),
            Bind::Text(client),
            Bind::Int(NEVER),
        ];
        self.admitting(REVOKE_OF_CLIENT, &binds).map(drop)
    }

    pub fn add_voucher(&mut self, voucher: &Voucher, now: Instant) -> Result<(), Error> {
        self.admitting(FORGET_VOUCHERS, &[Bind::Int(now.micros())])?;
        let binds = [
            Bind::Text(&voucher.hash),
            Bind::Text(&voucher.grant),
            Bind::Text(&voucher.bound),
            Bind::Int(voucher.expires_at.micros()),
            Bind::Int(NEVER),
        ];
        self.admitting(ADD_VOUCHER, &binds).map(drop)
    }

    /// False: it was used before.
    pub fn use_voucher(&mut self, hash: &str, now: Instant) -> Result<bool, Error> {
        let binds = [Bind::Int(now.micros()), Bind::Text(hash), Bind::Int(NEVER)];
        Ok(self.admitting(USE_VOUCHER, &binds)? > 0)
    }

    pub fn add_launch(&mut self, launch: &Launch, now: Instant) -> Result<(), Error> {
        self.admitting(FORGET_LAUNCHES, &[Bind::Int(now.micros())])?;
        let binds = [
            Bind::Text(&launch.hash),
            Bind::Text(&launch.client),
            Bind::Text(&launch.person),
            Bind::Text(&launch.context),
            Bind::Int(launch.expires_at.micros()),
        ];
        self.admitting(ADD_LAUNCH, &binds).map(drop)
    }

    /// False: it was used before.
    pub fn use_launch(&mut self, hash: &str) -> Result<bool, Error> {
        Ok(self.admitting(USE_LAUNCH, &[Bind::Text(hash)])? > 0)
    }
}
