-- 0028 rebuild: a day's rows are made again from its signed batches, and take the place of those that are stored.
-- Why: a row is an index of bytes that were signed. A normaliser that was wrong, or rows that somebody has removed, are put right from the batches; nothing else can be.
-- Enforces: rows are made beside the day, in tables that nobody reads, and take its place in one transaction: who reads finds the old or the new ones, never both or half.
--   They are held against the batches before: each sequence number that was signed is a row, a dead letter or part of a gap, once. What was replaced is kept until somebody
--   lets it go; who did what is on record. The ledger's sums are moved with the rows: what became a row is a dead letter less, and the other way round.
-- Forbids: a day that is not over, that the engine has not stored completely, or that retention takes away; waiting for a table for longer than a moment.
-- Danger: new tables, functions and a role, one function replaced. No lock on a table of frames or rows, safe to run while the system is up.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ransomeye_rebuilder') THEN
    CREATE ROLE ransomeye_rebuilder NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE;
  END IF;
END $$;

-- Days beside which rows stand that are none of the log's any more, or not yet. ready: the new ones are complete; replaced: the old ones are kept.
-- day_tables: those in which anything differs; the others are as they were. sealed_xid: the transaction that made the new rows; who looks at an older moment does not see them.
-- frames_mark: where the day ended in each partition of the log when its batches were read.
CREATE TABLE ops.day_rebuild (
  day         date PRIMARY KEY,
  rebuild     bigint NOT NULL,
  state       text NOT NULL CHECK (state IN ('ready', 'replaced')),
  day_tables  text[] NOT NULL,
  sealed_xid  xid8 NOT NULL DEFAULT pg_current_xact_id(),
  frames_mark text NOT NULL,
  made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What the new rows of a day are beside the old ones. Of rows: same; reversioned (the same, by another version of the normaliser); changed (in these columns); recovered
-- (was a dead letter); missing (was nothing at all); refused (is a dead letter now); foreign (no batch explains it). Of dead letters and gaps: same, changed, new, gone.
-- events: how many; examples: of the first producers the first one.
CREATE TABLE ops.day_rebuild_finding (
  rebuild     bigint NOT NULL,
  table_name  text NOT NULL,
  kind        text NOT NULL,
  columns     text[] NOT NULL,
  version_was smallint,
  version_is  smallint,
  events      bigint NOT NULL,
  examples    text[] NOT NULL
);

-- What the ledger's sums have to be moved by when the day is replaced: dead letters that became rows, less rows that became dead letters.
CREATE TABLE ops.day_rebuild_sum (
  rebuild     bigint NOT NULL,
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  recovered   bigint NOT NULL,
  PRIMARY KEY (rebuild, producer_id, epoch)
);

-- Who has rebuilt which day.
CREATE TABLE ops.rebuild_record (
  id              bigint PRIMARY KEY CHECK (id > 0),
  rebuild         bigint NOT NULL,
  day             date NOT NULL,
  action          text NOT NULL CHECK (action IN ('replace', 'undo', 'discard')),
  actor           text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128 AND actor !~ '[[:cntrl:]]'),
  recorded_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  versions_before smallint[] NOT NULL,
  versions_after  smallint[] NOT NULL,
  rows_before     bigint NOT NULL,
  rows_after      bigint NOT NULL,
  rows_changed    bigint NOT NULL,
  dead_before     bigint NOT NULL,
  dead_after      bigint NOT NULL
);
SELECT ops.guard_table('ops.rebuild_record');

CREATE VIEW views.day_rebuilds AS
SELECT r.day, r.rebuild, r.state, r.day_tables, r.made_at FROM ops.day_rebuild r;
CREATE VIEW views.rebuild_findings AS
SELECT f.rebuild, f.table_name, f.kind, f.columns, f.version_was, f.version_is, f.events, f.examples FROM ops.day_rebuild_finding f;
CREATE VIEW views.rebuild_records AS
SELECT r.id, r.rebuild, r.day, r.action, r.actor, r.recorded_at, r.versions_before, r.versions_after, r.rows_before, r.rows_after, r.rows_changed, r.dead_before, r.dead_after
FROM ops.rebuild_record r;

-- Tables of rows that stand beside a day. rebuilt: they can be made again at any time; replaced: what was there before.
CREATE FUNCTION ops.aside_name(p_table text, p_kind text, p_day date) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT p_table || '_' || p_kind || to_char(p_day, '_YYYY_MM_DD') $$;

-- The tables that are made from batches, and what names a row of theirs.
CREATE FUNCTION ops.derived_tables() RETURNS TABLE (table_name text, row_key text[]) LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  VALUES ('event_dead_letters', ARRAY['producer_id', 'epoch', 'first_seq', 'count']), ('events_agent', ARRAY['producer_id', 'epoch', 'seq']),
    ('events_dpi', ARRAY['producer_id', 'epoch', 'seq']), ('events_honeypot', ARRAY['producer_id', 'epoch', 'seq']),
    ('gaps', ARRAY['producer_id', 'epoch', 'first_seq', 'count'])
$$;

-- The last entry of a day in each partition of the log.
CREATE FUNCTION ops.day_ends(p_day date) RETURNS TABLE (part int, off bigint, received_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT p.part, l.off, l.received_at FROM bus.partition_head p CROSS JOIN LATERAL (
    SELECT f.off, f.received_at FROM bus.frames f
    WHERE f.part = p.part AND f.received_at >= p_day::timestamp AT TIME ZONE 'UTC' AND f.received_at < (p_day + 1)::timestamp AT TIME ZONE 'UTC'
    ORDER BY f.off DESC LIMIT 1) l
$$;

CREATE FUNCTION ops.day_ends_mark(p_day date) RETURNS text LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(string_agg(e.part || ':' || e.off, ' ' ORDER BY e.part), '') FROM ops.day_ends(p_day) e $$;

-- Whether a day can be rebuilt: ready, today (it is not over), leaving (retention is about to remove it), gone (its batches are), unread (the engine has yet to store
-- some), detached (somebody has detached a table of it).
CREATE FUNCTION ops.rebuild_verdict(p_day date) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_end_us CONSTANT bigint := extract(epoch FROM (p_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000;
BEGIN
  RETURN CASE
    WHEN v_end_us > bus.clock_us() THEN 'today'
    WHEN EXISTS (SELECT FROM ops.day_removal r WHERE r.day = p_day) THEN 'leaving'
    WHEN NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = 'bus.frames'::regclass AND i.inhrelid = to_regclass('bus.' || ops.partition_name('frames', p_day)) AND NOT i.inhdetachpending)
      THEN 'gone'
    -- Of a log that lies elsewhere the entries here are those that became rows; the engine must be past the day, or at the log's end.
    WHEN EXISTS (
      SELECT FROM bus.partition_head p CROSS JOIN bus.state s LEFT JOIN bus.consumer_offset o ON o.part = p.part AND o.grp = 'engine'
      WHERE CASE WHEN s.log_elsewhere THEN coalesce(o.entry_received_us, 0) < v_end_us AND coalesce(o.off, 0) < p.off
        ELSE coalesce(o.off, p.low_off) < bus.seek(p.part, v_end_us) END) THEN 'unread'
    WHEN EXISTS (SELECT FROM ops.derived_tables() t WHERE NOT EXISTS (
      SELECT FROM pg_inherits i WHERE i.inhparent = ('data.' || t.table_name)::regclass AND i.inhrelid = to_regclass('data.' || ops.partition_name(t.table_name, p_day))
        AND NOT i.inhdetachpending)) THEN 'detached'
    ELSE 'ready' END;
END $$;

-- Under this lock a day's rows are made, replaced, put back or let go.
CREATE FUNCTION ops.rebuild_lock() RETURNS boolean LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_try_advisory_xact_lock(hashtextextended('ransomeye rebuild', 0)) $$;

-- Drops what stands beside a day of that kind.
CREATE FUNCTION ops.drop_aside(p_day date, p_kind text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
BEGIN
  FOR v_table IN SELECT t.table_name FROM ops.derived_tables() t ORDER BY 1 LOOP
    EXECUTE format('DROP TABLE IF EXISTS data.%I', ops.aside_name(v_table, p_kind, p_day));
  END LOOP;
END $$;

CREATE FUNCTION ops.forget_rebuild(p_day date) RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  DELETE FROM ops.day_rebuild_finding f USING ops.day_rebuild r WHERE r.day = p_day AND f.rebuild = r.rebuild;
  DELETE FROM ops.day_rebuild_sum s USING ops.day_rebuild r WHERE r.day = p_day AND s.rebuild = r.rebuild;
  DELETE FROM ops.day_rebuild r WHERE r.day = p_day;
$$;

-- Nothing is received in a day any more that is to be replaced, whatever the clock does. A call of its own: every append reads the row that it changes.
CREATE FUNCTION ops.rebuild_close_day(p_day date) RETURNS void LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  UPDATE bus.state s SET received_floor_us = extract(epoch FROM (p_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000
  WHERE p_day < (bus.to_time(bus.clock_us()) AT TIME ZONE 'UTC')::date
    AND s.received_floor_us < extract(epoch FROM (p_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000
$$;

-- Makes empty tables for a day's rows, which the caller fills in the same transaction: nobody else sees them, and a transaction that dies leaves nothing. Verdicts as
-- ops.rebuild_verdict says, and: busy (another rebuild is under way).
CREATE FUNCTION ops.rebuild_begin(p_day date, OUT verdict text, OUT rebuild bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET TimeZone = 'UTC' AS $$
DECLARE
  v_table text;
  v_name  text;
BEGIN
  verdict := CASE WHEN ops.rebuild_lock() THEN ops.rebuild_verdict(p_day) ELSE 'busy' END;
  IF verdict <> 'ready' THEN
    RETURN;
  END IF;
  -- The lock is held until this transaction ends, so nobody else takes the number.
  SELECT 1 + greatest((SELECT max(r.rebuild) FROM ops.day_rebuild r), (SELECT max(r.rebuild) FROM ops.rebuild_record r), 0) INTO rebuild_begin.rebuild;
  FOR v_table IN SELECT t.table_name FROM ops.derived_tables() t ORDER BY 1 LOOP
    v_name := ops.aside_name(v_table, 'rebuilt', p_day);
    -- In this schema until it is complete: the caller may use it.
    EXECUTE format('CREATE TABLE ops.%I (LIKE data.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING INDEXES, '
      'CONSTRAINT day CHECK (received_at IS NOT NULL AND received_at >= timestamptz %L AND received_at < timestamptz %L))', v_name, v_table,
      to_char(p_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(p_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
    EXECUTE format('GRANT INSERT ON ops.%I TO ransomeye_rebuilder', v_name);
  END LOOP;
END $$;

-- Holds the new rows of a day against those that are stored; what is found stands in views.rebuild_findings, for this transaction and what it commits.
CREATE FUNCTION ops.rebuild_compare(p_day date, p_rebuild bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' SET jit = 'off' SET work_mem = '64MB' SET enable_nestloop = 'off' AS $$
DECLARE
  c_examples CONSTANT int := 3;
  c_dead     CONSTANT text := 'SELECT DISTINCT d.producer_id, d.epoch, s AS seq FROM %s d CROSS JOIN generate_series(d.first_seq, d.first_seq + d.count - 1) AS s';
  v_table    record;
  v_rows     boolean;
  v_old      text;
  v_new      text;
  v_differs  text;
  v_key      text;
  v_on       text;
  v_nth      text;
  v_doubled  boolean;
BEGIN
  FOR v_table IN SELECT * FROM ops.derived_tables() t ORDER BY t.table_name LOOP
    v_rows := 'seq' = ANY (v_table.row_key);
    v_old := format('data.%I', ops.partition_name(v_table.table_name, p_day));
    v_new := format('ops.%I', ops.aside_name(v_table.table_name, 'rebuilt', p_day));
    SELECT string_agg(format('CASE WHEN o.%1$I IS DISTINCT FROM n.%1$I THEN %1$L END', a.attname), ', ' ORDER BY a.attnum) INTO v_differs
    FROM pg_attribute a WHERE a.attrelid = v_new::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attname <> ALL (v_table.row_key) AND a.attname <> 'normaliser_version';
    SELECT string_agg('t.' || k, ', '), string_agg(format('n.%1$I = o.%1$I', k), ' AND ') INTO v_key, v_on FROM unnest(v_table.row_key) AS k;
    EXECUTE format('ANALYZE %s', v_new);
    -- Two rows of one event are told apart by a number, which costs a sort of all rows: only where there are any.
    EXECUTE format('SELECT EXISTS (SELECT FROM %1$s t GROUP BY %3$s HAVING count(*) > 1) OR EXISTS (SELECT FROM %2$s t GROUP BY %3$s HAVING count(*) > 1)', v_old, v_new, v_key)
      INTO v_doubled;
    v_nth := CASE WHEN v_doubled THEN format('row_number() OVER (PARTITION BY %s)', v_key) ELSE '1::bigint' END;
    EXECUTE format($sql$
      WITH was AS MATERIALIZED (%5$s), becomes AS MATERIALIZED (%6$s), pair AS (
        SELECT coalesce(n.producer_id, o.producer_id) AS producer_id, coalesce(n.epoch, o.epoch) AS epoch, coalesce(n.%7$I, o.%7$I) AS seq,
               o.nth IS NULL AS only_new, n.nth IS NULL AS only_old, %8$s AS version_was, %9$s AS version_is,
               CASE WHEN o.nth IS NULL OR n.nth IS NULL THEN '{}' ELSE array_remove(ARRAY[%3$s]::text[], NULL) END AS columns
        FROM (SELECT t.*, %4$s AS nth FROM %1$s t) o
        FULL JOIN (SELECT t.*, %4$s AS nth FROM %2$s t) n ON %10$s AND n.nth = o.nth
        -- So that columns are compared once for each row, not wherever the result is used.
        OFFSET 0
      ), judged AS (
        SELECT p.producer_id, p.epoch, p.seq, p.version_was, p.version_is, p.columns,
               CASE WHEN p.only_new THEN CASE WHEN NOT %11$L THEN 'new' WHEN w.seq IS NULL THEN 'missing' ELSE 'recovered' END
                    WHEN p.only_old THEN CASE WHEN NOT %11$L THEN 'gone' WHEN b.seq IS NULL THEN 'foreign' ELSE 'refused' END
                    WHEN p.columns <> '{}' THEN 'changed'
                    WHEN p.version_was <> p.version_is THEN 'reversioned' ELSE 'same' END AS kind
        FROM pair p
        LEFT JOIN was w ON p.only_new AND w.producer_id = p.producer_id AND w.epoch = p.epoch AND w.seq = p.seq
        LEFT JOIN becomes b ON p.only_old AND b.producer_id = p.producer_id AND b.epoch = p.epoch AND b.seq = p.seq
      ), found AS MATERIALIZED (
        SELECT j.producer_id, j.epoch, j.kind, j.columns, j.version_was, j.version_is, count(*) AS events, min(j.seq) AS first_seq
        FROM judged j GROUP BY 1, 2, 3, 4, 5, 6
      ), sums AS (
        INSERT INTO ops.day_rebuild_sum AS s (rebuild, producer_id, epoch, recovered)
        SELECT $1, f.producer_id, f.epoch, sum(CASE f.kind WHEN 'recovered' THEN f.events ELSE -f.events END) FROM found f
        WHERE f.kind IN ('recovered', 'refused') GROUP BY f.producer_id, f.epoch
        ON CONFLICT ON CONSTRAINT day_rebuild_sum_pkey DO UPDATE SET recovered = s.recovered + excluded.recovered
      )
      INSERT INTO ops.day_rebuild_finding (rebuild, table_name, kind, columns, version_was, version_is, events, examples)
      SELECT $1, $2, f.kind, f.columns, f.version_was, f.version_is, sum(f.events),
             (array_agg(format('%%s:%%s:%%s', f.producer_id, f.epoch, f.first_seq) ORDER BY f.producer_id, f.epoch))[1:$3]
      FROM found f GROUP BY f.kind, f.columns, f.version_was, f.version_is$sql$,
      v_old, v_new, v_differs, v_nth,
      CASE WHEN v_rows THEN format(c_dead, format('data.%I', ops.partition_name('event_dead_letters', p_day)))
        ELSE 'SELECT NULL::uuid AS producer_id, NULL::bigint AS epoch, NULL::bigint AS seq WHERE false' END,
      CASE WHEN v_rows THEN format(c_dead, format('ops.%I', ops.aside_name('event_dead_letters', 'rebuilt', p_day)))
        ELSE 'SELECT NULL::uuid AS producer_id, NULL::bigint AS epoch, NULL::bigint AS seq WHERE false' END,
      CASE WHEN v_rows THEN 'seq' ELSE 'first_seq' END,
      CASE WHEN v_rows THEN 'o.normaliser_version' ELSE 'NULL::smallint' END,
      CASE WHEN v_rows THEN 'n.normaliser_version' ELSE 'NULL::smallint' END,
      v_on, v_rows)
    USING p_rebuild, v_table.table_name, c_examples;
  END LOOP;
END $$;

-- Sums over the numbers of a range, and of their squares.
CREATE FUNCTION ops.range_sum(p_first bigint, p_count int) RETURNS numeric LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT p_count * p_first::numeric + p_count * (p_count - 1::numeric) / 2 $$;
CREATE FUNCTION ops.range_squares(p_first bigint, p_count int) RETURNS numeric LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT p_count * p_first::numeric * p_first + p_first::numeric * p_count * (p_count - 1) + (p_count - 1::numeric) * p_count * (2 * p_count::numeric - 1) / 6 $$;

-- Ends the making: holds the new rows against the batches, takes away the caller's right, and puts aside what differs from the day. false: nothing does, or the rows of
-- an earlier rebuild are still kept; the caller rolls back. RB004: batches of the day are not those that rows were made of. RB005: the rows are not those of the batches.
CREATE FUNCTION ops.rebuild_seal(p_day date, p_rebuild bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_differ text[];
  v_table  text;
  v_name   text;
  v_index  oid;
  v_epochs bigint;
  v_strays bigint;
  v_rest   text := '';
BEGIN
  SELECT coalesce(array_agg(DISTINCT f.table_name ORDER BY f.table_name), '{}') INTO v_differ FROM ops.day_rebuild_finding f WHERE f.rebuild = p_rebuild AND f.kind <> 'same';
  IF v_differ = '{}' OR EXISTS (SELECT FROM ops.day_rebuild r WHERE r.day = p_day AND r.state = 'replaced') THEN
    RETURN false;
  END IF;
  SELECT string_agg(format(CASE WHEN 'seq' = ANY (t.row_key) THEN ' UNION ALL SELECT producer_id, epoch, -count(*), -sum(seq), -sum(seq::numeric * seq) FROM ops.%I GROUP BY 1, 2'
      ELSE ' UNION ALL SELECT producer_id, epoch, -sum(count), -sum(ops.range_sum(first_seq, count)), -sum(ops.range_squares(first_seq, count)) FROM ops.%I GROUP BY 1, 2' END,
    ops.aside_name(t.table_name, 'rebuilt', p_day)), '') INTO v_rest FROM ops.derived_tables() t;
  EXECUTE format($sql$
    SELECT count(*) FROM (
      SELECT FROM (
        SELECT producer_id, epoch, sum(count) AS seqs, sum(ops.range_sum(first_seq, count)) AS seq_sum, sum(ops.range_squares(first_seq, count)) AS squares
        FROM bus.%I GROUP BY 1, 2%s) p
      GROUP BY p.producer_id, p.epoch HAVING sum(p.seqs) <> 0 OR sum(p.seq_sum) <> 0 OR sum(p.squares) <> 0) x$sql$, ops.partition_name('frames', p_day), v_rest)
    INTO v_epochs;
  -- Batches that a log held when it was given up are no part of the history, and look like batches whose rows somebody has removed. Their producers have sent them again.
  IF EXISTS (SELECT FROM ops.day_rebuild_finding f WHERE f.rebuild = p_rebuild AND f.kind IN ('missing', 'new')) THEN
    EXECUTE format($sql$
      SELECT count(*) FROM bus.%I f
      LEFT JOIN data.sink_head h ON h.producer_id = f.producer_id AND h.epoch = f.epoch
      LEFT JOIN data.sink_epochs e ON e.producer_id = f.producer_id AND e.epoch = f.epoch
      WHERE f.first_seq + f.count - 1 > coalesce(h.seq, e.final_seq, 0) OR EXISTS (
        SELECT FROM bus.frames g WHERE g.producer_id = f.producer_id AND g.epoch = f.epoch AND g.first_seq >= f.first_seq AND g.first_seq < f.first_seq + f.count
          AND g.received_at >= $1 AND (g.part, g.off, g.received_at) <> (f.part, f.off, f.received_at))$sql$, ops.partition_name('frames', p_day))
      INTO v_strays USING p_day::timestamp AT TIME ZONE 'UTC';
    IF v_strays > 0 THEN
      RAISE EXCEPTION '% batches of % are beside the history that rows were made of', v_strays, p_day USING ERRCODE = 'RB004';
    END IF;
  END IF;
  IF v_epochs > 0 THEN
    RAISE EXCEPTION 'what was made of % is not each sequence number of its batches, once: % epochs differ', p_day, v_epochs USING ERRCODE = 'RB005';
  END IF;
  -- What an interrupted rebuild has left.
  PERFORM ops.drop_aside(p_day, 'rebuilt');
  PERFORM ops.forget_rebuild(p_day);
  FOR v_table IN SELECT t.table_name FROM ops.derived_tables() t ORDER BY 1 LOOP
    v_name := ops.aside_name(v_table, 'rebuilt', p_day);
    IF v_table <> ALL (v_differ) THEN
      EXECUTE format('DROP TABLE ops.%I', v_name);
      CONTINUE;
    END IF;
    EXECUTE format('REVOKE ALL ON ops.%I FROM ransomeye_rebuilder', v_name);
    EXECUTE format('ALTER TABLE ops.%I SET SCHEMA data', v_name);
    EXECUTE format('ALTER TABLE data.%I OWNER TO ransomeye_data_owner', v_name);
    PERFORM ops.set_upkeep(format('data.%I', v_name));
    -- A vacuum of it would be in the way of the exchange.
    EXECUTE format('ALTER TABLE data.%I SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)', v_name);
    FOR v_index IN SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = format('data.%I', v_name)::regclass LOOP
      PERFORM brin_summarize_new_values(v_index::regclass);
    END LOOP;
  END LOOP;
  INSERT INTO ops.day_rebuild (day, rebuild, state, day_tables, frames_mark) VALUES (p_day, p_rebuild, 'ready', v_differ, ops.day_ends_mark(p_day));
  RETURN true;
END $$;

-- Puts a table that stands beside a day into its place, and what was there beside it. Its indexes go with it, under the names that they replace.
CREATE FUNCTION ops.exchange_day(p_table text, p_day date, p_in text, p_out text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
  v_day   CONSTANT text := ops.partition_name(p_table, p_day);
  v_from  CONSTANT text := to_char(p_day, 'YYYY-MM-DD') || ' 00:00:00+00';
  v_to    CONSTANT text := to_char(p_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00';
  v_move  record;
  v_index record;
BEGIN
  EXECUTE format('ALTER TABLE data.%I DETACH PARTITION data.%I', p_table, v_day);
  FOR v_move IN SELECT * FROM (VALUES (1, v_day, ops.aside_name(p_table, p_out, p_day)), (2, ops.aside_name(p_table, p_in, p_day), v_day)) AS m (n, was, becomes) ORDER BY n LOOP
    EXECUTE format('ALTER TABLE data.%I RENAME TO %I', v_move.was, v_move.becomes);
    FOR v_index IN
      SELECT c.relname AS was, v_move.becomes || substr(c.relname, length(v_move.was) + 1) AS becomes FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE i.indrelid = format('data.%I', v_move.becomes)::regclass AND starts_with(c.relname, v_move.was)
    LOOP
      EXECUTE format('ALTER INDEX data.%I RENAME TO %I', v_index.was, v_index.becomes);
    END LOOP;
  END LOOP;
  -- It says already what the bounds will say, so nothing is read for it.
  EXECUTE format('ALTER TABLE data.%I ATTACH PARTITION data.%I FOR VALUES FROM (%L) TO (%L)', p_table, v_day, v_from, v_to);
  EXECUTE format('ALTER TABLE data.%I DROP CONSTRAINT day', v_day);
  EXECUTE format('ALTER TABLE data.%I RESET (autovacuum_enabled, toast.autovacuum_enabled)', v_day);
  -- For the way back; ops.rebuild_check_kept looks whether it is true.
  EXECUTE format('ALTER TABLE data.%I ADD CONSTRAINT day CHECK (received_at IS NOT NULL AND received_at >= timestamptz %L AND received_at < timestamptz %L) NOT VALID',
    ops.aside_name(p_table, p_out, p_day), v_from, v_to);
END $$;

-- What the sums and the record say of a rebuild that is done, or done back.
CREATE FUNCTION ops.account_rebuild(p_day date, p_rebuild bigint, p_action text, p_actor text) RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
  WITH direction AS (
    SELECT CASE p_action WHEN 'replace' THEN 1 WHEN 'undo' THEN -1 ELSE 0 END AS sign
  ), moved AS (
    UPDATE ops.ledger_sum l SET stored = l.stored + d.sign * s.recovered, dead_lettered = l.dead_lettered - d.sign * s.recovered
    FROM ops.day_rebuild_sum s CROSS JOIN direction d
    WHERE d.sign <> 0 AND s.rebuild = p_rebuild AND s.recovered <> 0 AND l.producer_id = s.producer_id AND l.epoch = s.epoch
  ), counted AS (
    SELECT coalesce(sum(f.events) FILTER (WHERE f.table_name ^@ 'events' AND f.kind IN ('same', 'reversioned', 'changed', 'refused', 'foreign')), 0) AS rows_was,
           coalesce(sum(f.events) FILTER (WHERE f.table_name ^@ 'events' AND f.kind IN ('same', 'reversioned', 'changed', 'recovered', 'missing')), 0) AS rows_is,
           coalesce(sum(f.events) FILTER (WHERE f.table_name ^@ 'events' AND f.kind NOT IN ('same', 'reversioned')), 0) AS changed,
           coalesce(sum(f.events) FILTER (WHERE f.table_name = 'event_dead_letters' AND f.kind <> 'new'), 0) AS dead_was,
           coalesce(sum(f.events) FILTER (WHERE f.table_name = 'event_dead_letters' AND f.kind <> 'gone'), 0) AS dead_is,
           coalesce(array_agg(DISTINCT f.version_was ORDER BY f.version_was) FILTER (WHERE f.version_was IS NOT NULL), '{}') AS versions_was,
           coalesce(array_agg(DISTINCT f.version_is ORDER BY f.version_is) FILTER (WHERE f.version_is IS NOT NULL), '{}') AS versions_is
    FROM ops.day_rebuild_finding f WHERE f.rebuild = p_rebuild
  )
  INSERT INTO ops.rebuild_record (id, rebuild, day, action, actor, versions_before, versions_after, rows_before, rows_after, rows_changed, dead_before, dead_after)
  SELECT coalesce((SELECT max(r.id) FROM ops.rebuild_record r), 0) + 1, p_rebuild, p_day, p_action, p_actor,
         CASE d.sign WHEN 1 THEN c.versions_was ELSE c.versions_is END, CASE d.sign WHEN -1 THEN c.versions_was ELSE c.versions_is END,
         CASE d.sign WHEN 1 THEN c.rows_was ELSE c.rows_is END, CASE d.sign WHEN -1 THEN c.rows_was ELSE c.rows_is END, abs(d.sign) * c.changed,
         CASE d.sign WHEN 1 THEN c.dead_was ELSE c.dead_is END, CASE d.sign WHEN -1 THEN c.dead_was ELSE c.dead_is END
  FROM counted c CROSS JOIN direction d
$$;

-- Puts the new rows of a day into its place (undo: the old ones back), in one transaction, with the ledger's sums and the record. What becomes of it: done; none (nothing
-- stands beside the day, or another rebuild does); waiting (somebody looks at a moment before the new rows were there, and would find none); unfolded (the sums do not have
-- all of the day yet: ops.ledger_fold); moved (the day has entries that were not read); busy; or as ops.rebuild_verdict says. 55P03: somebody holds a table, try again: no
-- waiting is longer than that of an ordinary statement behind a lock.
CREATE FUNCTION ops.rebuild_replace(p_day date, p_rebuild bigint, p_undo boolean, p_actor text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '250ms' AS $$
DECLARE
  v_rebuild ops.day_rebuild;
  v_verdict text;
  v_table   text;
BEGIN
  IF NOT ops.rebuild_lock() THEN
    RETURN 'busy';
  END IF;
  -- In this order, as everybody: no day is counted, made or folded meanwhile.
  PERFORM ops.retention_lock();
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye partitions', 0));
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye ledger', 0));
  SELECT * INTO v_rebuild FROM ops.day_rebuild r WHERE r.day = p_day AND r.rebuild = p_rebuild AND r.state = CASE WHEN p_undo THEN 'replaced' ELSE 'ready' END;
  IF NOT FOUND THEN
    RETURN 'none';
  END IF;
  v_verdict := ops.rebuild_verdict(p_day);
  IF v_verdict <> 'ready' THEN
    RETURN v_verdict;
  END IF;
  IF EXISTS (SELECT FROM ops.day_ends(p_day) e LEFT JOIN ops.ledger_mark m USING (part) WHERE coalesce((m.received_at, m.off) < (e.received_at, e.off), true)) THEN
    RETURN 'unfolded';
  END IF;
  -- A vacuum has a snapshot too, and reads no rows by it.
  IF EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND age(a.backend_xmin) >= age(v_rebuild.sealed_xid::xid)
      AND a.pid NOT IN (SELECT v.pid FROM pg_stat_progress_vacuum v)) THEN
    RETURN 'waiting';
  END IF;
  -- The tables first, then their day: who has a day has its table.
  FOREACH v_table IN ARRAY v_rebuild.day_tables LOOP
    EXECUTE format('LOCK TABLE ONLY data.%I IN ACCESS EXCLUSIVE MODE', v_table);
  END LOOP;
  -- The engine writes no row now.
  IF ops.day_ends_mark(p_day) <> v_rebuild.frames_mark THEN
    RETURN 'moved';
  END IF;
  FOREACH v_table IN ARRAY v_rebuild.day_tables LOOP
    PERFORM ops.exchange_day(v_table, p_day, CASE WHEN p_undo THEN 'replaced' ELSE 'rebuilt' END, CASE WHEN p_undo THEN 'rebuilt' ELSE 'replaced' END);
  END LOOP;
  PERFORM ops.account_rebuild(p_day, p_rebuild, CASE WHEN p_undo THEN 'undo' ELSE 'replace' END, p_actor);
  IF p_undo THEN
    PERFORM ops.drop_aside(p_day, 'rebuilt');
    PERFORM ops.forget_rebuild(p_day);
  ELSE
    UPDATE ops.day_rebuild r SET state = 'replaced' WHERE r.day = p_day;
  END IF;
  RETURN 'done';
END $$;

-- Reads what is kept, so that it can be put back without anybody waiting for the reading.
CREATE FUNCTION ops.rebuild_check_kept(p_day date) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET TimeZone = 'UTC' AS $$
DECLARE
  v_table text;
BEGIN
  FOR v_table IN SELECT unnest(r.day_tables) FROM ops.day_rebuild r WHERE r.day = p_day AND r.state = 'replaced' LOOP
    EXECUTE format('ALTER TABLE data.%I VALIDATE CONSTRAINT day', ops.aside_name(v_table, 'replaced', p_day));
  END LOOP;
END $$;

-- Lets go what stands beside a day: rows that were replaced, or that were made and never put into place. discarded; none; held (a legal hold keeps the day, and what it
-- was before); busy.
CREATE FUNCTION ops.rebuild_discard(p_day date, p_actor text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_rebuild ops.day_rebuild;
BEGIN
  IF NOT ops.rebuild_lock() THEN
    RETURN 'busy';
  END IF;
  PERFORM ops.retention_lock();
  SELECT * INTO v_rebuild FROM ops.day_rebuild r WHERE r.day = p_day;
  IF NOT FOUND THEN
    RETURN 'none';
  END IF;
  IF v_rebuild.state = 'replaced' THEN
    IF ops.day_holds(p_day) <> '{}' THEN
      RETURN 'held';
    END IF;
    PERFORM ops.account_rebuild(p_day, v_rebuild.rebuild, 'discard', p_actor);
  END IF;
  PERFORM ops.drop_aside(p_day, 'rebuilt');
  PERFORM ops.drop_aside(p_day, 'replaced');
  PERFORM ops.forget_rebuild(p_day);
  RETURN 'discarded';
END $$;

-- As since 0025; and what stands beside the day goes with it.
CREATE OR REPLACE FUNCTION ops.finish_removal(OUT day date, OUT bytes bigint, OUT policy text, OUT counted_at timestamptz, OUT tables_left int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_table ops.day_table;
  v_child regclass;
BEGIN
  SELECT r.day, r.bytes, r.policy, r.counted_at INTO finish_removal.day, finish_removal.bytes, finish_removal.policy, finish_removal.counted_at
  FROM ops.day_removal r FOR UPDATE;
  tables_left := 0;
  IF finish_removal.day IS NULL THEN
    RETURN;
  END IF;
  PERFORM ops.drop_aside(finish_removal.day, 'rebuilt');
  PERFORM ops.drop_aside(finish_removal.day, 'replaced');
  PERFORM ops.forget_rebuild(finish_removal.day);
  FOR v_table IN SELECT * FROM ops.day_table t ORDER BY t.schema_name, t.table_name LOOP
    v_child := to_regclass(format('%I.%I', v_table.schema_name, ops.partition_name(v_table.table_name, finish_removal.day)));
    CONTINUE WHEN v_child IS NULL;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = v_child) THEN
      tables_left := tables_left + 1;
    ELSE
      EXECUTE format('DROP TABLE %s', v_child);
    END IF;
  END LOOP;
  IF tables_left = 0 THEN
    DELETE FROM ops.day_removal;
  END IF;
END $$;
