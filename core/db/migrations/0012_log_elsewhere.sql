-- 0012 log elsewhere: the frame log may lie on other servers (Redis Streams); this database then keeps the archive of its frames.
-- Why: rows, evidence, ledger and retention must say the same wherever the log is, so they go on reading the same tables. The engine writes a frame here in
--   the transaction that writes its rows; what the log elsewhere holds beyond that is mirrored by the keeper (heads, ends, reports of gates).
-- Enforces: a log that lies elsewhere takes no append here, and one that lies here no archived frame; it changes its place only when all of it has
--   become rows, position by position (R-2), or when an operator says that what was not yet stored is lost (R-5); heads and ends only grow.
-- Forbids: two logs at once.
-- Danger: one column with a default on a table of one row, two functions replaced, five made. No lock on a table of frames or rows.

ALTER TABLE bus.state ADD COLUMN log_elsewhere boolean NOT NULL DEFAULT false;

-- As since 0002; and a log that lies elsewhere takes nothing here.
CREATE OR REPLACE FUNCTION bus.paused_reason(p_at timestamptz) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_state bus.state;
BEGIN
  SELECT * INTO v_state FROM bus.state s;
  IF v_state.log_elsewhere THEN
    RETURN 'log_elsewhere';
  END IF;
  IF v_state.paused_reason IS NOT NULL THEN
    RETURN v_state.paused_reason;
  END IF;
  IF current_setting('fsync') <> 'on' OR current_setting('full_page_writes') <> 'on' THEN
    RETURN 'not_durable';
  END IF;
  IF NOT EXISTS (
    SELECT FROM pg_inherits i
    WHERE i.inhrelid = to_regclass('bus.frames_' || to_char(p_at AT TIME ZONE 'UTC', 'YYYY_MM_DD'))
      AND i.inhparent = 'bus.frames'::regclass AND NOT i.inhdetachpending
  ) THEN
    RETURN 'day_missing';
  END IF;
  RETURN NULL;
END $$;

-- As since 0007; of a log that lies elsewhere it tells what the keeper has said of it.
CREATE OR REPLACE FUNCTION bus.load(OUT paused text, OUT retry_after_ms int, OUT backlog_entries bigint, OUT backlog_ms bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT CASE WHEN s.log_elsewhere THEN s.paused_reason ELSE bus.paused_reason(clock_timestamp()) END, s.retry_after_ms
    INTO paused, retry_after_ms FROM bus.state s;
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

-- Where a log elsewhere has to begin: right after what is stored here, partition by partition.
--   p_after_loss  false: the log here, all of whose entries must have become rows (in_flight 0 everywhere);
--                 true: whatever was not stored is lost, the log begins where rows end
-- in_flight: entries between the log's end and the slowest group.
CREATE FUNCTION bus.log_ends(p_after_loss boolean)
RETURNS TABLE (part int, off bigint, received_us bigint, entry_hash bytea, in_flight bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT p.part,
           CASE WHEN p_after_loss THEN coalesce(o.off, p.low_off) ELSE p.off END,
           CASE WHEN p_after_loss THEN coalesce(o.entry_received_us, p.low_received_us) ELSE p.received_us END,
           CASE WHEN p_after_loss THEN coalesce(o.entry_hash, p.low_hash) ELSE p.entry_hash END,
           p.off - coalesce(o.off, p.low_off)
    FROM bus.partition_head p
    LEFT JOIN LATERAL (
      SELECT c.off, c.entry_received_us, c.entry_hash FROM bus.consumer_offset c WHERE c.part = p.part ORDER BY c.off LIMIT 1) o ON true
    ORDER BY p.part;
END $$;

-- Heads from which a log elsewhere goes on, by producer, a page at a time. After a loss: how far rows have come.
CREATE FUNCTION bus.founding_heads(p_after_loss boolean, p_after uuid, p_limit int)
RETURNS TABLE (producer_id uuid, epoch bigint, seq bigint, hash bytea, prev_epoch bigint, prev_seq bigint, prev_hash bytea, key_id bytea, offered bigint,
  received_us bigint, stored_epoch bigint, stored_seq bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_after_loss THEN
    RETURN QUERY
      SELECT s.producer_id, s.epoch, s.seq, s.hash, coalesce(l.prev_epoch, 0), coalesce(l.prev_seq, 0), coalesce(l.prev_hash, decode(repeat('00', 32), 'hex')),
             coalesce(h.key_id, decode(repeat('00', 8), 'hex')), s.seq, coalesce(h.last_received_us, 0), s.epoch, s.seq
      FROM data.sink_head s
      LEFT JOIN bus.producer_head h USING (producer_id)
      LEFT JOIN bus.epoch_log l ON l.producer_id = s.producer_id AND l.epoch = s.epoch
      WHERE p_after IS NULL OR s.producer_id > p_after ORDER BY s.producer_id LIMIT p_limit;
  ELSE
    RETURN QUERY
      SELECT h.producer_id, h.epoch, h.seq, h.hash, h.prev_epoch, h.prev_seq, h.prev_hash, h.key_id, h.offered, h.last_received_us,
             coalesce(s.epoch, 0), coalesce(s.seq, 0)
      FROM bus.producer_head h LEFT JOIN data.sink_head s USING (producer_id)
      WHERE p_after IS NULL OR h.producer_id > p_after ORDER BY h.producer_id LIMIT p_limit;
  END IF;
END $$;

-- The log lies elsewhere from now on, under this generation. p_offs: where each partition begins there, as bus.log_ends has said; if that is not true
-- any more nothing is changed (RB003: ask again).
CREATE FUNCTION bus.adopt(p_generation uuid, p_offs bigint[], p_after_loss boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_end record;
BEGIN
  IF num_nulls(p_generation, p_offs, p_after_loss) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  -- No append and no row transaction is under way while these are held.
  PERFORM FROM bus.partition_head p ORDER BY p.part FOR UPDATE;
  PERFORM FROM bus.consumer_offset o ORDER BY o.grp, o.part FOR UPDATE;
  FOR v_end IN SELECT * FROM bus.log_ends(p_after_loss) LOOP
    IF v_end.off IS DISTINCT FROM p_offs[v_end.part + 1] OR (NOT p_after_loss AND v_end.in_flight > 0) THEN
      RAISE EXCEPTION 'partition % has not ended where the log elsewhere begins', v_end.part USING ERRCODE = 'RB003';
    END IF;
    UPDATE bus.partition_head p SET off = v_end.off, received_us = v_end.received_us, entry_hash = v_end.entry_hash WHERE p.part = v_end.part;
  END LOOP;
  IF p_after_loss THEN
    DELETE FROM bus.producer_head h WHERE NOT EXISTS (SELECT FROM data.sink_head s WHERE s.producer_id = h.producer_id);
    UPDATE bus.producer_head h SET epoch = s.epoch, seq = s.seq, hash = s.hash, offered = s.seq
      FROM data.sink_head s WHERE s.producer_id = h.producer_id AND (h.epoch, h.seq) <> (s.epoch, s.seq);
    DELETE FROM bus.epoch_log l WHERE NOT EXISTS (SELECT FROM data.sink_head s WHERE s.producer_id = l.producer_id AND l.epoch <= s.epoch);
    UPDATE bus.epoch_log l SET sealed_us = NULL, final_seq = NULL, offered = NULL
      FROM data.sink_head s WHERE s.producer_id = l.producer_id AND l.epoch = s.epoch AND l.final_seq IS NOT NULL;
  END IF;
  UPDATE bus.consumer_offset o SET generation = p_generation, fence = o.fence + 1, owner = NULL;
  UPDATE bus.generation SET id = p_generation;
  UPDATE bus.state SET log_elsewhere = true;
END $$;

-- Heads of producers in the log elsewhere: from the engine, in the row transaction, as far as it has come; from the keeper, as far as the log has.
-- A head only grows. Seven numbers for each: epoch, seq, part, prev_epoch, prev_seq, offered, received_us; p_blob: hash 32, prev_hash 32, key_id 8.
-- prev_* is the chain's end at the opening of the epoch; prev_epoch -1: not known here, what is known stays.
CREATE FUNCTION bus.note_heads(p_producers uuid[], p_numbers bigint[], p_blob bytea) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c_stride CONSTANT int := 7;
  c_bytes  CONSTANT int := 72;
  v_head   record;
BEGIN
  IF num_nulls(p_producers, p_numbers, p_blob) > 0 OR num_nulls(VARIADIC p_producers) > 0 OR num_nulls(VARIADIC p_numbers) > 0
    OR cardinality(p_numbers) <> cardinality(p_producers) * c_stride OR octet_length(p_blob) <> cardinality(p_producers) * c_bytes THEN
    RAISE EXCEPTION 'an argument is null, or malformed' USING ERRCODE = 'RB001';
  END IF;
  IF NOT (SELECT s.log_elsewhere FROM bus.state s) THEN
    RAISE EXCEPTION 'the log lies here: bus.append moves its heads' USING ERRCODE = 'RB001';
  END IF;
  -- In the order of ids, so that no two callers wait for each other.
  FOR v_head IN
    SELECT p_producers[i] AS producer, p_numbers[i * c_stride - 6] AS epoch, p_numbers[i * c_stride - 5] AS seq, p_numbers[i * c_stride - 4]::int AS part,
           nullif(p_numbers[i * c_stride - 3], -1) AS prev_epoch, p_numbers[i * c_stride - 2] AS prev_seq, p_numbers[i * c_stride - 1] AS offered,
           p_numbers[i * c_stride] AS received_us, substring(p_blob FROM (i - 1) * c_bytes + 1 FOR 32) AS hash,
           substring(p_blob FROM (i - 1) * c_bytes + 33 FOR 32) AS prev_hash, substring(p_blob FROM (i - 1) * c_bytes + 65 FOR 8) AS key_id
    FROM generate_series(1, cardinality(p_producers)) AS i ORDER BY 1, 2, 3
  LOOP
    INSERT INTO bus.epoch_log AS l (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash)
    SELECT v_head.producer, v_head.epoch, v_head.received_us, v_head.part, v_head.key_id, v_head.prev_epoch, v_head.prev_seq, v_head.prev_hash
    WHERE v_head.prev_epoch IS NOT NULL
    ON CONFLICT (producer_id, epoch) DO NOTHING;
    IF FOUND THEN
      -- Whatever was open before is sealed; an epoch without a frame ended at 0.
      UPDATE bus.epoch_log l
      SET sealed_us = v_head.received_us, final_seq = CASE WHEN l.epoch = v_head.prev_epoch THEN v_head.prev_seq ELSE 0 END,
          offered = (SELECT h.offered FROM bus.producer_head h WHERE h.producer_id = l.producer_id AND h.epoch = l.epoch)
      WHERE l.producer_id = v_head.producer AND l.epoch < v_head.epoch AND l.final_seq IS NULL;
    END IF;
    INSERT INTO bus.producer_head AS h (producer_id, epoch, seq, hash, part, prev_epoch, prev_seq, prev_hash, key_id, offered, last_received_us)
    VALUES (v_head.producer, v_head.epoch, v_head.seq, v_head.hash, v_head.part, coalesce(v_head.prev_epoch, 0), v_head.prev_seq, v_head.prev_hash,
      v_head.key_id, v_head.offered, v_head.received_us)
    ON CONFLICT (producer_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, part = excluded.part,
      prev_epoch = CASE WHEN v_head.prev_epoch IS NULL THEN h.prev_epoch ELSE excluded.prev_epoch END,
      prev_seq = CASE WHEN v_head.prev_epoch IS NULL THEN h.prev_seq ELSE excluded.prev_seq END,
      prev_hash = CASE WHEN v_head.prev_epoch IS NULL THEN h.prev_hash ELSE excluded.prev_hash END,
      key_id = excluded.key_id, offered = greatest(excluded.offered, CASE WHEN h.epoch = excluded.epoch THEN h.offered ELSE 0 END),
      last_received_us = greatest(h.last_received_us, excluded.last_received_us)
    WHERE (h.epoch, h.seq) < (excluded.epoch, excluded.seq);
  END LOOP;
END $$;

-- Ends of partitions of the log elsewhere, from the engine in the row transaction and from the keeper; an end only grows.
CREATE FUNCTION bus.note_ends(p_parts int[], p_offs bigint[], p_received_us bigint[], p_hashes bytea[]) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_parts, p_offs, p_received_us, p_hashes) > 0 OR NOT (SELECT s.log_elsewhere FROM bus.state s) THEN
    RAISE EXCEPTION 'an argument is null, or the log lies here' USING ERRCODE = 'RB001';
  END IF;
  UPDATE bus.partition_head p SET off = n.off, received_us = n.received_us, entry_hash = n.hash
  FROM unnest(p_parts, p_offs, p_received_us, p_hashes) AS n (part, off, received_us, hash)
  WHERE p.part = n.part AND p.off < n.off;
END $$;
