-- What the search index is made of (search/src/registry.rs). One row.
CREATE TABLE search_state (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    generation  INTEGER NOT NULL,          -- grows with each change of search parameters; 0: nothing was said yet
    fingerprint INTEGER NOT NULL           -- of all paths of all types: all nodes must agree on it
);
INSERT INTO search_state (one, generation, fingerprint) VALUES (1, 0, 0);

-- The paths of each type whose rows are there, whatever the resource.
CREATE TABLE search_paths (
    type     TEXT    NOT NULL PRIMARY KEY,
    maker    TEXT    NOT NULL,             -- how rows are made of paths
    paths    TEXT    NOT NULL              -- numbers, separated by commas
) WITHOUT ROWID;

-- Paths that no parameter has any more. Their rows go in the background.
CREATE TABLE search_forgotten (
    path     INTEGER NOT NULL PRIMARY KEY,
    since    INTEGER NOT NULL              -- microseconds since 1970 UTC
) WITHOUT ROWID;

-- Types whose resources are gone through, to make the rows of paths that came later.
CREATE TABLE reindex (
    type     TEXT    NOT NULL PRIMARY KEY,
    paths    TEXT    NOT NULL,             -- that are made; empty: all are looked at again
    cursor   INTEGER NOT NULL,             -- the last resource that is done
    done     INTEGER NOT NULL,             -- resources
    total    INTEGER NOT NULL,             -- that there were when it began
    repaired INTEGER NOT NULL,             -- rows that were put in or taken out
    node     TEXT    NOT NULL,             -- who is at it
    until    INTEGER NOT NULL              -- and for how long the others leave it alone
) WITHOUT ROWID;
