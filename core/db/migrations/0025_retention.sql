-- 0025 retention: a day goes without anybody waiting for it, unless a legal hold keeps it.
-- Why: dropping a partition takes its parent for itself, and every append and every reader queues behind that wait; DETACH CONCURRENTLY does not, but it must be a
--   statement of its own and cannot be part of the transaction that counts the day. And what somebody must keep by law is not retention's to remove.
-- Enforces: a day is counted in one transaction, and from its commit on the ledger passes over its rows, whether they are still attached or not; then it is detached
--   and dropped in steps, each of which may be interrupted and done again. Received time never runs back into a day that is gone, whatever the clock does. A day
--   that meets an open hold is not counted, and no wish for it reaches the sealer.
-- Forbids: two days on their way at once; a hold that is changed or removed: a release is a row of its own.
-- Danger: new tables and functions, views and functions replaced, one column with a default on a table of one row. No lock on a table of frames or rows, safe to run
--   while the system is up. The keeper of the release before cannot drop days any more; it goes on with everything else.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ransomeye_custodian') THEN
    CREATE ROLE ransomeye_custodian NOLOGIN NOINHERIT NOCREATEDB NOCREATEROLE;
  END IF;
END $$;

-- What must be kept, in received time [from_at, until_at): of one producer, or of all. Days are the unit: a day that holds anything of it is kept whole.
CREATE TABLE evidence.legal_hold (
  id          bigint PRIMARY KEY CHECK (id > 0),
  producer_id uuid,
  from_at     timestamptz NOT NULL,
  until_at    timestamptz NOT NULL,
  reason      text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500 AND reason !~ '[[:cntrl:]]'),
  actor       text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128 AND actor !~ '[[:cntrl:]]'),
  placed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (from_at < until_at)
);
-- The end of a hold.
CREATE TABLE evidence.legal_hold_release (
  hold        bigint PRIMARY KEY REFERENCES evidence.legal_hold (id),
  reason      text NOT NULL CHECK (char_length(reason) BETWEEN 1 AND 500 AND reason !~ '[[:cntrl:]]'),
  actor       text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 128 AND actor !~ '[[:cntrl:]]'),
  released_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
SELECT ops.guard_table(t) FROM unnest(ARRAY['evidence.legal_hold', 'evidence.legal_hold_release']) AS t;

-- The day that is on its way out, if there is one: counted, and not yet dropped in all tables. One at a time: PostgreSQL allows one pending DETACH for each table.
-- counted_xid: the transaction that counted it; whoever looks at an older moment counts the rows themselves, so they stay attached until he is gone.
CREATE TABLE ops.day_removal (
  one         boolean PRIMARY KEY DEFAULT true CHECK (one),
  day         date NOT NULL,
  from_at     timestamptz NOT NULL,
  to_at       timestamptz NOT NULL,
  bytes       bigint NOT NULL,
  policy      text NOT NULL,
  counted_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  counted_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Received time is never before this: the end of the last day that retention was about to take.
ALTER TABLE bus.state ADD COLUMN received_floor_us bigint NOT NULL DEFAULT 0;

-- Open holds that keep a day. Frames say whose a day is: every row, dead letter and gap of it comes from one that was received with it.
CREATE FUNCTION ops.day_holds(p_day date) RETURNS bigint[] LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(array_agg(h.id ORDER BY h.id), '{}') FROM evidence.legal_hold h
  WHERE h.from_at < (p_day + 1)::timestamp AT TIME ZONE 'UTC' AND h.until_at > p_day::timestamp AT TIME ZONE 'UTC'
    AND NOT EXISTS (SELECT FROM evidence.legal_hold_release r WHERE r.hold = h.id)
    AND (h.producer_id IS NULL OR EXISTS (
      SELECT FROM bus.frames f WHERE f.producer_id = h.producer_id
        AND f.received_at >= p_day::timestamp AT TIME ZONE 'UTC' AND f.received_at < (p_day + 1)::timestamp AT TIME ZONE 'UTC'
        AND f.received_at >= h.from_at AND f.received_at < h.until_at))
$$;

-- Under this lock a day is counted and a hold is placed, so that each is before or after the other: a day that is counted is gone, and a day that is held stays.
CREATE FUNCTION ops.retention_lock() RETURNS void LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT pg_advisory_xact_lock(hashtextextended('ransomeye retention', 0)) $$;

-- Places a hold; gives its number. NULL for all producers, and for a range that has no beginning or no end.
CREATE FUNCTION ops.hold_place(p_producer uuid, p_from timestamptz, p_until timestamptz, p_reason text, p_actor text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id bigint;
BEGIN
  PERFORM ops.retention_lock();
  INSERT INTO evidence.legal_hold (id, producer_id, from_at, until_at, reason, actor)
  SELECT coalesce(max(h.id), 0) + 1, p_producer, coalesce(p_from, '-infinity'), coalesce(p_until, 'infinity'), p_reason, p_actor FROM evidence.legal_hold h
  RETURNING id INTO v_id;
  RETURN v_id;
END $$;

-- Ends a hold. False: there is none of that number, or it was released before.
CREATE FUNCTION ops.hold_release(p_hold bigint, p_reason text, p_actor text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM ops.retention_lock();
  INSERT INTO evidence.legal_hold_release (hold, reason, actor)
  SELECT h.id, p_reason, p_actor FROM evidence.legal_hold h WHERE h.id = p_hold ON CONFLICT DO NOTHING;
  RETURN FOUND;
END $$;

CREATE VIEW views.legal_holds AS
SELECT h.id, h.producer_id, nullif(h.from_at, '-infinity') AS from_at, nullif(h.until_at, 'infinity') AS until_at, h.reason, h.actor, h.placed_at,
       r.released_at, r.actor AS released_by, r.reason AS release_reason
FROM evidence.legal_hold h LEFT JOIN evidence.legal_hold_release r ON r.hold = h.id;

-- As since 0024; and a day that is held is nobody's to sign away. Wishes are kept for ever: holds are looked for only for those that are open.
CREATE OR REPLACE VIEW views.expiry_wishes AS
WITH open AS MATERIALIZED (
  SELECT w.day, w.policy, w.actor, w.wished_at FROM evidence.expiry_wish w
  WHERE NOT EXISTS (SELECT FROM evidence.statement s WHERE s.kind = 'expiry' AND s.day = w.day)
)
SELECT o.day, o.policy, o.actor, o.wished_at FROM open o WHERE ops.day_holds(o.day) = '{}';

-- The day that is on its way out: for whoever asks what retention is doing.
CREATE VIEW views.day_removal AS
SELECT r.day, r.bytes, r.policy, r.counted_at FROM ops.day_removal r;

-- As since 0005; and rows of a day that has been counted as expired are passed over, for as long as they are there.
CREATE OR REPLACE VIEW views.ledger_producer AS
WITH leaving AS MATERIALIZED (
  SELECT coalesce(min(r.from_at), 'infinity') AS from_at, coalesce(max(r.to_at), 'infinity') AS to_at FROM ops.day_removal r
), found AS (
  SELECT producer_id, epoch, sum(stored)::bigint AS stored, sum(dead_lettered)::bigint AS dead_lettered,
         sum(gap_declared)::bigint AS gap_declared, sum(seq_sum) AS seq_sum, sum(expired)::bigint AS expired
  FROM (
    SELECT producer_id, epoch, count(*) AS stored, 0 AS dead_lettered, 0 AS gap_declared, sum(seq) AS seq_sum, 0 AS expired
      FROM data.events_dpi
      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq), 0 FROM data.events_agent
      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq), 0 FROM data.events_honeypot
      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, sum(count), 0, sum(count * first_seq::numeric + count * (count - 1::numeric) / 2), 0
      FROM data.event_dead_letters
      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, 0, sum(count), sum(count * first_seq::numeric + count * (count - 1::numeric) / 2), 0
      FROM data.gaps
      WHERE (received_at < (SELECT l.from_at FROM leaving l) OR received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum, stored + dead_lettered + gap_declared FROM ops.expired
  ) parts
  GROUP BY producer_id, epoch
),
-- A sealed epoch says in the log where it ended; the open one is the producer's head.
heads AS (
  SELECT l.producer_id, l.epoch, coalesce(l.final_seq, h.seq, 0) AS bus_head, coalesce(l.offered, h.offered, 0) AS offered
  FROM bus.epoch_log l LEFT JOIN bus.producer_head h ON h.producer_id = l.producer_id AND h.epoch = l.epoch
),
sinks AS (
  SELECT producer_id, epoch, seq AS sink_head FROM data.sink_head
  UNION ALL
  SELECT producer_id, epoch, final_seq FROM data.sink_epochs
),
joined AS (
  SELECT producer_id, epoch, coalesce(heads.offered, 0) AS offered, coalesce(heads.bus_head, 0) AS bus_head,
         coalesce(sinks.sink_head, 0) AS sink_head, coalesce(found.stored, 0) AS stored, coalesce(found.dead_lettered, 0) AS dead_lettered,
         coalesce(found.gap_declared, 0) AS gap_declared, coalesce(found.seq_sum, 0) AS seq_sum, coalesce(found.expired, 0) AS expired
  FROM heads FULL JOIN sinks USING (producer_id, epoch) FULL JOIN found USING (producer_id, epoch)
)
SELECT j.producer_id, views.kind_name(k.producer_kind) AS kind, j.epoch, j.offered, j.bus_head, j.sink_head,
       j.stored, j.dead_lettered, j.gap_declared, j.expired,
       j.bus_head - j.sink_head AS in_flight,
       j.bus_head - j.stored - j.dead_lettered - j.gap_declared - (j.bus_head - j.sink_head) AS imbalance,
       j.seq_sum - j.sink_head::numeric * (j.sink_head + 1) / 2 AS misplaced
FROM joined j LEFT JOIN data.sink_head k USING (producer_id);

-- As since 0023; and without the rows of a day that has been counted as expired: its removal has brought them into the sums.
CREATE OR REPLACE VIEW ops.ledger_tail AS
WITH behind AS MATERIALIZED (
  SELECT l.part, l.off, l.received_at, l.mark_off, l.mark_received_at,
         coalesce(CASE WHEN l.fence = l.mark_fence THEN (
           SELECT f.received_at FROM bus.frames f
           WHERE f.part = l.part AND f.off > l.mark_off AND f.received_at >= l.mark_received_at ORDER BY f.off LIMIT 1) END, l.mark_received_at) AS from_at,
         l.log_received_at AS to_at
  FROM ops.ledger_place l WHERE l.behind
), leaving AS MATERIALIZED (
  SELECT coalesce(min(r.from_at), 'infinity') AS from_at, coalesce(max(r.to_at), 'infinity') AS to_at FROM ops.day_removal r
)
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off) AS stored_place, count(*) AS stored, 0::bigint AS dead_lettered,
       0::bigint AS gap_declared, sum(e.seq) AS seq_sum
  FROM data.events_dpi e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l))
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off), count(*), 0, 0, sum(e.seq)
  FROM data.events_agent e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l))
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off), count(*), 0, 0, sum(e.seq)
  FROM data.events_honeypot e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l))
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, d.producer_id, d.epoch, (d.received_at, d.frame_off) <= (b.received_at, b.off), 0, sum(d.count), 0,
       sum(d.count * d.first_seq::numeric + d.count * (d.count - 1::numeric) / 2)
  FROM data.event_dead_letters d LEFT JOIN behind b ON b.part = d.frame_part
  WHERE d.received_at >= (SELECT min(n.from_at) FROM behind n) AND d.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND (d.received_at < (SELECT l.from_at FROM leaving l) OR d.received_at >= (SELECT l.to_at FROM leaving l))
    AND coalesce((d.received_at, d.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, g.producer_id, g.epoch, (g.received_at, g.frame_off) <= (b.received_at, b.off), 0, 0, sum(g.count),
       sum(g.count * g.first_seq::numeric + g.count * (g.count - 1::numeric) / 2)
  FROM data.gaps g LEFT JOIN behind b ON b.part = g.frame_part
  WHERE g.received_at >= (SELECT min(n.from_at) FROM behind n) AND g.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND (g.received_at < (SELECT l.from_at FROM leaving l) OR g.received_at >= (SELECT l.to_at FROM leaving l))
    AND coalesce((g.received_at, g.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4;

-- As since 0009; and received time is never in a day that retention was about to take.
CREATE OR REPLACE FUNCTION bus.append(p_part int, p_registry_version bigint, p_gateway text, p_incarnation uuid, p_producers uuid[], p_numbers bigint[],
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
  v_us := greatest(v_lock.received_us, (SELECT s.received_floor_us FROM bus.state s), bus.clock_us());
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

-- As since 0002; and from here on nothing is received in this day or before it any more, whatever the clock does. In this order: an append that took the old floor
-- holds a partition's head, and the marks wait for it; the marks' places are looked up before the first head is locked, so that no append waits for that.
CREATE OR REPLACE FUNCTION bus.trim_day(p_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_end_us CONSTANT bigint := extract(epoch FROM (p_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000;
  v_parts  int[];
  v_lasts  bigint[];
  v_free   boolean := true;
BEGIN
  IF v_end_us > bus.clock_us() THEN
    RETURN false;
  END IF;
  UPDATE bus.state s SET received_floor_us = v_end_us WHERE s.received_floor_us < v_end_us;
  SELECT array_agg(p.part ORDER BY p.part), array_agg(bus.seek(p.part, v_end_us) ORDER BY p.part) INTO v_parts, v_lasts FROM bus.partition_head p;
  FOR i IN 1 .. coalesce(cardinality(v_parts), 0) LOOP
    v_free := bus.trim(v_parts[i], v_lasts[i]) >= v_lasts[i] AND v_free;
  END LOOP;
  RETURN v_free;
END $$;

-- As since 0009; but entries are not removed from the low end alone, where a day before them is held: a place that no batch covers has been removed, for what is
-- left of an epoch is dense between the days that are gone.
CREATE OR REPLACE FUNCTION bus.known_frame(p_producer uuid, p_epoch bigint, p_first_seq bigint, p_hash bytea, OUT place text, OUT gateway text,
  OUT incarnation uuid)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_found record;
BEGIN
  SELECT f.first_seq, f.first_seq + f.count AS next_seq, f.hash, f.gateway, f.incarnation INTO v_found FROM bus.frames f
  WHERE f.producer_id = p_producer AND f.epoch = p_epoch AND f.first_seq <= p_first_seq
  ORDER BY f.first_seq DESC LIMIT 1;
  place := CASE WHEN v_found.first_seq IS NULL OR v_found.next_seq <= p_first_seq THEN 'trimmed' WHEN v_found.first_seq < p_first_seq THEN 'none'
    WHEN v_found.hash = p_hash THEN 'same' ELSE 'other' END;
  IF place = 'same' THEN
    gateway := v_found.gateway;
    incarnation := v_found.incarnation;
  END IF;
END $$;

-- As since 0005; a producer whose last batch went with its day, while a hold keeps an earlier one, has not diverged.
CREATE OR REPLACE VIEW views.sink_diverged AS
SELECT s.producer_id, s.epoch, s.seq, coalesce(h.epoch, 0) AS bus_epoch, coalesce(h.seq, 0) AS bus_seq, l.part
FROM data.sink_head s
LEFT JOIN bus.producer_head h USING (producer_id)
LEFT JOIN bus.epoch_log l ON l.producer_id = s.producer_id AND l.epoch = s.epoch
LEFT JOIN LATERAL (
  SELECT f.first_seq + f.count - 1 AS last_seq, f.hash FROM bus.frames f
  WHERE f.producer_id = s.producer_id AND f.epoch = s.epoch AND f.first_seq <= s.seq
  ORDER BY f.first_seq DESC LIMIT 1) n ON true
WHERE (coalesce(h.epoch, 0), coalesce(h.seq, 0)) < (s.epoch, s.seq)
   OR ((n.last_seq <> s.seq OR n.hash <> s.hash) AND NOT EXISTS (
     SELECT FROM evidence.expired_chain x
     WHERE n.last_seq < s.seq AND x.producer_id = s.producer_id AND x.epoch = s.epoch AND x.last_seq = s.seq AND x.last_hash = s.hash));

-- As since 0011; but a day on its way out is nobody's to attach again: the bus pauses until it is gone. And one that is gone is not made anew while nothing can be
-- received in it.
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
      CONTINUE WHEN EXISTS (SELECT FROM ops.day_removal r WHERE r.day = v_day)
        OR (to_regclass('bus.' || ops.partition_name('frames', v_day)) IS NULL AND EXISTS (
          SELECT FROM bus.state s WHERE NOT s.log_elsewhere AND s.received_floor_us >= extract(epoch FROM (v_day + 1)::timestamp AT TIME ZONE 'UTC') * 1000000))
        OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass(v_child) AND i.inhparent = v_parent::regclass AND NOT i.inhdetachpending);
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

-- Days in which an append that came now would lie and which are missing: the intake pauses until somebody makes them. By the bus's clock: that of whoever asks may be another.
CREATE FUNCTION ops.missing_days() RETURNS SETOF date LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT n.day FROM (
    SELECT DISTINCT (bus.to_time(greatest(p.received_us, s.received_floor_us, c.us)) AT TIME ZONE 'UTC')::date AS day
    FROM bus.partition_head p CROSS JOIN bus.state s CROSS JOIN (SELECT bus.clock_us() AS us) c) n
  WHERE NOT EXISTS (
    SELECT FROM pg_inherits i WHERE i.inhrelid = to_regclass('bus.' || ops.partition_name('frames', n.day)) AND i.inhparent = 'bus.frames'::regclass AND NOT i.inhdetachpending)
  ORDER BY n.day
$$;

-- As since 0006; but what somebody's long transaction keeps from being finished is left for the next time, and a start does not wait for it.
CREATE OR REPLACE FUNCTION ops.finish_detaches() RETURNS int
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_pending record;
  v_done    int := 0;
BEGIN
  FOR v_pending IN
    SELECT i.inhparent::regclass AS parent, i.inhrelid::regclass AS child FROM pg_inherits i
    JOIN ops.day_table t ON i.inhparent = to_regclass(format('%I.%I', t.schema_name, t.table_name)) WHERE i.inhdetachpending
  LOOP
    BEGIN
      EXECUTE format('ALTER TABLE %s DETACH PARTITION %s FINALIZE', v_pending.parent, v_pending.child);
      v_done := v_done + 1;
    EXCEPTION WHEN lock_not_available THEN
      CONTINUE;
    END;
  END LOOP;
  RETURN v_done;
END $$;

-- Counts a day that retention wants gone, and begins its removal, in one transaction: from its commit on the ledger has the day as expired. What becomes of it:
-- expired, removing (it was counted before), busy (another day is on its way), held, unread (not over, or a group has yet to read entries of it), unsigned.
-- 55P03: try again.
CREATE FUNCTION ops.expire_day(p_day date, p_policy text, OUT verdict text, OUT bytes bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_from   CONSTANT timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_to     CONSTANT timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  v_to_us  CONSTANT bigint := extract(epoch FROM v_to) * 1000000;
  v_going  date;
  v_aside  boolean;
BEGIN
  PERFORM ops.retention_lock();
  SELECT r.day INTO v_going FROM ops.day_removal r;
  verdict := CASE
    WHEN v_going = p_day THEN 'removing'
    WHEN v_going IS NOT NULL THEN 'busy'
    WHEN ops.day_holds(p_day) <> '{}' THEN 'held'
    WHEN v_to_us > bus.clock_us() OR v_to_us > (SELECT s.received_floor_us FROM bus.state s)
      OR EXISTS (SELECT FROM bus.partition_head p WHERE p.low_off < bus.seek(p.part, v_to_us))
      OR EXISTS (SELECT FROM bus.consumer_offset o JOIN bus.partition_head p USING (part) WHERE o.off < p.low_off) THEN 'unread'
    WHEN NOT EXISTS (SELECT FROM evidence.statement s WHERE s.kind = 'expiry' AND s.day = p_day) THEN 'unsigned'
    ELSE 'expired' END;
  IF verdict <> 'expired' THEN
    RETURN;
  END IF;
  SELECT coalesce(sum(pg_total_relation_size(d.child)), 0), coalesce(bool_or(NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = d.child AND NOT i.inhdetachpending)), false)
    INTO expire_day.bytes, v_aside
    FROM (SELECT to_regclass(format('%I.%I', t.schema_name, ops.partition_name(t.table_name, p_day))) AS child FROM ops.day_table t) d
    WHERE d.child IS NOT NULL;
  -- What somebody has detached by hand is counted with the rest.
  IF v_aside THEN
    PERFORM ops.ensure_partitions(p_day, 1);
  END IF;
  PERFORM ops.count_day(p_day);
  INSERT INTO ops.day_removal (day, from_at, to_at, bytes, policy) VALUES (p_day, v_from, v_to, expire_day.bytes, p_policy);
END $$;

-- What of the counted day has to be detached next, for the supervisor, which owns no less than the tables: DETACH CONCURRENTLY is a statement of its own.
-- command: NULL if nothing is to be done now; waiting: because somebody looks at a moment before the day was counted. bus.frames comes first: who looks for
-- evidence begins there, and must not find batches whose rows are gone.
CREATE FUNCTION ops.next_detach(OUT command text, OUT waiting boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_removal ops.day_removal;
  v_next    record;
BEGIN
  waiting := false;
  SELECT * INTO v_removal FROM ops.day_removal r;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  SELECT i.inhparent::regclass AS parent, i.inhrelid::regclass AS child, i.inhdetachpending AS pending INTO v_next
  FROM ops.day_table t JOIN pg_inherits i ON i.inhparent = to_regclass(format('%I.%I', t.schema_name, t.table_name))
    AND i.inhrelid = to_regclass(format('%I.%I', t.schema_name, ops.partition_name(t.table_name, v_removal.day)))
  ORDER BY t.schema_name, t.table_name LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  waiting := EXISTS (
    SELECT FROM pg_stat_activity a
    WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND age(a.backend_xmin) >= age(v_removal.counted_xid::xid));
  IF NOT waiting THEN
    command := format('ALTER TABLE %s DETACH PARTITION %s %s', v_next.parent, v_next.child, CASE WHEN v_next.pending THEN 'FINALIZE' ELSE 'CONCURRENTLY' END);
  END IF;
END $$;

-- Drops what of the counted day stands aside; nobody reads that any more. tables_left: how many are still to be detached. With none left the day is gone and the next one may
-- go. day: NULL if no day is on its way. 55P03: try again.
CREATE FUNCTION ops.finish_removal(OUT day date, OUT bytes bigint, OUT policy text, OUT counted_at timestamptz, OUT tables_left int)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  v_table ops.day_table;
  v_child regclass;
BEGIN
  SELECT r.day, r.bytes, r.policy, r.counted_at INTO finish_removal.day, finish_removal.bytes, finish_removal.policy, finish_removal.counted_at
  FROM ops.day_removal r FOR UPDATE;
  tables_left := 0;
  IF finish_removal.day IS NULL THEN
    RETURN;
  END IF;
  FOR v_table IN SELECT * FROM ops.day_table t ORDER BY t.schema_name, t.table_name LOOP
    v_child := to_regclass(format('%I.%I', v_table.schema_name, ops.partition_name(v_table.table_name, finish_removal.day)));
    CONTINUE WHEN v_child IS NULL;
    IF EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = v_child) THEN
      tables_left := tables_left + 1;
    ELSE
      EXECUTE format('DROP TABLE %s', v_child);
    END IF;
  END LOOP;
  IF tables_left = 0 THEN
    DELETE FROM ops.day_removal;
  END IF;
END $$;

DROP FUNCTION ops.drop_day(date);
