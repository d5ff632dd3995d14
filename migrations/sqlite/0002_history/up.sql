-- A version is its own entry in the feed: keys grow in the order of commits, so the order of the keys is the feed.
DROP TABLE feed;

-- History, newest first: of a type, and of everything.
CREATE INDEX versions_of_type ON versions (type, at, key);
CREATE INDEX versions_by_time ON versions (at, key);
