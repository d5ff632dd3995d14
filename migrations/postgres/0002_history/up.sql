-- A version is its own entry in the feed. Keys are taken before commits happen, so a key alone can turn up late: the
-- number of the transaction beside it tells readers which versions are settled (server/src/store/feed.rs).
ALTER TABLE versions ADD COLUMN xact BIGINT;
UPDATE versions SET xact = feed.xact FROM feed WHERE feed.seq = versions.key;
ALTER TABLE versions ALTER COLUMN xact SET DEFAULT (pg_current_xact_id()::text::bigint);
ALTER TABLE versions ALTER COLUMN xact SET NOT NULL;
CREATE UNIQUE INDEX versions_in_order ON versions (xact, key);
DROP TABLE feed;

-- History, newest first: of a type, and of everything.
CREATE INDEX versions_of_type ON versions (type, at, key);
CREATE INDEX versions_by_time ON versions (at, key);
