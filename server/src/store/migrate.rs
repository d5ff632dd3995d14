//! The migrations, embedded: a database is brought up to date when it is opened, and one from the future is refused.

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::pg::Pg;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Connection;
use super::error::Error;

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");

/// Servers that start together take turns; SQLite does that by its own lock. Any number will do as long as it stays the same.
const LOCK: &str = "SELECT pg_advisory_lock(7545637)";
const UNLOCK: &str = "SELECT pg_advisory_unlock(7545637)";

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Applies what is missing.
pub(super) fn up(connection: &mut Connection) -> Result<(), Error> {
    connection.migrate_with(
        |sqlite| sqlite.immediate_transaction(|sqlite| advance::<Sqlite>(sqlite, SQLITE)),
        |postgres| {
            use diesel::connection::SimpleConnection;
            postgres.batch_execute(LOCK)?;
            let done = advance::<Pg>(postgres, POSTGRES);
            postgres.batch_execute(UNLOCK)?;
            done
        },
    )
}

/// Whether nothing is missing; asked without getting in anybody's way.
pub(super) fn is_current(connection: &mut Connection) -> Result<bool, Error> {
    // The table of what was applied may itself be missing.
    connection.migrate_with(
        |sqlite| Ok(missing::<Sqlite>(sqlite, &SQLITE).is_ok_and(|missing| missing == 0)),
        |postgres| Ok(missing::<Pg>(postgres, &POSTGRES).is_ok_and(|missing| missing == 0)),
    )
}

/// How many migrations are missing; a database from the future is refused.
fn missing<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: &EmbeddedMigrations,
) -> Result<usize, Error>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known = names::<DB>(source).map_err(Error::Migrate)?;
    let applied = connection.applied_migrations().map_err(Error::Migrate)?;
    let unknown: Vec<String> = applied
        .iter()
        .map(MigrationVersion::to_string)
        .filter(|version| !known.contains(version))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::Newer(unknown.join(", ")));
    }
    Ok(known.len() - applied.len())
}

fn advance<DB: diesel::backend::Backend>(
    connection: &mut impl MigrationHarness<DB>,
    source: EmbeddedMigrations,
) -> Result<(), Error>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    missing(connection, &source)?;
    connection
        .run_pending_migrations(source)
        .map(drop)
        .map_err(Error::Migrate)
}

fn names<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<String>, Failure>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let migrations: Vec<Box<dyn Migration<DB>>> = source.migrations()?;
    Ok(migrations
        .iter()
        .map(|migration| migration.name().version().to_string())
        .collect())
}
