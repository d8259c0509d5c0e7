-- 0023 ledger: the ledger of events at the price of what came last, so that it can be asked every few seconds (R-19).
-- Why: views.ledger counts all rows at each question, so its price grows with what is stored. Each row has to be counted from its table, but once is enough: sums
--   hold what lies up to a mark in each partition of the log, and a question counts what lies behind the marks.
-- Enforces: found is counted from the tables, never derived from a head; a question is one statement and so one snapshot of sums, rows and heads; a fold moves
--   rows into the sums and the marks over them in one statement, under a lock, so that no row is counted twice or passed over; a day that retention drops leaves the
--   sums as they are, for its rows are in them before it goes.
-- Forbids: an update of ops.ledger_sum by anything but fold, drop_day and rebuild; a mark that the engine's own place has not reached.
-- Danger: two new tables, views and functions, one function replaced. No lock on a table in use, safe to run while the system is up. The keeper's first fold then
--   counts all rows once, in one transaction; until it is done a question costs as much as views.ledger.

-- Counts of all rows up to the marks, also of those that retention has removed since (expired: how many of the three counts). seq_sum as in ops.expired.
-- A row is updated with each fold that finds events of its producer; half the page is left free, so that each update finds room beside it (HOT).
CREATE TABLE ops.ledger_sum (
  producer_id   uuid NOT NULL,
  epoch         bigint NOT NULL,
  stored        bigint NOT NULL,
  dead_lettered bigint NOT NULL,
  gap_declared  bigint NOT NULL,
  seq_sum       numeric NOT NULL,
  expired       bigint NOT NULL,
  PRIMARY KEY (producer_id, epoch)
) WITH (fillfactor = 50);

-- What has expired until now was counted when it went.
INSERT INTO ops.ledger_sum (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum, expired)
SELECT x.producer_id, x.epoch, x.stored, x.dead_lettered, x.gap_declared, x.seq_sum, x.stored + x.dead_lettered + x.gap_declared FROM ops.expired x;

-- Up to where each partition's rows are in the sums: entries up to (received_at, off), in this order. Received time comes first because it never runs backwards in a
-- partition (R-16), also where a log is made anew on other servers and gives offsets again. fence: the engine's token when the mark was set on its place, and no row
-- lay beyond; as long as it is the same, that place has only moved forward, in the same history. NULL while an operator's rewind is not made up for.
CREATE TABLE ops.ledger_mark (
  part        int PRIMARY KEY,
  off         bigint NOT NULL,
  received_at timestamptz NOT NULL,
  fence       bigint
) WITH (fillfactor = 50);

-- The engine's place in each partition beside the mark. behind: whether there may be rows behind the mark. There are none if the log ends at the mark, or if the engine
-- still stands where it stood when the mark was set: an idle partition, or one that has stopped, costs a question nothing.
CREATE VIEW ops.ledger_place AS
SELECT l.part, l.off, l.received_at, l.fence, l.mark_off, l.mark_received_at, l.mark_fence, l.log_received_at,
       (l.log_off, l.log_received_at) <> (l.mark_off, l.mark_received_at) AND (l.off, l.fence) IS DISTINCT FROM (l.mark_off, l.mark_fence) AS behind
FROM (
  SELECT o.part, o.off, timestamptz '1970-01-01 00:00:00+00' + o.entry_received_us * interval '1 microsecond' AS received_at, o.fence, p.off AS log_off,
         timestamptz '1970-01-01 00:00:00+00' + p.received_us * interval '1 microsecond' AS log_received_at, coalesce(m.off, 0) AS mark_off,
         coalesce(m.received_at, timestamptz '1970-01-01 00:00:00+00') AS mark_received_at, m.fence AS mark_fence
  FROM bus.consumer_offset o JOIN bus.partition_head p USING (part) LEFT JOIN ops.ledger_mark m USING (part)
  WHERE o.grp = 'engine') l;

-- What lies behind the marks, counted from the tables. Rows are found by the BRIN index on received_at, from the first entry behind any mark to the log's end: under
-- an unchanged fence the log's own index says which entry that is, else it may be any since the mark. Without the upper bound the planner takes a third of a
-- table for what is asked, and reads all of it. With inner joins it may read a table once for each partition, for it cannot know how many are behind: LEFT JOIN, and a
-- condition that does not turn it into an inner one, leave the rows on the outside.
-- stored_place: up to the engine's place. After an operator's rewind there are rows beyond it; a question counts them, a fold leaves them until the engine is past them.
CREATE VIEW ops.ledger_tail AS
WITH behind AS MATERIALIZED (
  SELECT l.part, l.off, l.received_at, l.mark_off, l.mark_received_at,
         coalesce(CASE WHEN l.fence = l.mark_fence THEN (
           SELECT f.received_at FROM bus.frames f
           WHERE f.part = l.part AND f.off > l.mark_off AND f.received_at >= l.mark_received_at ORDER BY f.off LIMIT 1) END, l.mark_received_at) AS from_at,
         l.log_received_at AS to_at
  FROM ops.ledger_place l WHERE l.behind
)
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off) AS stored_place, count(*) AS stored, 0::bigint AS dead_lettered,
       0::bigint AS gap_declared, sum(e.seq) AS seq_sum
  FROM data.events_dpi e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off), count(*), 0, 0, sum(e.seq)
  FROM data.events_agent e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (b.received_at, b.off), count(*), 0, 0, sum(e.seq)
  FROM data.events_honeypot e LEFT JOIN behind b ON b.part = e.frame_part
  WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND coalesce((e.received_at, e.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, d.producer_id, d.epoch, (d.received_at, d.frame_off) <= (b.received_at, b.off), 0, sum(d.count), 0,
       sum(d.count * d.first_seq::numeric + d.count * (d.count - 1::numeric) / 2)
  FROM data.event_dead_letters d LEFT JOIN behind b ON b.part = d.frame_part
  WHERE d.received_at >= (SELECT min(n.from_at) FROM behind n) AND d.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND coalesce((d.received_at, d.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4
UNION ALL
SELECT b.part, g.producer_id, g.epoch, (g.received_at, g.frame_off) <= (b.received_at, b.off), 0, 0, sum(g.count),
       sum(g.count * g.first_seq::numeric + g.count * (g.count - 1::numeric) / 2)
  FROM data.gaps g LEFT JOIN behind b ON b.part = g.frame_part
  WHERE g.received_at >= (SELECT min(n.from_at) FROM behind n) AND g.received_at <= (SELECT max(n.to_at) FROM behind n)
    AND coalesce((g.received_at, g.frame_off) > (b.mark_received_at, b.mark_off), false) GROUP BY 1, 2, 3, 4;

-- Moves what lies between the marks and the engine's places into the sums, and the marks over it: one statement, so one snapshot. The engine's row transaction moves
-- its place and writes the rows in one commit (R-3), so rows up to the place that is seen are all seen. The lock lets one fold after the other see the
-- marks of the one before; a caller whose snapshot is older than that ends in 40001 and has changed nothing.
-- The planner takes its cost for far more than it is, and would compile it, which takes longer than the fold.
-- epochs: rows of ops.ledger_sum that were touched; folded: sequence numbers that came into the sums.
CREATE FUNCTION ops.ledger_fold(OUT epochs bigint, OUT folded bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = 'off' AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye ledger', 0));
  WITH found AS MATERIALIZED (
    SELECT * FROM ops.ledger_tail
  ), tail AS MATERIALIZED (
    SELECT t.producer_id, t.epoch, sum(t.stored)::bigint AS stored, sum(t.dead_lettered)::bigint AS dead_lettered, sum(t.gap_declared)::bigint AS gap_declared,
           sum(t.seq_sum) AS seq_sum
    FROM found t WHERE t.stored_place GROUP BY t.producer_id, t.epoch
  ), summed AS (
    INSERT INTO ops.ledger_sum AS s (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum, expired)
    SELECT t.producer_id, t.epoch, t.stored, t.dead_lettered, t.gap_declared, t.seq_sum, 0 FROM tail t ORDER BY t.producer_id, t.epoch
    ON CONFLICT (producer_id, epoch) DO UPDATE SET stored = s.stored + excluded.stored, dead_lettered = s.dead_lettered + excluded.dead_lettered,
      gap_declared = s.gap_declared + excluded.gap_declared, seq_sum = s.seq_sum + excluded.seq_sum
  ), marked AS (
    INSERT INTO ops.ledger_mark AS m (part, off, received_at, fence)
    SELECT l.part, CASE WHEN n.forward THEN l.off ELSE l.mark_off END, CASE WHEN n.forward THEN l.received_at ELSE l.mark_received_at END,
           CASE WHEN n.forward AND NOT EXISTS (SELECT FROM found t WHERE t.part = l.part AND NOT t.stored_place) THEN l.fence END
    FROM ops.ledger_place l CROSS JOIN LATERAL (SELECT (l.received_at, l.off) >= (l.mark_received_at, l.mark_off) AS forward) n ORDER BY l.part
    ON CONFLICT (part) DO UPDATE SET off = excluded.off, received_at = excluded.received_at, fence = excluded.fence
    WHERE (m.off, m.received_at, m.fence) IS DISTINCT FROM (excluded.off, excluded.received_at, excluded.fence)
  )
  SELECT count(*), coalesce(sum(t.stored + t.dead_lettered + t.gap_declared), 0) INTO epochs, folded FROM tail t;
END $$;

-- An operator's, after a finding: sums and marks are made again, from nothing but the tables and what retention has counted. What the old sums could still have
-- shown is gone with them.
CREATE FUNCTION ops.ledger_rebuild(OUT epochs bigint, OUT folded bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye ledger', 0));
  DELETE FROM ops.ledger_mark;
  DELETE FROM ops.ledger_sum;
  INSERT INTO ops.ledger_sum (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum, expired)
  SELECT x.producer_id, x.epoch, x.stored, x.dead_lettered, x.gap_declared, x.seq_sum, x.stored + x.dead_lettered + x.gap_declared FROM ops.expired x;
  SELECT f.epochs, f.folded INTO epochs, folded FROM ops.ledger_fold() f;
END $$;

-- As since 0006: adds what a day holds to ops.expired. And what of it lies behind the marks to the sums: nobody can count it any more when the day is gone.
CREATE OR REPLACE FUNCTION ops.count_day(p_day date) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_from CONSTANT timestamptz := p_day::timestamp AT TIME ZONE 'UTC';
  v_to   CONSTANT timestamptz := (p_day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  -- No fold between the counting and the removal of the day.
  PERFORM pg_advisory_xact_lock(hashtextextended('ransomeye ledger', 0));
  WITH parts AS (
    SELECT e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (m.received_at, m.off) AS summed, count(*) AS stored, 0 AS dead_lettered, 0 AS gap_declared,
           sum(e.seq) AS seq_sum
      FROM data.events_dpi e LEFT JOIN ops.ledger_mark m ON m.part = e.frame_part
      WHERE e.received_at >= v_from AND e.received_at < v_to GROUP BY 1, 2, 3
    UNION ALL
    SELECT e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (m.received_at, m.off), count(*), 0, 0, sum(e.seq)
      FROM data.events_agent e LEFT JOIN ops.ledger_mark m ON m.part = e.frame_part
      WHERE e.received_at >= v_from AND e.received_at < v_to GROUP BY 1, 2, 3
    UNION ALL
    SELECT e.producer_id, e.epoch, (e.received_at, e.frame_off) <= (m.received_at, m.off), count(*), 0, 0, sum(e.seq)
      FROM data.events_honeypot e LEFT JOIN ops.ledger_mark m ON m.part = e.frame_part
      WHERE e.received_at >= v_from AND e.received_at < v_to GROUP BY 1, 2, 3
    UNION ALL
    SELECT d.producer_id, d.epoch, (d.received_at, d.frame_off) <= (m.received_at, m.off), 0, sum(d.count), 0,
           sum(d.count * d.first_seq::numeric + d.count * (d.count - 1::numeric) / 2)
      FROM data.event_dead_letters d LEFT JOIN ops.ledger_mark m ON m.part = d.frame_part
      WHERE d.received_at >= v_from AND d.received_at < v_to GROUP BY 1, 2, 3
    UNION ALL
    SELECT g.producer_id, g.epoch, (g.received_at, g.frame_off) <= (m.received_at, m.off), 0, 0, sum(g.count),
           sum(g.count * g.first_seq::numeric + g.count * (g.count - 1::numeric) / 2)
      FROM data.gaps g LEFT JOIN ops.ledger_mark m ON m.part = g.frame_part
      WHERE g.received_at >= v_from AND g.received_at < v_to GROUP BY 1, 2, 3
  ), day AS MATERIALIZED (
    SELECT p.producer_id, p.epoch, p.summed IS TRUE AS summed, sum(p.stored)::bigint AS stored, sum(p.dead_lettered)::bigint AS dead_lettered,
           sum(p.gap_declared)::bigint AS gap_declared, sum(p.seq_sum) AS seq_sum
    FROM parts p GROUP BY 1, 2, 3
  ), expired AS (
    INSERT INTO ops.expired AS x (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum)
    SELECT d.producer_id, d.epoch, sum(d.stored), sum(d.dead_lettered), sum(d.gap_declared), sum(d.seq_sum)
    FROM day d GROUP BY d.producer_id, d.epoch ORDER BY d.producer_id, d.epoch
    ON CONFLICT (producer_id, epoch) DO UPDATE SET stored = x.stored + excluded.stored, dead_lettered = x.dead_lettered + excluded.dead_lettered,
      gap_declared = x.gap_declared + excluded.gap_declared, seq_sum = x.seq_sum + excluded.seq_sum
  )
  INSERT INTO ops.ledger_sum AS s (producer_id, epoch, stored, dead_lettered, gap_declared, seq_sum, expired)
  SELECT d.producer_id, d.epoch, coalesce(sum(d.stored) FILTER (WHERE NOT d.summed), 0), coalesce(sum(d.dead_lettered) FILTER (WHERE NOT d.summed), 0),
         coalesce(sum(d.gap_declared) FILTER (WHERE NOT d.summed), 0), coalesce(sum(d.seq_sum) FILTER (WHERE NOT d.summed), 0),
         sum(d.stored + d.dead_lettered + d.gap_declared)
  FROM day d GROUP BY d.producer_id, d.epoch ORDER BY d.producer_id, d.epoch
  ON CONFLICT (producer_id, epoch) DO UPDATE SET stored = s.stored + excluded.stored, dead_lettered = s.dead_lettered + excluded.dead_lettered,
    gap_declared = s.gap_declared + excluded.gap_declared, seq_sum = s.seq_sum + excluded.seq_sum, expired = s.expired + excluded.expired;
END $$;

-- The ledger as it can be asked every few seconds, per producer and epoch. Columns as in views.ledger_producer, which counts all rows again; tail: how many of the
-- sequence numbers found lie behind the marks and were counted for this answer.
CREATE VIEW views.ledger_live_producer AS
WITH tail AS (
  SELECT producer_id, epoch, sum(stored)::bigint AS stored, sum(dead_lettered)::bigint AS dead_lettered, sum(gap_declared)::bigint AS gap_declared,
         sum(seq_sum) AS seq_sum
  FROM ops.ledger_tail GROUP BY producer_id, epoch
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
  SELECT producer_id, epoch, coalesce(heads.offered, 0) AS offered, coalesce(heads.bus_head, 0) AS bus_head, coalesce(sinks.sink_head, 0) AS sink_head,
         coalesce(s.stored, 0) + coalesce(tail.stored, 0) AS stored, coalesce(s.dead_lettered, 0) + coalesce(tail.dead_lettered, 0) AS dead_lettered,
         coalesce(s.gap_declared, 0) + coalesce(tail.gap_declared, 0) AS gap_declared, coalesce(s.seq_sum, 0) + coalesce(tail.seq_sum, 0) AS seq_sum,
         coalesce(s.expired, 0) AS expired, coalesce(tail.stored + tail.dead_lettered + tail.gap_declared, 0) AS tail
  FROM heads FULL JOIN sinks USING (producer_id, epoch) FULL JOIN ops.ledger_sum s USING (producer_id, epoch) FULL JOIN tail USING (producer_id, epoch)
)
SELECT j.producer_id, views.kind_name(k.producer_kind) AS kind, j.epoch, j.offered, j.bus_head, j.sink_head,
       j.stored, j.dead_lettered, j.gap_declared, j.expired,
       j.bus_head - j.sink_head AS in_flight,
       j.bus_head - j.stored - j.dead_lettered - j.gap_declared - (j.bus_head - j.sink_head) AS imbalance,
       j.seq_sum - j.sink_head::numeric * (j.sink_head + 1) / 2 AS misplaced,
       j.tail
FROM joined j LEFT JOIN data.sink_head k USING (producer_id);

-- The same, a row for each kind of producer; kind is NULL for producers of which nothing has been stored yet. unbalanced_epochs: those whose sum is wrong,
-- whose sequence numbers are not those of 1 … sink_head, or whose rows are ahead of the log.
CREATE VIEW views.ledger_live_kind AS
SELECT kind, count(DISTINCT producer_id) AS producers, count(*) AS epochs,
       coalesce(sum(offered), 0)::bigint AS offered, coalesce(sum(bus_head), 0)::bigint AS bus_head, coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered, coalesce(sum(gap_declared), 0)::bigint AS gap_declared,
       coalesce(sum(expired), 0)::bigint AS expired, coalesce(sum(in_flight), 0)::bigint AS in_flight,
       coalesce(sum(abs(imbalance)), 0)::bigint AS imbalance, count(*) FILTER (WHERE misplaced <> 0) AS misplaced_epochs,
       count(*) FILTER (WHERE imbalance <> 0 OR misplaced <> 0 OR in_flight < 0) AS unbalanced_epochs,
       coalesce(sum(tail), 0)::bigint AS tail, statement_timestamp() AS as_of
FROM views.ledger_live_producer GROUP BY kind;

-- The whole system in one row, with the transmissions beside it: batches that gateways refused, and that came once more.
CREATE VIEW views.ledger_live AS
SELECT e.*, t.refused, t.duplicates, statement_timestamp() AS as_of
FROM (
  SELECT count(DISTINCT producer_id) AS producers, count(*) AS epochs,
         coalesce(sum(offered), 0)::bigint AS offered, coalesce(sum(bus_head), 0)::bigint AS bus_head, coalesce(sum(stored), 0)::bigint AS stored,
         coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered, coalesce(sum(gap_declared), 0)::bigint AS gap_declared,
         coalesce(sum(expired), 0)::bigint AS expired, coalesce(sum(in_flight), 0)::bigint AS in_flight,
         coalesce(sum(abs(imbalance)), 0)::bigint AS imbalance, count(*) FILTER (WHERE misplaced <> 0) AS misplaced_epochs,
         count(*) FILTER (WHERE imbalance <> 0 OR misplaced <> 0 OR in_flight < 0) AS unbalanced_epochs,
         coalesce(sum(tail), 0)::bigint AS tail
  FROM views.ledger_live_producer) e
CROSS JOIN (
  SELECT coalesce(sum(c.value) FILTER (WHERE starts_with(c.name, 'refused_')), 0)::bigint AS refused,
         coalesce(sum(c.value) FILTER (WHERE starts_with(c.name, 'duplicate_')), 0)::bigint AS duplicates
  FROM bus.gate_counters c) t;

-- Transmissions by gateway and name, added up over the lives of its process.
CREATE VIEW views.transmission_sums AS
SELECT c.gateway, c.name, sum(c.value)::bigint AS value FROM bus.gate_counters c GROUP BY c.gateway, c.name;

-- The full recount, a row for each kind of producer.
CREATE VIEW views.ledger_kind AS
SELECT kind, count(DISTINCT producer_id) AS producers, count(*) AS epochs,
       coalesce(sum(offered), 0)::bigint AS offered, coalesce(sum(bus_head), 0)::bigint AS bus_head, coalesce(sum(stored), 0)::bigint AS stored,
       coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered, coalesce(sum(gap_declared), 0)::bigint AS gap_declared,
       coalesce(sum(expired), 0)::bigint AS expired, coalesce(sum(in_flight), 0)::bigint AS in_flight,
       coalesce(sum(abs(imbalance)), 0)::bigint AS imbalance, count(*) FILTER (WHERE misplaced <> 0) AS misplaced_epochs,
       statement_timestamp() AS as_of
FROM views.ledger_producer GROUP BY kind;

-- The full recount beside the ledger of the sums, in one snapshot. Rows that somebody has deleted, added or changed since they were folded are in the sums as they
-- were: sums_differ. summed_*: what sums and tail say.
CREATE VIEW views.ledger_audit AS
SELECT coalesce(r.producer_id, l.producer_id) AS producer_id, coalesce(r.kind, l.kind) AS kind, coalesce(r.epoch, l.epoch) AS epoch,
       coalesce(r.offered, l.offered) AS offered, coalesce(r.bus_head, l.bus_head) AS bus_head, coalesce(r.sink_head, l.sink_head) AS sink_head,
       coalesce(r.stored, 0) AS stored, coalesce(r.dead_lettered, 0) AS dead_lettered, coalesce(r.gap_declared, 0) AS gap_declared,
       coalesce(r.expired, 0) AS expired, coalesce(r.in_flight, l.in_flight) AS in_flight, coalesce(r.imbalance, 0) AS imbalance,
       coalesce(r.misplaced, 0) AS misplaced,
       coalesce(l.stored, 0) AS summed_stored, coalesce(l.dead_lettered, 0) AS summed_dead_lettered, coalesce(l.gap_declared, 0) AS summed_gap_declared,
       coalesce(l.expired, 0) AS summed_expired, coalesce(l.misplaced, 0) AS summed_misplaced,
       (r.stored, r.dead_lettered, r.gap_declared, r.expired, r.misplaced) IS DISTINCT FROM (l.stored, l.dead_lettered, l.gap_declared, l.expired, l.misplaced)
         AS sums_differ
FROM views.ledger_producer r FULL JOIN views.ledger_live_producer l ON l.producer_id = r.producer_id AND l.epoch = r.epoch;
