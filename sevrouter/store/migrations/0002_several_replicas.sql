-- works with: 1
-- Who writes an alert's state or an incident must have seen its last version: the database decides between replicas.
ALTER TABLE alert_states ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
ALTER TABLE incidents ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX incidents_open ON incidents (dedup_key) WHERE state <> 'resolved';

-- The oldest schema whose program still works on this one: a replica that is not upgraded yet goes on.
ALTER TABLE schema_migrations ADD COLUMN works_with INTEGER;
