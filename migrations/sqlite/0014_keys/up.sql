-- Keys by which programs come in. Of a key only its hash is kept.
CREATE TABLE api_keys (
    hash       TEXT    NOT NULL PRIMARY KEY, -- SHA-256 of the key, in hex
    name       TEXT    NOT NULL,
    scope      TEXT    NOT NULL,             -- scopes of SMART, with spaces between
    roles      TEXT    NOT NULL,             -- with spaces between
    patient    TEXT    NOT NULL,             -- the id of the patient in context; empty: none
    created_at INTEGER NOT NULL,             -- microseconds since 1970 UTC
    expires_at INTEGER NOT NULL,             -- 9223372036854775807: it does not
    revoked_at INTEGER NOT NULL              -- 9223372036854775807: it holds
) WITHOUT ROWID;

CREATE INDEX api_keys_by_name ON api_keys (name, created_at);
