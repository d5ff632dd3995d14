DROP INDEX versions_by_time;
DROP INDEX versions_of_type;
CREATE TABLE feed (
    seq      INTEGER NOT NULL,
    xact     INTEGER NOT NULL DEFAULT 0,
    type     TEXT    NOT NULL,
    PRIMARY KEY (xact, seq)
) WITHOUT ROWID;
INSERT INTO feed (seq, type) SELECT key, type FROM versions;
