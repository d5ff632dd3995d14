DROP INDEX access_tokens_by_grant;
ALTER TABLE access_tokens DROP COLUMN grant_id;
DROP TABLE signing_keys;
DROP TABLE launches;
DROP TABLE vouchers;
DROP TABLE grants;
DROP TABLE sessions;
DROP TABLE people;
