-- 0001 roles: the schemas, who owns them, and who may log in.
-- Why: what a module may touch is decided by the database itself (DB-2), so each has a role, and what it may not touch belongs to others.
-- Enforces: owners cannot log in; those who log in own nothing and can create nothing; nothing is open to PUBLIC, now or by default.
-- Forbids: passwords in this file (prepareDatabase sets generated ones), and a role for agents or probes: they have no way in.
-- Danger: none on a new database. Roles belong to the whole server: two systems that share one server share them.

DO $$
DECLARE
  v_role text;
BEGIN
  FOREACH v_role IN ARRAY ARRAY['ransomeye_bus_owner', 'ransomeye_data_owner', 'ransomeye_registry_owner', 'ransomeye_ops_owner', 'ransomeye_views_owner',
                                'ransomeye_gate', 'ransomeye_engine', 'ransomeye_registry', 'ransomeye_keeper', 'ransomeye_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = v_role) THEN
      EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE', v_role);
    END IF;
  END LOOP;
  -- An administrator who is no superuser (external servers) must be a member of the owners to hand objects over to them.
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    FOREACH v_role IN ARRAY ARRAY['ransomeye_bus_owner', 'ransomeye_data_owner', 'ransomeye_registry_owner', 'ransomeye_ops_owner', 'ransomeye_views_owner'] LOOP
      EXECUTE format('GRANT %I TO CURRENT_USER', v_role);
    END LOOP;
  END IF;
  -- The keeper of partitions makes and drops tables in both schemas; its functions act as ransomeye_ops_owner and nobody logs in as that.
  ALTER ROLE ransomeye_ops_owner INHERIT;
  GRANT ransomeye_bus_owner, ransomeye_data_owner TO ransomeye_ops_owner;
END $$;

-- Until the ownership matrix says more, a new function can be called by its owner alone. (PostgreSQL's own default is PUBLIC.)
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON SCHEMA public FROM PUBLIC;

CREATE SCHEMA bus AUTHORIZATION ransomeye_bus_owner;
CREATE SCHEMA data AUTHORIZATION ransomeye_data_owner;
CREATE SCHEMA registry AUTHORIZATION ransomeye_registry_owner;
CREATE SCHEMA views AUTHORIZATION ransomeye_views_owner;
-- Schema ops exists: the runner keeps its list of applied migrations there.

COMMENT ON SCHEMA bus IS 'The frame log, its heads, and the offsets of those who read it';
COMMENT ON SCHEMA data IS 'Rows that index the frames, dead letters, gaps, and the heads of the sink';
COMMENT ON SCHEMA registry IS 'Producers, their keys and certificates';
COMMENT ON SCHEMA ops IS 'Migrations, partitions, retention';
COMMENT ON SCHEMA views IS 'What readers may read';
