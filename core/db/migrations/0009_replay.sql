-- 0009 replay: the log keeps which process of which gate accepted an entry, and tells it with a duplicate.
-- Why: a batch that comes again may be an honest producer's lost receipt, an old session played again, or a recording that somebody carries from gate to
--   gate. The answer is the same receipt; the count must tell them apart, and only the log knows who accepted the first (core/ingestion/src/replay.ts).
-- Enforces: verdicts as before (core/pipeline/src/append_machine.ts): who accepted an entry is told beside the verdict and never changes one.
--   A frame that is next costs no read more than before.
-- Forbids: an append without an incarnation. NULL in an entry means that it is from before this migration.
-- Danger: one new column that is NULL in existing rows (no rewrite; a short exclusive lock on bus.frames and its days), two functions replaced. Gates of the
--   release before cannot append any more and must be restarted with this one.

ALTER TABLE bus.frames ADD COLUMN incarnation uuid;

-- A day that was detached and not dropped may be attached again (ops.ensure_partitions), and then needs the same columns.
SELECT ops.finish_detaches();
DO $$
DECLARE
  v_day regclass;
BEGIN
  FOR v_day IN
    SELECT c.oid FROM pg_class c
    WHERE c.relnamespace = 'bus'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^frames_[0-9]{4}_[0-9]{2}_[0-9]{2}$'
      AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'incarnation' AND NOT a.attisdropped)
  LOOP
    EXECUTE format('ALTER TABLE %s ADD COLUMN incarnation uuid', v_day);
  END LOOP;
END $$;

ALTER TYPE bus.append_answer ADD ATTRIBUTE gateway text, ADD ATTRIBUTE incarnation uuid;

DROP FUNCTION bus.append(int, bigint, text, uuid[], bigint[], bytea);
DROP FUNCTION bus.known_frame(uuid, bigint, bigint, bytea);

-- What the log holds at (producer, epoch, first_seq): same, other, none or trimmed; and where it is the same, who accepted it. An epoch lies in one
-- partition in the order of its seqs and is removed from the low end: if nothing that begins earlier is left, the place itself has been removed.
CREATE FUNCTION bus.known_frame(p_producer uuid, p_epoch bigint, p_first_seq bigint, p_hash bytea, OUT place text, OUT gateway text,
  OUT incarnation uuid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_found record;
BEGIN
  SELECT f.first_seq, f.hash, f.gateway, f.incarnation INTO v_found FROM bus.frames f
  WHERE f.producer_id = p_producer AND f.epoch = p_epoch AND f.first_seq <= p_first_seq
  ORDER BY f.first_seq DESC LIMIT 1;
  place := CASE WHEN v_found.first_seq IS NULL THEN 'trimmed' WHEN v_found.first_seq < p_first_seq THEN 'none' WHEN v_found.hash = p_hash THEN 'same'
    ELSE 'other' END;
  IF place = 'same' THEN
    gateway := v_found.gateway;
    incarnation := v_found.incarnation;
  END IF;
END $$;

-- As bus.append has been since 0002, but for p_incarnation and who accepted a duplicate.
-- Appends each frame that is its producer's next. One row of answer per frame, in order; with a duplicate go gateway and incarnation of whoever
-- accepted it, NULL where retention has removed it.
--   p_gateway, p_incarnation  the gate, and its process: kept with each entry
--   p_producers  one per frame
--   p_numbers    fifteen per frame: epoch, first_seq, count, offered, prev_epoch, prev_seq, kind, codec, schema_version, mapping_version,
--                producer_kind, header bytes, signature bytes, verdicts bytes, body bytes
--   p_blob       per frame: hash 32, prev_hash 32, payload_hash 32, key_id 8, header, signature, verdicts, body
--                (one bytea travels as it is; an array of them would go through hexadecimal text)
-- The barrier under a duplicate (R-4): with synchronous_commit on, a row becomes visible only after its commit record was flushed; but this
-- function need not trust that every earlier session did so. The earlier frame is visible to us, so its commit record lies before ours in
-- the log; the partition's head is locked and written in every call, so ours is a commit that must be flushed (and replicated, where that
-- is asked for), and a log is flushed in order. So a duplicate's answer covers the first append however that one had been committed.
CREATE FUNCTION bus.append(p_part int, p_registry_version bigint, p_gateway text, p_incarnation uuid, p_producers uuid[], p_numbers bigint[],
  p_blob bytea)
RETURNS SETOF bus.append_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c_stride  CONSTANT int := 15;
  c_hashes  CONSTANT int := 104;
  v_frames  CONSTANT int := cardinality(p_producers);
  v_lock    bus.partition_head;
  v_head    record;
  v_producer uuid;
  v_us      bigint;
  v_at      timestamptz;
  v_reason  text;
  v_off     bigint;
  v_entry   bytea;
  v_known   text;
  v_gateway text;
  v_incarnation uuid;
  v_hash    bytea;
  v_prev    bytea;
  v_key     bytea;
  v_from    int := 1;
  v_k       int;
  a         bus.append_answer;
BEGIN
  IF num_nulls(p_part, p_registry_version, p_gateway, p_incarnation, p_producers, p_numbers, p_blob) > 0
    OR num_nulls(VARIADIC p_producers) > 0 OR num_nulls(VARIADIC p_numbers) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  SELECT * INTO v_lock FROM bus.partition_head p WHERE p.part = p_part FOR UPDATE;
  IF NOT FOUND OR cardinality(p_numbers) <> v_frames * c_stride THEN
    RAISE EXCEPTION 'no such partition, or malformed arguments' USING ERRCODE = 'RB001';
  END IF;
  v_us := greatest(v_lock.received_us, bus.clock_us());
  v_at := bus.to_time(v_us);
  v_reason := bus.paused_reason(v_at);
  IF v_reason IS NOT NULL THEN
    a.verdict := 'paused';
    a.reason := v_reason;
    SELECT s.retry_after_ms INTO a.retry_after_ms FROM bus.state s;
  ELSIF p_registry_version < (SELECT r.version FROM bus.registry_version r) THEN
    a.verdict := 'stale_registry';
  END IF;
  IF a.verdict IS NOT NULL THEN
    FOR i IN 1 .. v_frames LOOP
      RETURN NEXT a;
    END LOOP;
    RETURN;
  END IF;

  v_off := v_lock.off;
  v_entry := v_lock.entry_hash;
  FOR i IN 1 .. v_frames LOOP
    v_k := (i - 1) * c_stride;
    IF v_producer IS DISTINCT FROM p_producers[i] THEN
      v_producer := p_producers[i];
      SELECT coalesce(h.epoch, 0) AS epoch, coalesce(h.seq, 0) AS seq, coalesce(h.hash, z.zero) AS hash, coalesce(h.part, -1) AS part,
             coalesce(h.prev_epoch, 0) AS prev_epoch, coalesce(h.prev_seq, 0) AS prev_seq, coalesce(h.prev_hash, z.zero) AS prev_hash,
             coalesce(s.epoch, 0) AS stored_epoch, coalesce(s.seq, 0) AS stored_seq,
             EXISTS (SELECT FROM bus.revoked r WHERE r.producer_id = v_producer) AS revoked
        INTO v_head
        FROM (SELECT decode(repeat('00', 32), 'hex') AS zero) z
        LEFT JOIN bus.producer_head h ON h.producer_id = v_producer
        LEFT JOIN data.sink_head s ON s.producer_id = v_producer;
    END IF;
    v_hash := substring(p_blob FROM v_from FOR 32);
    v_prev := substring(p_blob FROM v_from + 32 FOR 32);
    -- What is above the head is not looked up: a frame that is next costs no read of the log.
    IF p_numbers[v_k + 1] < v_head.epoch OR (p_numbers[v_k + 1] = v_head.epoch AND p_numbers[v_k + 2] <= v_head.seq) THEN
      SELECT k.place, k.gateway, k.incarnation INTO v_known, v_gateway, v_incarnation
        FROM bus.known_frame(v_producer, p_numbers[v_k + 1], p_numbers[v_k + 2], v_hash) k;
    END IF;

    -- The table of append_machine.ts, line by line.
    a := NULL;
    a.verdict := CASE
      WHEN v_head.revoked THEN 'revoked'
      WHEN p_numbers[v_k + 1] > v_head.epoch THEN 'gap'
      WHEN p_numbers[v_k + 1] < v_head.epoch THEN CASE WHEN v_known = 'same' THEN 'duplicate' ELSE 'fenced' END
      WHEN p_numbers[v_k + 2] > v_head.seq + 1 THEN 'gap'
      WHEN p_numbers[v_k + 2] <= v_head.seq THEN CASE WHEN v_known IN ('same', 'trimmed') THEN 'duplicate' ELSE 'equivocation' END
      WHEN v_head.seq > 0 AND (p_numbers[v_k + 5] <> v_head.epoch OR p_numbers[v_k + 6] <> v_head.seq OR v_prev <> v_head.hash) THEN 'equivocation'
      WHEN v_head.seq = 0 AND (p_numbers[v_k + 5] <> v_head.prev_epoch OR p_numbers[v_k + 6] <> v_head.prev_seq OR v_prev <> v_head.prev_hash) THEN 'equivocation'
      WHEN v_head.part <> p_part THEN 'misrouted'
      ELSE 'accepted' END;

    IF a.verdict = 'accepted' THEN
      v_off := v_off + 1;
      v_entry := v_hash;
      v_key := substring(p_blob FROM v_from + 96 FOR 8);
      INSERT INTO bus.frames (part, off, received_at, producer_id, producer_kind, epoch, first_seq, count, kind, codec, schema_version,
        mapping_version, key_id, offered, prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, incarnation,
        body)
      VALUES (p_part, v_off, v_at, v_producer, p_numbers[v_k + 11], p_numbers[v_k + 1], p_numbers[v_k + 2], p_numbers[v_k + 3],
        p_numbers[v_k + 7], p_numbers[v_k + 8], p_numbers[v_k + 9], p_numbers[v_k + 10], v_key, p_numbers[v_k + 4], p_numbers[v_k + 5],
        p_numbers[v_k + 6], v_prev, substring(p_blob FROM v_from + 64 FOR 32), v_hash,
        substring(p_blob FROM v_from + c_hashes FOR p_numbers[v_k + 12]::int),
        substring(p_blob FROM v_from + c_hashes + p_numbers[v_k + 12]::int FOR p_numbers[v_k + 13]::int),
        substring(p_blob FROM v_from + c_hashes + (p_numbers[v_k + 12] + p_numbers[v_k + 13])::int FOR p_numbers[v_k + 14]::int),
        p_gateway, p_incarnation,
        substring(p_blob FROM v_from + c_hashes + (p_numbers[v_k + 12] + p_numbers[v_k + 13] + p_numbers[v_k + 14])::int FOR p_numbers[v_k + 15]::int));
      v_head.seq := p_numbers[v_k + 2] + p_numbers[v_k + 3] - 1;
      v_head.hash := v_hash;
      UPDATE bus.producer_head h SET seq = v_head.seq, hash = v_hash, offered = p_numbers[v_k + 4], last_received_us = v_us
      WHERE h.producer_id = v_producer;
      a.off := v_off;
      a.received_us := v_us;
    END IF;
    IF a.verdict = 'duplicate' THEN
      a.gateway := v_gateway;
      a.incarnation := v_incarnation;
    END IF;
    IF a.verdict <> 'revoked' THEN
      a.epoch := v_head.epoch;
      a.seq := v_head.seq;
      a.hash := v_head.hash;
      a.part := v_head.part;
      a.prev_epoch := v_head.prev_epoch;
      a.prev_seq := v_head.prev_seq;
      a.prev_hash := v_head.prev_hash;
      a.stored_epoch := v_head.stored_epoch;
      a.stored_seq := v_head.stored_seq;
    END IF;
    RETURN NEXT a;
    v_from := v_from + c_hashes + (p_numbers[v_k + 12] + p_numbers[v_k + 13] + p_numbers[v_k + 14] + p_numbers[v_k + 15])::int;
  END LOOP;
  IF v_from <> octet_length(p_blob) + 1 THEN
    RAISE EXCEPTION 'the lengths do not add up to the blob' USING ERRCODE = 'RB001';
  END IF;

  -- Also when nothing was accepted: a transaction that has written waits for its flush, which is the barrier under a duplicate.
  UPDATE bus.partition_head p
  SET off = v_off, entry_hash = v_entry, received_us = CASE WHEN v_off > v_lock.off THEN v_us ELSE p.received_us END
  WHERE p.part = p_part;
END $$;
