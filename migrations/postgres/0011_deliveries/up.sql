-- Who is to be told of changes: a row for each Subscription that was ever followed.
CREATE TABLE targets (
    rid         BIGINT   PRIMARY KEY,      -- of the Subscription
    id          TEXT     NOT NULL COLLATE "C" UNIQUE,
    version     BIGINT   NOT NULL,         -- of it, that is followed
    state       BIGINT   NOT NULL,         -- 1 to be shaken hands with, 2 active, 3 in error, 4 off
    born        BIGINT   NOT NULL,         -- the number of its last event; the first one is 1
    done        BIGINT   NOT NULL,         -- up to which they were delivered or skipped
    attempts    BIGINT   NOT NULL,         -- at the next one that failed
    due_at      BIGINT   NOT NULL,         -- when there is something to do: microseconds since 1970 UTC
    sent_at     BIGINT   NOT NULL,         -- when something last arrived there
    ends_at     BIGINT   NOT NULL,         -- Subscription.end
    node        TEXT     NOT NULL,         -- who is at it,
    until       BIGINT   NOT NULL,         -- and until when others leave it alone
    problem     TEXT     NOT NULL          -- why the last attempt failed
);
CREATE INDEX targets_due ON targets (due_at);

-- What each of them is to be told, in order. Born in the transaction that moves the follower on.
CREATE TABLE events (
    target      BIGINT   NOT NULL,         -- targets.rid
    number      BIGINT   NOT NULL,         -- 1, 2, 3 ... without a gap
    at          BIGINT   NOT NULL,         -- when the resource was changed
    type        TEXT     NOT NULL,
    id          TEXT     NOT NULL,
    version     BIGINT   NOT NULL,
    change      BIGINT   NOT NULL,         -- as in versions
    fate        BIGINT   NOT NULL,         -- 0 none yet, 1 delivered, 2 skipped
    settled_at  BIGINT   NOT NULL,
    PRIMARY KEY (target, number)
);

-- Work that one node does at a time.
CREATE TABLE leases (
    name        TEXT     PRIMARY KEY,
    node        TEXT     NOT NULL,
    until       BIGINT   NOT NULL          -- microseconds since 1970 UTC
);
