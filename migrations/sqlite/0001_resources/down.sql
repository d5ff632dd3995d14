DROP TABLE feed;
DROP TABLE resources;
DROP TABLE versions;
