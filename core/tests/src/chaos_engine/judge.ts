/**
 * Why: the verdict comes from what the tables hold, beside what was accepted.
 * Enforces: each accepted sequence number is looked for in rows, dead letters and gaps alike; anything else that stands there is foreign.
 * Forbids: believing the ledger alone: it is asked as well, and has to agree.
 */
import type { Queryable } from "ransomeye-db";
import type { Fate } from "./producers.ts";

export interface Findings {
  /** Sequence numbers that were accepted. */
  readonly accepted: number;
  readonly lost: number;
  readonly doubled: number;
  /** It became something else, or has another's content. */
  readonly altered: number;
  /** Nobody has sent it. */
  readonly foreign: number;
  /** Rows that stand before one of a lower number, in the order of the log. */
  readonly outOfOrder: number;
  /** The ledger's own words. */
  readonly imbalance: number;
  readonly misplacedEpochs: number;
}

interface Found {
  readonly key: string;
  readonly seq: number;
  readonly count: number;
  readonly fate: Fate;
}

const foundSql = `
  SELECT producer_id || ':' || epoch AS key, seq, 1 AS count, 'row ' || host AS fate FROM data.events_agent
  UNION ALL SELECT producer_id || ':' || epoch, seq, 1, 'row ' || host FROM data.events_dpi
  UNION ALL SELECT producer_id || ':' || epoch, first_seq, count, 'dead ' || code FROM data.event_dead_letters
  UNION ALL SELECT producer_id || ':' || epoch, first_seq, count, 'gap ' || reason FROM data.gaps`;

const orderSql = `
  SELECT count(*) FILTER (WHERE frame_off < before)::int AS n FROM (
    SELECT frame_off, lag(frame_off) OVER (PARTITION BY producer_id, epoch ORDER BY seq) AS before
    FROM (SELECT producer_id, epoch, seq, frame_off FROM data.events_agent UNION ALL SELECT producer_id, epoch, seq, frame_off FROM data.events_dpi) e) o`;

/** Holds what is stored against what was accepted. Nothing may be on its way. */
export async function judge(admin: Queryable, fates: ReadonlyMap<string, readonly Fate[]>): Promise<Findings> {
  const seen = new Map<string, Uint8Array>([...fates].map(([key, list]) => [key, new Uint8Array(list.length)]));
  let doubled = 0;
  let altered = 0;
  let foreign = 0;
  for (const { key, seq, count, fate } of (await admin.query<Found>(foundSql)).rows) {
    const marks = seen.get(key);
    for (let n = seq; n < seq + count; n += 1) {
      const wanted = fates.get(key)?.[n - 1];
      if (marks === undefined || wanted === undefined) foreign += 1;
      else if (marks[n - 1] === 1) doubled += 1;
      else {
        marks[n - 1] = 1;
        if (wanted !== fate) altered += 1;
      }
    }
  }
  let accepted = 0;
  let lost = 0;
  for (const marks of seen.values()) {
    accepted += marks.length;
    lost += marks.reduce((sum, mark) => sum + (mark === 0 ? 1 : 0), 0);
  }
  const order = await admin.query<{ n: number }>(orderSql);
  const ledger = await admin.query<{ imbalance: number; misplaced: number }>(
    "SELECT imbalance, misplaced_epochs AS misplaced FROM views.ledger",
  );
  return {
    accepted,
    lost,
    doubled,
    altered,
    foreign,
    outOfOrder: order.rows[0]?.n ?? -1,
    imbalance: ledger.rows[0]?.imbalance ?? -1,
    misplacedEpochs: ledger.rows[0]?.misplaced ?? -1,
  };
}

/** Whether nothing but what was accepted is there, once, as it was. */
export function holds({ lost, doubled, altered, foreign, outOfOrder, imbalance, misplacedEpochs }: Findings): boolean {
  return [lost, doubled, altered, foreign, outOfOrder, imbalance, misplacedEpochs].every((count) => count === 0);
}
