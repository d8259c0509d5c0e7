-- 0008 enrolment: how strangers become producers over the network, and how a second machine with one identity is noticed.
-- Why: whoever holds a token may enrol once; of a token only a hash is kept, so that a copy of this database admits nobody.
-- Enforces: a token is never used more often than it says (the check constraint holds whoever writes); one use per batch key, so that a retried
--   request costs no second use; a certificate knows which authority made it, for which TLS key, and which certificate it renewed; at most one
--   open finding per producer and kind of evidence.
-- Danger: new tables; new columns that are NULL in existing rows (no rewrite, a short lock on registry.certificates, which no hot path reads).

CREATE TABLE registry.enrolment_tokens (
  -- The public half of a token: 8 bytes.
  token_id    bytea PRIMARY KEY CHECK (length(token_id) = 8),
  -- SHA-256 over a domain tag and the 256-bit secret.
  secret_hash bytea NOT NULL CHECK (length(secret_hash) = 32),
  kind        text NOT NULL CHECK (kind IN ('dpi', 'linux', 'windows', 'honeypot')),
  -- The producer's name; with several uses, what their names begin with.
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  uses_max    int NOT NULL CHECK (uses_max BETWEEN 1 AND 100000),
  uses        int NOT NULL DEFAULT 0,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at  timestamptz NOT NULL,
  revoked_at  timestamptz,
  CONSTRAINT token_never_used_more_than_it_says CHECK (uses BETWEEN 0 AND uses_max)
);

CREATE TABLE registry.token_uses (
  token_id    bytea NOT NULL REFERENCES registry.enrolment_tokens (token_id),
  key_id      bytea NOT NULL REFERENCES registry.producer_keys (key_id),
  producer_id uuid NOT NULL REFERENCES registry.producers (id),
  used_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Address of the machine that enrolled.
  source      text NOT NULL,
  PRIMARY KEY (token_id, key_id)
);

ALTER TABLE registry.certificates
  -- SHA-256 of the issuing authority's public key; NULL: made before authorities could change.
  ADD COLUMN issuer  bytea CHECK (length(issuer) = 32),
  -- SHA-256 of the TLS public key.
  ADD COLUMN tls_key bytea CHECK (length(tls_key) = 32),
  -- The certificate that was shown to get this one.
  ADD COLUMN parent  bytea REFERENCES registry.certificates (fingerprint),
  -- Address that asked for it; empty: the private socket of this host.
  ADD COLUMN source  text NOT NULL DEFAULT '';
CREATE INDEX certificates_of_parent ON registry.certificates (parent) WHERE parent IS NOT NULL;

-- One identity seen on two machines (R-6): a finding for an operator, never a lockout.
CREATE TABLE registry.clone_findings (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  producer_id uuid NOT NULL REFERENCES registry.producers (id),
  evidence    text NOT NULL CHECK (evidence IN ('renewal_fork', 'enrolment_fork', 'address_flapping', 'epoch_fenced', 'sequence_conflict')),
  detail      text NOT NULL CHECK (length(detail) <= 500),
  first_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  last_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  times       bigint NOT NULL DEFAULT 1,
  resolved_at timestamptz,
  resolution  text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX clone_findings_open ON registry.clone_findings (producer_id, evidence) WHERE resolved_at IS NULL;
