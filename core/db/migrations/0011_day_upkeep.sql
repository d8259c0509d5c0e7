-- 0011 day upkeep: what autovacuum does to a day's tables.
-- Why: nothing in a day is ever updated or deleted, so there are no dead rows; what is left for autovacuum is marking pages as visible to all and counting for
--   the planner. By default it does both whenever a tenth or a fifth has been added: a day that fills is read again and again, each time more of it, while
--   producers wait for the same disk and cores.
-- Enforces: both are done when a day's table has doubled, so the work of a whole day is about two readings of it; also for what lies in its TOAST table.
-- Forbids: switching them off: a closed day must be frozen in the end, and index-only scans need its visibility map.
-- Danger: options of existing partitions change, under SHARE UPDATE EXCLUSIVE: writers and readers go on. A table that is being vacuumed is waited for.

CREATE FUNCTION ops.set_upkeep(p_child text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 1, autovacuum_analyze_scale_factor = 1, '
    'toast.autovacuum_vacuum_insert_scale_factor = 1)', p_child);
END $$;

CREATE OR REPLACE FUNCTION ops.ensure_partitions(p_from_day date, p_days int) RETURNS int
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
        PERFORM ops.set_upkeep(v_child);
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

DO $$
DECLARE
  v_child text;
BEGIN
  FOR v_child IN
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM ops.day_table t JOIN pg_namespace n ON n.nspname = t.schema_name
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname ~ ('^' || t.table_name || '_[0-9]{4}_[0-9]{2}_[0-9]{2}$')
    ORDER BY 1
  LOOP
    PERFORM ops.set_upkeep(v_child);
  END LOOP;
END $$;
