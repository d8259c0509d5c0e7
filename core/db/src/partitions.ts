/**
 * Why it exists: days exist before they begin.
 * Enforces: yesterday to today + 8 at every start and by the keeper (INT-4's measure, for all tables by day); bounded waits, tried again (R-16).
 * Forbids: computing a day in any zone but UTC.
 */
import { type Clock, sleep, type Telemetry } from "ransomeye-kernel";
import { DbError, lockNotAvailable, sqlState } from "./errors.ts";
import { dayMissing, partitionRetried, partitionsMade } from "./events.ts";
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
  /** Legal holds that keep it. */
  readonly holds: readonly number[];
}

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

/**
 * Makes the days that the intake is waiting for, by the bus's own clock; gives their number. Days ahead are made long before: this is for a clock that jumped, and for
 * tables that somebody has removed. As keeper.
 * @throws DbError DB_PARTITION_LOCKED
 */
export async function makeMissingDays(options: Pick<PartitionOptions, "pool" | "clock" | "telemetry" | "attemptsMax">): Promise<number> {
  const { rows } = await options.pool.query<{ day: string }>("SELECT to_char(day, 'YYYY-MM-DD') AS day FROM ops.missing_days() AS day");
  let made = 0;
  for (const { day } of rows) {
    await whileLocked(options, () => options.pool.query("SELECT ops.ensure_partitions($1::date, 1)", [day]));
    options.telemetry.emit(dayMissing, { day });
    made += 1;
  }
  return made;
}

/** Days that exist, oldest first, all tables together. As keeper or reader. */
export async function daySizes(pool: Queryable): Promise<DaySize[]> {
  const { rows } = await pool.query<DaySize>(
    "SELECT day, sum(bytes)::bigint AS bytes, count(*)::int AS tables, ops.day_holds(day) AS holds FROM ops.day_sizes() GROUP BY day ORDER BY day",
  );
  return rows;
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
