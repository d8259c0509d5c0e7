-- 0005 views: what readers may read, and the ledger.
-- Why: readers have no table (DB-2); "nothing was lost" must be a sum that anybody can add up again in SQL (R-19).
-- Enforces: stored, dead-lettered and declared gaps are counted from the tables, never derived by subtraction, so that the ledger can fail;
--   each query is one statement and so one snapshot; a document is fetched by its bytes alone (R-18).
-- Forbids: writing anything.
-- Danger: new views, functions and one small table. No lock on a table in use, safe to run while the system is up.

-- What retention has removed, added up per epoch in the transaction that removes it: the ledger goes on to balance, and shows it.
-- seq_sum: sum of all sequence numbers behind the three counts.
CREATE TABLE ops.expired (
  producer_id   uuid NOT NULL,
  epoch         bigint NOT NULL,
  stored        bigint NOT NULL,
  dead_lettered bigint NOT NULL,
  gap_declared  bigint NOT NULL,
  seq_sum       numeric NOT NULL,
  PRIMARY KEY (producer_id, epoch)
);

CREATE FUNCTION views.kind_name(p_kind smallint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (ARRAY['dpi', 'linux', 'windows', 'honeypot'])[p_kind] $$;

-- The kind of events_agent's rows is their producer's: asked for row by row, and only by queries that want it.
CREATE VIEW views.events AS
  SELECT e.producer_id || ':' || e.epoch || ':' || e.seq AS id, 'dpi' AS kind, e.* FROM data.events_dpi e
  UNION ALL
  SELECT e.producer_id || ':' || e.epoch || ':' || e.seq,
         (SELECT views.kind_name(h.producer_kind) FROM data.sink_head h WHERE h.producer_id = e.producer_id), e.* FROM data.events_agent e
  UNION ALL
  SELECT e.producer_id || ':' || e.epoch || ':' || e.seq, 'honeypot', e.* FROM data.events_honeypot e;

CREATE VIEW views.dead_letters AS
  SELECT d.producer_id || ':' || d.epoch || ':' || d.first_seq AS id, views.kind_name(h.producer_kind) AS kind, d.*
  FROM data.event_dead_letters d LEFT JOIN data.sink_head h USING (producer_id);

CREATE VIEW views.gaps AS
  SELECT g.producer_id || ':' || g.epoch || ':' || g.first_seq AS id, views.kind_name(h.producer_kind) AS kind, g.*
  FROM data.gaps g LEFT JOIN data.sink_head h USING (producer_id);

-- The bytes of one line of a frame, as its producer signed them. received_at, the row's and the frame's, finds the day.
-- STORAGE EXTERNAL: substring reads only the pieces of the body that hold them. NULL if the frame is gone or packed by a codec.
CREATE FUNCTION views.event_bytes(p_frame_part int, p_frame_off bigint, p_byte_offset int, p_byte_length int, p_received_at timestamptz)
RETURNS bytea LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT substring(f.body FROM p_byte_offset + 1 FOR p_byte_length) FROM bus.frames f
          WHERE f.part = p_frame_part AND f.off = p_frame_off AND f.received_at = p_received_at AND f.codec = 0);
END $$;

-- The same as text; cast it to json, never to jsonb, which refuses some valid documents and reorders all of them.
CREATE FUNCTION views.event_document(p_frame_part int, p_frame_off bigint, p_byte_offset int, p_byte_length int, p_received_at timestamptz)
RETURNS text LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN convert_from(views.event_bytes(p_frame_part, p_frame_off, p_byte_offset, p_byte_length, p_received_at), 'UTF8');
END $$;

-- A whole frame, for whoever checks its proof: header, signature and chain are what the producer signed.
CREATE FUNCTION views.frame(p_part int, p_off bigint, p_received_at timestamptz) RETURNS SETOF bus.frames
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT f.* FROM bus.frames f WHERE f.part = p_part AND f.off = p_off AND f.received_at = p_received_at;
END $$;

-- The frame that carries a sequence number, by the log's own index; its received_at then leads to the row (rows have no such index).
CREATE FUNCTION views.frame_of(p_producer uuid, p_epoch bigint, p_seq bigint)
RETURNS TABLE (part int, off bigint, received_at timestamptz, first_seq bigint, count int)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN QUERY
    SELECT n.part, n.off, n.received_at, n.first_seq, n.count FROM (
      SELECT f.part, f.off, f.received_at, f.first_seq, f.count FROM bus.frames f
      WHERE f.producer_id = p_producer AND f.epoch = p_epoch AND f.first_seq <= p_seq
      ORDER BY f.first_seq DESC LIMIT 1) n
    WHERE p_seq < n.first_seq + n.count;
END $$;

CREATE FUNCTION views.event(p_producer uuid, p_epoch bigint, p_seq bigint) RETURNS SETOF views.events
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_at timestamptz;
BEGIN
  SELECT n.received_at INTO v_at FROM views.frame_of(p_producer, p_epoch, p_seq) n;
  RETURN QUERY SELECT e.* FROM views.events e
    WHERE e.received_at = v_at AND e.producer_id = p_producer AND e.epoch = p_epoch AND e.seq = p_seq;
END $$;

-- The ledger of events, per producer and epoch. Everything with sequence numbers in it takes part, also rows of an epoch that the bus has
-- never heard of.
--   bus_head       last sequence number accepted by the bus
--   sink_head      up to where the sink says that it has come
--   stored, dead_lettered, gap_declared   counted from the tables, and what retention has removed (expired)
--   in_flight      bus_head − sink_head
--   imbalance      bus_head − stored − dead_lettered − gap_declared − in_flight: anything but 0 is a broken promise
--   misplaced      sum of the sequence numbers found − sum of 1 … sink_head: not 0 if one is lost and another doubled, which a count cannot see
--   offered        the producer's own signed counter; offered − bus_head is what its spool still held then
CREATE VIEW views.ledger_producer AS
WITH found AS (
  SELECT producer_id, epoch, sum(stored)::bigint AS stored, sum(dead_lettered)::bigint AS dead_lettered,
         sum(gap_declared)::bigint AS gap_declared, sum(seq_sum) AS seq_sum, sum(expired)::bigint AS expired
  FROM (
    SELECT producer_id, epoch, count(*) AS stored, 0 AS dead_lettered, 0 AS gap_declared, sum(seq) AS seq_sum, 0 AS expired
      FROM data.events_dpi GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq), 0 FROM data.events_agent GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, count(*), 0, 0, sum(seq), 0 FROM data.events_honeypot GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, sum(count), 0, sum(count * first_seq::numeric + count * (count - 1::numeric) / 2), 0
      FROM data.event_dead_letters GROUP BY producer_id, epoch
    UNION ALL
    SELECT producer_id, epoch, 0, 0, sum(count), sum(count * first_seq::numeric + count * (count - 1::numeric) / 2), 0
      FROM data.gaps GROUP BY producer_id, epoch
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

-- The whole system in one row. Imbalances are added without their sign: two wrongs must not look right.
CREATE VIEW views.ledger AS
SELECT count(DISTINCT producer_id) AS producers, count(*) AS epochs,
       coalesce(sum(offered), 0)::bigint AS offered, coalesce(sum(bus_head), 0)::bigint AS bus_head, coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered, coalesce(sum(gap_declared), 0)::bigint AS gap_declared,
       coalesce(sum(expired), 0)::bigint AS expired, coalesce(sum(in_flight), 0)::bigint AS in_flight,
       coalesce(sum(abs(imbalance)), 0)::bigint AS imbalance, count(*) FILTER (WHERE misplaced <> 0) AS misplaced_epochs,
       statement_timestamp() AS as_of
FROM views.ledger_producer;

-- The other ledger: what came to the gates, by answer. Counters, flushed each second; no part of the identity above. A process of a gate
-- that neither ended nor was heard of lately ended uncleanly.
CREATE VIEW views.transmissions AS
SELECT c.gateway, c.incarnation, c.name, c.value, i.started_us, i.updated_us, i.ended
FROM bus.gate_counters c JOIN bus.gate_incarnation i USING (gateway, incarnation);

-- How far each group is behind the log. proven: the log holds, at the group's place, the very entry that was read there, or has let it go
-- (nobody can compare any more); false means that history was rewritten under the group, and its reader has stopped (R-2).
CREATE VIEW views.consumer_lag AS
SELECT o.grp, o.part, o.off, p.off AS tail, p.off - o.off AS entries, o.entry_received_us, p.received_us AS tail_received_us, o.owner, o.lease_until,
       o.off = 0 OR (o.generation = g.id AND o.off <= p.off AND CASE
         WHEN o.off < p.low_off THEN true
         WHEN o.off = p.low_off THEN o.entry_hash = p.low_hash
         ELSE EXISTS (
           SELECT FROM bus.frames f
           WHERE f.part = o.part AND f.off = o.off AND f.hash = o.entry_hash
             AND f.received_at = timestamptz '1970-01-01 00:00:00+00' + o.entry_received_us * interval '1 microsecond')
       END) AS proven
FROM bus.consumer_offset o JOIN bus.partition_head p USING (part) CROSS JOIN bus.generation g;

-- Producers whose last stored frame is not in the log: its chain is shorter than the rows, or has another frame there. part: where the
-- epoch of that frame lives, by the log. Empty, unless a server was restored or failed over (R-2).
CREATE VIEW views.sink_diverged AS
SELECT s.producer_id, s.epoch, s.seq, coalesce(h.epoch, 0) AS bus_epoch, coalesce(h.seq, 0) AS bus_seq, l.part
FROM data.sink_head s
LEFT JOIN bus.producer_head h USING (producer_id)
LEFT JOIN bus.epoch_log l ON l.producer_id = s.producer_id AND l.epoch = s.epoch
LEFT JOIN LATERAL (
  SELECT f.first_seq + f.count - 1 AS last_seq, f.hash FROM bus.frames f
  WHERE f.producer_id = s.producer_id AND f.epoch = s.epoch AND f.first_seq <= s.seq
  ORDER BY f.first_seq DESC LIMIT 1) n ON true
WHERE (coalesce(h.epoch, 0), coalesce(h.seq, 0)) < (s.epoch, s.seq) OR n.last_seq <> s.seq OR n.hash <> s.hash;
