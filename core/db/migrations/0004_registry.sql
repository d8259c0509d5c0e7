-- 0004 registry: who may speak to a gateway, and with which keys.
-- Why: identity comes from here and from certificates, never from a payload; R-13 distributes it, R-12 keeps the gateway out of it.
-- Enforces: a batch key belongs to one producer for ever; a revoked producer never becomes anything else; the version only grows; the audit
--   trail is append-only for the registry's own role (it may insert and read, nothing else).
-- Danger: new tables only. No existing row is touched, no lock on a table in use, safe to run while the system is up.

CREATE TABLE registry.producers (
  id          uuid PRIMARY KEY,
  kind        text NOT NULL CHECK (kind IN ('dpi', 'linux', 'windows', 'honeypot')),
  name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 128),
  status      text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'revoked')),
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- A name is how a person finds a producer; it may be used again once its holder is revoked.
CREATE UNIQUE INDEX producers_name_in_use ON registry.producers (name) WHERE status <> 'revoked';

CREATE TABLE registry.producer_keys (
  -- First 8 bytes of SHA-256 of the public key, as frames carry it. Unique over all producers: a frame's key id names one key.
  key_id      bytea PRIMARY KEY CHECK (length(key_id) = 8),
  producer_id uuid NOT NULL REFERENCES registry.producers (id),
  public_key  bytea NOT NULL UNIQUE CHECK (length(public_key) = 32),
  added_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  retired_at  timestamptz
);
CREATE INDEX producer_keys_of_producer ON registry.producer_keys (producer_id);

CREATE TABLE registry.certificates (
  -- SHA-256 of the DER certificate.
  fingerprint bytea PRIMARY KEY CHECK (length(fingerprint) = 32),
  producer_id uuid NOT NULL REFERENCES registry.producers (id),
  serial      text NOT NULL,
  not_after   timestamptz NOT NULL,
  issued_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  revoked_at  timestamptz
);
CREATE INDEX certificates_of_producer ON registry.certificates (producer_id);

-- One row. Every change of what gateways must know raises it by one, in the same transaction as the change.
CREATE TABLE registry.version (
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  version bigint NOT NULL
);
INSERT INTO registry.version (version) VALUES (1);

CREATE TABLE registry.audit (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  version     bigint NOT NULL,
  action      text NOT NULL,
  producer_id uuid,
  detail      text NOT NULL DEFAULT ''
);

-- What has been promised to gateways cannot be taken back, whoever asks.
CREATE FUNCTION registry.refuse_regress() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
  IF TG_TABLE_NAME = 'version' THEN
    IF NEW.version <= OLD.version THEN
      RAISE EXCEPTION 'the registry version may only grow' USING ERRCODE = 'RE401';
    END IF;
  ELSIF OLD.status = 'revoked' AND NEW.status <> 'revoked' THEN
    RAISE EXCEPTION 'a revoked producer stays revoked' USING ERRCODE = 'RE402';
  ELSIF OLD.kind <> NEW.kind OR OLD.id <> NEW.id THEN
    RAISE EXCEPTION 'a producer keeps its id and kind' USING ERRCODE = 'RE403';
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER version_only_grows BEFORE UPDATE ON registry.version FOR EACH ROW EXECUTE FUNCTION registry.refuse_regress();
CREATE TRIGGER producers_keep_what_they_are BEFORE UPDATE ON registry.producers FOR EACH ROW EXECUTE FUNCTION registry.refuse_regress();
