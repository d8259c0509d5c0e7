/**
 * Why: promise 1 says "through kill -9 of anything"; this makes the sentence a run with a verdict (checks.md, main job).
 * Enforces: a shipper for each gateway sends numbered events while processes of the system are killed at seeded moments; what is still to come is held back
 *   until then, so that every kill is in the middle, and of several gateways one dies that serves somebody; afterwards each number is one row, in its shipper's
 *   order, and the ledger balances.
 * Forbids: helping the recovery. Nothing is restarted by hand but the supervisor itself, whose death is the one thing that nobody watches.
 */
import { type Random, seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { RunningSystem, type Victim } from "../harness/running_system.ts";
import { numberedRows, type NumberedRows } from "./numbered_rows.ts";
import { servingGateway } from "./serving_gateway.ts";
import { enrolShippers, progressPollMs, ShippedLoad } from "./shipped_load.ts";

/** How long a system may need to drain after the shipper is done. */
const IDLE_WAIT_SECONDS = 120;
/** A kill lands somewhere in this part of the events, so that there is work before and after it. */
const KILL_WINDOW: readonly [number, number] = [0.1, 0.8];
/** This share of the events may be on its way or stored beyond the moment of the kill; all that comes after them is held back until then. */
const AHEAD_SHARE = 0.1;

/** What a run does. */
export interface CrashPlan {
  readonly victims: readonly Victim[];
  readonly events: number;
  readonly seed: number;
  /** Gateways on one port, and shippers. */
  readonly gateways: number;
  /** The OCSF version that the events claim. */
  readonly schemaVersion: string;
}

export interface CrashVerdict extends NumberedRows {
  readonly victims: readonly Victim[];
  /** Names of the processes that were killed. */
  readonly killed: readonly string[];
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
export async function crashRun({ victims, events, seed, gateways, schemaVersion }: CrashPlan): Promise<CrashVerdict> {
  const random = seededRandom(seed);
  await using system = await RunningSystem.start(gateways === 1 ? [] : ["--set", `gateway.processes=${gateways}`]);
  // One goes by itself; of several each has an identity of its own.
  const identities = gateways === 1 ? [[]] : await enrolShippers(system, gateways);
  const startedMs = systemClock.monotonicMs();
  const load = ShippedLoad.start(system, { identities, first: 1, last: events, seed, schemaVersion });
  const killedAtStored: number[] = [];
  const killed: string[] = [];
  for (const [index, victim] of victims.entries()) {
    const share = killShare(index, victims.length, random);
    load.allowance.raiseTo(Math.floor(events * (share + AHEAD_SHARE)));
    killedAtStored.push(await load.untilStored(Math.floor(events * share)));
    await sleep(systemClock, random.float() * progressPollMs);
    const name = gateways > 1 && victim === "gateway" ? await servingGateway(system, random) : undefined;
    await system.kill(victim, name);
    killed.push(name ?? victim);
    if (victim === "supervisor") await system.startAgain();
  }

  load.allowance.raiseTo(events);
  const { accepted: shipped, ended, results } = await load.finished();
  const ledger = await system.json<Ledger>("audit", "--wait-idle", String(IDLE_WAIT_SECONDS));
  const seconds = (systemClock.monotonicMs() - startedMs) / 1_000;
  const rows = await numberedRows(system.dataDir, events);
  const passed = ended && ledger.balanced && rows.lost === 0 && rows.duplicated === 0 && rows.outOfOrder === 0;
  if (!passed) for (const { stderr } of results) process.stderr.write(`${stderr}\n`);
  return { victims, killed, seed, killedAtStored, shipped, balanced: ledger.balanced, seconds, ...rows, passed };
}

/** The share of the file at which victim `index` of `count` dies: each has an equal part of the window. */
function killShare(index: number, count: number, random: Random): number {
  const [from, to] = KILL_WINDOW;
  return from + ((to - from) * (index + random.float())) / count;
}
