/**
 * Why: the verdict of a crash run, counted in SQL by someone who trusts neither the shipper's summary nor the ledger.
 * Enforces: lost, duplicated and out of order are three separate counts over the stored rows, each from the numbers that the events carry.
 * Forbids: anything but reading, with the reader's role.
 */
import { openReader } from "ransomeye";

export interface NumberedRows {
  readonly stored: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly outOfOrder: number;
}

const COUNT_SQL = `
  SELECT count(*)::int8 AS stored,
         count(DISTINCT process_pid)::int8 AS distinct_numbers,
         count(*) FILTER (WHERE process_pid <= before)::int8 AS out_of_order
    FROM (SELECT process_pid, lag(process_pid) OVER (PARTITION BY producer_id ORDER BY epoch, seq) AS before
            FROM views.events WHERE process_name LIKE 'job-%') AS numbered`;

/** How many rows there are: quick enough to be asked while an engine that catches up stores more than a hundred thousand a second. */
export async function storedRows(dataDir: string): Promise<number> {
  const pool = await openReader(dataDir);
  try {
    return (await pool.query<{ stored: number }>("SELECT count(*)::int8 AS stored FROM views.events")).rows[0]?.stored ?? 0;
  } finally {
    await pool.end();
  }
}

/** Counts what became of events numbered 1 … `expected`. */
export async function numberedRows(dataDir: string, expected: number): Promise<NumberedRows> {
  const pool = await openReader(dataDir);
  try {
    const { rows } = await pool.query<{ stored: number; distinct_numbers: number; out_of_order: number }>(COUNT_SQL);
    const row = rows[0] ?? { stored: 0, distinct_numbers: 0, out_of_order: 0 };
    return {
      stored: row.stored,
      lost: expected - row.distinct_numbers,
      duplicated: row.stored - row.distinct_numbers,
      outOfOrder: row.out_of_order,
    };
  } finally {
    await pool.end();
  }
}
