/**
 * Why: with durability `local` on a cluster a receipt waits for one disk and not for a replica; what a failover then takes away shall be a figure and not a guess.
 * Enforces: the replica lacks a tail that was receipted; it is counted what is gone, who notices, what the operator's documented way back gives, and whether an
 *   event became two rows or none without anybody saying so.
 * Forbids: a verdict of passed or failed: loss is what this level allows. Whatever is silently wrong is told as such.
 */
import { seededRandom, sleep, systemClock } from "ransomeye-kernel";
import { logLostReason } from "ransomeye-pipeline";
import { numberedRows, type NumberedRows } from "../crash/numbered_rows.ts";
import type { Shipped } from "../crash/shipped_load.ts";
import type { RunningSystem } from "../harness/running_system.ts";
import { underWay } from "./chaos_run.ts";
import { aheadOf, cutOff, endsAt, placesOf, takeOver, untilAhead } from "./lagging_replica.ts";
import type { Stage } from "./stage.ts";

const framesMin = 4;
const framesMax = 20;
const aheadMsMax = 2000;
/** How long shippers are waited for after something was stored last: then it is plain that they do not end. */
const patienceMs = 15_000;
const statusPollMs = 200;
const idleWaitSeconds = 5;

/** What the system says and has at one moment. */
export interface Finding extends NumberedRows {
  /** Shippers that said that all was stored. */
  readonly shippersDone: boolean;
  /** `status`: partitions that have stopped, and why nothing is taken. */
  readonly statusStopped: readonly number[];
  readonly statusPaused: string | null;
  /** `reconcile` found something. */
  readonly reconcileFound: boolean;
  /** Metrics of the engine: partitions that it does not read on, and the codes with which it stopped some. */
  readonly engineStopped: number;
  readonly engineCodes: readonly string[];
  /** `audit`: its exit code and what it says. */
  readonly auditExit: number | null;
  readonly balanced: boolean;
  readonly inFlight: number;
  /** Events that producers declared as lost by the server. */
  readonly serverLost: number;
}

export interface WeakVerdict {
  readonly struckAtStored: number;
  /** Frames that the promoted replica lacks, and how many of them were rows already. */
  readonly framesGone: number;
  readonly framesGoneWithRows: number;
  /** After the failover, nobody helping. */
  readonly alone: Finding;
  /** After `start --after-loss` on keys of their own, where something had stopped. */
  readonly afterLoss: Finding | null;
  /** Rows are missing or doubled and nobody says so. */
  readonly silentlyWrong: readonly string[];
  readonly seconds: number;
}

/** One measurement, on a system that serves no other. */
export async function weakFailover(stage: Stage, { seed, events }: { seed: number; events: number }): Promise<WeakVerdict> {
  const random = seededRandom(seed);
  const startedMs = systemClock.monotonicMs();
  const { system } = stage;
  await using load = await underWay(stage, { first: 1, last: events, seed, random });
  const cut = await cutOff(stage);
  await untilAhead(stage, cut, framesMin + (random.uint32() % (framesMax - framesMin)), aheadMsMax);
  const gone = await (async () => {
    // Nobody shall append to the successor before it was looked at: what it lacks could not be told any more.
    await using still = await system.standStill("gateway");
    void still;
    const before = await endsAt(stage, cut.master, cut.parts);
    const stored = await placesOf(stage);
    const after = await endsAt(stage, await takeOver(cut), cut.parts);
    return { framesGone: aheadOf(before, after), framesGoneWithRows: aheadOf(stored, after) };
  })();
  await cut.master.restart();
  await cut.cluster.settled();
  load.allowAll();
  const shipping = load.finished();
  const alone = await look(stage, shipping, events);
  let afterLoss: Finding | null = null;
  if (!alone.shippersDone) {
    await system.stop();
    await system.startAgain(["--set", `bus.key_prefix=${stage.prefix}-2`, "--after-loss"]);
    afterLoss = await look(stage, shipping, events);
  }
  const seconds = (systemClock.monotonicMs() - startedMs) / 1000;
  const silentlyWrong = [...silent("alone", alone), ...(afterLoss === null ? [] : silent("after loss", afterLoss))];
  return { struckAtStored: load.storedAtStrike, ...gone, alone, afterLoss, silentlyWrong, seconds };
}

async function look({ system }: Stage, shipping: Promise<Shipped>, events: number): Promise<Finding> {
  const shipped = await Promise.race([shipping, waitsForAnOperator(system, events)]);
  const audit = await system.run("audit", "--wait-idle", String(idleWaitSeconds), "--json");
  const ledger = JSON.parse(audit.stdout) as {
    readonly balanced: boolean;
    readonly in_flight: number;
    readonly gaps_by_reason: Readonly<Record<string, number>>;
  };
  const status = await system.json<{ readonly stopped_partitions: readonly number[]; readonly paused: string | null }>("status");
  const metrics = await system.metrics("engine");
  return {
    ...(await numberedRows(system.dataDir, events)),
    shippersDone: shipped?.ended === true,
    statusStopped: status.stopped_partitions,
    statusPaused: status.paused,
    reconcileFound: (await system.run("reconcile")).exitCode !== 0,
    engineStopped: Number(/^\w*engine_partitions_stopped (\d+)/m.exec(metrics)?.[1] ?? 0),
    engineCodes: [...metrics.matchAll(/^\w*engine_partition_stops_total\{code="(\w+)"\}/gm)].map(([, code]) => code ?? ""),
    auditExit: audit.exitCode,
    balanced: ledger.balanced,
    inFlight: ledger.in_flight,
    serverLost: ledger.gaps_by_reason["server_lost"] ?? 0,
  };
}

/** Resolves when the system says that it takes nothing, or when it is plain that nothing more will come: for so long nothing has. */
async function waitsForAnOperator(system: RunningSystem, events: number): Promise<undefined> {
  let [untilMs, before] = [systemClock.monotonicMs() + patienceMs, -1];
  while (systemClock.monotonicMs() < untilMs) {
    await sleep(systemClock, statusPollMs);
    if ((await system.json<{ readonly paused: string | null }>("status")).paused === logLostReason) return;
    const { stored } = await numberedRows(system.dataDir, events);
    if (stored !== before) [untilMs, before] = [systemClock.monotonicMs() + patienceMs, stored];
  }
}

/** What is not as it should be and is told by nothing that an operator would look at. */
function silent(when: string, found: Finding): string[] {
  const { lost, duplicated, outOfOrder, shippersDone, engineStopped, statusPaused, serverLost, balanced } = found;
  const wrong: string[] = [];
  if (duplicated > 0) wrong.push(`${when}: ${duplicated} events are two rows, the ledger is ${balanced ? "balanced" : "not balanced"}`);
  if (outOfOrder > 0) wrong.push(`${when}: ${outOfOrder} rows are out of order`);
  if (shippersDone && lost > serverLost) wrong.push(`${when}: ${lost} events are no rows, ${serverLost} were declared lost`);
  if (shippersDone && serverLost > lost) wrong.push(`${when}: ${serverLost} events were declared lost, and only ${lost} are`);
  if (!shippersDone && engineStopped === 0 && statusPaused === null) wrong.push(`${when}: shippers wait, and nobody says why`);
  return wrong;
}
