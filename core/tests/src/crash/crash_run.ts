/**
 * Why: promise 1 says "through kill -9 of anything"; this makes the sentence a run with a verdict (checks.md, main job).
 * Enforces: a shipper for each gateway sends numbered events while processes of the system are killed at seeded moments; what is still to come is held back
 *   until then, so that every kill is in the middle, and of several gateways one dies that serves somebody; afterwards each number is one row, in its shipper's
 *   order, and the ledger balances.
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
  const identities = await enrolled(system, gateways);
  const startedMs = systemClock.monotonicMs();
  const allowance = new Allowance();
  const shippers = identities.map((identity, i) => {
    const { command, stdin } = system.spawnFed("ship", "-", "--wait", "stored", "--json", ...identity);
    const fed = feedNumberedEvents(stdin, events, seed + i, schemaVersion, allowance, { first: i + 1, of: gateways });
    return { command, fed, shipped: finished(command) };
  });
  const over = (): boolean => shippers.some(({ command }) => command.exitCode !== null);
  const killedAtStored: number[] = [];
  const killed: string[] = [];
  for (const [index, victim] of victims.entries()) {
    const share = killShare(index, victims.length, random);
    allowance.raiseTo(Math.floor(events * (share + AHEAD_SHARE)));
    killedAtStored.push(await untilStored(system, Math.floor(events * share), over));
    await sleep(systemClock, random.float() * PROGRESS_POLL_MS);
    const name = gateways > 1 && victim === "gateway" ? await servingGateway(system, random) : undefined;
    await system.kill(victim, name);
    killed.push(name ?? victim);
    if (victim === "supervisor") await system.startAgain();
  }

  allowance.raiseTo(events);
  const results = await Promise.all(shippers.map(({ fed, shipped }) => Promise.race([fed, shipped]).then(() => shipped)));
  const shipped = results.reduce((sum, { stdout }) => sum + ((JSON.parse(stdout || "{}") as { accepted?: number }).accepted ?? 0), 0);
  const ledger = await system.json<Ledger>("audit", "--wait-idle", String(IDLE_WAIT_SECONDS));
  const seconds = (systemClock.monotonicMs() - startedMs) / 1_000;
  const rows = await numberedRows(system.dataDir, events);
  const ended = results.every(({ exitCode }) => exitCode === 0);
  const passed = ended && ledger.balanced && rows.lost === 0 && rows.duplicated === 0 && rows.outOfOrder === 0;
  if (!passed) for (const { stderr } of results) process.stderr.write(`${stderr}\n`);
  return { victims, killed, seed, killedAtStored, shipped, balanced: ledger.balanced, seconds, ...rows, passed };
}

/** Options of `ship` for so many shippers: one goes by itself, of several each has an identity of its own. */
async function enrolled(system: RunningSystem, shippers: number): Promise<readonly (readonly string[])[]> {
  if (shippers === 1) return [[]];
  const identities: string[][] = [];
  for (let at = 1; at <= shippers; at += 1) {
    const name = `shipper-${at}`;
    const { exitCode, stderr } = await system.run("producer", "enroll", name, "--kind", "linux");
    if (exitCode !== 0) throw new Error(`${name} cannot be enrolled: ${stderr}`);
    identities.push(["--producer", name]);
  }
  return identities;
}

/** One of the gateways that serve somebody, at random. They say how many within a second. */
async function servingGateway(system: RunningSystem, random: Random): Promise<string> {
  for (;;) {
    const { children } = await system.runtime();
    const serving: string[] = [];
    for (const { role, name } of children) {
      if (role !== "gateway") continue;
      // One that has just been killed says nothing.
      const said = await system.metrics(name).catch(() => "");
      if (Number(/^\w*gateway_sessions(?:\{[^}]*\})? (\d+)/m.exec(said)?.[1] ?? 0) > 0) serving.push(name);
    }
    const chosen = serving[random.uint32() % Math.max(1, serving.length)];
    if (chosen !== undefined) return chosen;
    await sleep(systemClock, PROGRESS_POLL_MS);
  }
}

/** The share of the file at which victim `index` of `count` dies: each has an equal part of the window. */
function killShare(index: number, count: number, random: Random): number {
  const [from, to] = KILL_WINDOW;
  return from + ((to - from) * (index + random.float())) / count;
}

/** Waits until `threshold` events are stored. Returns how many there are. */
async function untilStored(system: RunningSystem, threshold: number, over: () => boolean): Promise<number> {
  let stored = 0;
  while (stored < threshold) {
    if (over()) throw new Error(`a shipper ended before ${threshold} events were stored`);
    await sleep(systemClock, PROGRESS_POLL_MS);
    // The victim before this one may have been PostgreSQL: it is still recovering, and nothing is known meanwhile.
    stored = await storedRows(system.dataDir).catch(() => stored);
  }
  return stored;
}
