-- works with: 1
CREATE TABLE deployments (
  id {identity},
  system TEXT NOT NULL,
  version TEXT NOT NULL,
  at BIGINT NOT NULL,
  link TEXT,
  received_at BIGINT NOT NULL
);
-- The same version of a system goes live once at a time.
CREATE UNIQUE INDEX deployments_identity ON deployments (system, version, at);
-- An incident asks for all that went live lately, and forgetting for what did long ago.
CREATE INDEX deployments_at ON deployments (at);

-- Who reports a deployment late asks which incidents began since.
CREATE INDEX timeline_begins ON timeline (at) WHERE fact IN ('opened', 'reopened');
