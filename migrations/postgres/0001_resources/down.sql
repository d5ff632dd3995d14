DROP TABLE feed;
DROP TABLE resources;
DROP TABLE versions;
DROP SEQUENCE versions_key;
