DROP TABLE reindex;
DROP TABLE search_forgotten;
DROP TABLE search_paths;
DROP TABLE search_state;
