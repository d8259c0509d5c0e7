/**
 * Why it exists: a day goes in steps, none of which anybody waits for.
 * Enforces: the order: low marks past the day, the sealer's word, counted, detached, dropped; each step may be interrupted and is done again; what is counted is
 * expired for the ledger from that moment on.
 * Forbids: detaching by any role that logs in: owning the tables is power over everything in them, so the administrator's connection does that, and nothing else of it.
 */
import type { Clock, Telemetry } from "ransomeye-kernel";
import type { Connection } from "./connection.ts";
import { DbError, lockNotAvailable, sqlState } from "./errors.ts";
import { dayDropped } from "./events.ts";
import { openClient, type Queryable } from "./pool.ts";

/** What {@link expireDay} and {@link finishRemoval} need. */
export interface RetentionOptions {
  /** As keeper; not inside a transaction. */
  readonly pool: Queryable;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How long a day may wait for the sealer before somebody is told. */
const signatureUsMax = 3_600_000_000;

/** What became of a day that retention wants gone. */
export type DayExpiry =
  /** It is counted; {@link detachDay} and {@link finishRemoval} take it away. */
  | { readonly kind: "expired" }
  /** It or another day was counted before and is not gone yet. */
  | { readonly kind: "removing" }
  /** A legal hold keeps it. */
  | { readonly kind: "held" }
  /** It is not over, or a group has yet to read entries of it. */
  | { readonly kind: "unread" }
  /** The sealer has been asked, and has not yet signed that it goes. */
  | { readonly kind: "unsigned"; readonly waitsTooLong: boolean };

/** A day on its way out. */
export interface Removal {
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly bytes: number;
  /** When it was counted, microseconds since 1970. */
  readonly countedUs: number;
  /** Tables that have it still attached; with 0 it is gone. */
  readonly tablesLeft: number;
}

/**
 * Counts a day as expired and begins its removal, after moving the log's low marks past it. The sealer is asked first, and only when nothing else holds the day: what is signed
 * away goes. From here on nothing is received in the day or before it, whatever the clock does. As keeper.
 * @param policy the rule that asks for it: it stands in the statement and in the log
 */
export async function expireDay(o: RetentionOptions, day: string, policy: "age" | "bytes"): Promise<DayExpiry> {
  const { pool, clock } = o;
  const before = await pool.query<{ held: boolean }>("SELECT ops.day_holds($1::date) <> '{}' AS held", [day]);
  if (before.rows[0]?.held !== false) return { kind: "held" };
  // A statement of its own: the marks' row locks must not be held while the day is counted, appends would wait for them.
  const trimmed = await pool.query<{ free: boolean }>("SELECT bus.trim_day($1::date) AS free", [day]);
  if (trimmed.rows[0]?.free !== true) return { kind: "unread" };
  const wishedUs = await wishExpiry(pool, day, policy);
  if (wishedUs !== undefined) return { kind: "unsigned", waitsTooLong: clock.nowUs() - wishedUs > signatureUsMax };
  const { rows } = await pool.query<{ verdict: string }>("SELECT verdict FROM ops.expire_day($1::date, $2)", [day, policy]);
  const verdict = rows[0]?.verdict;
  if (verdict === "expired" || verdict === "held" || verdict === "unread") return { kind: verdict };
  return verdict === "unsigned" ? { kind: "unsigned", waitsTooLong: false } : { kind: "removing" };
}

/** Asks the sealer to sign that a day goes. Since when it has been asked, in microseconds; undefined once there is nothing to be signed any more. */
async function wishExpiry(pool: Queryable, day: string, policy: string): Promise<number | undefined> {
  await pool.query("INSERT INTO evidence.expiry_wish (day, policy, actor) VALUES ($1::date, $2, 'keeper') ON CONFLICT DO NOTHING", [
    day,
    policy,
  ]);
  // What a hold has kept meanwhile waits since its release.
  const { rows } = await pool.query<{ wished_at: number }>(
    "SELECT greatest(w.wished_at, (SELECT max(h.released_at) FROM views.legal_holds h)) AS wished_at FROM views.expiry_wishes w WHERE w.day = $1::date",
    [day],
  );
  return rows[0]?.wished_at;
}

/** What {@link detachDay} came to: nothing to detach, everything detached, or somebody's long transaction is waited for: try again later. */
export type Detached = "nothing" | "detached" | "waiting";

/**
 * Detaches the counted day from its tables, one after the other. Nobody queues behind its waits: those who append and read take no lock that it holds.
 * It waits for a table for two seconds at most, and leaves it half detached then, which the next call finishes: days ahead cannot be attached meanwhile.
 * @param connection the administrator's; it acts as the owner of the tables
 */
export async function detachDay(connection: Connection): Promise<Detached> {
  const client = await openClient(connection, "ransomeye retention");
  try {
    await client.query("SET ROLE ransomeye_ops_owner; SET search_path = pg_catalog, pg_temp; SET lock_timeout = '2s'");
    for (let detached: Detached = "nothing"; ; detached = "detached") {
      const { rows } = await client.query<{ command: string | null; waiting: boolean }>("SELECT command, waiting FROM ops.next_detach()");
      const { command, waiting } = rows[0] ?? { command: null, waiting: false };
      if (waiting) return "waiting";
      if (command === null) return detached;
      await client.query(command);
    }
  } catch (error) {
    if (sqlState(error) === lockNotAvailable) return "waiting";
    throw error;
  } finally {
    await client.end();
  }
}

/**
 * Drops what of the counted day is detached; undefined if no day is on its way. As keeper.
 * @throws DbError DB_PARTITION_LOCKED if somebody holds a table that stands aside; nothing is lost, call again
 */
export async function finishRemoval({ pool, telemetry }: RetentionOptions): Promise<Removal | undefined> {
  try {
    const { rows } = await pool.query<Removal & { day: string | null; policy: string }>(
      `SELECT to_char(day, 'YYYY-MM-DD') AS day, bytes, policy, tables_left AS "tablesLeft", (extract(epoch FROM counted_at) * 1000000)::bigint AS "countedUs"
       FROM ops.finish_removal()`,
    );
    const removal = rows[0];
    if (removal === undefined || removal.day === null) return undefined;
    const { day, bytes, policy, countedUs, tablesLeft } = removal;
    if (tablesLeft === 0) telemetry.emit(dayDropped, { day, bytes, reason: policy });
    return { day, bytes, countedUs, tablesLeft };
  } catch (error) {
    if (sqlState(error) !== lockNotAvailable) throw error;
    throw new DbError("DB_PARTITION_LOCKED", `A detached table was held by somebody else: ${String(error)}`, { cause: error });
  }
}
