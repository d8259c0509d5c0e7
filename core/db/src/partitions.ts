/**
 * Why it exists: days exist before they begin, and leave when retention says so.
 * Enforces: yesterday to today + 8 at every start and by the keeper (INT-4's measure, for all tables by day); bounded waits, tried again;
 * oldest day first, never one that a group has yet to read (R-16, R-33).
 * Forbids: computing a day in any zone but UTC.
 */
import { type Clock, sleep, type Telemetry } from "ransomeye-kernel";
import { DbError, sqlState } from "./errors.ts";
import { dayDropped, partitionRetried, partitionsMade } from "./events.ts";
import type { Queryable } from "./pool.ts";

/** Which days {@link ensurePartitions} covers. */
export interface PartitionOptions {
  /** As keeper, engine or administrator; not inside a transaction. */
  readonly pool: Queryable;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Default 1. */
  readonly daysBehind?: number;
  /** Default 8. */
  readonly daysAhead?: number;
  /** How often a table that somebody holds is asked for, each time for lock_timeout. Default 5. */
  readonly attemptsMax?: number;
}

/** A day with its size. */
export interface DaySize {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly bytes: number;
  readonly tables: number;
}

const lockNotAvailable = "55P03";
const attemptsMaxDefault = 5;
const dayUs = 86_400_000_000;

/** The UTC day of a time in microseconds since 1970, moved by `days`, as `YYYY-MM-DD`. */
export function utcDay(us: number, days: number = 0): string {
  return new Date(Math.floor((us + days * dayUs) / 1000)).toISOString().slice(0, 10);
}

/**
 * Makes the day partitions around today that are missing; gives their number.
 * @throws DbError DB_PARTITION_LOCKED if somebody held the tables through all attempts
 */
export async function ensurePartitions(options: PartitionOptions): Promise<number> {
  const behind = options.daysBehind ?? 1;
  const days = behind + 1 + (options.daysAhead ?? 8);
  const fromDay = utcDay(options.clock.nowUs(), -behind);
  const { rows } = await whileLocked(options, () =>
    options.pool.query<{ made: number }>("SELECT ops.ensure_partitions($1::date, $2) AS made", [fromDay, days]),
  );
  const made = rows[0]?.made ?? 0;
  if (made > 0) options.telemetry.emit(partitionsMade, { from_day: fromDay, days, made });
  return made;
}

/** Days that exist, oldest first, all tables together. As keeper or reader. */
export async function daySizes(pool: Queryable): Promise<DaySize[]> {
  const { rows } = await pool.query<DaySize>(
    "SELECT day, sum(bytes)::bigint AS bytes, count(*)::int AS tables FROM ops.day_sizes() GROUP BY day ORDER BY day",
  );
  return rows;
}

/**
 * Drops one day of all tables, after moving the log's low marks past it; gives the bytes freed, or undefined if the day must stay because
 * it is not over or a group has yet to read entries of it. Drop days from the oldest on; `reason` is for the log. As keeper.
 * @throws DbError DB_PARTITION_LOCKED
 */
export async function dropDay(
  options: Pick<PartitionOptions, "pool" | "clock" | "telemetry">,
  day: string,
  reason: string,
): Promise<number | undefined> {
  if (day >= utcDay(options.clock.nowUs())) return undefined;
  // A statement of its own: the marks' row locks must not be held while the day is counted, appends would wait for them.
  const trimmed = await options.pool.query<{ free: boolean }>("SELECT bus.trim_day($1::date) AS free", [day]);
  if (trimmed.rows[0]?.free !== true) return undefined;
  const { rows } = await whileLocked(options, () =>
    options.pool.query<{ bytes: number | null }>("SELECT ops.drop_day($1::date) AS bytes", [day]),
  );
  const bytes = rows[0]?.bytes ?? undefined;
  if (bytes !== undefined) options.telemetry.emit(dayDropped, { day, bytes, reason });
  return bytes;
}

/** Tries again what ended at lock_timeout: somebody's long transaction, or autovacuum, held a table. */
async function whileLocked<T>(options: Pick<PartitionOptions, "clock" | "telemetry" | "attemptsMax">, work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== lockNotAvailable) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      if (attempt >= (options.attemptsMax ?? attemptsMaxDefault))
        throw new DbError("DB_PARTITION_LOCKED", `A table was held by somebody else: ${reason}`, { cause: error });
      options.telemetry.emit(partitionRetried, { attempt, reason });
      await sleep(options.clock, 200 * attempt);
    }
  }
}
