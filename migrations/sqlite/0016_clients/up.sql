-- Clients of SMART, the tokens that they were given, and the assertions that they came with.
CREATE TABLE clients (
    id         TEXT    NOT NULL PRIMARY KEY,
    body       TEXT    NOT NULL,           -- JSON: name, scope, grants, keys
    created_at INTEGER NOT NULL,           -- microseconds since 1970 UTC
    removed_at INTEGER NOT NULL            -- 9223372036854775807: it is there
) WITHOUT ROWID;

CREATE TABLE access_tokens (
    hash       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the token, in hex
    client     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,             -- with spaces between
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX access_tokens_by_client ON access_tokens (client);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

-- Each counts once, on whatever node it comes.
CREATE TABLE assertions (
    hash       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of issuer and jti, in hex
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX assertions_by_end ON assertions (expires_at);
