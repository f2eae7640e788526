-- works with: 1
-- How the call of an incident stands, and when its next step is due.
CREATE TABLE escalations (
  incident_id BIGINT PRIMARY KEY REFERENCES incidents (id) ON DELETE CASCADE,
  state TEXT NOT NULL,
  due_at BIGINT,
  run_out INTEGER NOT NULL,
  standing TEXT NOT NULL,
  version BIGINT NOT NULL
);
CREATE INDEX escalations_due ON escalations (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX escalations_unanswered ON escalations (incident_id) WHERE run_out > 0;

-- Calls to people by telephone. One may be about very many incidents, or about none: a drill.
CREATE TABLE rings (
  id {identity},
  person TEXT NOT NULL,
  number TEXT NOT NULL,
  provider TEXT NOT NULL,
  token TEXT NOT NULL,
  is_drill BOOLEAN NOT NULL,
  sev SMALLINT CHECK (sev BETWEEN 1 AND 5),
  began_at BIGINT NOT NULL,
  ended_at BIGINT,
  outcome TEXT,
  detail TEXT NOT NULL,
  reference TEXT,
  unknowns INTEGER NOT NULL,
  acknowledged_at BIGINT,
  heard TEXT,
  dial TEXT,
  lease TEXT,
  lease_until BIGINT,
  CHECK ((lease IS NULL) = (ended_at IS NOT NULL)),
  CHECK ((outcome IS NULL) = (ended_at IS NULL))
);
CREATE UNIQUE INDEX rings_unfinished ON rings (person) WHERE ended_at IS NULL;
CREATE INDEX rings_person ON rings (person, began_at);
CREATE INDEX rings_old ON rings (ended_at) WHERE ended_at IS NOT NULL;

-- Who is wanted for which incident, and the call that this person is told of it by.
CREATE TABLE summons (
  incident_id BIGINT NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
  person TEXT NOT NULL,
  sev SMALLINT NOT NULL CHECK (sev BETWEEN 1 AND 5),
  wanted_at BIGINT NOT NULL,
  not_before BIGINT NOT NULL,
  ring_id BIGINT,
  PRIMARY KEY (incident_id, person)
);
CREATE INDEX summons_waiting ON summons (person, sev, not_before) WHERE ring_id IS NULL;
CREATE INDEX summons_ring ON summons (ring_id) WHERE ring_id IS NOT NULL;

-- When each person's phone was last tried through each provider, what came of it, and when that last reached a person;
-- and when somebody asked for it to be tried.
CREATE TABLE drills (
  person TEXT NOT NULL,
  provider TEXT NOT NULL,
  drilled_at BIGINT,
  outcome TEXT,
  succeeded_at BIGINT,
  asked_at BIGINT,
  PRIMARY KEY (person, provider)
);
