DROP TABLE assertions;
DROP TABLE access_tokens;
DROP TABLE clients;
