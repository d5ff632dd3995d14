-- Who has written which version of a Subscription: with the rights that they have when it is told, others are told.
CREATE TABLE authors (
    rid      INTEGER NOT NULL,              -- of the Subscription
    version  INTEGER NOT NULL,              -- from this one on
    standing TEXT NOT NULL,               -- by what their rights are found again
    PRIMARY KEY (rid, version)
) WITHOUT ROWID;
