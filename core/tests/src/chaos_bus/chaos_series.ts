/**
 * Why: many runs of one fault are made on the same servers and the same system, and each has a verdict of its own.
 * Enforces: a run begins on a system and servers that are whole; after one that failed a new system and new servers begin; everything is ended with the series,
 *   also when somebody interrupts it.
 * Forbids: hiding a run that came to no verdict.
 */
import { join } from "node:path";
import { type BusServers, openServers } from "./bus_servers.ts";
import { type ChaosVerdict, chaosRun } from "./chaos_run.ts";
import { evidenceOf, keepLogs } from "./evidence.ts";
import { type FaultName, faults, measuredFault } from "./faults.ts";
import { Stage } from "./stage.ts";
import { type WeakVerdict, weakFailover } from "./weak_failover.ts";

export interface SeriesPlan {
  readonly fault: FaultName;
  readonly runs: number;
  /** Of the first run; each further one takes the next. */
  readonly seed: number;
  readonly events: number;
  /** Further configuration of the system, as `field=value`. */
  readonly settings?: readonly string[];
  /** Where logs of runs that failed are kept. */
  readonly logs?: string | undefined;
  /** Ends the series. */
  readonly signal?: AbortSignal;
}

/** A run. One that came to no verdict says why; one that did not pass says what was found. */
export interface ChaosRecord {
  readonly fault: FaultName;
  readonly seed: number;
  readonly events: number;
  readonly settings: readonly string[];
  readonly verdict: ChaosVerdict | null;
  readonly measured: WeakVerdict | null;
  readonly failure: string | null;
  readonly evidence: readonly string[];
}

/** The weaker level on servers that fail over. */
const weak: readonly string[] = ["bus.durability=local"];

/** Runs one after the other; each is handed over as soon as it is known. */
export async function* chaosSeries(plan: SeriesPlan): AsyncGenerator<ChaosRecord, void, undefined> {
  const { fault, runs, seed } = plan;
  const measures = fault === measuredFault;
  const on = measures ? "cluster" : faults[fault].on;
  const own = measures ? weak : faults[fault].settings;
  const open: { servers?: BusServers; stage?: Stage } = {};
  const closeStage = async (): Promise<void> => {
    const { stage } = open;
    delete open.stage;
    await stage?.[Symbol.asyncDispose]();
  };
  const closeAll = async (): Promise<void> => {
    await closeStage();
    const { servers } = open;
    delete open.servers;
    await servers?.[Symbol.asyncDispose]();
  };
  try {
    for (let at = 0; at < runs; at += 1) {
      // What is being opened is opened to its end: half of it could not be closed.
      open.servers ??= await openServers(on);
      if (open.servers.kind === "cluster") await open.servers.cluster.settled();
      plan.signal?.throwIfAborted();
      open.stage ??= await Stage.open(open.servers, [...own, ...(plan.settings ?? [])]);
      const record = await interruptible(plan.signal, recorded(plan, open.stage, seed + at));
      yield record;
      if (record.verdict?.passed !== true && !measures) await closeAll();
      if (measures) await closeStage();
    }
  } finally {
    await closeAll();
  }
}

/** What is under way when it is interrupted comes to its end by itself, when what it works on is closed. */
async function interruptible<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  signal.throwIfAborted();
  const { promise, settle } = aborted(signal);
  try {
    return await Promise.race([work, promise]);
  } finally {
    settle();
  }
}

function aborted(signal: AbortSignal): { readonly promise: Promise<never>; readonly settle: () => void } {
  let stop = (): void => undefined;
  const promise = new Promise<never>((_resolve, reject) => {
    stop = () => reject(new Error("interrupted"));
    signal.addEventListener("abort", stop);
  });
  promise.catch(() => undefined);
  return { promise, settle: () => signal.removeEventListener("abort", stop) };
}

async function recorded({ fault, events, settings = [], logs }: SeriesPlan, stage: Stage, seed: number): Promise<ChaosRecord> {
  const base = { fault, seed, events, settings };
  const keep = async (): Promise<void> => {
    if (logs !== undefined) await keepLogs(stage, join(logs, `${fault}-${seed}`));
  };
  try {
    if (fault === measuredFault) {
      const measured = await weakFailover(stage, { seed, events });
      await keep();
      return { ...base, verdict: null, measured, failure: null, evidence: [] };
    }
    const verdict = await chaosRun(stage, faults[fault], { seed, events });
    const evidence = verdict.passed ? [] : await evidenceOf(stage);
    if (!verdict.passed) await keep();
    return { ...base, verdict, measured: null, failure: null, evidence };
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    const evidence = await evidenceOf(stage);
    await keep();
    return { ...base, verdict: null, measured: null, failure, evidence };
  }
}
