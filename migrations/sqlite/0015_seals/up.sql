-- What secrets within the store are sealed with. The greatest version seals, the others open what they have sealed.
CREATE TABLE seals (
    version    INTEGER NOT NULL PRIMARY KEY,
    master     TEXT    NOT NULL,           -- a name for the master key that wraps it; it tells nothing of that
    wrapped    BLOB    NOT NULL,
    made_at    INTEGER NOT NULL,           -- microseconds since 1970 UTC
    done_at    INTEGER NOT NULL            -- when all that older ones had sealed was sealed by it; 0: not yet
) WITHOUT ROWID;
