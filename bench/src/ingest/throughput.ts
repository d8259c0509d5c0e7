/**
 * Why: shape A: four producers with full frames, as fast as the gateway grants; and beside it, turn by turn, the raw limit of the same minute.
 * Enforces: from the first send to the last row visible; the ledger recounted after every run; pairs interleaved, so that a slow minute slows both.
 * Forbids: a figure from a run whose ledger does not balance.
 */
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median, percentile } from "../stats.ts";
import { BenchSystem } from "../load/bench_system.ts";
import type { FloodAnswer, GeneratorQuestion } from "./generator_main.ts";
import type { IngestOptions } from "./options.ts";
import { type CpuLines, cpuBetween, cpuNow, peakMemoryMib, systemSeconds } from "./process_account.ts";
import { encodedSample, rawCopy, type RawCopyResult } from "./raw_copy.ts";
import type { ProfileResult, ThroughputResult, ThroughputRun } from "./result.ts";
import { SinkWatch } from "./sink_watch.ts";
import { stepRows } from "./steps.ts";
import { toWire } from "../load/wire_identity.ts";
import { Worker } from "../load/worker.ts";

export const floodProducers = 4;
const storedIn = "data.events_agent";
const generatorPath = fileURLToPath(new URL("./generator_main.js", import.meta.url));
const probePath = new URL("./probe_main.js", import.meta.url).href;
const visibleMsMax = 300_000;
/** Rows of the warm-up, which fills caches, compiles hot functions and makes files grow once. */
const warmUpEvents = 60_000;

/** A system with open producers, ready to be loaded. */
export interface LoadedSystem {
  readonly system: BenchSystem;
  readonly generator: Worker;
  readonly producers: readonly string[];
  readonly eventBytes: number;
}

/** Starts a system and a generator with `count` producers, which have each stored one event. Runs `work`, then ends both. */
export async function withLoad<T>(
  count: number,
  environment: Readonly<Record<string, string>>,
  work: (loaded: LoadedSystem) => Promise<T>,
): Promise<T> {
  await using system = await BenchSystem.start(environment);
  const identities = await system.enrol("bench", count);
  const generator = new Worker(generatorPath);
  try {
    const question: GeneratorQuestion = { ask: "open", identities: identities.map(toWire), gateway: system.runtime.gateway };
    const { eventBytes } = await generator.ask<{ eventBytes: number }>(question);
    return await work({ system, generator, producers: identities.map(({ producer }) => producer), eventBytes });
  } finally {
    await generator.stop();
  }
}

/** Interleaved pairs of one flood and one raw copy, then a profiled flood on a system of its own. */
export async function throughputShape(options: IngestOptions, say: (line: string) => void): Promise<ThroughputResult> {
  const { events, runs: pairs, profile, profileDir } = options;
  const runs: ThroughputRun[] = [];
  const raw: RawCopyResult[] = [];
  const eventBytes = await withLoad(floodProducers, {}, async (loaded) => {
    let stored = floodProducers;
    stored += (await flood(loaded, warmUpEvents, stored)).run.events;
    for (let pair = 1; pair <= pairs; pair++) {
      const { run } = await flood(loaded, events, stored);
      stored += run.events;
      runs.push(run);
      const { administrator, postgresPid } = loaded.system;
      raw.push(await rawCopy(administrator, postgresPid, storedIn, await encodedSample(administrator, storedIn, events)));
      say(
        `pair ${pair}: system ${Math.round(run.eventsPerSecond)} events/s, ${run.systemCpuPerMillion.toFixed(1)} CPU s/M · raw COPY ${Math.round(raw.at(-1)?.rowsPerSecond ?? 0)} rows/s`,
      );
    }
    return loaded.eventBytes;
  });
  return {
    producers: floodProducers,
    eventBytes: Math.round(eventBytes),
    runs,
    raw: raw.map(({ rowsPerSecond, postgresCpuPerMillion, clientCpuPerMillion }) => ({
      rowsPerSecond,
      postgresCpuPerMillion,
      clientCpuPerMillion,
    })),
    eventsPerSecond: median(runs.map((run) => run.eventsPerSecond)),
    systemCpuPerMillion: median(runs.map((run) => run.systemCpuPerMillion)),
    rawRowsPerSecond: median(raw.map((run) => run.rowsPerSecond)),
    rawCpuPerMillion: median(raw.map((run) => run.postgresCpuPerMillion + run.clientCpuPerMillion)),
    ratio: median(runs.map((run, pair) => run.eventsPerSecond / (raw[pair]?.rowsPerSecond ?? Number.NaN))),
    profile: profile ? await profiledFlood(events, profileDir, say) : undefined,
  };
}

/** Sends `events` and waits until the last is visible; then recounts. @param stored rows that are there already */
export async function flood(
  loaded: LoadedSystem,
  events: number,
  stored: number,
  around?: { begin(): void; end(): void },
): Promise<{ run: ThroughputRun; cpu: CpuLines }> {
  const { system, generator, producers } = loaded;
  const looker = await system.client("bench looker");
  const watcher = await system.client("bench watch");
  const watch = new SinkWatch(watcher, producers);
  try {
    await watch.start();
    const before = await cpuNow(system, looker, generator.pid);
    around?.begin();
    const sent = await generator.ask<FloodAnswer>({ ask: "flood", events } satisfies GeneratorQuestion);
    const visibleUs = await watch.reached(stored + sent.events, visibleMsMax);
    around?.end();
    const cpu = cpuBetween(before, await cpuNow(system, looker, generator.pid));
    await watch.stop();
    await system.assertBalanced(stored + sent.events);
    const seconds = (visibleUs - sent.startedUs) / 1e6;
    const millions = sent.events / 1e6;
    const cpuPerMillion = Object.fromEntries([...cpu].map(([line, spent]) => [line, spent / millions]));
    const run = {
      events: sent.events,
      seconds,
      eventsPerSecond: sent.events / seconds,
      cpuPerMillion,
      systemCpuPerMillion: systemSeconds(cpu) / millions,
      peakMemoryMib: peakMemoryMib(system, generator.pid),
    };
    return { run, cpu };
  } finally {
    await watch.stop();
    await Promise.all([looker.end(), watcher.end()]);
  }
}

async function profiledFlood(events: number, keepIn: string | undefined, say: (line: string) => void): Promise<ProfileResult> {
  const directory = await mkdtemp(join(tmpdir(), "ransomeye-bench-probe-"));
  try {
    return await withLoad(floodProducers, { NODE_OPTIONS: `--import ${probePath}`, BENCH_PROBE_DIR: directory }, async (loaded) => {
      const warm = await flood(loaded, warmUpEvents, floodProducers);
      const pids = { gateway: loaded.system.pidOf("gateway"), engine: loaded.system.pidOf("engine") };
      const toggle = (): void => {
        for (const pid of Object.values(pids)) process.kill(pid, "SIGUSR2");
      };
      const { run, cpu } = await flood(loaded, events, floodProducers + warm.run.events, { begin: toggle, end: toggle });
      say(`profiled: ${Math.round(run.eventsPerSecond)} events/s, ${run.systemCpuPerMillion.toFixed(1)} CPU s/M`);
      const gcPauses: Record<string, ProfileResult["gcPauses"][string]> = {};
      for (const [role, pid] of Object.entries(pids)) {
        const pauses = JSON.parse(await appeared(join(directory, `${pid}.gc.json`))) as number[];
        gcPauses[role] = {
          count: pauses.length,
          p50Ms: percentile(pauses, 0.5),
          p99Ms: percentile(pauses, 0.99),
          maxMs: percentile(pauses, 1),
        };
      }
      const profile = (pid: number): string => join(directory, `${pid}.cpuprofile`);
      return { steps: stepRows(cpu, { gateway: profile(pids.gateway), engine: profile(pids.engine) }, run.events), gcPauses };
    });
  } finally {
    if (keepIn !== undefined) await cp(directory, keepIn, { recursive: true });
    await rm(directory, { recursive: true, force: true });
  }
}

/** Reads a file that another process is about to write. */
async function appeared(path: string): Promise<string> {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, "utf8").catch(() => "");
    if (text.endsWith("]")) return text;
    if (tries === 500) throw new Error(`the probe did not write ${path}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
