DROP TABLE leases;
DROP TABLE events;
DROP TABLE targets;
