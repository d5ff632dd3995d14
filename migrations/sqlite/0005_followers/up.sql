-- Up to where each follower has handled the feed. A follower moves its own row in the transaction that holds its work.
CREATE TABLE followers (
    name     TEXT    PRIMARY KEY,
    xact     INTEGER NOT NULL,
    key      INTEGER NOT NULL              -- versions.key
) WITHOUT ROWID;
