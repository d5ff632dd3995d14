-- People, their sessions, and what they allowed apps to do for them.
CREATE TABLE people (
    name        TEXT    NOT NULL PRIMARY KEY,
    password    TEXT    NOT NULL,             -- Argon2id, as a PHC string
    roles       TEXT    NOT NULL,             -- with spaces between
    fhir_user   TEXT    NOT NULL,             -- Practitioner/1; empty: none
    created_at  INTEGER NOT NULL,             -- microseconds since 1970 UTC
    disabled_at INTEGER NOT NULL              -- 9223372036854775807: not
) WITHOUT ROWID;

CREATE TABLE sessions (
    hash       TEXT    NOT NULL PRIMARY KEY,  -- SHA-256 of what the cookie says, in hex
    person     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX sessions_by_person ON sessions (person);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- What a person allowed an app: all tokens that came of it end with it.
CREATE TABLE grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    client     TEXT    NOT NULL,
    person     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,              -- with spaces between
    context    TEXT    NOT NULL,              -- JSON: patient, encounter and what else was in context
    session    TEXT    NOT NULL,              -- the hash of the session that it ends with; empty: it outlives it
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,              -- each use moves it on
    revoked_at INTEGER NOT NULL               -- 9223372036854775807: not
) WITHOUT ROWID;

CREATE INDEX grants_by_person ON grants (person);
CREATE INDEX grants_by_end ON grants (expires_at);

-- Codes and refresh tokens: each counts once.
CREATE TABLE vouchers (
    hash       TEXT    NOT NULL PRIMARY KEY,  -- SHA-256, in hex
    grant_id   TEXT    NOT NULL,
    bound      TEXT    NOT NULL,              -- JSON: what a code is bound to; empty: it is a refresh token
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL               -- 9223372036854775807: not yet
) WITHOUT ROWID;

CREATE INDEX vouchers_by_grant ON vouchers (grant_id);
CREATE INDEX vouchers_by_end ON vouchers (expires_at);

-- What an app is launched with.
CREATE TABLE launches (
    hash       TEXT    NOT NULL PRIMARY KEY,  -- SHA-256, in hex
    client     TEXT    NOT NULL,
    person     TEXT    NOT NULL,
    context    TEXT    NOT NULL,              -- JSON
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What is signed with, the newest first.
CREATE TABLE signing_keys (
    kid        TEXT    NOT NULL PRIMARY KEY,
    body       TEXT    NOT NULL,              -- the private key, sealed
    public     TEXT    NOT NULL,              -- JSON Web Key
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

ALTER TABLE access_tokens ADD COLUMN grant_id TEXT NOT NULL DEFAULT '';
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);
