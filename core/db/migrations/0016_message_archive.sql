-- 0016 message archive: messages beside the stream that holds them now, for groups that come later and for dead letters that are to be kept.
-- Why: where streams lie on servers of their own, memory bounds them; what is archived may go there although a group has not read it (R-26). A dead letter is
--   evidence and outlives its stream's bounds wherever the streams lie (R-11).
-- Enforces: a log is named by its id, because servers that begin anew count their offsets from one again. Where a log has lost its end and gives offsets to
--   other messages, what it says now is kept, and the caller hears how many rows it replaced.
-- Forbids: table rights; the keeper writes and removes, consumers read, by these functions alone.
-- Danger: one new table, new functions, and two replaced ones of the same signature. No lock on a table in use, safe to run while the system is up.

-- LOGGED: what is here may be gone elsewhere. Ids are text: what somebody with a client of his own wrote must not stop the archive.
CREATE TABLE bus.message_archive (
  log          uuid NOT NULL,
  stream       text NOT NULL,
  priority     smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  off          bigint NOT NULL,
  published_us bigint NOT NULL,
  message_id   text NOT NULL,
  body         text NOT NULL,
  PRIMARY KEY (log, stream, priority, off)
);
-- Times never fall within a priority: where a time begins, and what is old.
CREATE INDEX message_archive_time ON bus.message_archive (log, stream, priority, published_us);

-- The functions below look rows up by index whatever statistics say: a plan that was made while the table was small would else be kept when it is not.

-- Keeps messages of one priority; gives how many rows held other messages before.
CREATE FUNCTION bus.message_archive_put(p_log uuid, p_stream text, p_priority smallint, p_offs bigint[], p_published_us bigint[], p_ids text[], p_bodies text[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_replaced bigint;
BEGIN
  IF num_nulls(p_log, p_stream, p_priority, p_offs, p_published_us, p_ids, p_bodies) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  WITH kept AS (
    INSERT INTO bus.message_archive AS a (log, stream, priority, off, published_us, message_id, body)
    SELECT p_log, p_stream, p_priority, n.off, n.published_us, n.id, n.body FROM unnest(p_offs, p_published_us, p_ids, p_bodies) AS n (off, published_us, id, body)
    ON CONFLICT (log, stream, priority, off) DO UPDATE SET published_us = excluded.published_us, message_id = excluded.message_id, body = excluded.body
    WHERE a.message_id <> excluded.message_id
    RETURNING a.xmax <> 0 AS replaced
  )
  SELECT count(*) FILTER (WHERE k.replaced) INTO v_replaced FROM kept k;
  RETURN v_replaced;
END $$;

-- Archived messages at these places; what is not there is left out.
CREATE FUNCTION bus.message_archive_find(p_log uuid, p_stream text, p_priorities smallint[], p_offs bigint[])
RETURNS TABLE (priority smallint, off bigint, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY SELECT n.priority, n.off, f.body FROM unnest(p_priorities, p_offs) AS n (priority, off)
    CROSS JOIN LATERAL (SELECT a.body FROM bus.message_archive a
      WHERE a.log = p_log AND a.stream = p_stream AND a.priority = n.priority AND a.off = n.off LIMIT 1) f;
END $$;

-- Archived messages of one priority after an offset, up to another.
CREATE FUNCTION bus.message_archive_read(p_log uuid, p_stream text, p_priority smallint, p_after_off bigint, p_up_to_off bigint, p_max int)
RETURNS TABLE (off bigint, published_us bigint, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
  RETURN QUERY SELECT a.off, a.published_us, a.body FROM bus.message_archive a
    WHERE a.log = p_log AND a.stream = p_stream AND a.priority = p_priority AND a.off > p_after_off AND a.off <= p_up_to_off ORDER BY a.off LIMIT p_max;
END $$;

-- For priorities 1 to 4 the offset before the first archived message published at or after a time, of those up to p_offs; null where there is none.
CREATE FUNCTION bus.message_archive_seek(p_log uuid, p_stream text, p_offs bigint[], p_published_us bigint) RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
  RETURN (SELECT array_agg((SELECT a.off - 1 FROM bus.message_archive a
      WHERE a.log = p_log AND a.stream = p_stream AND a.priority = n AND a.off <= p_offs[n] AND a.published_us >= p_published_us
      ORDER BY a.published_us, a.off LIMIT 1) ORDER BY n) FROM generate_series(1, 4) AS n);
END $$;

-- Removes, up to a number of rows, what no group waits for any more: of this log up to the low ends of its priorities what was published before p_before_us,
-- of logs that are no more what was published before p_kept_us. Gives how many.
CREATE FUNCTION bus.message_archive_forget(p_log uuid, p_stream text, p_lows bigint[], p_before_us bigint, p_kept_us bigint, p_max int) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  c_all     CONSTANT bigint := 9223372036854775807;
  v_removed bigint := 0;
  v_step    bigint;
  v_first   bigint;
  v_log     uuid;
BEGIN
  IF num_nulls(p_log, p_stream, p_lows, p_before_us, p_kept_us, p_max) > 0 OR cardinality(p_lows) <> 4 THEN
    RAISE EXCEPTION 'an argument is null, or not four low ends' USING ERRCODE = 'RB001';
  END IF;
  SELECT a.log INTO v_log FROM bus.message_archive a ORDER BY a.log LIMIT 1;
  WHILE v_log IS NOT NULL LOOP
    FOR n IN 1 .. 4 LOOP
      SELECT a.off INTO v_first FROM bus.message_archive a WHERE a.log = v_log AND a.stream = p_stream AND a.priority = n ORDER BY a.off LIMIT 1;
      CONTINUE WHEN v_first IS NULL;
      -- From the low end, where the oldest are: a step never reads more than it may remove.
      DELETE FROM bus.message_archive a WHERE a.log = v_log AND a.stream = p_stream AND a.priority = n
        AND a.off < v_first + p_max - v_removed AND a.off <= CASE WHEN v_log = p_log THEN p_lows[n] ELSE c_all END
        AND a.published_us < CASE WHEN v_log = p_log THEN p_before_us ELSE p_kept_us END;
      GET DIAGNOSTICS v_step = ROW_COUNT;
      v_removed := v_removed + v_step;
    END LOOP;
    SELECT (SELECT a.log FROM bus.message_archive a WHERE a.log > v_log ORDER BY a.log LIMIT 1) INTO v_log;
  END LOOP;
  RETURN v_removed;
END $$;

-- The id under which the archive keeps what the database's own streams held.
CREATE FUNCTION bus.message_log_here() RETURNS uuid LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT '00000000-0000-0000-0000-000000000000'::uuid $$;

-- Removes the oldest of what every living group has settled, the least urgent first: what is too old, and what is more than p_entries_left. Gives how many.
CREATE OR REPLACE FUNCTION bus.message_trim(p_stream text, p_entries_left bigint, p_keep_ms bigint, p_dead_ms bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now     bigint;
  v_removed bigint := 0;
  v_count   bigint;
  v_settled bigint;
  v_up_to   bigint;
  v_end     bus.message_end;
BEGIN
  -- Groups before ends, as everybody does who takes both.
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream ORDER BY g.grp FOR UPDATE;
  v_now := bus.clock_us();
  UPDATE bus.message_group g SET quarantined = true WHERE g.stream = p_stream AND NOT g.quarantined AND v_now - g.seen_us > p_dead_ms * 1000;
  PERFORM FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority FOR UPDATE;
  v_count := bus.message_count(p_stream);
  FOR v_end IN SELECT * FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority LOOP
    SELECT least(v_end.tail, min(g.places[v_end.priority]), (
             SELECT min(o.off) - 1 FROM bus.message_out o JOIN bus.message_group og USING (stream, grp)
             WHERE o.stream = p_stream AND o.priority = v_end.priority AND NOT og.quarantined))
      INTO v_settled FROM bus.message_group g WHERE g.stream = p_stream AND NOT g.quarantined;
    -- What is beyond the bound, and then what is too old: times never fall.
    v_up_to := least(v_settled, v_end.low + greatest(0, v_count - p_entries_left));
    SELECT greatest(v_up_to, coalesce(max(m.off), 0)) INTO v_up_to FROM bus.message m
    WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_settled AND m.off > v_up_to AND m.published_us < v_now - p_keep_ms * 1000;
    CONTINUE WHEN v_up_to <= v_end.low;
    -- A dead letter is evidence: it goes on beside its stream (R-11).
    IF p_stream = 'stream:dead_letter' THEN
      INSERT INTO bus.message_archive (log, stream, priority, off, published_us, message_id, body)
      SELECT bus.message_log_here(), m.stream, m.priority, m.off, m.published_us, m.message_id::text, m.body FROM bus.message m
      WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_up_to;
    END IF;
    DELETE FROM bus.message m WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_up_to;
    UPDATE bus.message_end e SET low = v_up_to WHERE e.stream = p_stream AND e.priority = v_end.priority;
    v_removed := v_removed + v_up_to - v_end.low;
    v_count := v_count - (v_up_to - v_end.low);
  END LOOP;
  RETURN v_removed;
END $$;

-- Entries of one priority directly after an offset, from the archive what the stream no longer holds.
CREATE OR REPLACE FUNCTION bus.message_read(p_stream text, p_priority smallint, p_after_off bigint, p_max int) RETURNS TABLE (off bigint, published_us bigint, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    (SELECT a.off, a.published_us, a.body FROM bus.message_archive a
     WHERE a.log = bus.message_log_here() AND a.stream = p_stream AND a.priority = p_priority AND a.off > p_after_off ORDER BY a.off LIMIT p_max)
    UNION ALL
    (SELECT m.off, m.published_us, m.body FROM bus.message m
     WHERE m.stream = p_stream AND m.priority = p_priority AND m.off > p_after_off ORDER BY m.off LIMIT p_max)
    ORDER BY 1 LIMIT p_max;
END $$;
