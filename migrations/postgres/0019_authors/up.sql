-- Who has written which version of a Subscription: with the rights that they have when it is told, others are told.
CREATE TABLE authors (
    rid      BIGINT NOT NULL,              -- of the Subscription
    version  BIGINT NOT NULL,              -- from this one on
    standing TEXT COLLATE "C" NOT NULL,   -- by what their rights are found again
    PRIMARY KEY (rid, version)
);
