-- 0007 pressure: what a gate must know of the bus in order to push back, and what it tells of itself.
-- Why: backpressure is computed from the lag of the log's readers as well as from the gate's own buffer (ING-6), and however many gates there are,
--   what all of them have on its way into the log at once must stay within one bound (R-14).
-- Enforces: the sum of all leases in force never exceeds state.in_flight_bytes_max; a lease is renewed by the question that a gate asks anyway and is
--   gone with the gate. A gate's report replaces its last one whole.
-- Forbids: leases to anybody but gates: readers of the pressure call bus.load.
-- Danger: replaces two functions and makes two small tables; no lock on a table of frames. Gates of the release before cannot be told the
--   pressure any more and must be restarted with this one.

ALTER TABLE bus.state ADD COLUMN in_flight_bytes_max bigint NOT NULL DEFAULT 268435456 CHECK (in_flight_bytes_max >= 8388608);

-- UNLOGGED: after a crash every lease is void, which is what its loss says. One row a gate, updated each second (HOT, fill factor below).
CREATE UNLOGGED TABLE bus.gate_lease (
  incarnation uuid PRIMARY KEY,
  gateway     text NOT NULL,
  want_bytes  bigint NOT NULL,
  bytes       bigint NOT NULL,
  until       timestamptz NOT NULL
) WITH (fillfactor = 20);

ALTER TABLE bus.gate_incarnation
  ADD COLUMN state    text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'throttled', 'paused')),
  ADD COLUMN reason   text NOT NULL DEFAULT '',
  ADD COLUMN sessions int NOT NULL DEFAULT 0;

-- Producers that a gate refuses for a while because they flooded it. The gate's own word, for operators; no gate reads it.
CREATE TABLE bus.gate_quarantine (
  gateway     text NOT NULL,
  incarnation uuid NOT NULL,
  producer_id uuid NOT NULL,
  code        text NOT NULL,
  since_us    bigint NOT NULL,
  until_us    bigint NOT NULL,
  PRIMARY KEY (gateway, incarnation, producer_id)
);

DROP FUNCTION bus.pressure();
DROP FUNCTION bus.counters_put(text, uuid, bigint, text[], bigint[], boolean);

-- backlog_entries, backlog_ms: of the slowest group; the age is that of the oldest entry that it has not committed. The next entry is found by its place:
-- one probe of an index for each partition that has a backlog, in the days from the last committed entry on.
CREATE FUNCTION bus.load(OUT paused text, OUT retry_after_ms int, OUT backlog_entries bigint, OUT backlog_ms bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT bus.paused_reason(clock_timestamp()), s.retry_after_ms INTO paused, retry_after_ms FROM bus.state s;
  SELECT coalesce(max(lag.entries), 0), coalesce(max(lag.ms), 0) INTO backlog_entries, backlog_ms
  FROM (
    SELECT sum(p.off - o.off)::bigint AS entries, max(extract(epoch FROM clock_timestamp() - n.received_at) * 1000)::bigint AS ms
    FROM bus.consumer_offset o
    JOIN bus.partition_head p USING (part)
    LEFT JOIN LATERAL (
      SELECT f.received_at FROM bus.frames f
      WHERE p.off > o.off AND f.part = o.part AND f.off = greatest(o.off, p.low_off) + 1 AND f.received_at >= bus.to_time(o.entry_received_us)
      LIMIT 1) n ON true
    GROUP BY o.grp) lag;
END $$;

-- The gate's question: the load, and a lease of p_want_bytes at most for the next lease_ms. Among the leases in force the budget is shared max-min
-- fair by want; what others still hold is not given twice, so a newcomer's share may come a renewal later. Who wants nothing leases nothing.
CREATE FUNCTION bus.pressure(p_gateway text, p_incarnation uuid, p_want_bytes bigint, OUT paused text, OUT retry_after_ms int,
  OUT backlog_entries bigint, OUT backlog_ms bigint, OUT in_flight_bytes bigint, OUT lease_ms int, OUT generation uuid, OUT partitions int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now   CONSTANT timestamptz := clock_timestamp();
  v_left  bigint;
  v_count int;
  v_taken bigint;
  v_want  bigint;
BEGIN
  IF num_nulls(p_gateway, p_incarnation, p_want_bytes) > 0 OR p_want_bytes < 0 THEN
    RAISE EXCEPTION 'a gate says who it is and how many bytes it wants' USING ERRCODE = 'RB001';
  END IF;
  lease_ms := 3000;
  in_flight_bytes := 0;
  SELECT l.paused, l.retry_after_ms, l.backlog_entries, l.backlog_ms INTO paused, retry_after_ms, backlog_entries, backlog_ms FROM bus.load() l;
  SELECT s.partitions, s.in_flight_bytes_max, g.id INTO partitions, v_left, generation FROM bus.state s CROSS JOIN bus.generation g;
  IF p_want_bytes = 0 THEN
    RETURN;
  END IF;
  LOCK TABLE bus.gate_lease IN SHARE ROW EXCLUSIVE MODE;
  DELETE FROM bus.gate_lease WHERE until <= v_now AND incarnation <> p_incarnation;
  SELECT coalesce(sum(l.bytes), 0) INTO v_taken FROM bus.gate_lease l WHERE l.incarnation <> p_incarnation;
  in_flight_bytes := least(p_want_bytes, v_left - v_taken);
  -- Water filling: from the smallest want on, each gets its want or an equal share of what is left, whichever is less.
  SELECT count(*) + 1 INTO v_count FROM bus.gate_lease l WHERE l.incarnation <> p_incarnation;
  FOR v_want IN SELECT l.want_bytes FROM bus.gate_lease l WHERE l.incarnation <> p_incarnation ORDER BY 1 LOOP
    EXIT WHEN v_want > v_left / v_count;
    v_left := v_left - v_want;
    v_count := v_count - 1;
  END LOOP;
  in_flight_bytes := greatest(0, least(in_flight_bytes, v_left / v_count));
  INSERT INTO bus.gate_lease AS l (incarnation, gateway, want_bytes, bytes, until)
  VALUES (p_incarnation, p_gateway, p_want_bytes, in_flight_bytes, v_now + lease_ms * interval '1 millisecond')
  ON CONFLICT (incarnation) DO UPDATE SET want_bytes = excluded.want_bytes, bytes = excluded.bytes, until = excluded.until;
END $$;

-- What a gate tells of itself, each second and at its end: {startedUs, ended, state, reason, sessions, counters: {name: total},
-- quarantined: [{producer, code, sinceUs, untilUs}]}. Counters are totals, so that writing them twice changes nothing; an answer that overtakes an older one
-- never makes a value smaller. The list of quarantined producers is whole each time.
CREATE FUNCTION bus.counters_put(p_gateway text, p_incarnation uuid, p_report jsonb)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_gateway, p_incarnation, p_report) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  INSERT INTO bus.gate_incarnation AS g (gateway, incarnation, started_us, updated_us, ended, state, reason, sessions)
  SELECT p_gateway, p_incarnation, r."startedUs", bus.clock_us(), r.ended, r.state, r.reason, r.sessions
  FROM jsonb_to_record(p_report) AS r ("startedUs" bigint, ended boolean, state text, reason text, sessions int)
  ON CONFLICT (gateway, incarnation) DO UPDATE SET updated_us = excluded.updated_us, ended = g.ended OR excluded.ended, state = excluded.state,
    reason = excluded.reason, sessions = excluded.sessions;
  INSERT INTO bus.gate_counters AS c (gateway, incarnation, name, value)
  SELECT p_gateway, p_incarnation, n.key, n.value::bigint FROM jsonb_each_text(p_report -> 'counters') AS n ORDER BY n.key
  ON CONFLICT (gateway, incarnation, name) DO UPDATE SET value = greatest(c.value, excluded.value);
  DELETE FROM bus.gate_quarantine q WHERE q.gateway = p_gateway AND q.incarnation = p_incarnation AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(p_report -> 'quarantined') AS e WHERE (e ->> 'producer')::uuid = q.producer_id);
  INSERT INTO bus.gate_quarantine AS q (gateway, incarnation, producer_id, code, since_us, until_us)
  SELECT p_gateway, p_incarnation, e.producer, e.code, e."sinceUs", e."untilUs"
  FROM jsonb_to_recordset(p_report -> 'quarantined') AS e (producer uuid, code text, "sinceUs" bigint, "untilUs" bigint) ORDER BY e.producer
  ON CONFLICT (gateway, incarnation, producer_id) DO UPDATE SET code = excluded.code, since_us = excluded.since_us, until_us = excluded.until_us
  WHERE (q.code, q.since_us, q.until_us) IS DISTINCT FROM (excluded.code, excluded.since_us, excluded.until_us);
END $$;

-- Gates by what they last said. One that neither ended nor was heard of lately ended uncleanly.
CREATE VIEW views.gates AS
SELECT g.gateway, g.incarnation, g.started_us, g.updated_us, g.ended, g.state, g.reason, g.sessions FROM bus.gate_incarnation g;

-- Producers that a gate refuses for a while.
CREATE VIEW views.quarantine AS
SELECT q.producer_id, q.gateway, q.incarnation, q.code, q.since_us, q.until_us, i.ended
FROM bus.gate_quarantine q JOIN bus.gate_incarnation i USING (gateway, incarnation);
