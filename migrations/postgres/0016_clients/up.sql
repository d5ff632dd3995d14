-- Clients of SMART, the tokens that they were given, and the assertions that they came with.
CREATE TABLE clients (
    id         TEXT   NOT NULL COLLATE "C" PRIMARY KEY,
    body       TEXT   NOT NULL COLLATE "C",           -- JSON: name, scope, grants, keys
    created_at BIGINT  NOT NULL,           -- microseconds since 1970 UTC
    removed_at BIGINT  NOT NULL            -- 9223372036854775807: it is there
);

CREATE TABLE access_tokens (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY, -- SHA-256 of the token, in hex
    client     TEXT   NOT NULL COLLATE "C",
    scope      TEXT   NOT NULL COLLATE "C",             -- with spaces between
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL
);

CREATE INDEX access_tokens_by_client ON access_tokens (client);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_at);

-- Each counts once, on whatever node it comes.
CREATE TABLE assertions (
    hash       TEXT   NOT NULL COLLATE "C" PRIMARY KEY, -- SHA-256 of issuer and jti, in hex
    expires_at BIGINT  NOT NULL
);

CREATE INDEX assertions_by_end ON assertions (expires_at);
