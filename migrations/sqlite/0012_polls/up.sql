-- Routes that fetch files: when it is looked next, who does it, and how it went.
CREATE TABLE polls (
    route    TEXT    NOT NULL PRIMARY KEY,
    schedule TEXT    NOT NULL,             -- by which the next time was reckoned
    due_at   INTEGER NOT NULL,             -- microseconds since 1970 UTC
    node     TEXT    NOT NULL,             -- who is at it
    until    INTEGER NOT NULL,             -- and for how long the others leave it alone
    report   TEXT    NOT NULL              -- of the last time, JSON; empty: there was none
) WITHOUT ROWID;
-- The file that a message came in; empty: it came by itself.
ALTER TABLE messages ADD COLUMN file TEXT NOT NULL DEFAULT '';
