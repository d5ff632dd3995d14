-- What can be searched for. `path` is the element of a resource type that a row is about; rows of current versions only.
-- A row is its key: what is looked for comes first, `rid` as soon as it can tell resources apart.
-- The second way in, by resource, grows at its end: it costs room, hardly time.
CREATE TABLE search_token (
    path     INTEGER NOT NULL,
    code     TEXT    NOT NULL COLLATE "C",
    system   BIGINT  NOT NULL,             -- hash of the system's url, 0 for none
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, code, rid, system)
);
CREATE INDEX search_token_of ON search_token (rid, path);

CREATE TABLE search_string (
    path     INTEGER NOT NULL,
    value    TEXT    NOT NULL COLLATE "C", -- without case and accents, cut
    exact    BIGINT  NOT NULL,             -- hash of the text as written, 0 where it is the value
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, value, rid, exact)
);
CREATE INDEX search_string_of ON search_string (rid, path);

CREATE TABLE search_reference (
    path     INTEGER NOT NULL,
    target   TEXT    NOT NULL COLLATE "C", -- id on this server, or a url
    type     INTEGER NOT NULL,             -- hash of the target's type, 0 when not known
    version  TEXT    NOT NULL COLLATE "C", -- empty for most
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, target, rid, type, version)
);
CREATE INDEX search_reference_of ON search_reference (rid, path);

CREATE TABLE search_date (
    path     INTEGER NOT NULL,
    span     SMALLINT NOT NULL,            -- 0 up to a day, 1 up to 32 days, 2 longer
    lo       BIGINT  NOT NULL,             -- [lo, hi) in microseconds since 1970 UTC
    hi       BIGINT  NOT NULL,
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, span, lo, hi, rid)
);
CREATE INDEX search_date_of ON search_date (rid, path);

CREATE TABLE search_number (
    path     INTEGER NOT NULL,
    unit     INTEGER NOT NULL,             -- 0 as written, else hash of the base units, or of a unit outside UCUM
    span     SMALLINT NOT NULL,            -- 0 one number, 1 a range
    lo       DOUBLE PRECISION NOT NULL,
    hi       DOUBLE PRECISION NOT NULL,
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, unit, span, lo, hi, rid)
);
CREATE INDEX search_number_of ON search_number (rid, path);

CREATE TABLE search_uri (
    path     INTEGER NOT NULL,
    value    TEXT    NOT NULL COLLATE "C",
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, value, rid)
);
CREATE INDEX search_uri_of ON search_uri (rid, path);

-- One row for each tuple, for elements that repeat.
CREATE TABLE search_composite (
    path     INTEGER NOT NULL,
    code     TEXT    NOT NULL COLLATE "C", -- first component: a token or the target of a reference
    system   BIGINT  NOT NULL,
    text     TEXT    NOT NULL COLLATE "C", -- the next one, when it is text
    key      BIGINT  NOT NULL,             -- its system or type, or the unit of the number
    lo       DOUBLE PRECISION NOT NULL,
    hi       DOUBLE PRECISION NOT NULL,
    lo2      DOUBLE PRECISION NOT NULL,
    hi2      DOUBLE PRECISION NOT NULL,
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, code, text, key, lo, hi, lo2, hi2, rid, system)
);
CREATE INDEX search_composite_of ON search_composite (rid, path);

-- Places, as points on a sphere of radius 1; z points north.
CREATE TABLE search_position (
    path     INTEGER NOT NULL,
    z        DOUBLE PRECISION NOT NULL,
    x        DOUBLE PRECISION NOT NULL,
    y        DOUBLE PRECISION NOT NULL,
    rid      BIGINT  NOT NULL,
    PRIMARY KEY (path, z, x, y, rid)
);
CREATE INDEX search_position_of ON search_position (rid, path);

-- The resources of a type in the order in which they came, for searches that ask for nothing else.
CREATE INDEX resources_of_type ON resources (type, rid);
