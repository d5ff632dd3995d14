-- What the links of pages are sealed with: made once, when the first node starts.
CREATE TABLE sealing_keys (
    name     TEXT    PRIMARY KEY,
    secret   BLOB    NOT NULL
) WITHOUT ROWID;

-- Searches that are too long to stand in a link; the link holds their hash.
CREATE TABLE long_searches (
    hash        BLOB    NOT NULL UNIQUE,
    parameters  BLOB    NOT NULL,
    expires_at  INTEGER NOT NULL           -- microseconds since 1970 UTC
);
CREATE INDEX long_searches_expire ON long_searches (expires_at);

-- Which resources of a type are gone: to count those that are there by the index of the type.
CREATE INDEX versions_deleted ON versions (type, id, key) WHERE change = 3;
