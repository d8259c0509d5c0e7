-- 0021 append-only: what has been written as evidence is changed by nobody, whatever rights somebody has.
-- Why: rights say what a role may do, and an owner or administrator may do everything by mistake; a statement that would change evidence has to fail as well (DB-3).
-- Enforces: UPDATE, DELETE and TRUNCATE of these tables and of each of their days end in 42501, for owners and superusers too, also in a session that plays replica.
--   Retention drops whole days, which is DDL; each is counted first (R-19).
-- Forbids: nothing to INSERT and COPY: no trigger of theirs, so no cost for rows.
-- Danger: SHARE ROW EXCLUSIVE on each of these tables and days, one after the other: writers wait for milliseconds.

CREATE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION '%.% is append-only: % is refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP USING ERRCODE = '42501',
    HINT = 'Retention drops whole days. Whoever has to repair rows disables the trigger, and ransomeye db audit tells of it.';
END $$;

-- ALWAYS: a session that plays replica passes ordinary triggers over.
CREATE FUNCTION ops.guard_table(p_table text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION ops.refuse_change()', p_table);
  EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only', p_table);
END $$;

-- What a day's table has that its parent does not hand down.
CREATE OR REPLACE FUNCTION ops.set_upkeep(p_child text) RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_insert_scale_factor = 1, autovacuum_analyze_scale_factor = 1, '
    'toast.autovacuum_vacuum_insert_scale_factor = 1)', p_child);
  -- A trigger of a statement is each table's own.
  PERFORM ops.guard_table(p_child);
END $$;

DROP TRIGGER append_only ON bus.dead_letter_action;
DROP FUNCTION bus.refuse_change();

DO $$
DECLARE
  v_table text;
BEGIN
  FOR v_table IN
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM ops.day_table t JOIN pg_namespace n ON n.nspname = t.schema_name
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname ~ ('^' || t.table_name || '(_[0-9]{4}_[0-9]{2}_[0-9]{2})?$')
    UNION ALL
    SELECT unnest(ARRAY['bus.dead_letter_action', 'data.sink_epochs', 'registry.audit', 'registry.token_uses', 'ops.migration'])
    ORDER BY 1
  LOOP
    PERFORM ops.guard_table(v_table);
  END LOOP;
END $$;
