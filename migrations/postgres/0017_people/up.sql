-- People, their sessions, and what they allowed apps to do for them.
CREATE TABLE people (
    name        TEXT   NOT NULL COLLATE "C" PRIMARY KEY,
    password    TEXT   NOT NULL COLLATE "C",             -- Argon2id, as a PHC string
    roles       TEXT   NOT NULL COLLATE "C",             -- with spaces between
    fhir_user   TEXT NOT NULL COLLATE "C",             -- Practitioner/1; empty: none
    created_at  BIGINT NOT NULL,             -- microseconds since 1970 UTC
    disabled_at BIGINT NOT NULL              -- 9223372036854775807: not
);

CREATE TABLE sessions (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY,  -- SHA-256 of what the cookie says, in hex
    person     TEXT   NOT NULL COLLATE "C",
    created_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_by_person ON sessions (person);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- What a person allowed an app: all tokens that came of it end with it.
CREATE TABLE grants (
    id         TEXT   NOT NULL COLLATE "C" PRIMARY KEY,
    client     TEXT   NOT NULL COLLATE "C",
    person     TEXT   NOT NULL COLLATE "C",
    scope      TEXT   NOT NULL COLLATE "C",              -- with spaces between
    context    TEXT   NOT NULL COLLATE "C",              -- JSON: patient, encounter and what else was in context
    session    TEXT   NOT NULL COLLATE "C",              -- the hash of the session that it ends with; empty: it outlives it
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,              -- each use moves it on
    revoked_at BIGINT NOT NULL               -- 9223372036854775807: not
);

CREATE INDEX grants_by_person ON grants (person);
CREATE INDEX grants_by_end ON grants (expires_at);

-- Codes and refresh tokens: each counts once.
CREATE TABLE vouchers (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY,  -- SHA-256, in hex
    grant_id   TEXT NOT NULL COLLATE "C",
    bound      TEXT   NOT NULL COLLATE "C",              -- JSON: what a code is bound to; empty: it is a refresh token
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL               -- 9223372036854775807: not yet
);

CREATE INDEX vouchers_by_grant ON vouchers (grant_id);
CREATE INDEX vouchers_by_end ON vouchers (expires_at);

-- What an app is launched with.
CREATE TABLE launches (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY,  -- SHA-256, in hex
    client     TEXT   NOT NULL COLLATE "C",
    person     TEXT   NOT NULL COLLATE "C",
    context    TEXT   NOT NULL COLLATE "C",              -- JSON
    expires_at BIGINT NOT NULL
);

-- What is signed with, the newest first.
CREATE TABLE signing_keys (
    kid        TEXT   NOT NULL COLLATE "C" PRIMARY KEY,
    body       TEXT   NOT NULL COLLATE "C",              -- the private key, sealed
    public     TEXT   NOT NULL COLLATE "C",              -- JSON Web Key
    created_at BIGINT NOT NULL
);

ALTER TABLE access_tokens ADD COLUMN grant_id TEXT COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id);
