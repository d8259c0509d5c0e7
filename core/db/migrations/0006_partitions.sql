-- 0006 partitions: days are made ahead, found out about, and dropped.
-- Why: a missing day stops the intake (R-16), a full disk stops everything (R-33); both are the keeper's to prevent, without any table right.
-- Enforces: UTC bounds in every session time zone (R-29); a partition is made standalone with a CHECK of its bounds and then attached, which
--   neither scans nor blocks writers; waits are bounded by lock_timeout; a day is dropped only when every group has read past it, and what
--   is dropped is counted first (R-19).
-- Forbids: a DEFAULT partition (attaching to it would scan it under a lock); dropping today; dropping what somebody has yet to read.
-- Danger: new functions and one small table. No lock on a table in use, safe to run while the system is up.

-- Tables partitioned by received day. Another migration may add to them.
CREATE TABLE ops.day_table (
  schema_name text NOT NULL,
  table_name  text NOT NULL,
  PRIMARY KEY (schema_name, table_name)
);
INSERT INTO ops.day_table (schema_name, table_name) VALUES
  ('bus', 'frames'), ('data', 'events_dpi'), ('data', 'events_agent'), ('data', 'events_honeypot'), ('data', 'event_dead_letters'), ('data', 'gaps');

CREATE FUNCTION ops.partition_name(p_table text, p_day date) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT p_table || to_char(p_day, '_YYYY_MM_DD') $$;

-- Makes the missing partitions of `p_days` days from `p_from_day` on; says how many. Whoever comes second waits for the first, bounded,
-- and finds everything made. 55P03: a lock was not to be had in time, nothing was made, try again.
CREATE FUNCTION ops.ensure_partitions(p_from_day date, p_days int) RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET TimeZone = 'UTC' AS $$
DECLARE
  c_days_max CONSTANT int := 400;
  v_made   int := 0;
  v_table  ops.day_table;
  v_day    date;
  v_parent text;
  v_child  text;
  v_check  text;
BEGIN
  IF p_days NOT BETWEEN 1 AND c_days_max OR p_from_day IS NULL THEN
    RAISE EXCEPTION 'from 1 to % days at once', c_days_max USING ERRCODE = '22023';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye partitions', 0));
  FOR v_table IN SELECT * FROM ops.day_table t ORDER BY t.schema_name, t.table_name LOOP
    v_parent := format('%I.%I', v_table.schema_name, v_table.table_name);
    FOR v_day IN SELECT p_from_day + n FROM generate_series(0, p_days - 1) AS n LOOP
      v_child := format('%I.%I', v_table.schema_name, ops.partition_name(v_table.table_name, v_day));
      CONTINUE WHEN EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(v_child) AND i.inhparent = v_parent::regclass AND NOT i.inhdetachpending);
      v_check := format('received_at IS NOT NULL AND received_at >= timestamptz %L AND received_at < timestamptz %L',
        to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
      IF to_regclass(v_child) IS NULL THEN
        EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION, CONSTRAINT day CHECK (%s))',
          v_child, v_parent, v_check);
        EXECUTE format('ALTER TABLE %s OWNER TO %I', v_child, 'ransomeye_' || v_table.schema_name || '_owner');
      ELSE
        -- A day that was detached and never dropped.
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS day, ADD CONSTRAINT day CHECK (%s)', v_child, v_check);
      END IF;
      EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', v_parent, v_child,
        to_char(v_day, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(v_day + 1, 'YYYY-MM-DD') || ' 00:00:00+00');
      -- The bounds now say the same, and cost nothing per row.
      EXECUTE format('ALTER TABLE %s DROP CONSTRAINT day', v_child);
      v_made := v_made + 1;
    END LOOP;
  END LOOP;
  RETURN v_made;
END $$;

-- Days that exist, with their sizes. `attached` is false for what an interrupted removal has left behind.
CREATE FUNCTION ops.day_sizes() RETURNS TABLE (day date, table_name text, bytes bigint, attached boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT to_date(right(c.relname, 10), 'YYYY_MM_DD'), t.schema_name || '.' || t.table_name, pg_total_relation_size(c.oid),
         EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid AND NOT i.inhdetachpending)
  FROM ops.day_table t
  JOIN pg_namespace n ON n.nspname = t.schema_name
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r'
    AND c.relname ~ ('^' || t.table_name || '_[0-9]{4}_[0-9]{2}_[0-9]{2}$')
  ORDER BY 1, 2
$$;

-- Finishes what an interrupted DETACH CONCURRENTLY has left half done (R-16); says how many. The tables stay, detached.
CREATE FUNCTION ops.finish_detaches() RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_pending record;
  v_done    int := 0;
BEGIN
  FOR v_pending IN
    SELECT i.inhparent::regclass AS parent, i.inhrelid::regclass AS child FROM pg_inherits i
    JOIN ops.day_table t ON i.inhparent = to_regclass(format('%I.%I', t.schema_name, t.table_name)) WHERE i.inhdetachpending
  LOOP
    EXECUTE format('ALTER TABLE %s DETACH PARTITION %s FINALIZE', v_pending.parent, v_pending.child);
    v_done := v_done + 1;
  END LOOP;
  RETURN v_done;
END $$;

-- Adds what a day holds to ops.expired. Apart from the dropping, so that each of the two is short to read.
CREATE FUNCTION ops.count_day(p_day date) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_from CONSTANT timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_to   CONSTANT timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  INSERT INTO ops.expired AS x (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum)
  SELECT f.producer_id, f.epoch, sum(f.stored), sum(f.dead_lettered), sum(f.gap_declared), sum(f.seq_sum)
  FROM (
    SELECT producer_id, epoch, count(*) AS stored, 0 AS dead_lettered, 0 AS gap_declared, sum(seq) AS seq_sum
      FROM data.events_dpi WHERE received_at >= v_from AND received_at < v_to GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq)
      FROM data.events_agent WHERE received_at >= v_from AND received_at < v_to GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq)
      FROM data.events_honeypot WHERE received_at >= v_from AND received_at < v_to GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, sum(count), 0, sum(count * first_seq::numeric + count * (count - 1::numeric) / 2)
      FROM data.event_dead_letters WHERE received_at >= v_from AND received_at < v_to GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, 0, sum(count), sum(count * first_seq::numeric + count * (count - 1::numeric) / 2)
      FROM data.gaps WHERE received_at >= v_from AND received_at < v_to GROUP BY producer_id, epoch
  ) f
  GROUP BY f.producer_id, f.epoch
  ORDER BY f.producer_id, f.epoch
  ON CONFLICT (producer_id, epoch) DO UPDATE SET stored = x.stored + excluded.stored, dead_lettered = x.dead_lettered + excluded.dead_lettered,
    gap_declared = x.gap_declared + excluded.gap_declared, seq_sum = x.seq_sum + excluded.seq_sum;
END $$;

-- Drops one day of all tables; gives the bytes freed, or NULL if the day must stay: it is not over, or the log's low marks (moved up by
-- bus.trim_day, never past what a group has yet to read) have not passed it. 55P03: try again.
-- It counts first, under no lock that anybody waits for; the partitions' removal then takes the tables for a moment.
CREATE FUNCTION ops.drop_day(p_day date) RETURNS bigint
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
