-- Who did what to whose record, when and from where. Each event carries a hash of what it says and of the hash before it
-- in its chain: what was changed, taken out or put in later is found (`kiln verify --audit`).
CREATE TABLE audit_events (
    chain   INTEGER NOT NULL,
    seq     INTEGER NOT NULL,              -- 1, 2, 3 ... in each chain
    at      INTEGER NOT NULL,              -- microseconds since 1970 UTC
    patient TEXT    NOT NULL,              -- id; empty: of no patient
    body    TEXT    NOT NULL,              -- JSON
    hash    BLOB    NOT NULL,              -- SHA-256
    PRIMARY KEY (chain, seq)
) WITHOUT ROWID;

CREATE INDEX audit_events_by_time ON audit_events (at);
CREATE INDEX audit_events_by_patient ON audit_events (patient, at) WHERE patient <> '';

-- Where each chain ends, and where it was cut: what lies before that was kept long enough.
CREATE TABLE chain_heads (
    chain    INTEGER NOT NULL PRIMARY KEY,
    seq      INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    cut_seq  INTEGER NOT NULL,             -- 0: it is whole
    cut_hash BLOB    NOT NULL
) WITHOUT ROWID;
