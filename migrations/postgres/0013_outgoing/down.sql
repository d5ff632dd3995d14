DROP TABLE outgoing_places;
DROP TABLE outgoing;
