-- Every version of every resource, written once and never changed: the truth from which all else can be rebuilt.
CREATE TABLE versions (
    key      INTEGER PRIMARY KEY,          -- grows with every version, in the order of commits
    rid      INTEGER NOT NULL,             -- the resource: the key of its first version
    type     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    at       INTEGER NOT NULL,             -- meta.lastUpdated, microseconds since 1970 UTC
    change   INTEGER NOT NULL,             -- 1 created, 2 updated, 3 deleted
    codec    INTEGER NOT NULL,             -- how the body is packed: 0 plain JSON
    body     BLOB    NOT NULL
);

-- Two writes cannot both become version n of a resource.
CREATE UNIQUE INDEX versions_of_resource ON versions (rid, version);

-- Which version is the current one. Small, so that it stays in memory.
CREATE TABLE resources (
    type     TEXT    NOT NULL,
    id       TEXT    NOT NULL,
    rid      INTEGER NOT NULL,
    head     INTEGER NOT NULL,             -- versions.key
    PRIMARY KEY (type, id)
) WITHOUT ROWID;

-- What changed, in the order in which readers may see it. Followers keep a position in it.
CREATE TABLE feed (
    seq      INTEGER NOT NULL,             -- versions.key
    xact     INTEGER NOT NULL DEFAULT 0,   -- one writer commits in order here; PostgreSQL tells its transactions apart
    type     TEXT    NOT NULL,
    PRIMARY KEY (xact, seq)
) WITHOUT ROWID;
