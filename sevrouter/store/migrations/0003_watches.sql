-- works with: 1
-- What reads the timed measures of the firing alerts of one identity, what they gave, and when they are read next;
-- NULL: when something happens.
CREATE TABLE watches (
  id {identity},
  dedup_key TEXT NOT NULL UNIQUE,
  next_at BIGINT,
  version BIGINT NOT NULL,
  readings TEXT NOT NULL
);
CREATE INDEX watches_due ON watches (next_at) WHERE next_at IS NOT NULL;
ALTER TABLE alert_states ADD COLUMN watch_id BIGINT;
CREATE INDEX alert_states_watch ON alert_states (watch_id) WHERE watch_id IS NOT NULL;
