-- 0024 evidence: the sealer's statements, and the leaves that they were signed over.
-- Why: whoever holds the database can rewrite it; a signed statement of what the log held, kept in a chain and copied elsewhere, shows it (R-20).
-- Enforces: statements, ranges and leaves are append-only; a statement's number is taken once; leaves go with their day, statements stay; a day is dropped only
--   when every entry of it is sealed and the sealer has signed that it goes.
-- Forbids: any right to change them; the key, which is the sealer's process' alone and never comes here.
-- Danger: a new schema, two roles, new tables; ops.drop_day is replaced. No lock on a table in use, safe to run while the system is up.

DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['ransomeye_evidence_owner', 'ransomeye_sealer'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE', v_role);
    END IF;
  END LOOP;
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE 'GRANT ransomeye_evidence_owner TO CURRENT_USER';
  END IF;
  GRANT ransomeye_evidence_owner TO ransomeye_ops_owner;
END $$;

CREATE SCHEMA evidence AUTHORIZATION ransomeye_evidence_owner;
COMMENT ON SCHEMA evidence IS 'What the sealer has signed';

-- A signed note each: the key, a checkpoint, or the expiry of a day. hash: of the text that is signed; the next statement names it.
CREATE TABLE evidence.statement (
  number bigint PRIMARY KEY CHECK (number >= 0),
  kind   text NOT NULL CHECK (kind IN ('key', 'checkpoint', 'expiry')),
  -- Of a checkpoint and of an expiry.
  day    date CHECK ((kind = 'key') = (day IS NULL)),
  made_us bigint NOT NULL,
  hash   bytea NOT NULL,
  note   text NOT NULL
);
CREATE UNIQUE INDEX statement_expiry ON evidence.statement (day) WHERE kind = 'expiry';

-- What a checkpoint covers of each partition: entries after after_off, up to up_to_off. The last range of a partition is where the next one begins.
CREATE TABLE evidence.sealed_range (
  part       int NOT NULL,
  up_to_off  bigint NOT NULL,
  after_off  bigint NOT NULL CHECK (after_off < up_to_off),
  statement  bigint NOT NULL REFERENCES evidence.statement (number),
  generation uuid NOT NULL,
  -- Of the last entry: the days before it need not be searched for the next.
  received_at timestamptz NOT NULL,
  PRIMARY KEY (part, up_to_off)
);
CREATE INDEX sealed_range_statement ON evidence.sealed_range (statement);

-- Leaf hashes of a checkpoint, 32 bytes each, up to 1024 to a row: chunk 0 has leaves 0 to 1023. received_at: the beginning of the checkpoint's day, with which they go.
CREATE TABLE evidence.leaves (
  received_at timestamptz NOT NULL,
  statement   bigint NOT NULL,
  chunk       int NOT NULL,
  hashes      bytea NOT NULL
) PARTITION BY RANGE (received_at);
ALTER TABLE evidence.leaves ALTER COLUMN hashes SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX leaves_place ON evidence.leaves (statement, chunk, received_at);

-- What an expired day held of each chain; the root over these stands in the statement.
CREATE TABLE evidence.expired_chain (
  statement   bigint NOT NULL REFERENCES evidence.statement (number),
  index       int NOT NULL,
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  first_seq   bigint NOT NULL,
  last_seq    bigint NOT NULL,
  first_hash  bytea NOT NULL,
  last_hash   bytea NOT NULL,
  PRIMARY KEY (statement, index)
);
CREATE INDEX expired_chain_place ON evidence.expired_chain (producer_id, epoch, first_seq);

-- Days that retention wants gone; the sealer answers with a statement.
CREATE TABLE evidence.expiry_wish (
  day       date PRIMARY KEY,
  policy    text NOT NULL CHECK (policy IN ('age', 'bytes')),
  actor     text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128 AND actor !~ '[[:cntrl:]]'),
  wished_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

INSERT INTO ops.day_table (schema_name, table_name) VALUES ('evidence', 'leaves');

DO $$
DECLARE
  v_table text;
BEGIN
  FOREACH v_table IN ARRAY ARRAY['evidence.statement', 'evidence.sealed_range', 'evidence.leaves', 'evidence.expired_chain', 'evidence.expiry_wish'] LOOP
    PERFORM ops.guard_table(v_table);
  END LOOP;
END $$;

-- Leaves need the days of the log that is there already.
SELECT ops.ensure_partitions(min(d.day), least(400, max(d.day) - min(d.day) + 1)) FROM ops.day_sizes() d WHERE d.table_name = 'bus.frames' AND d.attached HAVING count(*) > 0;

CREATE VIEW views.statements AS
SELECT s.number, s.kind, s.day, s.made_us, s.hash, s.note FROM evidence.statement s;

CREATE VIEW views.sealed_ranges AS
SELECT r.part, r.after_off, r.up_to_off, r.statement, r.generation, r.received_at FROM evidence.sealed_range r;

CREATE VIEW views.sealed_leaves AS
SELECT l.received_at, l.statement, l.chunk, l.hashes FROM evidence.leaves l;

CREATE VIEW views.expired_chains AS
SELECT c.statement, c.index, c.producer_id, c.epoch, c.first_seq, c.last_seq, c.first_hash, c.last_hash FROM evidence.expired_chain c;

-- Days that shall go and are not yet signed away.
CREATE VIEW views.expiry_wishes AS
SELECT w.day, w.policy, w.actor, w.wished_at FROM evidence.expiry_wish w
WHERE NOT EXISTS (SELECT FROM evidence.statement s WHERE s.kind = 'expiry' AND s.day = w.day);

-- Up to where each partition of the log may be sealed: as far as all readers have come, and rows were made.
CREATE VIEW views.sealable AS
SELECT p.part, coalesce(min(o.off), 0)::bigint AS off, g.id AS generation
FROM bus.partition_head p CROSS JOIN bus.generation g LEFT JOIN bus.consumer_offset o ON o.part = p.part AND o.grp = 'engine'
GROUP BY p.part, g.id;

-- As since 0006; and the sealer has signed that the day goes, after all of it was sealed.
CREATE OR REPLACE FUNCTION ops.drop_day(p_day date) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_end   CONSTANT timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  v_bytes bigint := 0;
  v_table ops.day_table;
  v_child regclass;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye partitions', 0));
  IF v_end > clock_timestamp() OR EXISTS (
    SELECT FROM bus.partition_head p WHERE p.low_off < bus.seek(p.part, (extract(epoch FROM v_end) * 1000000)::bigint)
  ) OR EXISTS (
    SELECT FROM bus.consumer_offset o JOIN bus.partition_head p USING (part) WHERE o.off < p.low_off
  ) OR NOT EXISTS (
    SELECT FROM evidence.statement s WHERE s.kind = 'expiry' AND s.day = p_day
  ) THEN
    RETURN NULL;
  END IF;
  PERFORM ops.count_day(p_day);
  FOR v_table IN SELECT * FROM ops.day_table t ORDER BY t.schema_name, t.table_name LOOP
    v_child := to_regclass(format('%I.%I', v_table.schema_name, ops.partition_name(v_table.table_name, p_day)));
    CONTINUE WHEN v_child IS NULL;
    v_bytes := v_bytes + pg_total_relation_size(v_child);
    EXECUTE format('DROP TABLE %s', v_child);
  END LOOP;
  RETURN v_bytes;
END $$;
