-- When what messages have said of a resource was so: what an older message says of it comes too late.
CREATE TABLE snapshots (
    rid      BIGINT  NOT NULL PRIMARY KEY, -- the resource
    at       BIGINT  NOT NULL              -- the time of the event, microseconds since 1970 UTC
);
