DROP INDEX versions_by_time;
DROP INDEX versions_of_type;
CREATE TABLE feed (
    seq      BIGINT   NOT NULL,
    xact     BIGINT   NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    type     TEXT     NOT NULL,
    PRIMARY KEY (xact, seq)
);
INSERT INTO feed (seq, xact, type) SELECT key, xact, type FROM versions;
DROP INDEX versions_in_order;
ALTER TABLE versions DROP COLUMN xact;
