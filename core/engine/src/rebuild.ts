// Why: rows are an index of signed batches; when the code that makes them was wrong, or somebody has touched them, they are made again, a day at a time.
// Enforces: the engine's own derivation and its own COPY; one transaction from the first row to the comparison, so that whoever dies leaves nothing; memory of one page.
// Forbids: the outbox: messages of these rows were published when they came in; and moving any offset.

import {
  type Pool,
  type PoolClient,
  discardRebuild,
  type RebuildFinding,
  type RebuildRefusal,
  rebuildFindings,
  replaceDay,
  type ReplaceOptions,
} from "ransomeye-db";
import { type Clock, RansomeyeError, type Telemetry } from "ransomeye-kernel";
import { type BusEntry, readWindow } from "ransomeye-pipeline";
import { type EngineCode, EngineError } from "./codes.ts";
import { copyAll, copySearching } from "./copy_rows.ts";
import { RowBatch } from "./row_batch.ts";
import { type PlaceOf, writeDeadLetters, writeGaps } from "./sink_statements.ts";
import { disposition, sqlState } from "./sqlstate.ts";
import { type DeadLetter, eventTables, type Gap } from "./tables.ts";

/** Where a rebuild stands; tests end it there. */
export type RebuildStep = "begun" | "filled" | "compared" | "sealed" | "committed";

export interface RebuildOptions {
  /** As ransomeye_rebuilder, with two connections or more. */
  readonly pool: Pool;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** `YYYY-MM-DD`, UTC. */
  readonly day: string;
  /** Who replaces the day with what was made; undefined: nobody, it is only looked at. */
  readonly replaceAs?: string;
  readonly waitMsMax?: ReplaceOptions["waitMsMax"];
  readonly signal?: AbortSignal;
  /** Batches that were read until now. */
  readonly onProgress?: (frames: number) => void;
  readonly probe?: (step: RebuildStep, client: PoolClient) => Promise<void>;
}

export type RebuildOutcome =
  | { readonly kind: "refused"; readonly why: RebuildRefusal }
  /** What was made is what is stored. */
  | { readonly kind: "same"; readonly findings: readonly RebuildFinding[] }
  /** It differs, and nothing was changed. */
  | { readonly kind: "different"; readonly findings: readonly RebuildFinding[] }
  | { readonly kind: "replaced"; readonly findings: readonly RebuildFinding[] }
  /** It differs, and could not be put into place: what was made is dropped. */
  | { readonly kind: "given_up"; readonly why: RebuildRefusal; readonly findings: readonly RebuildFinding[] };

const dayUs = 86_400_000_000;

/**
 * Makes the rows of a day again and compares them with those that are stored; puts them into their place if somebody says so.
 * @throws EngineError, BusError; the day is as it was, or replaced as a whole
 */
export async function rebuildDay(o: RebuildOptions): Promise<RebuildOutcome> {
  try {
    return await rebuildOnce(o);
  } catch (error) {
    if (error instanceof RansomeyeError || o.signal?.aborted === true) throw error;
    const code = seals[sqlState(error) ?? ""] ?? disposition(error).code;
    throw new EngineError(code, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** What ops.rebuild_seal says of rows that must not be put into place. */
const seals: Readonly<Record<string, EngineCode>> = { RB004: "ENGINE_HISTORY_DIVERGED", RB005: "ENGINE_COUNT_BROKEN" };

async function rebuildOnce(o: RebuildOptions): Promise<RebuildOutcome> {
  const { pool, day, replaceAs } = o;
  if (replaceAs !== undefined) await pool.query("SELECT ops.rebuild_close_day($1::date)", [day]);
  const made = (await make(o, false)) ?? (await make(o, true));
  if (made === undefined) throw new TypeError("a search for refused rows does not give up");
  if (!("rebuild" in made)) return made;
  const { rebuild, findings } = made;
  if (replaceAs === undefined) return { kind: "different", findings };
  const { clock, waitMsMax, signal } = o;
  const verdict = await replaceDay({ pool, clock, day, rebuild, actor: replaceAs, waitMsMax, signal });
  if (verdict === "done") return { kind: "replaced", findings };
  // What could not be dropped now the next rebuild drops.
  await discardRebuild(pool, day, replaceAs);
  return { kind: "given_up", why: verdict, findings };
}

/** What stands beside the day, if it is to replace it; else what came of the look. */
type Made = RebuildOutcome | { readonly rebuild: number; readonly findings: readonly RebuildFinding[] };

/** One transaction. Undefined: PostgreSQL has refused a row, and `isSearching` will find which. */
async function make(o: RebuildOptions, isSearching: boolean): Promise<Made | undefined> {
  const { pool, day, replaceAs, probe } = o;
  const client = await pool.connect();
  // A connection that dies while nobody waits for it says so here; the next statement on it fails.
  client.on("error", ignore);
  let failure: unknown;
  try {
    await client.query("BEGIN");
    const begun = await client.query<{ verdict: "ready" | RebuildRefusal; rebuild: number }>(
      "SELECT verdict, rebuild FROM ops.rebuild_begin($1::date)",
      [day],
    );
    const { verdict, rebuild } = begun.rows[0] ?? { verdict: "busy", rebuild: 0 };
    if (verdict !== "ready") return { kind: "refused", why: verdict };
    if (replaceAs !== undefined && (await isKept(client, day))) return { kind: "refused", why: "kept" };
    await probe?.("begun", client);
    if (!(await fill(o, client, isSearching))) return undefined;
    await probe?.("filled", client);
    await client.query("SELECT ops.rebuild_compare($1::date, $2)", [day, rebuild]);
    const findings = await rebuildFindings(client, rebuild);
    await probe?.("compared", client);
    if (findings.every(({ kind }) => kind === "same")) return { kind: "same", findings };
    if (replaceAs === undefined) return { kind: "different", findings };
    const sealed = await client.query<{ sealed: boolean }>("SELECT ops.rebuild_seal($1::date, $2) AS sealed", [day, rebuild]);
    if (sealed.rows[0]?.sealed !== true) return { kind: "refused", why: "kept" };
    await probe?.("sealed", client);
    await client.query("COMMIT");
    await probe?.("committed", client);
    return { rebuild, findings };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    // After COMMIT this says nothing; before it, nothing has been.
    if (failure === undefined) await client.query("ROLLBACK").catch((error: unknown) => (failure = error));
    client.off("error", ignore);
    client.release(failure !== undefined);
  }
}

function ignore(): void {}

async function isKept(client: PoolClient, day: string): Promise<boolean> {
  const kept = await client.query("SELECT FROM views.day_rebuilds WHERE day = $1::date AND state = 'replaced'", [day]);
  return kept.rows.length > 0;
}

/** Reads the day's batches page by page and writes what becomes of them. False: PostgreSQL has refused a row. */
async function fill(o: RebuildOptions, client: PoolClient, isSearching: boolean): Promise<boolean> {
  const { pool, telemetry, day, signal, onProgress } = o;
  const sinceUs = Date.parse(`${day}T00:00:00Z`) * 1000;
  const placeOf: PlaceOf = (table) => `ops.${table}_rebuilt_${day.replaceAll("-", "_")}`;
  const batch = new RowBatch();
  let frames = 0;
  for await (const entries of readWindow({
    pool,
    telemetry,
    sinceUs,
    untilUs: sinceUs + dayUs,
    ...(signal === undefined ? {} : { signal }),
  })) {
    if (!(await store(client, batch, entries, placeOf, isSearching))) return false;
    batch.reset();
    frames += entries.length;
    onProgress?.(frames);
  }
  return true;
}

async function store(
  client: PoolClient,
  batch: RowBatch,
  entries: readonly BusEntry[],
  placeOf: PlaceOf,
  isSearching: boolean,
): Promise<boolean> {
  const frames = entries.map((entry) => batch.add(entry));
  batch.seal();
  const refused: DeadLetter[] = [];
  for (const table of eventTables) {
    if (isSearching) {
      refused.push(...(await copySearching(client, table, batch, frames, placeOf)));
      continue;
    }
    try {
      await copyAll(client, table, batch, frames, placeOf);
    } catch (error) {
      if (disposition(error).action === "data") return false;
      throw error;
    }
  }
  await writeDeadLetters(client, [...frames.flatMap((frame) => frame.deadLetters), ...refused], placeOf);
  await writeGaps(
    client,
    frames.map((frame) => frame.gap).filter((gap): gap is Gap => gap !== null),
    placeOf,
  );
  return true;
}
