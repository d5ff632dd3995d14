-- What operators arrange while the server runs: routes, and overlays of maps. Every version of each is kept.
CREATE TABLE arrangements (
    kind       TEXT   NOT NULL,            -- 'route', 'overlay'
    name       TEXT   NOT NULL COLLATE "C",
    version    BIGINT NOT NULL,            -- from 1; the greatest is the one that holds
    at         BIGINT NOT NULL,            -- when it was made: microseconds since 1970 UTC
    is_deleted BIGINT NOT NULL,            -- 1: since then there is none
    body       TEXT   NOT NULL,            -- JSON
    PRIMARY KEY (kind, name, version)
);
