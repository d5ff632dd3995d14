-- Messages that go out, beside their rows in messages: where each stands among those of its destination.
CREATE TABLE outgoing (
    number      BIGINT PRIMARY KEY,        -- messages.number
    destination TEXT COLLATE "C" NOT NULL,
    key         TEXT COLLATE "C" NOT NULL, -- what it was made of: that is sent once
    place       BIGINT   NOT NULL,         -- 1, 2, 3 ... of its destination, without a gap
    waits       SMALLINT NOT NULL,         -- 1 while it is to be sent, or is parked
    attempts    BIGINT   NOT NULL,         -- since it was last set to be sent
    due_at      BIGINT   NOT NULL,         -- not before: microseconds since 1970 UTC
    subjects    TEXT     NOT NULL          -- whom it is about, a line each: their messages do not overtake each other
);
CREATE UNIQUE INDEX outgoing_once ON outgoing (destination, key);
CREATE INDEX outgoing_waits ON outgoing (destination, place) WHERE waits = 1;

-- The place of the last message of each destination.
CREATE TABLE outgoing_places (
    destination TEXT COLLATE "C" PRIMARY KEY,
    last        BIGINT NOT NULL
);
