/**
 * Why: promise 1 says "through kill -9 of anything"; this makes the sentence a run with a verdict (checks.md, main job).
 * Enforces: one shipper sends numbered events while processes of the system are killed at seeded moments; what is still to come is held back until then, so
 *   that every kill is in the middle; afterwards each number is one row, in order, and the ledger balances.
 * Forbids: helping the recovery. Nothing is restarted by hand but the supervisor itself, whose death is the one thing that nobody watches.
 */
import { type Random, seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { finished, RunningSystem, type Victim } from "../harness/running_system.ts";
import { numberedRows, type NumberedRows, storedRows } from "./numbered_rows.ts";
import { Allowance, feedNumberedEvents } from "./numbered_events.ts";

/** How long a system may need to drain after the shipper is done. */
const IDLE_WAIT_SECONDS = 120;
/** A kill lands somewhere in this part of the events, so that there is work before and after it. */
const KILL_WINDOW: readonly [number, number] = [0.1, 0.8];
/** This share of the events may be on its way or stored beyond the moment of the kill; all that comes after them is held back until then. */
const AHEAD_SHARE = 0.1;
const PROGRESS_POLL_MS = 20;

export interface CrashVerdict extends NumberedRows {
  readonly victims: readonly Victim[];
  readonly seed: number;
  /** How many events were stored when each victim was killed. */
  readonly killedAtStored: readonly number[];
  readonly shipped: number;
  readonly balanced: boolean;
  /** From the shipper's start to the recounted ledger. */
  readonly seconds: number;
  readonly passed: boolean;
}

interface Ledger {
  readonly balanced: boolean;
  readonly stored: number;
}

/** One run: start, ship, kill one victim after the other, recover, count. Throws only where the system does not come back at all. */
export async function crashRun(victims: readonly Victim[], events: number, seed: number, schemaVersion: string): Promise<CrashVerdict> {
  const random = seededRandom(seed);
  await using system = await RunningSystem.start();
  const startedMs = systemClock.monotonicMs();
  const { command: shipper, stdin } = system.spawnFed("ship", "-", "--wait", "stored", "--json");
  const shipped = finished(shipper);
  const allowance = new Allowance();
  const fed = feedNumberedEvents(stdin, events, seed, schemaVersion, allowance);
  const over = (): boolean => shipper.exitCode !== null;
  const killedAtStored: number[] = [];
  for (const [index, victim] of victims.entries()) {
    const share = killShare(index, victims.length, random);
    allowance.raiseTo(Math.floor(events * (share + AHEAD_SHARE)));
    killedAtStored.push(await killInTheMiddle(system, victim, Math.floor(events * share), random, over));
    if (victim === "supervisor") await system.startAgain();
  }

  allowance.raiseTo(events);
  await Promise.race([fed, shipped]);
  const result = await shipped;
  const summary = JSON.parse(result.stdout || "{}") as { accepted?: number };
  const ledger = await system.json<Ledger>("audit", "--wait-idle", String(IDLE_WAIT_SECONDS));
  const seconds = (systemClock.monotonicMs() - startedMs) / 1_000;
  const rows = await numberedRows(system.dataDir, events);
  const passed = result.exitCode === 0 && ledger.balanced && rows.lost === 0 && rows.duplicated === 0 && rows.outOfOrder === 0;
  if (!passed) process.stderr.write(`${result.stderr}\n`);
  return { victims, seed, killedAtStored, shipped: summary.accepted ?? 0, balanced: ledger.balanced, seconds, ...rows, passed };
}

/** The share of the file at which victim `index` of `count` dies: each has an equal part of the window. */
function killShare(index: number, count: number, random: Random): number {
  const [from, to] = KILL_WINDOW;
  return from + ((to - from) * (index + random.float())) / count;
}

/** Waits until `threshold` events are stored, then kills. Returns how much was stored at that moment. */
async function killInTheMiddle(
  system: RunningSystem,
  victim: Victim,
  threshold: number,
  random: Random,
  over: () => boolean,
): Promise<number> {
  let stored = 0;
  while (stored < threshold) {
    if (over()) throw new Error(`the shipper ended before ${threshold} events were stored`);
    await sleep(systemClock, PROGRESS_POLL_MS);
    // The victim before this one may have been PostgreSQL: it is still recovering, and nothing is known meanwhile.
    stored = await storedRows(system.dataDir).catch(() => stored);
  }
  await sleep(systemClock, random.float() * PROGRESS_POLL_MS);
  await system.kill(victim);
  return stored;
}
