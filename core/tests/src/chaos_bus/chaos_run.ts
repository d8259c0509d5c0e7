/**
 * Why: exactly once on Redis Streams is a promise about servers that die, and this makes the sentence a run with a verdict.
 * Enforces: events come at a steady pace and a part of them only after the fault, so that it falls in the middle of the load; afterwards each number of this and
 *   of all runs before is one row, in its shipper's order, the ledger balances, and the log's servers know that all of it is stored.
 * Forbids: a verdict from the system's own word alone, and waiting for ever: who has not recovered in time is stuck, and that is said.
 */
import { join } from "node:path";
import { readdir, readFile } from "node:fs/promises";
import { type Random, seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { numberedRows, type NumberedRows } from "../crash/numbered_rows.ts";
import { progressPollMs, ShippedLoad } from "../crash/shipped_load.ts";
import type { Fault } from "./faults.ts";
import type { Stage } from "./stage.ts";

/** The fault falls somewhere in this part of the events … */
const strikeWindow: readonly [number, number] = [0.15, 0.6];
/** … of which this part comes whatever happens, and the rest when the fault is over. */
const pacedShare = 0.9;
/** All events would take about so long at their pace, which begins when some have shown that the shippers are there. */
const pacedSeconds = 3;
const firstShare = 0.02;
const paceMs = 25;
/** How long the load, the ledger and the log's servers may need after the fault. */
export const stuckMs = 90_000;
const idleWaitSeconds = 60;

export interface ChaosVerdict extends NumberedRows {
  /** What was hit, in words. */
  readonly hit: string;
  /** How many of the run's events were stored then. */
  readonly struckAtStored: number;
  readonly shipped: number;
  /** Calls of gateways to the bus whose outcome they could not know, and that failed otherwise. */
  readonly inDoubt: number;
  readonly failedCalls: number;
  /** Batches that came once more and were recognised. */
  readonly resent: number;
  readonly balanced: boolean;
  /** Frames that are stored and of which the log's servers do not know it. */
  readonly untold: number;
  readonly seconds: number;
  readonly passed: boolean;
}

interface Ledger {
  readonly balanced: boolean;
  readonly idle: boolean;
  readonly duplicates: number;
}

/** One run: load, fault, recovery, count. Throws where the system does not come back. */
export async function chaosRun(stage: Stage, fault: Fault, { seed, events }: { seed: number; events: number }): Promise<ChaosVerdict> {
  const { system } = stage;
  const before = stage.stored;
  const last = before + events;
  const random = seededRandom(seed);
  const callsBefore = await failedCalls(system.dataDir);
  const duplicatesBefore = (await system.json<Ledger>("audit")).duplicates;
  const startedMs = systemClock.monotonicMs();
  await using load = await underWay(stage, { first: before + 1, last, seed, random });
  const hit = await fault.strike(stage, random);
  load.allowAll();
  const { accepted: shipped, ended, results } = await inTime("the shippers to end", load.finished());
  const ledger = await system.json<Ledger>("audit", "--wait-idle", String(idleWaitSeconds));
  const untold = await untoldFrames(stage);
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
  const rows = await numberedRows(system.dataDir, last);
  const calls = await failedCalls(system.dataDir);
  const balanced = ledger.balanced && ledger.idle;
  const exact = rows.lost === 0 && rows.duplicated === 0 && rows.outOfOrder === 0 && rows.stored === last;
  if (!ended) for (const { stderr } of results) process.stderr.write(`${stderr}\n`);
  stage.stored = last;
  return {
    ...{ hit, struckAtStored: load.storedAtStrike, shipped, seconds, balanced, untold },
    ...{ inDoubt: calls.inDoubt - callsBefore.inDoubt, failedCalls: calls.others - callsBefore.others },
    resent: ledger.duplicates - duplicatesBefore,
    ...{ ...rows, stored: rows.stored - before },
    passed: ended && shipped === events && exact && balanced && untold === 0,
  };
}

/** A load in its middle. */
export interface LoadUnderWay extends AsyncDisposable {
  readonly storedAtStrike: number;
  allowAll(): void;
  finished: ShippedLoad["finished"];
}

/** Starts a paced load and waits for the moment of the fault. */
export async function underWay(
  stage: Stage,
  { first, last, seed, random }: { readonly first: number; readonly last: number; readonly seed: number; readonly random: Random },
): Promise<LoadUnderWay> {
  const events = last - first + 1;
  const identities = stage.shippers.map(({ identity }) => identity);
  const load = ShippedLoad.start(stage.system, { identities, first, last, seed });
  const ended = new AbortController();
  let pacing: Promise<void> | undefined;
  const over = async (): Promise<void> => {
    ended.abort(new Error("enough"));
    await pacing;
    load.abandon();
  };
  const [from, to] = strikeWindow;
  const share = from + random.float() * (to - from);
  try {
    load.allowance.raiseTo(first + Math.floor(events * firstShare));
    await inTime("the first events to be stored", load.untilStored(first));
    pacing = paced(load, first - 1, events, ended.signal);
    const stored = await inTime("events to be stored", load.untilStored(first - 1 + Math.floor(events * share)));
    await sleep(systemClock, random.float() * progressPollMs);
    return {
      storedAtStrike: stored - (first - 1),
      allowAll: () => load.allowance.raiseTo(last),
      finished: () => load.finished(),
      [Symbol.asyncDispose]: over,
    };
  } catch (error) {
    await over();
    throw error;
  }
}

/** Lets events leave evenly, but for the last part of them. */
async function paced(load: ShippedLoad, before: number, events: number, signal: AbortSignal): Promise<void> {
  const most = Math.floor(events * pacedShare);
  const startedMs = systemClock.monotonicMs();
  for (let allowed = 0; allowed < most && !signal.aborted; ) {
    allowed = Math.min(most, Math.floor(((systemClock.monotonicMs() - startedMs) / 1000 / pacedSeconds) * events));
    load.allowance.raiseTo(before + allowed);
    await sleep(systemClock, paceMs, signal).catch(() => undefined);
  }
}

/** @throws Error where it takes too long: stuck */
export async function inTime<T>(what: string, work: Promise<T>, ms: number = stuckMs): Promise<T> {
  const enough = new AbortController();
  const late = sleep(systemClock, ms, enough.signal).then(
    () => Promise.reject(new Error(`STUCK: waited ${ms / 1000} s for ${what}`)),
    () => work,
  );
  try {
    return await Promise.race([work, late]);
  } finally {
    enough.abort(new Error("done"));
  }
}

/** What the log's servers do not know to be stored, when it has been told or will not be any more. */
async function untoldFrames(stage: Stage): Promise<number> {
  const endMs = systemClock.monotonicMs() + stuckMs / 3;
  for (;;) {
    const untold = (await stage.lag()).reduce((sum, { entries }) => sum + entries, 0);
    if (untold === 0 || systemClock.monotonicMs() > endMs) return untold;
    await sleep(systemClock, progressPollMs);
  }
}

/** Calls to the bus that failed, by the gateways' logs. */
async function failedCalls(dataDir: string): Promise<{ readonly inDoubt: number; readonly others: number }> {
  const logs = join(dataDir, "logs");
  let [inDoubt, others] = [0, 0];
  for (const name of (await readdir(logs)).filter((file) => /^gateway.*\.log/.test(file))) {
    for (const line of (await readFile(join(logs, name), "utf8")).split("\n")) {
      if (!line.includes('"event":"bus_call_failed"')) continue;
      if (line.includes('"BUS_OUTCOME_UNKNOWN"')) inDoubt += 1;
      else others += 1;
    }
  }
  return { inDoubt, others };
}
