-- The labels of an alert are written once; all that changes is a narrow row beside them.
CREATE TABLE alerts (
  id {identity},
  digest {bytes} NOT NULL UNIQUE,
  labels TEXT NOT NULL,
  generator_url TEXT NOT NULL,
  first_seen_at BIGINT NOT NULL
);

CREATE TABLE alert_states (
  alert_id {key} PRIMARY KEY REFERENCES alerts (id) ON DELETE CASCADE,
  status TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
  starts_at BIGINT NOT NULL,
  closed_until BIGINT,
  changed_at BIGINT NOT NULL,
  sev SMALLINT CHECK (sev BETWEEN 1 AND 5),
  unsure BOOLEAN NOT NULL,
  content {bytes} NOT NULL,
  incident_id BIGINT
);

-- Each change of state, value or SEV: enough to replay a month through another configuration.
CREATE TABLE history (
  id {identity},
  alert_id BIGINT NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
  at BIGINT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
  starts_at BIGINT NOT NULL,
  ends_at BIGINT,
  sev SMALLINT CHECK (sev BETWEEN 1 AND 5),
  unsure BOOLEAN NOT NULL,
  reading TEXT,
  content TEXT
);
CREATE INDEX history_at ON history (at);
CREATE INDEX history_alert ON history (alert_id);

CREATE TABLE incidents (
  id {identity},
  dedup_key TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('triggered', 'acknowledged', 'resolved')),
  sev SMALLINT NOT NULL CHECK (sev BETWEEN 1 AND 5),
  unsure BOOLEAN NOT NULL,
  opened_at BIGINT NOT NULL,
  resolved_at BIGINT,
  due_at BIGINT,
  system TEXT,
  owner TEXT,
  firing INTEGER NOT NULL CHECK (firing >= 0),
  truncated BOOLEAN NOT NULL,
  asked TEXT NOT NULL,
  evidence TEXT NOT NULL,
  CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE INDEX incidents_dedup_key ON incidents (dedup_key, id);
CREATE INDEX incidents_due ON incidents (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX incidents_state ON incidents (state, sev);
CREATE INDEX incidents_truncated ON incidents (id) WHERE truncated;

CREATE TABLE timeline (
  id {identity},
  incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  at BIGINT NOT NULL,
  fact TEXT NOT NULL,
  details TEXT NOT NULL
);
CREATE INDEX timeline_incident ON timeline (incident_id, id);

-- The outbox. pending -> sending -> delivered | superseded | dead; a retry or an expired lease: pending again.
CREATE TABLE deliveries (
  id {identity},
  incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  integration TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('opened', 'rose', 'reopened', 'resolved')),
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
CREATE INDEX deliveries_unfinished ON deliveries (integration, sev, id) WHERE finished_at IS NULL;
CREATE INDEX deliveries_due ON deliveries (integration, not_before) WHERE finished_at IS NULL;
CREATE INDEX deliveries_incident ON deliveries (incident_id, integration, id);
CREATE INDEX deliveries_dead ON deliveries (integration, id) WHERE state = 'dead';

-- What an integration calls an incident: an issue key, a message's time stamp.
CREATE TABLE delivery_references (
  incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  integration TEXT NOT NULL,
  reference TEXT NOT NULL,
  PRIMARY KEY (incident_id, integration)
);

-- What could not be read, as it came; the same body again only counts.
CREATE TABLE quarantine (
  id {identity},
  digest {bytes} NOT NULL UNIQUE,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  times INTEGER NOT NULL,
  reason TEXT NOT NULL,
  body {bytes} NOT NULL
);
CREATE INDEX quarantine_last_at ON quarantine (last_at);
