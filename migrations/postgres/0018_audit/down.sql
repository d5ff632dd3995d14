DROP TABLE chain_heads;
DROP TABLE audit_events;
