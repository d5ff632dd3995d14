-- When what messages have said of a resource was so: what an older message says of it comes too late.
CREATE TABLE snapshots (
    rid      INTEGER NOT NULL PRIMARY KEY, -- the resource
    at       INTEGER NOT NULL              -- the time of the event, microseconds since 1970 UTC
);
