-- What operators arrange while the server runs: routes, and overlays of maps. Every version of each is kept.
CREATE TABLE arrangements (
    kind       TEXT    NOT NULL,           -- 'route', 'overlay'
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,           -- from 1; the greatest is the one that holds
    at         INTEGER NOT NULL,           -- when it was made: microseconds since 1970 UTC
    is_deleted INTEGER NOT NULL,           -- 1: since then there is none
    body       TEXT    NOT NULL,           -- JSON
    PRIMARY KEY (kind, name, version)
) WITHOUT ROWID;
