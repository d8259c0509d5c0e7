-- 0026 observables: which batches hold a hash, an address, a name or a user, so that a question over a month reads those batches and no others (R-31).
-- Why: rows have one column for a few of these, found by reading all rows of the days; a document has many more. One index entry for each value and row would cost as
--   much as the row. A batch repeats its values, so an entry for each value and batch is a few bytes an event.
-- Enforces: the index says where to look, never what is there: whoever asks compares the documents. Summaries of batches and the mark over them are written in one
--   transaction, off the road of the rows; what lies behind a mark is read directly, so that an answer is complete. Days go with their day.
-- Forbids: any part of this in the row transaction; values themselves: the index holds 32 bits of a keyed hash of each. It is no evidence, and can be made again.
-- Danger: a new schema, two roles, new tables and views, one column with a default on a table of few rows, one function replaced. No lock on a table in use, safe to
--   run while the system is up.

DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['ransomeye_observable_owner', 'ransomeye_indexer'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE', v_role);
    END IF;
  END LOOP;
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE 'GRANT ransomeye_observable_owner TO CURRENT_USER';
  END IF;
  GRANT ransomeye_observable_owner TO ransomeye_ops_owner;
END $$;

CREATE SCHEMA observable AUTHORIZATION ransomeye_observable_owner;
COMMENT ON SCHEMA observable IS 'Which batches hold which values';

-- One row. salt: the key of the hash, this installation's own. rules: the version of the rules by which values were found; 0: nothing was indexed yet.
CREATE TABLE observable.state (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  salt     bytea NOT NULL CHECK (octet_length(salt) = 8),
  rules    int NOT NULL DEFAULT 0
);
INSERT INTO observable.state (salt) VALUES (substring(sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')) FOR 8));

-- Up to where each partition of the log is indexed: entries up to (received_at, off), in this order. fence: the engine's token then; as long as it is the same, its place
-- has only moved forward in the same history, and offsets alone say what is new. One row a partition, moved with each round; half the page is left free (HOT).
CREATE TABLE observable.mark (
  part        int PRIMARY KEY,
  off         bigint NOT NULL,
  received_at timestamptz NOT NULL,
  fence       bigint
) WITH (fillfactor = 50);

-- Keys of one batch each, ascending, four bytes each: what was not sorted yet. No index: a question reads all that there are, and they become a segment before they are
-- many. UNLOGGED would lose them at a crash while the marks stay.
CREATE TABLE observable.summary (
  received_at timestamptz NOT NULL,
  off         bigint NOT NULL,
  part        int NOT NULL,
  keys        bytea NOT NULL
) PARTITION BY RANGE (received_at);
ALTER TABLE observable.summary ALTER COLUMN keys SET STORAGE EXTERNAL;

-- Sorted summaries of one day. received_at: that of the first batch. places: part int4, off int8, microseconds since 1970 int8 of each batch, by ordinal.
CREATE TABLE observable.segment (
  received_at timestamptz NOT NULL,
  number      bigint NOT NULL,
  frames      int NOT NULL,
  postings    bigint NOT NULL,
  places      bytea NOT NULL
) PARTITION BY RANGE (received_at);
ALTER TABLE observable.segment ALTER COLUMN places SET STORAGE EXTERNAL;

-- A segment's postings in blocks that stand in a page four times; core/engine/src/observables/segment.ts says what is in them. received_at: the segment's.
CREATE TABLE observable.posting (
  received_at timestamptz NOT NULL,
  segment     bigint NOT NULL,
  first_key   bigint NOT NULL,
  number      int NOT NULL,
  block       bytea NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX posting_place ON observable.posting (segment, first_key, number);

-- Days of an index are no evidence: what was sorted leaves the summaries, and all of it can be made again.
ALTER TABLE ops.day_table ADD COLUMN append_only boolean NOT NULL DEFAULT true;
INSERT INTO ops.day_table (schema_name, table_name, append_only) VALUES
  ('observable', 'summary', false), ('observable', 'segment', false), ('observable', 'posting', false);

-- As since 0021; the trigger where the table is append-only.
CREATE OR REPLACE FUNCTION ops.set_upkeep(p_child text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 1, autovacuum_analyze_scale_factor = 1, '
    'toast.autovacuum_vacuum_insert_scale_factor = 1)', p_child);
  -- A trigger of a statement is each table's own.
  IF NOT EXISTS (SELECT FROM ops.day_table t WHERE NOT t.append_only AND starts_with(p_child, format('%I.%I_', t.schema_name, t.table_name))) THEN
    PERFORM ops.guard_table(p_child);
  END IF;
END $$;

-- The index has the days of the log that is there already.
SELECT ops.ensure_partitions(min(d.day), least(400, max(d.day) - min(d.day) + 1)) FROM ops.day_sizes() d WHERE d.table_name = 'bus.frames' AND d.attached HAVING count(*) > 0;

-- Up to where rows were made, and under which token.
CREATE VIEW views.row_places AS
SELECT o.part, o.off, o.entry_received_us, o.fence
FROM bus.consumer_offset o WHERE o.grp = 'engine';

CREATE VIEW views.observable_state AS SELECT s.salt, s.rules FROM observable.state s;
CREATE VIEW views.observable_marks AS SELECT m.part, m.off, m.received_at, m.fence FROM observable.mark m;
CREATE VIEW views.observable_summaries AS SELECT s.received_at, s.off, s.part, s.keys FROM observable.summary s;
CREATE VIEW views.observable_segments AS SELECT s.received_at, s.number, s.frames, s.postings, s.places FROM observable.segment s;
CREATE VIEW views.observable_postings AS SELECT p.received_at, p.segment, p.first_key, p.number, p.block FROM observable.posting p;

-- What of the log is not indexed yet: entries behind the marks, whether they have become rows or not. Without a mark all of a partition is.
CREATE VIEW views.observable_unindexed AS
SELECT e.part, e.off, e.received_at, octet_length(e.body) AS bytes
FROM (SELECT p.part, p.fence, coalesce(m.off, 0) AS mark_off, coalesce(m.received_at, timestamptz '1970-01-01 00:00:00+00') AS mark_at, m.fence AS mark_fence
      FROM bus.partition_head h JOIN bus.consumer_offset p ON p.part = h.part AND p.grp = 'engine' LEFT JOIN observable.mark m ON m.part = h.part) l
CROSS JOIN LATERAL (
  SELECT f.part, f.off, f.received_at, f.body FROM bus.frames f
  WHERE l.fence = l.mark_fence AND f.part = l.part AND f.off > l.mark_off AND f.received_at >= l.mark_at
  UNION ALL
  SELECT f.part, f.off, f.received_at, f.body FROM bus.frames f
  WHERE l.fence IS DISTINCT FROM l.mark_fence AND f.part = l.part AND f.received_at >= l.mark_at AND (f.received_at, f.off) > (l.mark_at, l.mark_off)) e;

-- All of the index is made again, by the rules of that version: the marks go back to the beginning, and until they are up again questions read batches directly.
-- DELETE and not TRUNCATE: a question that is under way sees the index as it was.
CREATE FUNCTION observable.rebuild(p_rules int) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE observable.mark IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM observable.posting;
  DELETE FROM observable.segment;
  DELETE FROM observable.summary;
  UPDATE observable.mark SET off = 0, received_at = '1970-01-01 00:00:00+00', fence = NULL;
  UPDATE observable.state SET rules = p_rules;
END $$;
