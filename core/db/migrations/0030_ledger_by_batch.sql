-- 0030 ledger by batch: what a question to the ledger counts costs two thirds of what it did.
-- Why: of what came since the last fold each row was held against its partition's mark and place, and all rows were sorted by their producers. A row shares both with its
--   batch: rows are brought together by batch first, in one pass, and what is left to compare and to sort is one line for each batch.
-- Enforces: the same answer; rows are counted from the tables, as ever.
-- Forbids: counting by what a batch says of itself.
-- Danger: one view replaced. Safe to run while the system is up.

-- As since 0025. What is found is materialised, so that no table is read once for each partition: the planner cannot know how many are behind.
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
), found AS MATERIALIZED (
  SELECT e.frame_part, e.frame_off, e.received_at, e.producer_id, e.epoch, count(*) AS stored, 0 AS dead_lettered, 0 AS gap_declared, sum(e.seq) AS seq_sum
    FROM data.events_dpi e WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
      AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY 1, 2, 3, 4, 5
  UNION ALL
  SELECT e.frame_part, e.frame_off, e.received_at, e.producer_id, e.epoch, count(*), 0, 0, sum(e.seq)
    FROM data.events_agent e WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
      AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY 1, 2, 3, 4, 5
  UNION ALL
  SELECT e.frame_part, e.frame_off, e.received_at, e.producer_id, e.epoch, count(*), 0, 0, sum(e.seq)
    FROM data.events_honeypot e WHERE e.received_at >= (SELECT min(n.from_at) FROM behind n) AND e.received_at <= (SELECT max(n.to_at) FROM behind n)
      AND (e.received_at < (SELECT l.from_at FROM leaving l) OR e.received_at >= (SELECT l.to_at FROM leaving l)) GROUP BY 1, 2, 3, 4, 5
  UNION ALL
  SELECT d.frame_part, d.frame_off, d.received_at, d.producer_id, d.epoch, 0, d.count, 0, d.count * d.first_seq::numeric + d.count * (d.count - 1::numeric) / 2
    FROM data.event_dead_letters d WHERE d.received_at >= (SELECT min(n.from_at) FROM behind n) AND d.received_at <= (SELECT max(n.to_at) FROM behind n)
      AND (d.received_at < (SELECT l.from_at FROM leaving l) OR d.received_at >= (SELECT l.to_at FROM leaving l))
  UNION ALL
  SELECT g.frame_part, g.frame_off, g.received_at, g.producer_id, g.epoch, 0, 0, g.count, g.count * g.first_seq::numeric + g.count * (g.count - 1::numeric) / 2
    FROM data.gaps g WHERE g.received_at >= (SELECT min(n.from_at) FROM behind n) AND g.received_at <= (SELECT max(n.to_at) FROM behind n)
      AND (g.received_at < (SELECT l.from_at FROM leaving l) OR g.received_at >= (SELECT l.to_at FROM leaving l))
)
SELECT b.part, f.producer_id, f.epoch, (f.received_at, f.frame_off) <= (b.received_at, b.off) AS stored_place, sum(f.stored)::bigint AS stored,
       sum(f.dead_lettered)::bigint AS dead_lettered, sum(f.gap_declared)::bigint AS gap_declared, sum(f.seq_sum) AS seq_sum
FROM found f JOIN behind b ON b.part = f.frame_part
WHERE (f.received_at, f.frame_off) > (b.mark_received_at, b.mark_off) GROUP BY 1, 2, 3, 4;
