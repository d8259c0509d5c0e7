-- 0002 bus: the append-only frame log, its producers' heads and the offsets of those who read it.
-- Why: a receipt is a promise that an append has kept. The port's guarantees are stated in core/pipeline/src/bus.ts, the verdicts in
--   core/pipeline/src/append_machine.ts; bus.append and bus.open_epoch mirror that machine, and a property test holds them together.
-- Enforces: dense offsets visible in order (R-1), append if next (R-2), a durability barrier under every `accepted` and `duplicate` (R-4),
--   sealed epochs (R-6), one partition per epoch (R-7), nothing from revoked producers or stale gates (R-13), received time that never
--   runs backwards in a partition (R-16), day partitions by received time in UTC (R-29).
-- Forbids: table privileges for gates, who get EXECUTE on append, open_epoch, heads_of, pressure and counters_put alone (R-12); any UPDATE
--   or DELETE of a frame; NOTIFY (it serialises commits, R-9).
-- Danger: new tables only. No existing row is touched, no lock on a table in use, safe to run while the system is up.
-- Needs: schema bus and role ransomeye_bus_owner (0001). That role also reads data.sink_head, for the advisory stored_* of a head.

-- One history. A restore that loses its tail makes a new generation, and every position of the old one is void (R-2).
CREATE TABLE bus.generation (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  id  uuid NOT NULL
);
INSERT INTO bus.generation (id) VALUES (gen_random_uuid());

CREATE TABLE bus.state (
  one                        boolean PRIMARY KEY DEFAULT true CHECK (one),
  paused_reason              text,
  retry_after_ms             int NOT NULL DEFAULT 1000 CHECK (retry_after_ms > 0),
  -- New epochs are spread over this many partitions; existing epochs stay where they are (R-7).
  partitions                 int NOT NULL DEFAULT 0 CHECK (partitions BETWEEN 0 AND 1024),
  epoch_openings_per_day_max int NOT NULL DEFAULT 32 CHECK (epoch_openings_per_day_max > 0)
);
INSERT INTO bus.state DEFAULT VALUES;

-- Least version that an append must carry. Raised when rights are taken away, not at every enrolment (R-13).
CREATE TABLE bus.registry_version (
  one     boolean PRIMARY KEY DEFAULT true CHECK (one),
  version bigint NOT NULL
);
INSERT INTO bus.registry_version (version) VALUES (0);

CREATE TABLE bus.revoked (
  producer_id uuid PRIMARY KEY
);

-- The row lock on a partition's head, held to commit, is what makes offsets dense and visible in order (R-1). It also guards the heads of
-- the producers whose epoch lives in the partition: whoever changes a producer_head holds the lock of the partition that it names.
-- Few rows to a page, so that every update finds room beside it (HOT).
CREATE TABLE bus.partition_head (
  part            int PRIMARY KEY,
  off             bigint NOT NULL DEFAULT 0,
  received_us     bigint NOT NULL DEFAULT 0,
  entry_hash      bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
  -- Entries up to low_off may have been removed. The low mark is a whole position: groups begin there, and it can still be proven.
  low_off         bigint NOT NULL DEFAULT 0,
  low_received_us bigint NOT NULL DEFAULT 0,
  low_hash        bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
  CHECK (low_off <= off)
) WITH (fillfactor = 10);

CREATE TABLE bus.producer_head (
  producer_id      uuid PRIMARY KEY,
  epoch            bigint NOT NULL,
  seq              bigint NOT NULL,
  hash             bytea NOT NULL,
  part             int NOT NULL REFERENCES bus.partition_head (part),
  prev_epoch       bigint NOT NULL,
  prev_seq         bigint NOT NULL,
  prev_hash        bytea NOT NULL,
  key_id           bytea NOT NULL,
  offered          bigint NOT NULL DEFAULT 0,
  last_received_us bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- Every opening of an epoch, and how the epoch ended once it is sealed. prev_* is the producer's last accepted frame at the opening.
CREATE TABLE bus.epoch_log (
  producer_id uuid NOT NULL,
  epoch       bigint NOT NULL,
  opened_us   bigint NOT NULL,
  part        int NOT NULL,
  key_id      bytea NOT NULL,
  prev_epoch  bigint NOT NULL,
  prev_seq    bigint NOT NULL,
  prev_hash   bytea NOT NULL,
  sealed_us   bigint,
  final_seq   bigint,
  offered     bigint,
  PRIMARY KEY (producer_id, epoch)
);

-- LOGGED, append-only, by received day. Body and header are stored plain and out of line, so that one event's bytes are fetched
-- without the rest (R-18). producer_kind: 1 dpi, 2 linux, 3 windows, 4 honeypot; kind: 1 events, 2 gap.
CREATE TABLE bus.frames (
  part            int NOT NULL,
  off             bigint NOT NULL,
  received_at     timestamptz NOT NULL,
  producer_id     uuid NOT NULL,
  producer_kind   smallint NOT NULL,
  epoch           bigint NOT NULL,
  first_seq       bigint NOT NULL,
  count           int NOT NULL,
  kind            smallint NOT NULL,
  codec           smallint NOT NULL,
  schema_version  int NOT NULL,
  mapping_version int NOT NULL,
  key_id          bytea NOT NULL,
  offered         bigint NOT NULL,
  prev_epoch      bigint NOT NULL,
  prev_seq        bigint NOT NULL,
  prev_hash       bytea NOT NULL,
  payload_hash    bytea NOT NULL,
  hash            bytea NOT NULL,
  header          bytea NOT NULL,
  signature       bytea NOT NULL,
  verdicts        bytea NOT NULL,
  gateway         text NOT NULL,
  body            bytea NOT NULL
) PARTITION BY RANGE (received_at);
ALTER TABLE bus.frames ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN header SET STORAGE EXTERNAL;
-- A unique index of a partitioned table must contain its key; within one day (part, off) alone is what it guards.
CREATE UNIQUE INDEX frames_place ON bus.frames (part, off, received_at);
CREATE INDEX frames_of_producer ON bus.frames (producer_id, epoch, first_seq);

-- A group's place in each partition. The fencing token grows at every change of owner, at release and at rewind; the engine moves off
-- in its own row transaction, WHERE fence = its token (R-3). A group begins at the low mark; off 0: before the first entry ever.
CREATE TABLE bus.consumer_offset (
  grp               text NOT NULL,
  part              int NOT NULL REFERENCES bus.partition_head (part),
  off               bigint NOT NULL DEFAULT 0,
  generation        uuid NOT NULL,
  entry_hash        bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex'),
  entry_received_us bigint NOT NULL DEFAULT 0,
  fence             bigint NOT NULL DEFAULT 0,
  owner             text,
  lease_until       timestamptz,
  PRIMARY KEY (grp, part)
) WITH (fillfactor = 20);

-- Who is alive in a group; serialises the sharing out of its partitions.
CREATE TABLE bus.consumer_group (
  grp text PRIMARY KEY
);
CREATE TABLE bus.group_member (
  grp         text NOT NULL REFERENCES bus.consumer_group (grp),
  member      text NOT NULL,
  lease_until timestamptz NOT NULL,
  parts_max   int NOT NULL,
  PRIMARY KEY (grp, member)
);

-- Transmissions (R-19): cumulative per process of a gate. A process that has ended cleanly says so; one that has not shows by its silence.
CREATE TABLE bus.gate_incarnation (
  gateway     text NOT NULL,
  incarnation uuid NOT NULL,
  started_us  bigint NOT NULL,
  updated_us  bigint NOT NULL,
  ended       boolean NOT NULL,
  PRIMARY KEY (gateway, incarnation)
);
CREATE TABLE bus.gate_counters (
  gateway     text NOT NULL,
  incarnation uuid NOT NULL,
  name        text NOT NULL,
  value       bigint NOT NULL,
  PRIMARY KEY (gateway, incarnation, name)
) WITH (fillfactor = 50);

-- What append says of one frame, and heads_of of one producer. seq, hash … are the true head after the verdict.
CREATE TYPE bus.head_answer AS (
  producer_id uuid, epoch bigint, seq bigint, hash bytea, part int, prev_epoch bigint, prev_seq bigint, prev_hash bytea,
  stored_epoch bigint, stored_seq bigint
);
CREATE TYPE bus.append_answer AS (
  verdict text, reason text, retry_after_ms int, off bigint, received_us bigint, epoch bigint, seq bigint, hash bytea, part int,
  prev_epoch bigint, prev_seq bigint, prev_hash bytea, stored_epoch bigint, stored_seq bigint
);
CREATE TYPE bus.opening_answer AS (
  verdict text, retry_after_ms bigint, epoch bigint, seq bigint, hash bytea, part int, prev_epoch bigint, prev_seq bigint, prev_hash bytea,
  stored_epoch bigint, stored_seq bigint
);
CREATE TYPE bus.lease_answer AS (
  part int, token bigint, off bigint, generation uuid, entry_hash bytea, entry_received_us bigint
);

CREATE FUNCTION bus.clock_us() RETURNS bigint LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

CREATE FUNCTION bus.to_time(p_us bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT timestamptz '1970-01-01 00:00:00+00' + p_us * interval '1 microsecond' $$;

-- Why the bus takes no frames at this moment, or NULL. Durability settings may change at a reload, so they are looked at every time (R-4).
-- A day without an attached partition is a reason to wait, never to refuse (R-16).
CREATE FUNCTION bus.paused_reason(p_at timestamptz) RETURNS text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_reason text;
BEGIN
  SELECT s.paused_reason INTO v_reason FROM bus.state s;
  IF v_reason IS NOT NULL THEN
    RETURN v_reason;
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

-- The commit that follows must wait for the flush, whatever the session or the server says. A function's own SET clause would end with
-- the function, before the commit; a transaction-local setting made in its body reaches to the commit.
CREATE FUNCTION bus.force_barrier() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF pg_catalog.current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM pg_catalog.set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

-- What the log holds at (producer, epoch, first_seq): same, other, none or trimmed. An epoch lies in one partition in the order of its
-- seqs and is removed from the low end: if nothing that begins earlier is left, the place itself has been removed.
CREATE FUNCTION bus.known_frame(p_producer uuid, p_epoch bigint, p_first_seq bigint, p_hash bytea) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_first_seq bigint;
  v_hash bytea;
BEGIN
  SELECT f.first_seq, f.hash INTO v_first_seq, v_hash FROM bus.frames f
  WHERE f.producer_id = p_producer AND f.epoch = p_epoch AND f.first_seq <= p_first_seq
  ORDER BY f.first_seq DESC LIMIT 1;
  RETURN CASE WHEN v_first_seq IS NULL THEN 'trimmed' WHEN v_first_seq < p_first_seq THEN 'none' WHEN v_hash = p_hash THEN 'same' ELSE 'other' END;
END $$;

-- What a gate may call refuses a NULL (RB001) before it takes a lock: a comparison with NULL decides nothing, and a verdict must not fall
-- through to one that nobody meant.

-- Appends each frame that is its producer's next. One row of answer per frame, in order.
--   p_producers  one per frame
--   p_numbers    fifteen per frame: epoch, first_seq, count, offered, prev_epoch, prev_seq, kind, codec, schema_version, mapping_version,
--                producer_kind, header bytes, signature bytes, verdicts bytes, body bytes
--   p_blob       per frame: hash 32, prev_hash 32, payload_hash 32, key_id 8, header, signature, verdicts, body
--                (one bytea travels as it is; an array of them would go through hexadecimal text)
-- The barrier under a duplicate (R-4): with synchronous_commit on, a row becomes visible only after its commit record was flushed; but this
-- function need not trust that every earlier session did so. The earlier frame is visible to us, so its commit record lies before ours in
-- the log; the partition's head is locked and written in every call, so ours is a commit that must be flushed (and replicated, where that
-- is asked for), and a log is flushed in order. So a duplicate's answer covers the first append however that one had been committed.
CREATE FUNCTION bus.append(p_part int, p_registry_version bigint, p_gateway text, p_producers uuid[], p_numbers bigint[], p_blob bytea)
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
  v_hash    bytea;
  v_prev    bytea;
  v_key     bytea;
  v_from    int := 1;
  v_k       int;
  a         bus.append_answer;
BEGIN
  IF num_nulls(p_part, p_registry_version, p_gateway, p_producers, p_numbers, p_blob) > 0
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
    v_known := NULL;
    IF p_numbers[v_k + 1] < v_head.epoch OR (p_numbers[v_k + 1] = v_head.epoch AND p_numbers[v_k + 2] <= v_head.seq) THEN
      v_known := bus.known_frame(v_producer, p_numbers[v_k + 1], p_numbers[v_k + 2], v_hash);
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
        mapping_version, key_id, offered, prev_epoch, prev_seq, prev_hash, payload_hash, hash, header, signature, verdicts, gateway, body)
      VALUES (p_part, v_off, v_at, v_producer, p_numbers[v_k + 11], p_numbers[v_k + 1], p_numbers[v_k + 2], p_numbers[v_k + 3],
        p_numbers[v_k + 7], p_numbers[v_k + 8], p_numbers[v_k + 9], p_numbers[v_k + 10], v_key, p_numbers[v_k + 4], p_numbers[v_k + 5],
        p_numbers[v_k + 6], v_prev, substring(p_blob FROM v_from + 64 FOR 32), v_hash,
        substring(p_blob FROM v_from + c_hashes FOR p_numbers[v_k + 12]::int),
        substring(p_blob FROM v_from + c_hashes + p_numbers[v_k + 12]::int FOR p_numbers[v_k + 13]::int),
        substring(p_blob FROM v_from + c_hashes + (p_numbers[v_k + 12] + p_numbers[v_k + 13])::int FOR p_numbers[v_k + 14]::int),
        p_gateway,
        substring(p_blob FROM v_from + c_hashes + (p_numbers[v_k + 12] + p_numbers[v_k + 13] + p_numbers[v_k + 14])::int FOR p_numbers[v_k + 15]::int));
      v_head.seq := p_numbers[v_k + 2] + p_numbers[v_k + 3] - 1;
      v_head.hash := v_hash;
      UPDATE bus.producer_head h SET seq = v_head.seq, hash = v_hash, offered = p_numbers[v_k + 4], last_received_us = v_us
      WHERE h.producer_id = v_producer;
      a.off := v_off;
      a.received_us := v_us;
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

-- Seals the current epoch and opens the next in one step (R-6): under the lock of the partition that holds the current one, so no append
-- of the old epoch is under way. verdict: opened, conflict, limited, revoked, stale_registry.
CREATE FUNCTION bus.open_epoch(p_producer uuid, p_expected_epoch bigint, p_key_id bytea, p_registry_version bigint)
RETURNS bus.opening_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c_day_us CONSTANT bigint := 86400000000;
  v_id     CONSTANT bytea := sha256(uuid_send(p_producer));
  v_state  bus.state;
  v_now    bigint;
  v_target int;
  v_lock   int;
  v_head   record;
  v_oldest bigint;
  a        bus.opening_answer;
BEGIN
  IF num_nulls(p_producer, p_expected_epoch, p_key_id, p_registry_version) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  SELECT * INTO v_state FROM bus.state s;
  IF v_state.partitions = 0 THEN
    RAISE EXCEPTION 'the bus has no partitions' USING ERRCODE = 'RB002';
  END IF;
  v_target := ((get_byte(v_id, 0)::bigint << 24 | get_byte(v_id, 1) << 16 | get_byte(v_id, 2) << 8 | get_byte(v_id, 3)) % v_state.partitions)::int;
  LOOP
    v_lock := coalesce((SELECT h.part FROM bus.producer_head h WHERE h.producer_id = p_producer), v_target);
    PERFORM FROM bus.partition_head p WHERE p.part = v_lock FOR UPDATE;
    EXIT WHEN v_lock = coalesce((SELECT h.part FROM bus.producer_head h WHERE h.producer_id = p_producer), v_target);
  END LOOP;
  IF p_registry_version < (SELECT r.version FROM bus.registry_version r) THEN
    a.verdict := 'stale_registry';
    RETURN a;
  END IF;
  IF EXISTS (SELECT FROM bus.revoked r WHERE r.producer_id = p_producer) THEN
    a.verdict := 'revoked';
    RETURN a;
  END IF;

  SELECT coalesce(h.epoch, 0) AS epoch, coalesce(h.seq, 0) AS seq, coalesce(h.hash, z.zero) AS hash, coalesce(h.part, -1) AS part,
         coalesce(h.prev_epoch, 0) AS prev_epoch, coalesce(h.prev_seq, 0) AS prev_seq, coalesce(h.prev_hash, z.zero) AS prev_hash,
         coalesce(h.offered, 0) AS offered, coalesce(s.epoch, 0) AS stored_epoch, coalesce(s.seq, 0) AS stored_seq
    INTO v_head
    FROM (SELECT decode(repeat('00', 32), 'hex') AS zero) z
    LEFT JOIN bus.producer_head h ON h.producer_id = p_producer
    LEFT JOIN data.sink_head s ON s.producer_id = p_producer;
  a.epoch := v_head.epoch;
  a.seq := v_head.seq;
  a.hash := v_head.hash;
  a.part := v_head.part;
  a.prev_epoch := v_head.prev_epoch;
  a.prev_seq := v_head.prev_seq;
  a.prev_hash := v_head.prev_hash;
  a.stored_epoch := v_head.stored_epoch;
  a.stored_seq := v_head.stored_seq;
  IF p_expected_epoch <> v_head.epoch THEN
    a.verdict := 'conflict';
    RETURN a;
  END IF;
  v_now := bus.clock_us();
  SELECT l.opened_us INTO v_oldest FROM bus.epoch_log l WHERE l.producer_id = p_producer
  ORDER BY l.epoch DESC OFFSET v_state.epoch_openings_per_day_max - 1 LIMIT 1;
  IF v_oldest > v_now - c_day_us THEN
    a.verdict := 'limited';
    a.retry_after_ms := ceil((v_oldest + c_day_us - v_now) / 1000.0);
    RETURN a;
  END IF;

  -- The end of the chain is the last accepted frame; an epoch sealed without one leaves it where it was.
  IF v_head.seq > 0 THEN
    a.prev_epoch := v_head.epoch;
    a.prev_seq := v_head.seq;
    a.prev_hash := v_head.hash;
  END IF;
  UPDATE bus.epoch_log l SET sealed_us = v_now, final_seq = v_head.seq, offered = v_head.offered
  WHERE l.producer_id = p_producer AND l.epoch = v_head.epoch;
  a.verdict := 'opened';
  a.epoch := v_head.epoch + 1;
  a.seq := 0;
  a.hash := a.prev_hash;
  a.part := v_target;
  INSERT INTO bus.epoch_log (producer_id, epoch, opened_us, part, key_id, prev_epoch, prev_seq, prev_hash)
  VALUES (p_producer, a.epoch, v_now, a.part, p_key_id, a.prev_epoch, a.prev_seq, a.prev_hash);
  IF v_head.epoch = 0 THEN
    INSERT INTO bus.producer_head (producer_id, epoch, seq, hash, part, prev_epoch, prev_seq, prev_hash, key_id)
    VALUES (p_producer, a.epoch, 0, a.hash, a.part, a.prev_epoch, a.prev_seq, a.prev_hash, p_key_id);
  ELSE
    UPDATE bus.producer_head h
    SET epoch = a.epoch, seq = 0, hash = a.hash, part = a.part, prev_epoch = a.prev_epoch, prev_seq = a.prev_seq, prev_hash = a.prev_hash,
        key_id = p_key_id, offered = 0
    WHERE h.producer_id = p_producer;
  END IF;
  RETURN a;
END $$;

CREATE FUNCTION bus.heads_of(p_producers uuid[]) RETURNS SETOF bus.head_answer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF p_producers IS NULL OR num_nulls(VARIADIC p_producers) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  RETURN QUERY
    SELECT h.producer_id, h.epoch, h.seq, h.hash, h.part, h.prev_epoch, h.prev_seq, h.prev_hash, coalesce(s.epoch, 0), coalesce(s.seq, 0)
    FROM bus.producer_head h LEFT JOIN data.sink_head s USING (producer_id)
    WHERE h.producer_id = ANY (p_producers);
END $$;

CREATE FUNCTION bus.pressure(OUT paused text, OUT retry_after_ms int, OUT backlog_entries bigint, OUT generation uuid, OUT partitions int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  SELECT bus.paused_reason(clock_timestamp()), s.retry_after_ms, s.partitions, g.id INTO paused, retry_after_ms, partitions, generation
  FROM bus.state s CROSS JOIN bus.generation g;
  SELECT coalesce(max(lag.entries), 0) INTO backlog_entries
  FROM (SELECT sum(p.off - o.off)::bigint AS entries FROM bus.consumer_offset o JOIN bus.partition_head p USING (part) GROUP BY o.grp) lag;
END $$;

-- Totals, so that writing them twice changes nothing; an answer that overtakes an older one never makes a value smaller.
CREATE FUNCTION bus.counters_put(p_gateway text, p_incarnation uuid, p_started_us bigint, p_names text[], p_values bigint[], p_ended boolean)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_gateway, p_incarnation, p_started_us, p_names, p_values, p_ended) > 0
    OR num_nulls(VARIADIC p_names) > 0 OR num_nulls(VARIADIC p_values) > 0 OR cardinality(p_names) <> cardinality(p_values) THEN
    RAISE EXCEPTION 'an argument is null, or a name has no value' USING ERRCODE = 'RB001';
  END IF;
  INSERT INTO bus.gate_incarnation AS g (gateway, incarnation, started_us, updated_us, ended)
  VALUES (p_gateway, p_incarnation, p_started_us, bus.clock_us(), p_ended)
  ON CONFLICT (gateway, incarnation) DO UPDATE SET updated_us = excluded.updated_us, ended = g.ended OR excluded.ended;
  INSERT INTO bus.gate_counters AS c (gateway, incarnation, name, value)
  SELECT p_gateway, p_incarnation, n.name, n.value FROM unnest(p_names, p_values) AS n (name, value) ORDER BY n.name
  ON CONFLICT (gateway, incarnation, name) DO UPDATE SET value = greatest(c.value, excluded.value);
END $$;

-- How many partitions a member should hold: its fair share of the live members, and what members that want less leave over, so that no
-- partition stays without an owner.
CREATE FUNCTION bus.group_quota(p_group text, p_member text) RETURNS int LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_parts  int;
  v_live   int;
  v_share  int;
  v_others int;
  v_max    int;
BEGIN
  SELECT count(*) INTO v_parts FROM bus.partition_head;
  SELECT greatest(count(*), 1) INTO v_live FROM bus.group_member m WHERE m.grp = p_group AND m.lease_until > clock_timestamp();
  v_share := ceil(v_parts::numeric / v_live);
  SELECT coalesce(sum(least(m.parts_max, v_share)), 0) INTO v_others FROM bus.group_member m
  WHERE m.grp = p_group AND m.member <> p_member AND m.lease_until > clock_timestamp();
  SELECT m.parts_max INTO v_max FROM bus.group_member m WHERE m.grp = p_group AND m.member = p_member;
  RETURN least(v_max, greatest(v_share, v_parts - v_others));
END $$;

-- Takes free or expired partitions for a member, up to its quota, and what stands under its name although it does not hold it (p_parts and
-- p_tokens say what it holds): that was a dead predecessor's. A row that somebody's transaction holds is at work and left alone.
CREATE FUNCTION bus.group_acquire(p_group text, p_member text, p_parts int[], p_tokens bigint[], p_lease_ms int, p_parts_max int)
RETURNS SETOF bus.lease_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_until timestamptz;
  v_held  int[];
  v_room  int;
  v_free  int[];
BEGIN
  INSERT INTO bus.consumer_group (grp) VALUES (p_group) ON CONFLICT DO NOTHING;
  PERFORM FROM bus.consumer_group g WHERE g.grp = p_group FOR UPDATE;
  v_until := clock_timestamp() + p_lease_ms * interval '1 millisecond';
  DELETE FROM bus.group_member m WHERE m.grp = p_group AND m.lease_until <= clock_timestamp();
  INSERT INTO bus.group_member (grp, member, lease_until, parts_max) VALUES (p_group, p_member, v_until, p_parts_max)
  ON CONFLICT (grp, member) DO UPDATE SET lease_until = excluded.lease_until, parts_max = excluded.parts_max;
  INSERT INTO bus.consumer_offset (grp, part, off, generation, entry_hash, entry_received_us)
  SELECT p_group, p.part, p.low_off, g.id, p.low_hash, p.low_received_us FROM bus.partition_head p CROSS JOIN bus.generation g
  WHERE NOT EXISTS (SELECT FROM bus.consumer_offset o WHERE o.grp = p_group AND o.part = p.part);
  SELECT coalesce(array_agg(o.part), '{}') INTO v_held
  FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
  WHERE o.grp = p_group AND o.owner = p_member AND o.lease_until > clock_timestamp();
  v_room := bus.group_quota(p_group, p_member) - cardinality(v_held);
  -- First chosen, then changed: as a subquery of the UPDATE the choice could be made again for every row, and its LIMIT with it.
  SELECT coalesce(array_agg(free.part), '{}') INTO v_free FROM (
    SELECT f.part FROM bus.consumer_offset f
    WHERE f.grp = p_group AND f.part <> ALL (v_held) AND (f.owner IS NULL OR f.owner = p_member OR f.lease_until <= clock_timestamp())
    ORDER BY f.part LIMIT greatest(v_room, 0) FOR UPDATE SKIP LOCKED) free;
  RETURN QUERY
    UPDATE bus.consumer_offset o SET owner = p_member, lease_until = v_until, fence = o.fence + 1
    WHERE o.grp = p_group AND o.part = ANY (v_free)
    RETURNING o.part, o.fence, o.off, o.generation, o.entry_hash, o.entry_received_us;
END $$;

-- Prolongs what is still this member's (part and token agree) and gives up what exceeds its quota. Rows are locked in ascending order,
-- as the engine's row transaction locks them.
CREATE FUNCTION bus.group_renew(p_group text, p_member text, p_parts int[], p_tokens bigint[], p_lease_ms int)
RETURNS SETOF bus.lease_answer LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_until timestamptz;
  v_mine  int[];
  v_quota int;
BEGIN
  v_until := clock_timestamp() + p_lease_ms * interval '1 millisecond';
  UPDATE bus.group_member m SET lease_until = v_until WHERE m.grp = p_group AND m.member = p_member;
  IF NOT FOUND THEN
    INSERT INTO bus.group_member (grp, member, lease_until, parts_max) VALUES (p_group, p_member, v_until, cardinality(p_parts))
    ON CONFLICT (grp, member) DO UPDATE SET lease_until = excluded.lease_until;
  END IF;
  SELECT coalesce(array_agg(held.part), '{}') INTO v_mine FROM (
    SELECT o.part FROM bus.consumer_offset o JOIN unnest(p_parts, p_tokens) AS t (part, token) ON o.part = t.part AND o.fence = t.token
    WHERE o.grp = p_group AND o.owner = p_member ORDER BY o.part FOR UPDATE OF o) held;
  v_quota := bus.group_quota(p_group, p_member);
  UPDATE bus.consumer_offset o SET owner = NULL, lease_until = NULL, fence = o.fence + 1
  WHERE o.grp = p_group AND o.part = ANY (v_mine[v_quota + 1 :]);
  RETURN QUERY
    UPDATE bus.consumer_offset o SET lease_until = v_until
    WHERE o.grp = p_group AND o.part = ANY (v_mine[: v_quota])
    RETURNING o.part, o.fence, o.off, o.generation, o.entry_hash, o.entry_received_us;
END $$;

CREATE FUNCTION bus.group_release(p_group text, p_member text, p_parts int[], p_tokens bigint[])
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM FROM bus.consumer_offset o WHERE o.grp = p_group AND o.part = ANY (p_parts) ORDER BY o.part FOR UPDATE;
  UPDATE bus.consumer_offset o SET owner = NULL, lease_until = NULL, fence = o.fence + 1
  FROM unnest(p_parts, p_tokens) AS t (part, token)
  WHERE o.grp = p_group AND o.part = t.part AND o.fence = t.token AND o.owner = p_member;
  DELETE FROM bus.group_member m WHERE m.grp = p_group AND m.member = p_member
    AND NOT EXISTS (SELECT FROM bus.consumer_offset o WHERE o.grp = p_group AND o.owner = p_member);
END $$;

-- Moves a group forward under a token: committed, fenced, or backward (a defect of the caller, nothing is changed).
CREATE FUNCTION bus.group_commit(p_group text, p_part int, p_token bigint, p_off bigint, p_generation uuid, p_entry_hash bytea, p_received_us bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_off bigint;
BEGIN
  PERFORM bus.force_barrier();
  SELECT o.off INTO v_off FROM bus.consumer_offset o
  WHERE o.grp = p_group AND o.part = p_part AND o.fence = p_token AND o.owner IS NOT NULL FOR UPDATE;
  IF NOT FOUND THEN
    RETURN 'fenced';
  END IF;
  IF p_off < v_off THEN
    RETURN 'backward';
  END IF;
  UPDATE bus.consumer_offset o SET off = p_off, generation = p_generation, entry_hash = p_entry_hash, entry_received_us = p_received_us
  WHERE o.grp = p_group AND o.part = p_part;
  RETURN 'committed';
END $$;

-- Operator's: sets a group's place and voids the current token. p_off 0: the low mark, from where the first kept entry follows.
CREATE FUNCTION bus.group_rewind(p_group text, p_part int, p_off bigint, p_generation uuid, p_entry_hash bytea, p_received_us bigint)
RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO bus.consumer_group (grp) VALUES (p_group) ON CONFLICT DO NOTHING;
  INSERT INTO bus.consumer_offset AS o (grp, part, off, generation, entry_hash, entry_received_us)
  SELECT p_group, p_part, p.low_off, g.id, p.low_hash, p.low_received_us FROM bus.partition_head p CROSS JOIN bus.generation g
  WHERE p.part = p_part AND p_off = 0
  UNION ALL
  SELECT p_group, p_part, p_off, p_generation, p_entry_hash, p_received_us WHERE p_off > 0
  ON CONFLICT (grp, part) DO UPDATE SET off = excluded.off, generation = excluded.generation, entry_hash = excluded.entry_hash,
    entry_received_us = excluded.entry_received_us, fence = o.fence + 1, owner = NULL, lease_until = NULL;
END $$;

-- Offset of the last entry received strictly before a time, by halving: received time never falls as offsets rise (R-16), so the index on
-- (part, off) is enough. 0 if there is none.
CREATE FUNCTION bus.seek(p_part int, p_received_us bigint) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at   CONSTANT timestamptz := bus.to_time(p_received_us);
  v_low  bigint;
  v_high bigint;
  v_mid  bigint;
BEGIN
  SELECT p.low_off, p.off INTO v_low, v_high FROM bus.partition_head p WHERE p.part = p_part;
  WHILE v_low < v_high LOOP
    v_mid := (v_low + v_high + 1) / 2;
    IF (SELECT f.received_at < v_at FROM bus.frames f WHERE f.part = p_part AND f.off = v_mid) THEN
      v_low := v_mid;
    ELSE
      v_high := v_mid - 1;
    END IF;
  END LOOP;
  RETURN v_low;
END $$;

-- Replaces the revoked set and raises the version that appends must carry (R-13). False: the version would have gone backwards.
CREATE FUNCTION bus.set_registry(p_version_min bigint, p_revoked uuid[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bus.force_barrier();
  UPDATE bus.registry_version r SET version = p_version_min WHERE r.version <= p_version_min;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM bus.revoked r WHERE r.producer_id <> ALL (p_revoked);
  INSERT INTO bus.revoked (producer_id) SELECT DISTINCT u.id FROM unnest(p_revoked) AS u (id) ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

CREATE FUNCTION bus.pause(p_reason text) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE bus.state s SET paused_reason = p_reason WHERE s.paused_reason IS DISTINCT FROM p_reason;
END $$;

-- Moves the low mark up, never past what a group has yet to read; says where it stands. Nothing is deleted here (R-11).
CREATE FUNCTION bus.trim(p_part int, p_off bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_head bus.partition_head;
  v_low  bigint;
  v_us   bigint;
  v_hash bytea;
BEGIN
  SELECT * INTO v_head FROM bus.partition_head p WHERE p.part = p_part FOR UPDATE;
  v_low := least(p_off, v_head.off, (SELECT min(o.off) FROM bus.consumer_offset o WHERE o.part = p_part));
  IF v_low <= v_head.low_off THEN
    RETURN v_head.low_off;
  END IF;
  SELECT (extract(epoch FROM f.received_at) * 1000000)::bigint, f.hash INTO STRICT v_us, v_hash FROM bus.frames f WHERE f.part = p_part AND f.off = v_low;
  UPDATE bus.partition_head p SET low_off = v_low, low_received_us = v_us, low_hash = v_hash WHERE p.part = p_part;
  RETURN v_low;
END $$;

-- Moves the low marks past a whole UTC day, before retention drops it. False: some group has yet to read entries of it, keep the day.
CREATE FUNCTION bus.trim_day(p_day date) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_end  CONSTANT timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
  v_part int;
  v_last bigint;
  v_free boolean := true;
BEGIN
  FOR v_part IN SELECT p.part FROM bus.partition_head p ORDER BY p.part LOOP
    v_last := bus.seek(v_part, (extract(epoch FROM v_end) * 1000000)::bigint);
    v_free := bus.trim(v_part, v_last) >= v_last AND v_free;
  END LOOP;
  RETURN v_free;
END $$;

-- Sets how many partitions new epochs are spread over. Partitions are never taken away: epochs that live in them go on (R-7).
CREATE FUNCTION bus.configure(p_partitions int) RETURNS void LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO bus.partition_head (part) SELECT generate_series(0, p_partitions - 1) ON CONFLICT DO NOTHING;
  UPDATE bus.state s SET partitions = p_partitions WHERE s.partitions <> p_partitions;
END $$;

-- At least sixteen, so that appends do not queue behind one another's flush (R-1). bus.partitions in the configuration may change it.
SELECT bus.configure(16);

-- Everything here belongs to a role that cannot log in; who may call what is granted from the ownership matrix.
DO $$
DECLARE
  v_object text;
BEGIN
  FOR v_object IN
    SELECT format('TABLE bus.%I', c.relname) FROM pg_class c WHERE c.relnamespace = 'bus'::regnamespace AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT format('TYPE bus.%I', c.relname) FROM pg_class c WHERE c.relnamespace = 'bus'::regnamespace AND c.relkind = 'c'
    UNION ALL
    SELECT format('FUNCTION %s', p.oid::regprocedure) FROM pg_proc p WHERE p.pronamespace = 'bus'::regnamespace
  LOOP
    EXECUTE format('ALTER %s OWNER TO ransomeye_bus_owner', v_object);
  END LOOP;
  FOR v_object IN SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'bus'::regnamespace LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', v_object);
  END LOOP;
END $$;
