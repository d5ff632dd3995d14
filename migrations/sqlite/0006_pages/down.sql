DROP INDEX versions_deleted;
DROP TABLE long_searches;
DROP TABLE sealing_keys;
