-- Keys are handed out in blocks, one block to a connection, so that a write does not ask for each of them.
-- The step is KEY_BLOCK in server/src/store/connection.rs.
CREATE SEQUENCE versions_key INCREMENT BY 64;

-- Every version of every resource, written once and never changed: the truth from which all else can be rebuilt.
CREATE TABLE versions (
    key      BIGINT   PRIMARY KEY,
    rid      BIGINT   NOT NULL,            -- the resource: the key of its first version
    type     TEXT     NOT NULL,
    id       TEXT     NOT NULL,
    version  BIGINT   NOT NULL,
    at       BIGINT   NOT NULL,            -- meta.lastUpdated, microseconds since 1970 UTC
    change   SMALLINT NOT NULL,            -- 1 created, 2 updated, 3 deleted
    codec    SMALLINT NOT NULL,            -- how the body is packed: 0 plain JSON
    body     BYTEA    NOT NULL
);

-- Two writes cannot both become version n of a resource.
CREATE UNIQUE INDEX versions_of_resource ON versions (rid, version);

-- Which version is the current one. Small, so that it stays in memory.
CREATE TABLE resources (
    type     TEXT     NOT NULL COLLATE "C",
    id       TEXT     NOT NULL COLLATE "C",
    rid      BIGINT   NOT NULL,
    head     BIGINT   NOT NULL,            -- versions.key
    PRIMARY KEY (type, id)
);

-- What changed, in the order in which readers may see it. Followers keep a position in it.
-- Keys are taken before commits happen, so a key alone can turn up late. The transaction beside it tells readers
-- which rows are settled: see server/src/store/feed.rs.
CREATE TABLE feed (
    seq      BIGINT   NOT NULL,            -- versions.key
    xact     BIGINT   NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    type     TEXT     NOT NULL,
    PRIMARY KEY (xact, seq)
);
