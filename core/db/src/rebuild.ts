/**
 * Why it exists: a day's rows that were made again take the place of those that are stored, go back, or are let go; what the database's functions answer, in types.
 * Enforces: tries are short and bounded in time: whoever reads or stores waits behind one for a quarter of a second at most; a try that failed has changed nothing.
 * Forbids: making rows: that is the engine's.
 */
import { type Clock, sleep } from "ransomeye-kernel";
import { lockNotAvailable, sqlState } from "./errors.ts";
import type { Queryable } from "./pool.ts";

/** Why a day is left as it is. */
export type RebuildRefusal =
  /** It is not over. */
  | "today"
  /** Retention is about to remove it. */
  | "leaving"
  /** Its batches are no more, or never were. */
  | "gone"
  /** The engine has yet to store some of it. */
  | "unread"
  /** Somebody has detached a table of it. */
  | "detached"
  /** Another rebuild is under way. */
  | "busy"
  /** The rows of an earlier rebuild are still kept. */
  | "kept"
  /** Nothing stands beside it, or what does is another rebuild's. */
  | "none"
  /** Somebody looks at a moment before the new rows were there, in a transaction that goes on. */
  | "waiting"
  /** Somebody holds a table, in a transaction that goes on. */
  | "locked"
  /** The ledger's sums do not have all of it, and a fold does not change that. */
  | "unfolded"
  /** It has batches that were not read. */
  | "moved"
  /** A legal hold keeps what was replaced. */
  | "held";

/** What the new rows of a day are beside the old ones: `kind` as migration 0028 says. */
export interface RebuildFinding {
  readonly table: string;
  readonly kind: "same" | "reversioned" | "changed" | "recovered" | "missing" | "refused" | "foreign" | "new" | "gone";
  /** Those that differ, of `changed`. */
  readonly columns: readonly string[];
  readonly versionWas: number | null;
  readonly versionIs: number | null;
  readonly events: number;
  /** Ids of events, `producer:epoch:seq`: of the first producers the first one. */
  readonly examples: readonly string[];
}

export interface ReplaceOptions {
  /** As ransomeye_rebuilder; not inside a transaction. */
  readonly pool: Queryable;
  readonly clock: Clock;
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  readonly rebuild: number;
  readonly actor: string;
  /** How long somebody's transaction is waited for. Default: a minute. */
  readonly waitMsMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const waitMsMaxDefault = 60_000;
const waitingMs = 200;
/** Others queue behind a try that waits for a table: there is time for them between two. */
const lockedMs = 2000;
const deadlockDetected = "40P01";

/** Puts the rows that were made into the day's place. */
export function replaceDay(o: ReplaceOptions): Promise<"done" | RebuildRefusal> {
  return exchange(o, false);
}

/** Puts the rows back that were replaced, and drops those that had replaced them. */
export async function undoRebuild(o: ReplaceOptions): Promise<"done" | RebuildRefusal> {
  const checked = await unlessLocked(async () => {
    await o.pool.query("SELECT ops.rebuild_check_kept($1::date)", [o.day]);
    return "done" as const;
  });
  return checked === "done" ? exchange(o, true) : checked;
}

/** Lets go what stands beside a day. */
export function discardRebuild(pool: Queryable, day: string, actor: string): Promise<"discarded" | RebuildRefusal> {
  return unlessLocked(async () => {
    const { rows } = await pool.query<{ verdict: "discarded" | RebuildRefusal }>("SELECT ops.rebuild_discard($1::date, $2) AS verdict", [
      day,
      actor,
    ]);
    return rows[0]?.verdict ?? "none";
  });
}

/** In what the new rows of a rebuild differ, by table, the most first. */
export async function rebuildFindings(client: Queryable, rebuild: number): Promise<RebuildFinding[]> {
  const { rows } = await client.query<RebuildFinding>(
    `SELECT f.table_name AS table, f.kind, f.columns, f.version_was AS "versionWas", f.version_is AS "versionIs", f.events, f.examples
     FROM views.rebuild_findings f WHERE f.rebuild = $1 ORDER BY f.table_name, f.events DESC, f.kind, f.columns`,
    [rebuild],
  );
  return rows;
}

async function exchange(o: ReplaceOptions, isUndo: boolean): Promise<"done" | RebuildRefusal> {
  const { pool, clock, waitMsMax = waitMsMaxDefault, signal } = o;
  const untilMs = clock.monotonicMs() + waitMsMax;
  for (let hasFolded = false; ; ) {
    const verdict = await attempt(o, isUndo);
    if (verdict === "unfolded" && !hasFolded) {
      await pool.query("SELECT * FROM ops.ledger_fold()");
      hasFolded = true;
      continue;
    }
    if ((verdict !== "waiting" && verdict !== "locked") || signal?.aborted === true || clock.monotonicMs() >= untilMs) return verdict;
    await sleep(clock, verdict === "locked" ? lockedMs : waitingMs, signal).catch(() => undefined);
  }
}

function attempt({ pool, day, rebuild, actor }: ReplaceOptions, isUndo: boolean): Promise<"done" | RebuildRefusal> {
  return unlessLocked(async () => {
    const { rows } = await pool.query<{ verdict: "done" | RebuildRefusal }>("SELECT ops.rebuild_replace($1::date, $2, $3, $4) AS verdict", [
      day,
      rebuild,
      isUndo,
      actor,
    ]);
    return rows[0]?.verdict ?? "none";
  });
}

/** Whoever holds a table, or a lock that orders such calls, is no failure: nothing has changed. */
async function unlessLocked<T>(work: () => Promise<T>): Promise<T | "locked"> {
  try {
    return await work();
  } catch (error) {
    const state = sqlState(error);
    if (state === lockNotAvailable || state === deadlockDetected) return "locked";
    throw error;
  }
}
