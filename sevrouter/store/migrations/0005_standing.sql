-- works with: 1
-- What people and measures said of an incident beside its SEV, why nobody is told of it, and since when nothing was
-- heard of it.
ALTER TABLE incidents ADD COLUMN standing TEXT;
ALTER TABLE incidents ADD COLUMN suppressed TEXT;
ALTER TABLE incidents ADD COLUMN heard_at BIGINT;
ALTER TABLE incidents ADD COLUMN stale_since BIGINT;

-- Whether an Alertmanager that is asked has ever shown it: of what others send, it says nothing by showing it not.
ALTER TABLE alert_states ADD COLUMN seen_there BOOLEAN NOT NULL DEFAULT FALSE;
-- What fires is read every half a minute, beside all alerts that there ever were.
CREATE INDEX alert_states_firing ON alert_states (incident_id) WHERE status = 'firing';
CREATE INDEX incidents_suppressed ON incidents (id) WHERE suppressed IS NOT NULL;

-- Since when each heartbeat is waited for, when it was last heard (if ever), and until when somebody listened: what
-- nobody could hear is not missing.
CREATE TABLE heartbeats (
  name TEXT PRIMARY KEY,
  since BIGINT NOT NULL,
  beat_at BIGINT,
  listened_at BIGINT NOT NULL
);

-- Which kinds of notices there are is the program's business: every version may know more of them.
-- in postgresql:
UPDATE incidents SET heard_at = CAST(extract(epoch FROM now()) * 1000000 AS BIGINT) WHERE state <> 'resolved';
ALTER TABLE deliveries DROP CONSTRAINT deliveries_kind_check;
-- in sqlite:
UPDATE incidents SET heard_at = CAST(strftime('%s', 'now') AS INTEGER) * 1000000 WHERE state <> 'resolved';
CREATE TABLE wider_deliveries (
  id {identity},
  incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  integration TEXT NOT NULL,
  kind TEXT NOT NULL,
  sev SMALLINT NOT NULL CHECK (sev BETWEEN 1 AND 5),
  notice TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'sending', 'delivered', 'superseded', 'dead', 'shadowed')),
  attempts INTEGER NOT NULL,
  unknowns INTEGER NOT NULL,
  received_at BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  lease TEXT,
  lease_until BIGINT,
  reason TEXT,
  detail TEXT,
  finished_at BIGINT,
  CHECK ((state = 'sending') = (lease IS NOT NULL)),
  CHECK ((state IN ('pending', 'sending')) = (finished_at IS NULL))
);
INSERT INTO wider_deliveries SELECT
  id, incident_id, integration, kind, sev, notice, state, attempts, unknowns, received_at, not_before, expires_at,
  lease, lease_until, reason, detail, finished_at FROM deliveries;
-- A number that was used is never used again, also that of a delivery which is forgotten by now.
DELETE FROM sqlite_sequence WHERE name = 'wider_deliveries';
INSERT INTO sqlite_sequence (name, seq) SELECT 'wider_deliveries', seq FROM sqlite_sequence WHERE name = 'deliveries';
DROP TABLE deliveries;
ALTER TABLE wider_deliveries RENAME TO deliveries;
CREATE INDEX deliveries_unfinished ON deliveries (integration, sev, id) WHERE finished_at IS NULL;
CREATE INDEX deliveries_due ON deliveries (integration, not_before) WHERE finished_at IS NULL;
CREATE INDEX deliveries_incident ON deliveries (incident_id, integration, id);
CREATE INDEX deliveries_dead ON deliveries (integration, id) WHERE state = 'dead';
