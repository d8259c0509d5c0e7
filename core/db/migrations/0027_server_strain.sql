-- 0027 server strain: PostgreSQL's own signals reach producers.
-- Why: a gate feels its appends and the engine's lag. That a standby falls behind, that checkpoints follow each other because WAL comes too fast, that
--   sessions wait for locks or that the last connections are in use, only the server knows; before it stops, less should come (ING-6, R-14).
-- Enforces: the keeper's word counts for a few seconds and no longer, so that a keeper that stands still throttles nobody.
-- Forbids: being called while nothing is strained: the row is the state of the bus, which each append reads.
-- Danger: replaces two functions whose answers have more columns. Gates of the release before cannot be told the pressure any more and must be restarted
--   with this one. No lock on a table of frames.

-- strain: the signal that is worst, by name; strain_level: its value over the one at which it pauses.
ALTER TABLE bus.state
  ADD COLUMN strain       text,
  ADD COLUMN strain_level double precision NOT NULL DEFAULT 0 CHECK (strain_level >= 0),
  ADD COLUMN strain_until timestamptz NOT NULL DEFAULT '-infinity';

-- What the server suffers from, for the next p_ms milliseconds. Says it again as long as it lasts; level 0 ends it.
CREATE FUNCTION bus.strain_put(p_strain text, p_level double precision, p_ms int) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_strain, p_level, p_ms) > 0 OR NOT p_level BETWEEN 0 AND 1000000 OR p_ms NOT BETWEEN 1 AND 60000 OR length(p_strain) > 100 THEN
    RAISE EXCEPTION 'a strain has a name, a level and a time' USING ERRCODE = 'RB001';
  END IF;
  UPDATE bus.state SET strain = p_strain, strain_level = p_level, strain_until = clock_timestamp() + p_ms * interval '1 millisecond';
END $$;

DROP FUNCTION bus.pressure(text, uuid, bigint);
DROP FUNCTION bus.load();

-- As since 0012, with the strain that is in force.
CREATE FUNCTION bus.load(OUT paused text, OUT retry_after_ms int, OUT backlog_entries bigint, OUT backlog_ms bigint,
  OUT strain text, OUT strain_level double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT CASE WHEN s.log_elsewhere THEN s.paused_reason ELSE bus.paused_reason(clock_timestamp()) END, s.retry_after_ms,
         CASE WHEN s.strain_level > 0 AND s.strain_until > clock_timestamp() THEN s.strain END,
         CASE WHEN s.strain_until > clock_timestamp() THEN s.strain_level ELSE 0 END
    INTO paused, retry_after_ms, strain, strain_level FROM bus.state s;
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

-- The gate's question, as since 0007, with the strain: the load, and a lease of p_want_bytes at most for the next lease_ms. Among the leases in force the
-- budget is shared max-min fair by want; what others still hold is not given twice, so a newcomer's share may come a renewal later. Who wants nothing
-- leases nothing.
CREATE FUNCTION bus.pressure(p_gateway text, p_incarnation uuid, p_want_bytes bigint, OUT paused text, OUT retry_after_ms int,
  OUT backlog_entries bigint, OUT backlog_ms bigint, OUT strain text, OUT strain_level double precision,
  OUT in_flight_bytes bigint, OUT lease_ms int, OUT generation uuid, OUT partitions int)
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
  SELECT l.paused, l.retry_after_ms, l.backlog_entries, l.backlog_ms, l.strain, l.strain_level
    INTO paused, retry_after_ms, backlog_entries, backlog_ms, strain, strain_level FROM bus.load() l;
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
