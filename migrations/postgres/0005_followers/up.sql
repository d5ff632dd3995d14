-- Up to where each follower has handled the feed. A follower moves its own row in the transaction that holds its work.
CREATE TABLE followers (
    name     TEXT    PRIMARY KEY,
    xact     BIGINT  NOT NULL,
    key      BIGINT  NOT NULL              -- versions.key
);
