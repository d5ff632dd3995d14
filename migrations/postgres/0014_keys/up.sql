-- Keys by which programs come in. Of a key only its hash is kept.
CREATE TABLE api_keys (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY, -- SHA-256 of the key, in hex
    name       TEXT    NOT NULL,
    scope      TEXT   NOT NULL COLLATE "C",  -- scopes of SMART, with spaces between
    roles      TEXT   NOT NULL COLLATE "C",  -- with spaces between
    patient    TEXT   NOT NULL COLLATE "C",  -- the id of the patient in context; empty: none
    created_at BIGINT NOT NULL,              -- microseconds since 1970 UTC
    expires_at BIGINT NOT NULL,              -- 9223372036854775807: it does not
    revoked_at BIGINT NOT NULL               -- 9223372036854775807: it holds
);

CREATE INDEX api_keys_by_name ON api_keys (name, created_at);
