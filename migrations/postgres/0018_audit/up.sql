-- Who did what to whose record, when and from where. Each event carries a hash of what it says and of the hash before it
-- in its chain: what was changed, taken out or put in later is found (`kiln verify --audit`).
CREATE TABLE audit_events (
    chain   BIGINT NOT NULL,
    seq     BIGINT NOT NULL,              -- 1, 2, 3 ... in each chain
    at      BIGINT NOT NULL,              -- microseconds since 1970 UTC
    patient TEXT    NOT NULL COLLATE "C",              -- id; empty: of no patient
    body    TEXT    NOT NULL COLLATE "C",              -- JSON
    hash    BYTEA    NOT NULL,              -- SHA-256
    PRIMARY KEY (chain, seq)
);

CREATE INDEX audit_events_by_time ON audit_events (at);
CREATE INDEX audit_events_by_patient ON audit_events (patient, at) WHERE patient <> '';

-- Where each chain ends, and where it was cut: what lies before that was kept long enough.
CREATE TABLE chain_heads (
    chain    BIGINT NOT NULL PRIMARY KEY,
    seq      BIGINT NOT NULL,
    hash     BYTEA    NOT NULL,
    cut_seq  BIGINT NOT NULL,             -- 0: it is whole
    cut_hash BYTEA    NOT NULL
);
