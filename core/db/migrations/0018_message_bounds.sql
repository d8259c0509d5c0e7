-- 0018 message bounds: streams of messages are bounded in bytes too, and each step works on all its messages at once.
-- Why: messages differ in size a thousandfold, so a bound of entries says little about the disk. And a group that had a million messages to catch up with was
--   handed out 2,000 a second: six statements a message, and plans of the day on which a table was empty.
-- Enforces: an entry says how many bytes its priority has carried up to it, so that what lies between two of them is one subtraction. What the functions promise
--   is what 0013 and 0016 say. Rows are looked up by index whatever statistics say: a queue's table is empty or full within minutes, a plan is kept for hours;
--   and scans by index are what marks a queue's dead rows, so that nobody reads them twice.
-- Forbids: table rights, as before.
-- Danger: three columns with a constant default (no rewrite, a lock for a moment), functions replaced. Entries from before count as no bytes. Consumers on other
--   hosts that are older than this hear BUS_INTERNAL until they are replaced.

ALTER TABLE bus.message ADD COLUMN end_bytes bigint NOT NULL DEFAULT 0;
ALTER TABLE bus.message_archive ADD COLUMN end_bytes bigint NOT NULL DEFAULT 0;
-- Of all that was ever published, and of what is the stream's no more.
ALTER TABLE bus.message_end ADD COLUMN bytes bigint NOT NULL DEFAULT 0, ADD COLUMN low_bytes bigint NOT NULL DEFAULT 0;
-- Rows live for milliseconds: it is looked after by how many have died, not by how many there are.
ALTER TABLE bus.message_out SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

-- Adds messages to one stream. For each its offset, 'duplicate', or 'full' at a bound.
DROP FUNCTION bus.message_publish(text, bigint, smallint[], uuid[], text[]);
CREATE FUNCTION bus.message_publish(p_stream text, p_entries_max bigint, p_bytes_max bigint, p_priorities smallint[], p_ids uuid[], p_bodies text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_now     bigint;
  v_entries bigint;
  v_bytes   bigint;
  v_answer  text[];
BEGIN
  IF num_nulls(p_stream, p_entries_max, p_bytes_max, p_priorities, p_ids, p_bodies) > 0 OR num_nulls(VARIADIC p_ids) > 0 OR num_nulls(VARIADIC p_bodies) > 0
    OR cardinality(p_ids) <> cardinality(p_priorities) OR cardinality(p_ids) <> cardinality(p_bodies) THEN
    RAISE EXCEPTION 'an argument is null, or the lists differ in length' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  INSERT INTO bus.message_end (stream, priority) SELECT p_stream, n FROM generate_series(1, 4) AS n
  WHERE NOT EXISTS (SELECT FROM bus.message_end e WHERE e.stream = p_stream) ON CONFLICT DO NOTHING;
  -- Held to the commit: offsets become visible in their order, and one publisher at a time counts.
  PERFORM FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority FOR UPDATE;
  v_now := bus.clock_us();
  SELECT p_entries_max - sum(e.tail - e.low), p_bytes_max - sum(e.bytes - e.low_bytes) INTO v_entries, v_bytes FROM bus.message_end e WHERE e.stream = p_stream;
  WITH given AS MATERIALIZED (
    SELECT n.at, n.priority, n.id, n.body, octet_length(n.body) AS bytes, min(n.at) OVER (PARTITION BY n.id) AS first_at, k.known
    FROM unnest(p_priorities, p_ids, p_bodies) WITH ORDINALITY AS n (priority, id, body, at)
    LEFT JOIN LATERAL (SELECT true AS known FROM bus.message m WHERE m.stream = p_stream AND m.message_id = n.id LIMIT 1) k ON true
  ), fresh AS (
    SELECT g.*, row_number() OVER before AS nth, sum(g.bytes) OVER before - g.bytes AS bytes_before
    FROM given g WHERE g.known IS NULL AND g.at = g.first_at WINDOW before AS (ORDER BY g.at)
  ), taken AS (
    SELECT f.at, f.priority, f.id, f.body, row_number() OVER own AS nth, sum(f.bytes) OVER own AS bytes
    FROM fresh f WHERE f.nth <= v_entries AND f.bytes_before < v_bytes WINDOW own AS (PARTITION BY f.priority ORDER BY f.at)
  ), written AS (
    INSERT INTO bus.message (stream, priority, off, published_us, message_id, body, end_bytes)
    SELECT p_stream, t.priority, e.tail + t.nth, greatest(e.published_us, v_now), t.id, t.body, e.bytes + t.bytes
    FROM taken t JOIN bus.message_end e ON e.stream = p_stream AND e.priority = t.priority ORDER BY t.at
    RETURNING priority, off, published_us, message_id, end_bytes
  ), moved AS (
    UPDATE bus.message_end e SET tail = l.off, bytes = l.end_bytes, published_us = l.published_us
    FROM (SELECT DISTINCT ON (w.priority) w.* FROM written w ORDER BY w.priority, w.off DESC) l WHERE e.stream = p_stream AND e.priority = l.priority
  )
  -- What is sent twice at once is one message, or both are too much.
  SELECT array_agg(CASE WHEN g.known THEN 'duplicate' WHEN w.off IS NULL THEN 'full' WHEN g.at > g.first_at THEN 'duplicate' ELSE w.off::text END ORDER BY g.at)
  INTO v_answer FROM given g LEFT JOIN written w ON w.message_id = g.id;
  RETURN coalesce(v_answer, '{}');
END $$;

-- Hands out what is due, as nextStep of delivery_machine.ts says.
CREATE OR REPLACE FUNCTION bus.message_take(p_stream text, p_grp text, p_member text, p_max int, p_lease_us bigint) RETURNS SETOF bus.message_taken
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  c_deliveries_max CONSTANT int := 4;
  v_now    bigint;
  v_group  bus.message_group;
  v_tail   bigint[];
  v_low    bigint[];
  -- What has been out and is due, by priority; of each the next one and the last.
  v_due    bus.message_out[];
  v_at     int[] := ARRAY[1, 1, 1, 1];
  v_to     int[] := ARRAY[0, 0, 0, 0];
  v_owner  int;
  v_p      int;
  v_step   boolean;
  v_out    bus.message_out;
  v_count  int := 0;
  v_next   bus.message_out[];
  v_bodies text[];
  v_kept   bus.message_out[];
  v_held   text[];
  a        bus.message_taken;
BEGIN
  IF num_nulls(p_stream, p_grp, p_member, p_max, p_lease_us) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  PERFORM bus.message_begin(p_stream, p_grp, false);
  SELECT * INTO v_group FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  v_now := bus.clock_us();
  SELECT array_agg(coalesce(e.tail, 0) ORDER BY n), array_agg(coalesce(e.low, 0) ORDER BY n) INTO v_tail, v_low
  FROM generate_series(1, 4) AS n LEFT JOIN bus.message_end e ON e.stream = p_stream AND e.priority = n;
  SELECT coalesce(array_agg(d.o ORDER BY n, (d.o).due_us, (d.o).off), '{}') INTO v_due
  FROM generate_series(1, 4) AS n CROSS JOIN LATERAL (
    SELECT o FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = n AND o.due_us <= v_now
    ORDER BY o.priority, o.due_us, o.off LIMIT p_max) d;
  FOR i IN 1 .. cardinality(v_due) LOOP
    v_p := v_due[i].priority;
    IF v_to[v_p] = 0 THEN v_at[v_p] := i; END IF;
    v_to[v_p] := i;
  END LOOP;
  LOOP
    v_next := '{}';
    WHILE v_count + cardinality(v_next) < p_max LOOP
      v_owner := CASE WHEN v_group.turn % 64 = 0 THEN 1 WHEN v_group.turn % 16 = 8 THEN 2 WHEN v_group.turn % 8 = 4 THEN 3 ELSE 4 END;
      v_step := false;
      FOREACH v_p IN ARRAY array_prepend(v_owner, array_remove(ARRAY[4, 3, 2, 1], v_owner)) LOOP
        IF v_at[v_p] <= v_to[v_p] THEN
          v_out := v_due[v_at[v_p]];
          v_at[v_p] := v_at[v_p] + 1;
          IF v_out.member <> '' AND NOT v_out.burial THEN
            v_out.failures := v_out.failures || jsonb_build_object('at_us', v_out.due_us, 'member', v_out.member, 'reason', 'no answer within the lease');
          END IF;
          v_out.burial := v_out.deliveries >= c_deliveries_max;
          v_out.deliveries := v_out.deliveries + CASE WHEN v_out.burial THEN 0 ELSE 1 END;
        ELSIF v_group.places[v_p] < v_low[v_p] THEN
          a := NULL;
          a.kind := 'missing'; a.priority := v_p; a.off := v_group.places[v_p] + 1; a.to_off := v_low[v_p];
          RETURN NEXT a;
          v_group.missing := v_group.missing + a.to_off - a.off + 1;
          v_group.places[v_p] := v_low[v_p];
          v_step := true;
          EXIT;
        ELSIF v_group.places[v_p] < v_tail[v_p] THEN
          v_group.places[v_p] := v_group.places[v_p] + 1;
          v_out := ROW(p_stream, p_grp, v_p, v_group.places[v_p], 1, 0, 0, '', false, '[]'::jsonb);
        ELSE
          CONTINUE;
        END IF;
        v_step := true;
        v_group.turn := (v_group.turn + 1) % 64;
        -- It grows with the clock as well, so that a restored database does not give a token out twice.
        v_group.token := greatest(v_group.token + 1, v_now);
        v_out.token := v_group.token;
        v_out.due_us := v_now + p_lease_us;
        v_out.member := p_member;
        v_next := v_next || v_out;
        EXIT;
      END LOOP;
      EXIT WHEN NOT v_step;
    END LOOP;
    EXIT WHEN cardinality(v_next) = 0;
    SELECT array_agg(m.body ORDER BY n.at) INTO v_bodies FROM unnest(v_next) WITH ORDINALITY
      AS n (stream, grp, priority, off, deliveries, token, due_us, member, burial, failures, at)
    LEFT JOIN LATERAL (SELECT b.body FROM bus.message b WHERE b.stream = p_stream AND b.priority = n.priority AND b.off = n.off LIMIT 1) m ON true;
    IF array_position(v_bodies, NULL) IS NOT NULL THEN
      v_kept := '{}';
      v_held := '{}';
      FOR i IN 1 .. cardinality(v_next) LOOP
        IF v_bodies[i] IS NULL THEN
          DELETE FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = v_next[i].priority AND o.off = v_next[i].off;
          a := NULL;
          a.kind := 'missing'; a.priority := v_next[i].priority; a.off := v_next[i].off; a.to_off := v_next[i].off;
          RETURN NEXT a;
          v_group.missing := v_group.missing + 1;
        ELSE
          v_kept := v_kept || v_next[i];
          v_held := v_held || v_bodies[i];
        END IF;
      END LOOP;
      v_next := v_kept;
      v_bodies := v_held;
    END IF;
    INSERT INTO bus.message_out AS o SELECT n.* FROM unnest(v_next) AS n
    ON CONFLICT (stream, grp, priority, off) DO UPDATE SET deliveries = excluded.deliveries, token = excluded.token, due_us = excluded.due_us,
      member = excluded.member, burial = excluded.burial, failures = excluded.failures;
    FOR i IN 1 .. cardinality(v_next) LOOP
      v_out := v_next[i];
      a := NULL;
      a.kind := 'delivery'; a.priority := v_out.priority; a.off := v_out.off; a.token := v_out.token; a.deliveries := v_out.deliveries;
      a.exhausted := v_out.burial; a.failures := v_out.failures; a.body := v_bodies[i];
      RETURN NEXT a;
    END LOOP;
    v_count := v_count + cardinality(v_next);
  END LOOP;
  UPDATE bus.message_group g SET turn = v_group.turn, token = v_group.token, places = v_group.places, missing = v_group.missing, seen_us = v_now,
    quarantined = false WHERE g.stream = p_stream AND g.grp = p_grp;
  a := NULL;
  SELECT min(d.due_us) - v_now INTO a.due_us FROM generate_series(1, 4) AS n CROSS JOIN LATERAL (
    SELECT o.due_us FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = n ORDER BY o.priority, o.due_us LIMIT 1) d;
  IF a.due_us IS NOT NULL THEN
    a.kind := 'due';
    a.due_us := greatest(0, a.due_us);
    RETURN NEXT a;
  END IF;
END $$;

-- Ends deliveries of one group, each if it is still the current one. Kinds: done, retry (reason, delay_ms), release. 'settled' or 'fenced' for each.
CREATE OR REPLACE FUNCTION bus.message_settle(p_stream text, p_grp text, p_priorities smallint[], p_offs bigint[], p_tokens bigint[], p_kinds text[],
  p_reasons text[], p_delays_ms bigint[])
RETURNS text[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_answer text[];
  v_done   int[];
  v_now    bigint;
  v_token  bigint;
  v_at     int;
BEGIN
  IF num_nulls(p_stream, p_grp, p_priorities, p_offs, p_tokens, p_kinds, p_reasons, p_delays_ms) > 0 OR num_nulls(VARIADIC p_kinds) > 0
    OR NOT p_kinds <@ ARRAY['done', 'retry', 'release'] THEN
    RAISE EXCEPTION 'an argument is null, or no settlement' USING ERRCODE = 'RB001';
  END IF;
  v_answer := array_fill('fenced'::text, ARRAY[cardinality(p_offs)]);
  PERFORM bus.force_barrier();
  SELECT g.token INTO v_token FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  v_now := bus.clock_us();
  -- One after the other where one of them is to come again: a delivery that is named twice ends as it was said first.
  IF p_kinds <@ ARRAY['done'] THEN
    WITH ended AS (
      DELETE FROM bus.message_out o USING unnest(p_priorities, p_offs, p_tokens) WITH ORDINALITY AS n (priority, off, token, at)
      WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = n.priority AND o.off = n.off AND o.token = n.token RETURNING n.at
    )
    SELECT array_agg(e.at) INTO v_done FROM ended e;
    FOREACH v_at IN ARRAY coalesce(v_done, '{}') LOOP v_answer[v_at] := 'settled'; END LOOP;
    RETURN v_answer;
  END IF;
  FOR i IN 1 .. cardinality(p_offs) LOOP
    IF p_kinds[i] = 'done' THEN
      DELETE FROM bus.message_out o
      WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priorities[i] AND o.off = p_offs[i] AND o.token = p_tokens[i];
    ELSE
      v_token := greatest(v_token + 1, v_now);
      UPDATE bus.message_out o SET member = '', token = v_token,
        deliveries = o.deliveries - CASE WHEN p_kinds[i] = 'release' THEN 1 ELSE 0 END,
        due_us = v_now + CASE WHEN p_kinds[i] = 'retry' THEN p_delays_ms[i] * 1000 ELSE 0 END,
        failures = CASE WHEN p_kinds[i] = 'retry'
          THEN o.failures || jsonb_build_object('at_us', v_now, 'member', o.member, 'reason', p_reasons[i]) ELSE o.failures END
      WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priorities[i] AND o.off = p_offs[i] AND o.token = p_tokens[i];
    END IF;
    IF FOUND THEN v_answer[i] := 'settled'; END IF;
  END LOOP;
  UPDATE bus.message_group g SET token = v_token WHERE g.stream = p_stream AND g.grp = p_grp AND g.token <> v_token;
  RETURN v_answer;
END $$;

ALTER FUNCTION bus.message_extend(text, text, smallint[], bigint[], bigint[], bigint) SET enable_seqscan = off;
ALTER FUNCTION bus.message_extend(text, text, smallint[], bigint[], bigint[], bigint) SET enable_bitmapscan = off;
ALTER FUNCTION bus.message_extend(text, text, smallint[], bigint[], bigint[], bigint) SET enable_hashjoin = off;
ALTER FUNCTION bus.message_extend(text, text, smallint[], bigint[], bigint[], bigint) SET enable_mergejoin = off;

-- Puts a dead letter into its stream and ends the delivery, in one step. 'settled', 'fenced', or 'full' where nothing was changed.
DROP FUNCTION bus.message_bury(text, text, smallint, bigint, bigint, text, smallint, uuid, text, bigint);
CREATE FUNCTION bus.message_bury(p_stream text, p_grp text, p_priority smallint, p_off bigint, p_token bigint, p_letter_stream text, p_letter_priority smallint,
  p_letter_id uuid, p_letter text, p_entries_max bigint, p_bytes_max bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
  IF num_nulls(p_stream, p_grp, p_priority, p_off, p_token, p_letter_stream, p_letter_priority, p_letter_id, p_letter, p_entries_max, p_bytes_max) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  IF NOT EXISTS (SELECT FROM bus.message_out o
    WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priority AND o.off = p_off AND o.token = p_token) THEN
    RETURN 'fenced';
  END IF;
  IF (bus.message_publish(p_letter_stream, p_entries_max, p_bytes_max, ARRAY[p_letter_priority], ARRAY[p_letter_id], ARRAY[p_letter]))[1] = 'full' THEN
    RETURN 'full';
  END IF;
  DELETE FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priority AND o.off = p_off;
  RETURN 'settled';
END $$;

-- Removes the oldest of what every living group has settled, the least urgent first: what is too old, and what is more than p_entries_left or p_bytes_left.
-- Gives how many.
DROP FUNCTION bus.message_trim(text, bigint, bigint, bigint);
CREATE FUNCTION bus.message_trim(p_stream text, p_entries_left bigint, p_bytes_left bigint, p_keep_ms bigint, p_dead_ms bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_now     bigint;
  v_removed bigint := 0;
  v_count   bigint;
  v_bytes   bigint;
  v_settled bigint;
  v_up_to   bigint;
  v_weight  bigint;
  v_end     bus.message_end;
BEGIN
  -- Groups before ends, as everybody does who takes both.
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream ORDER BY g.grp FOR UPDATE;
  v_now := bus.clock_us();
  UPDATE bus.message_group g SET quarantined = true WHERE g.stream = p_stream AND NOT g.quarantined AND v_now - g.seen_us > p_dead_ms * 1000;
  PERFORM FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority FOR UPDATE;
  SELECT sum(e.tail - e.low), sum(e.bytes - e.low_bytes) INTO v_count, v_bytes FROM bus.message_end e WHERE e.stream = p_stream;
  FOR v_end IN SELECT * FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority LOOP
    SELECT least(v_end.tail, min(g.places[v_end.priority]), min(f.off) - 1) INTO v_settled FROM bus.message_group g
    LEFT JOIN LATERAL (SELECT o.off FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = g.grp AND o.priority = v_end.priority
      ORDER BY o.off LIMIT 1) f ON true
    WHERE g.stream = p_stream AND NOT g.quarantined;
    -- What is beyond a bound, and then what is too old: neither bytes nor times fall. Whatever is read here goes.
    v_up_to := least(v_settled, v_end.low + greatest(0, v_count - p_entries_left));
    IF v_bytes > p_bytes_left THEN
      SELECT greatest(v_up_to, coalesce(min(m.off), v_settled)) INTO v_up_to FROM bus.message m
      WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_settled AND m.off > v_end.low
        AND m.end_bytes >= v_end.low_bytes + v_bytes - p_bytes_left;
    END IF;
    SELECT greatest(v_up_to, coalesce(max(m.off), 0)) INTO v_up_to FROM bus.message m
    WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_settled AND m.off > v_up_to AND m.published_us < v_now - p_keep_ms * 1000;
    CONTINUE WHEN v_up_to <= v_end.low;
    -- A dead letter is evidence: it goes on beside its stream (R-11).
    IF p_stream = 'stream:dead_letter' THEN
      INSERT INTO bus.message_archive (log, stream, priority, off, published_us, message_id, body, end_bytes)
      SELECT bus.message_log_here(), m.stream, m.priority, m.off, m.published_us, m.message_id::text, m.body, m.end_bytes FROM bus.message m
      WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off > v_end.low AND m.off <= v_up_to;
    END IF;
    DELETE FROM bus.message m WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off > v_end.low AND m.off <= v_up_to;
    -- What stays begins here, whoever may have removed what by hand.
    v_weight := greatest(v_end.low_bytes, coalesce((SELECT m.end_bytes - octet_length(m.body) FROM bus.message m
      WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off > v_up_to ORDER BY m.off LIMIT 1), v_end.bytes));
    UPDATE bus.message_end e SET low = v_up_to, low_bytes = v_weight WHERE e.stream = p_stream AND e.priority = v_end.priority;
    v_removed := v_removed + v_up_to - v_end.low;
    v_count := v_count - (v_up_to - v_end.low);
    v_bytes := v_bytes - (v_weight - v_end.low_bytes);
  END LOOP;
  RETURN v_removed;
END $$;
DROP FUNCTION bus.message_count(text);

-- Keeps messages of one priority; gives how many rows held other messages before.
DROP FUNCTION bus.message_archive_put(uuid, text, smallint, bigint[], bigint[], text[], text[]);
CREATE FUNCTION bus.message_archive_put(p_log uuid, p_stream text, p_priority smallint, p_offs bigint[], p_published_us bigint[], p_ids text[], p_bodies text[],
  p_end_bytes bigint[])
RETURNS bigint LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_replaced bigint;
BEGIN
  IF num_nulls(p_log, p_stream, p_priority, p_offs, p_published_us, p_ids, p_bodies, p_end_bytes) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  WITH kept AS (
    INSERT INTO bus.message_archive AS a (log, stream, priority, off, published_us, message_id, body, end_bytes)
    SELECT p_log, p_stream, p_priority, n.off, n.published_us, n.id, n.body, n.end_bytes
    FROM unnest(p_offs, p_published_us, p_ids, p_bodies, p_end_bytes) AS n (off, published_us, id, body, end_bytes)
    ON CONFLICT (log, stream, priority, off) DO UPDATE SET published_us = excluded.published_us, message_id = excluded.message_id, body = excluded.body,
      end_bytes = excluded.end_bytes
    WHERE a.message_id <> excluded.message_id
    RETURNING a.xmax <> 0 AS replaced
  )
  SELECT count(*) FILTER (WHERE k.replaced) INTO v_replaced FROM kept k;
  RETURN v_replaced;
END $$;

-- For priorities 1 to 4 how many bytes the log had carried up to an offset, itself included; null where nothing after it is archived.
CREATE FUNCTION bus.message_archive_bytes(p_log uuid, p_stream text, p_offs bigint[]) RETURNS bigint[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
BEGIN
  RETURN (SELECT array_agg((SELECT greatest(0, a.end_bytes - octet_length(a.body)) FROM bus.message_archive a
      WHERE a.log = p_log AND a.stream = p_stream AND a.priority = n AND a.off > p_offs[n] ORDER BY a.off LIMIT 1) ORDER BY n) FROM generate_series(1, 4) AS n);
END $$;

-- Of one priority the first archived offset after p_after_off, up to p_up_to_off, with which the log has carried as many bytes, and how many it then has; none
-- where there is none. Bytes never fall, and offsets are dense but for what somebody removed by hand: it is halved until found.
CREATE FUNCTION bus.message_archive_weigh(p_log uuid, p_stream text, p_priority smallint, p_after_off bigint, p_up_to_off bigint, p_bytes bigint)
RETURNS TABLE (off bigint, end_bytes bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_from   bigint := p_after_off;
  v_to     bigint := p_up_to_off;
  v_middle bigint;
  v_found  bigint;
BEGIN
  WHILE v_from < v_to LOOP
    v_middle := (v_from + v_to) / 2;
    SELECT a.end_bytes INTO v_found FROM bus.message_archive a
    WHERE a.log = p_log AND a.stream = p_stream AND a.priority = p_priority AND a.off > v_middle AND a.off <= p_up_to_off ORDER BY a.off LIMIT 1;
    -- The answer lies after v_from, and not after the first entry that follows v_to.
    IF v_found < p_bytes THEN v_from := v_middle + 1; ELSE v_to := v_middle; END IF;
  END LOOP;
  RETURN QUERY SELECT a.off, a.end_bytes FROM bus.message_archive a
    WHERE a.log = p_log AND a.stream = p_stream AND a.priority = p_priority AND a.off > v_from AND a.off <= p_up_to_off AND a.end_bytes >= p_bytes
    ORDER BY a.off LIMIT 1;
END $$;
