-- Messages as they came: what they are found by. What they say is beside, so that this stays small.
CREATE TABLE messages (
    number      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were kept
    id          TEXT     NOT NULL COLLATE "C" UNIQUE,
    direction   SMALLINT NOT NULL,          -- 1 in, 2 out
    route       TEXT     NOT NULL COLLATE "C",
    application TEXT     NOT NULL COLLATE "C",          -- MSH-3 and MSH-4: who sent it,
    facility    TEXT     NOT NULL COLLATE "C",
    receiver    TEXT     NOT NULL,          -- MSH-5 and MSH-6: to whom, with | between
    control_id  TEXT     NOT NULL COLLATE "C",          -- MSH-10
    type        TEXT     NOT NULL COLLATE "C",          -- MSH-9, in its parts
    event       TEXT     NOT NULL COLLATE "C",
    structure   TEXT     NOT NULL,
    version     TEXT     NOT NULL,          -- MSH-12
    event_time  BIGINT   NOT NULL,          -- microseconds since 1970 UTC; 0: it does not say
    received_at BIGINT   NOT NULL,
    settled_at  BIGINT   NOT NULL,          -- when it became what it is
    stage       SMALLINT NOT NULL,          -- how far it came: 1 received, 2 parsed, 3 mapped, 4 applied
    status      SMALLINT NOT NULL,          -- 1 received, 2 applied, 3 filtered, 4 error, 5 held, 6 dead
    code        TEXT     NOT NULL,          -- of its acknowledgement: AA, AE ...
    reason      TEXT     NOT NULL,          -- of what is wrong, the first thing
    reused      SMALLINT NOT NULL,          -- 1: another message of the sender had the same control id
    attempts    BIGINT   NOT NULL,
    size        BIGINT   NOT NULL,          -- bytes of the message,
    hash        BYTEA    NOT NULL           -- and the first half of their SHA-256
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
    kind        SMALLINT NOT NULL,          -- 1 patient, 2 visit, 3 order
    value       TEXT     NOT NULL COLLATE "C",
    number      BIGINT   NOT NULL,
    PRIMARY KEY (kind, value, number)
);
CREATE INDEX message_keys_of ON message_keys (number);

-- The bytes as they came.
CREATE TABLE message_bodies (
    number      BIGINT   PRIMARY KEY,
    codec       SMALLINT NOT NULL,          -- how they are packed: 0 not, 1 zstd
    body        BYTEA    NOT NULL
);

-- What became of them.
CREATE TABLE message_results (
    number      BIGINT   PRIMARY KEY,
    answer      TEXT     NOT NULL,          -- the acknowledgements as they were sent, with a line feed between
    touched     TEXT     NOT NULL,          -- resources: type, id, version and effect, a line each
    codec       SMALLINT NOT NULL,
    report      BYTEA    NOT NULL           -- the loss report, an OperationOutcome
);

-- Who works on messages that were acknowledged before they were applied; one node at a time.
CREATE TABLE message_worker (
    one         BIGINT   NOT NULL PRIMARY KEY CHECK (one = 1),
    node        TEXT     NOT NULL,
    until       BIGINT   NOT NULL           -- microseconds since 1970 UTC
);
INSERT INTO message_worker (one, node, until) VALUES (1, '', 0);
