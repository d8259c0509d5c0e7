-- 0013 messages: streams of messages, the groups that share them, and what they have handed out.
-- Why: on the embedded default the message streams lie in the database, with the promises of core/pipeline/src/messages/port.ts.
-- Enforces: what delivery_machine.ts says, mirrored here; a random history holds the two together. Offsets are dense for each priority: the row of a log's end is
--   locked to the commit; one member at a time takes from a group: the group's row is locked. A dead letter and the end of its message are one transaction.
-- Forbids: table rights for consumers: their role may call these functions alone.
-- Danger: one new role, new tables and functions only. No lock on a table in use, safe to run while the system is up.

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'ransomeye_consumer') THEN
    CREATE ROLE ransomeye_consumer NOLOGIN;
  END IF;
END $$;

-- LOGGED: a message that was published is durable. Unique by id for as long as the stream holds it (R-27).
CREATE TABLE bus.message (
  stream       text NOT NULL,
  priority     smallint NOT NULL CHECK (priority BETWEEN 1 AND 4),
  off          bigint NOT NULL,
  published_us bigint NOT NULL,
  message_id   uuid NOT NULL,
  body         text NOT NULL,
  PRIMARY KEY (stream, priority, off),
  UNIQUE (stream, message_id)
);

-- Entries low + 1 … tail of each priority. Few rows to a page, so that every update finds room beside it (HOT).
CREATE TABLE bus.message_end (
  stream       text NOT NULL,
  priority     smallint NOT NULL,
  tail         bigint NOT NULL DEFAULT 0,
  low          bigint NOT NULL DEFAULT 0,
  published_us bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (stream, priority)
) WITH (fillfactor = 10);

CREATE TABLE bus.message_group (
  stream      text NOT NULL,
  grp         text NOT NULL,
  turn        int NOT NULL DEFAULT 0,
  token       bigint NOT NULL DEFAULT 0,
  -- Offset of the last entry that was handed out, by priority 1 to 4.
  places      bigint[] NOT NULL,
  missing     bigint NOT NULL DEFAULT 0,
  seen_us     bigint NOT NULL,
  quarantined boolean NOT NULL DEFAULT false,
  PRIMARY KEY (stream, grp)
) WITH (fillfactor = 20);

-- What is out or waits for its retry. Rows come and go with every message: half of each page is left free.
CREATE TABLE bus.message_out (
  stream     text NOT NULL,
  grp        text NOT NULL,
  priority   smallint NOT NULL,
  off        bigint NOT NULL,
  deliveries int NOT NULL,
  token      bigint NOT NULL,
  due_us     bigint NOT NULL,
  member     text NOT NULL,
  burial     boolean NOT NULL,
  -- [{"at_us", "member", "reason"}], oldest first.
  failures   jsonb NOT NULL,
  PRIMARY KEY (stream, grp, priority, off)
) WITH (fillfactor = 50);
CREATE INDEX message_out_due ON bus.message_out (stream, grp, priority, due_us, off);

CREATE TYPE bus.message_taken AS (
  -- 'delivery'; 'missing': off … to_off are gone; 'due': due_us until something is due by itself, the last row, if anything is.
  kind text, priority smallint, off bigint, to_off bigint, token bigint, deliveries int, exhausted boolean, failures jsonb, body text, due_us bigint
);

CREATE FUNCTION bus.message_count(p_stream text) RETURNS bigint LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT coalesce(sum(e.tail - e.low), 0)::bigint FROM bus.message_end e WHERE e.stream = p_stream $$;

-- Begins a group at the low ends or the tails of its stream, once.
CREATE FUNCTION bus.message_begin(p_stream text, p_grp text, p_at_tail boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO bus.message_group (stream, grp, places, seen_us)
  SELECT p_stream, p_grp, array_agg(coalesce(CASE WHEN p_at_tail THEN e.tail ELSE e.low END, 0) ORDER BY n), bus.clock_us()
  FROM generate_series(1, 4) AS n LEFT JOIN bus.message_end e ON e.stream = p_stream AND e.priority = n
  ON CONFLICT (stream, grp) DO NOTHING;
END $$;

-- Adds messages to one stream. For each its offset, 'duplicate', or 'full' at the bound.
CREATE FUNCTION bus.message_publish(p_stream text, p_entries_max bigint, p_priorities smallint[], p_ids uuid[], p_bodies text[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_answer text[] := '{}';
  v_count  bigint;
  v_end    bus.message_end;
BEGIN
  IF num_nulls(p_stream, p_entries_max, p_priorities, p_ids, p_bodies) > 0 OR num_nulls(VARIADIC p_ids) > 0 OR num_nulls(VARIADIC p_bodies) > 0
    OR cardinality(p_ids) <> cardinality(p_priorities) OR cardinality(p_ids) <> cardinality(p_bodies) THEN
    RAISE EXCEPTION 'an argument is null, or the lists differ in length' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  INSERT INTO bus.message_end (stream, priority) SELECT p_stream, n FROM generate_series(1, 4) AS n
  WHERE NOT EXISTS (SELECT FROM bus.message_end e WHERE e.stream = p_stream) ON CONFLICT DO NOTHING;
  -- Held to the commit: offsets become visible in their order, and one publisher at a time counts.
  PERFORM FROM bus.message_end e WHERE e.stream = p_stream ORDER BY e.priority FOR UPDATE;
  v_count := bus.message_count(p_stream);
  FOR i IN 1 .. cardinality(p_ids) LOOP
    IF EXISTS (SELECT FROM bus.message m WHERE m.stream = p_stream AND m.message_id = p_ids[i]) THEN
      v_answer := v_answer || 'duplicate'::text;
    ELSIF v_count >= p_entries_max THEN
      v_answer := v_answer || 'full'::text;
    ELSE
      UPDATE bus.message_end e SET tail = e.tail + 1, published_us = greatest(e.published_us, bus.clock_us())
      WHERE e.stream = p_stream AND e.priority = p_priorities[i] RETURNING * INTO v_end;
      INSERT INTO bus.message (stream, priority, off, published_us, message_id, body)
      VALUES (p_stream, v_end.priority, v_end.tail, v_end.published_us, p_ids[i], p_bodies[i]);
      v_answer := v_answer || v_end.tail::text;
      v_count := v_count + 1;
    END IF;
  END LOOP;
  RETURN v_answer;
END $$;

CREATE FUNCTION bus.message_group_make(p_stream text, p_grp text, p_at_tail boolean) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bus.message_begin(p_stream, p_grp, p_at_tail);
END $$;

-- Hands out what is due, as nextStep of delivery_machine.ts says.
CREATE FUNCTION bus.message_take(p_stream text, p_grp text, p_member text, p_max int, p_lease_us bigint) RETURNS SETOF bus.message_taken
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  c_deliveries_max CONSTANT int := 4;
  v_now   bigint;
  v_group bus.message_group;
  v_tail  bigint[];
  v_low   bigint[];
  v_owner int;
  v_p     int;
  v_step  boolean;
  v_count int := 0;
  v_out   bus.message_out;
  a       bus.message_taken;
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
  WHILE v_count < p_max LOOP
    v_owner := CASE WHEN v_group.turn % 64 = 0 THEN 1 WHEN v_group.turn % 16 = 8 THEN 2 WHEN v_group.turn % 8 = 4 THEN 3 ELSE 4 END;
    v_step := false;
    FOREACH v_p IN ARRAY array_prepend(v_owner, array_remove(ARRAY[4, 3, 2, 1], v_owner)) LOOP
      SELECT * INTO v_out FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = v_p AND o.due_us <= v_now
      ORDER BY o.due_us, o.off LIMIT 1;
      IF FOUND THEN
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
      a := NULL;
      a.kind := 'delivery'; a.priority := v_p; a.off := v_out.off; a.token := v_group.token; a.deliveries := v_out.deliveries;
      a.exhausted := v_out.burial; a.failures := v_out.failures;
      SELECT m.body INTO a.body FROM bus.message m WHERE m.stream = p_stream AND m.priority = v_p AND m.off = v_out.off;
      IF a.body IS NULL THEN
        DELETE FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = v_p AND o.off = v_out.off;
        a := NULL;
        a.kind := 'missing'; a.priority := v_p; a.off := v_out.off; a.to_off := v_out.off;
        v_group.missing := v_group.missing + 1;
      ELSE
        INSERT INTO bus.message_out AS o (stream, grp, priority, off, deliveries, token, due_us, member, burial, failures)
        VALUES (p_stream, p_grp, v_p, v_out.off, v_out.deliveries, v_group.token, v_now + p_lease_us, p_member, v_out.burial, v_out.failures)
        ON CONFLICT (stream, grp, priority, off) DO UPDATE SET deliveries = excluded.deliveries, token = excluded.token, due_us = excluded.due_us,
          member = excluded.member, burial = excluded.burial, failures = excluded.failures;
        v_count := v_count + 1;
      END IF;
      RETURN NEXT a;
      EXIT;
    END LOOP;
    EXIT WHEN NOT v_step;
  END LOOP;
  UPDATE bus.message_group g SET turn = v_group.turn, token = v_group.token, places = v_group.places, missing = v_group.missing, seen_us = v_now,
    quarantined = false WHERE g.stream = p_stream AND g.grp = p_grp;
  a := NULL;
  SELECT min(o.due_us) - v_now INTO a.due_us FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp;
  IF a.due_us IS NOT NULL THEN
    a.kind := 'due';
    a.due_us := greatest(0, a.due_us);
    RETURN NEXT a;
  END IF;
END $$;

-- Ends deliveries of one group, each if it is still the current one. Kinds: done, retry (reason, delay_ms), release. 'settled' or 'fenced' for each.
CREATE FUNCTION bus.message_settle(p_stream text, p_grp text, p_priorities smallint[], p_offs bigint[], p_tokens bigint[], p_kinds text[], p_reasons text[],
  p_delays_ms bigint[])
RETURNS text[] LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_answer text[] := '{}';
  v_now    bigint;
  v_token  bigint;
  v_member text;
BEGIN
  IF num_nulls(p_stream, p_grp, p_priorities, p_offs, p_tokens, p_kinds, p_reasons, p_delays_ms) > 0 OR num_nulls(VARIADIC p_kinds) > 0
    OR NOT p_kinds <@ ARRAY['done', 'retry', 'release'] THEN
    RAISE EXCEPTION 'an argument is null, or no settlement' USING ERRCODE = 'RB001';
  END IF;
  PERFORM bus.force_barrier();
  SELECT g.token INTO v_token FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  v_now := bus.clock_us();
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
    v_answer := v_answer || CASE WHEN FOUND THEN 'settled' ELSE 'fenced' END;
  END LOOP;
  UPDATE bus.message_group g SET token = v_token WHERE g.stream = p_stream AND g.grp = p_grp AND g.token <> v_token;
  RETURN v_answer;
END $$;

-- Prolongs leases that are still in force; gives their tokens.
CREATE FUNCTION bus.message_extend(p_stream text, p_grp text, p_priorities smallint[], p_offs bigint[], p_tokens bigint[], p_lease_us bigint) RETURNS bigint[]
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_kept bigint[];
BEGIN
  IF num_nulls(p_stream, p_grp, p_priorities, p_offs, p_tokens, p_lease_us) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  WITH kept AS (
    UPDATE bus.message_out o SET due_us = bus.clock_us() + p_lease_us
    FROM unnest(p_priorities, p_offs, p_tokens) AS n (priority, off, token)
    WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = n.priority AND o.off = n.off AND o.token = n.token
    RETURNING o.token
  )
  SELECT array_agg(k.token) INTO v_kept FROM kept k;
  RETURN coalesce(v_kept, '{}');
END $$;

-- Puts a dead letter into its stream and ends the delivery, in one step. 'settled', 'fenced', or 'full' where nothing was changed.
CREATE FUNCTION bus.message_bury(p_stream text, p_grp text, p_priority smallint, p_off bigint, p_token bigint, p_letter_stream text, p_letter_priority smallint,
  p_letter_id uuid, p_letter text, p_entries_max bigint)
RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF num_nulls(p_stream, p_grp, p_priority, p_off, p_token, p_letter_stream, p_letter_priority, p_letter_id, p_letter, p_entries_max) > 0 THEN
    RAISE EXCEPTION 'an argument is null' USING ERRCODE = 'RB001';
  END IF;
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  IF NOT EXISTS (SELECT FROM bus.message_out o
    WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priority AND o.off = p_off AND o.token = p_token) THEN
    RETURN 'fenced';
  END IF;
  IF (bus.message_publish(p_letter_stream, p_entries_max, ARRAY[p_letter_priority], ARRAY[p_letter_id], ARRAY[p_letter]))[1] = 'full' THEN
    RETURN 'full';
  END IF;
  DELETE FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp AND o.priority = p_priority AND o.off = p_off;
  RETURN 'settled';
END $$;

-- Sets a group's places to the first entries published at or after a time; what is out is forgotten and its tokens are void.
CREATE FUNCTION bus.message_rewind(p_stream text, p_grp text, p_published_us bigint) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM bus.message_begin(p_stream, p_grp, false);
  PERFORM FROM bus.message_group g WHERE g.stream = p_stream AND g.grp = p_grp FOR UPDATE;
  UPDATE bus.message_group g SET token = g.token + 1, places = (
    SELECT array_agg(coalesce((SELECT min(m.off) - 1 FROM bus.message m WHERE m.stream = p_stream AND m.priority = n AND m.published_us >= p_published_us),
      e.tail, 0) ORDER BY n)
    FROM generate_series(1, 4) AS n LEFT JOIN bus.message_end e ON e.stream = p_stream AND e.priority = n)
  WHERE g.stream = p_stream AND g.grp = p_grp;
  DELETE FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = p_grp;
END $$;

-- Removes the oldest of what every living group has settled, the least urgent first: what is too old, and what is more than p_entries_left. Gives how many.
CREATE FUNCTION bus.message_trim(p_stream text, p_entries_left bigint, p_keep_ms bigint, p_dead_ms bigint) RETURNS bigint
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
    DELETE FROM bus.message m WHERE m.stream = p_stream AND m.priority = v_end.priority AND m.off <= v_up_to;
    UPDATE bus.message_end e SET low = v_up_to WHERE e.stream = p_stream AND e.priority = v_end.priority;
    v_removed := v_removed + v_up_to - v_end.low;
    v_count := v_count - (v_up_to - v_end.low);
  END LOOP;
  RETURN v_removed;
END $$;

-- Entries of one priority directly after an offset.
CREATE FUNCTION bus.message_read(p_stream text, p_priority smallint, p_after_off bigint, p_max int) RETURNS TABLE (off bigint, published_us bigint, body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT m.off, m.published_us, m.body FROM bus.message m
    WHERE m.stream = p_stream AND m.priority = p_priority AND m.off > p_after_off ORDER BY m.off LIMIT p_max;
END $$;

-- Groups of a stream; waiting: entries behind their places, by priority 1 to 4.
CREATE FUNCTION bus.message_groups(p_stream text) RETURNS TABLE (grp text, waiting bigint[], pending bigint, missing bigint, seen_us bigint, quarantined boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT g.grp, (SELECT array_agg(coalesce(e.tail, 0) - g.places[n] ORDER BY n) FROM generate_series(1, 4) AS n
                   LEFT JOIN bus.message_end e ON e.stream = p_stream AND e.priority = n),
           (SELECT count(*) FROM bus.message_out o WHERE o.stream = p_stream AND o.grp = g.grp), g.missing, g.seen_us, g.quarantined
    FROM bus.message_group g WHERE g.stream = p_stream ORDER BY g.grp;
END $$;
