-- 0029 renewal does not wait: an engine that prolongs its leases leaves alone what its own row transactions hold; what stands still past its lease can be ended.
-- Why: a row transaction holds the places of its partitions until its commit, and a renewal waited for each of them; while it waited it held others, and the next row
--   transaction waited for those. Nothing was lost by it, but under load everybody stood behind the slowest COPY. And an engine that is stopped in the middle of a COPY,
--   or whose host is cut off, held its partitions for as long as it stood: while PostgreSQL waits for a client's bytes no timeout of a statement or transaction strikes.
-- Enforces: a renewal waits only where it must: for partitions that it has to give up, and for a lease of which less than half is left. A row transaction prolongs the
--   leases that it holds itself (core/engine/src/sink_statements.ts). Rows are locked in ascending order where they are waited for, as the row transaction locks them.
-- Forbids: ending anybody here: the caller may end sessions of its own role, and no others.
-- Danger: one function replaced, one new. No lock on a table, safe to run while the system is up: an engine of the release before does not prolong in its row transaction, and
--   then its renewal waits as before, every second time.

-- As since 0002; and what somebody's transaction holds is told as kept, with the place that was committed last, unless a wait is due.
CREATE OR REPLACE FUNCTION bus.group_renew(p_group text, p_member text, p_parts int[], p_tokens bigint[], p_lease_ms int)
RETURNS SETOF bus.lease_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lease  CONSTANT interval := p_lease_ms * interval '1 millisecond';
  v_until  CONSTANT timestamptz := clock_timestamp() + v_lease;
  v_mine   int[];
  v_locked int[];
  v_ends   timestamptz;
  v_quota  int;
BEGIN
  UPDATE bus.group_member m SET lease_until = v_until WHERE m.grp = p_group AND m.member = p_member;
  IF NOT FOUND THEN
    INSERT INTO bus.group_member (grp, member, lease_until, parts_max) VALUES (p_group, p_member, v_until, cardinality(p_parts))
    ON CONFLICT (grp, member) DO UPDATE SET lease_until = excluded.lease_until;
  END IF;
  v_quota := bus.group_quota(p_group, p_member);
  SELECT coalesce(array_agg(o.part), '{}'), min(o.lease_until) INTO v_mine, v_ends
  FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
  WHERE o.grp = p_group AND o.owner = p_member;
  IF cardinality(v_mine) > v_quota OR v_ends < v_until - v_lease / 2 THEN
    -- Whoever holds them may never let go; the caller looks for that before it asks again.
    PERFORM set_config('lock_timeout', p_lease_ms::text, true);
    SELECT coalesce(array_agg(held.part), '{}') INTO v_locked FROM (
      SELECT o.part FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
      WHERE o.grp = p_group AND o.owner = p_member ORDER BY o.part FOR UPDATE OF o) held;
    v_mine := v_locked;
  ELSE
    SELECT coalesce(array_agg(held.part), '{}') INTO v_locked FROM (
      SELECT o.part FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
      WHERE o.grp = p_group AND o.owner = p_member ORDER BY o.part FOR UPDATE OF o SKIP LOCKED) held;
  END IF;
  UPDATE bus.consumer_offset o SET owner = NULL, lease_until = NULL, fence = o.fence + 1
  WHERE o.grp = p_group AND o.part = ANY (v_locked[v_quota + 1 :]);
  RETURN QUERY
    UPDATE bus.consumer_offset o SET lease_until = greatest(o.lease_until, v_until)
    WHERE o.grp = p_group AND o.part = ANY (v_locked[: v_quota])
    RETURNING o.part, o.fence, o.off, o.generation, o.entry_hash, o.entry_received_us;
  RETURN QUERY
    SELECT o.part, o.fence, o.off, o.generation, o.entry_hash, o.entry_received_us
    FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
    WHERE o.grp = p_group AND o.owner = p_member AND o.part = ANY (v_mine) AND o.part <> ALL (v_locked);
END $$;

-- Sessions whose transactions hold places of a group although the lease on them ended more than p_grace_ms ago. A row that is being changed names the transaction.
CREATE FUNCTION bus.group_holders(p_group text, p_grace_ms int) RETURNS SETOF int
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_before CONSTANT timestamptz := clock_timestamp() - p_grace_ms * interval '1 millisecond';
BEGIN
  -- Mostly nobody is late, and then nobody's locks are looked at.
  IF EXISTS (SELECT FROM bus.consumer_offset o WHERE o.grp = p_group AND o.lease_until < v_before) THEN
    RETURN QUERY
      SELECT DISTINCT l.pid FROM bus.consumer_offset o JOIN pg_locks l ON l.transactionid = o.xmax
      WHERE o.grp = p_group AND o.lease_until < v_before AND l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted;
  END IF;
END $$;
