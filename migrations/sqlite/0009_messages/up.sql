-- Messages as they came: what they are found by. What they say is beside, so that this stays small.
CREATE TABLE messages (
    number      INTEGER PRIMARY KEY,       -- in the order in which they were kept
    id          TEXT    NOT NULL UNIQUE,
    direction   INTEGER NOT NULL,          -- 1 in, 2 out
    route       TEXT    NOT NULL,
    application TEXT    NOT NULL,          -- MSH-3 and MSH-4: who sent it,
    facility    TEXT    NOT NULL,
    receiver    TEXT    NOT NULL,          -- MSH-5 and MSH-6: to whom, with | between
    control_id  TEXT    NOT NULL,          -- MSH-10
    type        TEXT    NOT NULL,          -- MSH-9, in its parts
    event       TEXT    NOT NULL,
    structure   TEXT    NOT NULL,
    version     TEXT    NOT NULL,          -- MSH-12
    event_time  INTEGER NOT NULL,          -- microseconds since 1970 UTC; 0: it does not say
    received_at INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL,          -- when it became what it is
    stage       INTEGER NOT NULL,          -- how far it came: 1 received, 2 parsed, 3 mapped, 4 applied
    status      INTEGER NOT NULL,          -- 1 received, 2 applied, 3 filtered, 4 error, 5 held, 6 dead
    code        TEXT    NOT NULL,          -- of its acknowledgement: AA, AE ...
    reason      TEXT    NOT NULL,          -- of what is wrong, the first thing
    reused      INTEGER NOT NULL,          -- 1: another message of the sender had the same control id
    attempts    INTEGER NOT NULL,
    size        INTEGER NOT NULL,          -- bytes of the message,
    hash        BLOB    NOT NULL           -- and the first half of their SHA-256
);
-- A message that comes again is known by this: two cannot become one and the same.
CREATE UNIQUE INDEX messages_once ON messages (control_id, application, facility, direction, hash);
CREATE INDEX messages_sender ON messages (application, facility);
CREATE INDEX messages_type ON messages (type, event);
CREATE INDEX messages_route ON messages (route);
CREATE INDEX messages_status ON messages (status);
CREATE INDEX messages_received ON messages (received_at);
CREATE INDEX messages_out ON messages (number) WHERE direction = 2;

-- Whom and what they are about: of one message there may be many.
CREATE TABLE message_keys (
    kind        INTEGER NOT NULL,          -- 1 patient, 2 visit, 3 order
    value       TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    PRIMARY KEY (kind, value, number)
) WITHOUT ROWID;
CREATE INDEX message_keys_of ON message_keys (number);

-- The bytes as they came.
CREATE TABLE message_bodies (
    number      INTEGER PRIMARY KEY,
    codec       INTEGER NOT NULL,          -- how they are packed: 0 not, 1 zstd
    body        BLOB    NOT NULL
);

-- What became of them.
CREATE TABLE message_results (
    number      INTEGER PRIMARY KEY,
    answer      TEXT    NOT NULL,          -- the acknowledgements as they were sent, with a line feed between
    touched     TEXT    NOT NULL,          -- resources: type, id, version and effect, a line each
    codec       INTEGER NOT NULL,
    report      BLOB    NOT NULL           -- the loss report, an OperationOutcome
);

-- Who works on messages that were acknowledged before they were applied; one node at a time.
CREATE TABLE message_worker (
    one         INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    node        TEXT    NOT NULL,
    until       INTEGER NOT NULL           -- microseconds since 1970 UTC
);
INSERT INTO message_worker (one, node, until) VALUES (1, '', 0);
