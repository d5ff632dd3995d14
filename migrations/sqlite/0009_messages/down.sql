DROP TABLE message_worker;
DROP TABLE message_results;
DROP TABLE message_bodies;
DROP TABLE message_keys;
DROP TABLE messages;
