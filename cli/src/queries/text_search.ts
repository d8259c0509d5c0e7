/**
 * Why it exists: a search by text reads all rows of the days that it looks at; whoever asks is told before what that costs, and after how far it came.
 * Enforces: the newest first, in slices of received time that grow, within a budget of time; what was not reached is said, and the search goes on from there when asked.
 * Forbids: a scan without a bound; an answer that looks complete and is not.
 */
import { type Pool, sqlState } from "ransomeye-db";
import type { Clock } from "ransomeye-kernel";
import { type EventFilter, type EventRow, newestIn } from "./events.ts";

/** What a search would read. */
export interface SearchCost {
  readonly days: number;
  /** Batches that are stored, of all days. */
  readonly frames: number;
  /** Of the tables of rows. */
  readonly bytes: number;
}

export interface SearchAnswer {
  readonly rows: readonly EventRow[];
  /** Null where all was looked at, or `limit` was reached. Else only what was received from this time on, in microseconds, was looked at. */
  readonly reachedUs: number | null;
}

const cancelled = "57014";
const firstSliceUs = 15 * 60_000_000;
const sliceUsMax = 86_400_000_000;

/** Days that were received before a time, with the sizes of their tables. Cheap: it asks the catalogue and the log's heads. */
export async function searchCost(pool: Pool, beforeUs: number): Promise<SearchCost & { readonly oldestUs: number }> {
  const { rows } = await pool.query<SearchCost & { oldest: string | null }>(
    `SELECT count(DISTINCT d.day)::int AS days, coalesce(sum(d.bytes) FILTER (WHERE starts_with(d.table_name, 'data.events_')), 0)::bigint AS bytes,
       (SELECT coalesce(sum(h.off - h.low_off), 0)::bigint FROM views.log_heads h) AS frames, min(d.day) AS oldest
     FROM ops.day_sizes() d
     WHERE d.attached AND d.day::timestamp AT TIME ZONE 'UTC' < timestamptz '1970-01-01 00:00:00+00' + $1::bigint * interval '1 microsecond'`,
    [beforeUs],
  );
  const { days = 0, bytes = 0, frames = 0, oldest = null } = rows[0] ?? {};
  return { days, bytes, frames, oldestUs: oldest === null ? beforeUs : Date.parse(`${oldest}T00:00:00Z`) * 1000 };
}

/** Rows that fit, newest first, at most `filter.limit`, of what was received in [oldestUs, beforeUs) as far as the budget goes. */
export async function searchText(
  pool: Pool,
  filter: EventFilter,
  o: { readonly clock: Clock; readonly beforeUs: number; readonly oldestUs: number; readonly budgetMs: number },
): Promise<SearchAnswer> {
  const endMs = o.clock.monotonicMs() + o.budgetMs;
  const client = await pool.connect();
  const rows: EventRow[] = [];
  let reachedUs = o.beforeUs;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    for (let sliceUs = firstSliceUs; reachedUs > o.oldestUs && rows.length < filter.limit; sliceUs = Math.min(sliceUs * 2, sliceUsMax)) {
      const leftMs = Math.floor(endMs - o.clock.monotonicMs());
      if (leftMs <= 0) return { rows, reachedUs };
      await client.query("SELECT set_config('statement_timeout', $1, true)", [String(leftMs)]);
      const fromUs = Math.max(reachedUs - sliceUs, o.oldestUs);
      rows.push(...(await newestIn(client, { ...filter, limit: filter.limit - rows.length }, { fromUs, beforeUs: reachedUs })));
      reachedUs = fromUs;
    }
    return { rows, reachedUs: null };
  } catch (error) {
    if (sqlState(error) === cancelled) return { rows, reachedUs };
    throw error;
  } finally {
    client.release(true);
  }
}
