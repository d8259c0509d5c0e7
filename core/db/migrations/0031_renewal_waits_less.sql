-- 0031 renewal waits less: only for a lease that has run out, and no longer for one of which half is left.
-- Why: on a machine that is full a row transaction lasts longer than half a lease, and then the renewal stood behind it. It has nothing to wait for: the transaction prolongs the
--   lease itself at its commit, and until then nobody can take what it holds.
-- Enforces: as 0029. A lease that has run out may be somebody else's at any moment, so that only the row's own word counts.
-- Forbids: telling of a lease that has run out as kept, unseen.
-- Danger: one function replaced. Safe to run while the system is up.

-- As since 0029.
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
  IF cardinality(v_mine) > v_quota OR v_ends <= clock_timestamp() THEN
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
