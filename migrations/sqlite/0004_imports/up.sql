-- How far the import of a source has come, written in the transactions that store what comes from it: an import that was
-- killed goes on behind the last document that is there.
CREATE TABLE imports (
    source    TEXT    NOT NULL PRIMARY KEY, -- a path, or - for standard input
    documents INTEGER NOT NULL,             -- that are done, whole or refused
    entries   INTEGER NOT NULL,             -- that are done of the next one
    bytes     INTEGER NOT NULL,             -- of the documents that were begun,
    checksum  INTEGER NOT NULL              -- and their CRC-32: a source that has changed begins anew
) WITHOUT ROWID;
