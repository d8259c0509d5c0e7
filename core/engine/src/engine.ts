// Why: the shell that puts the parts together: leases, one look-out for all, and writers side by side.
// Enforces: shutdown in order: no new work, groups under way are finished, leases given back, connections closed.
// Forbids: decisions; those are the hearts' (sink_machine, pace) and the sink's.

import type { Pool } from "ransomeye-db";
import type { Clock, Config, Lifetime, Random, Telemetry } from "ransomeye-kernel";
import type { FrameReader, Groups, StoredProgress } from "ransomeye-pipeline";
import { engineStarted } from "./events.ts";
import { Gatherer, gatherBytesMax } from "./gatherer.ts";
import { LeaseKeeper } from "./lease_keeper.ts";
import type { GatherLimits } from "./pace.ts";
import type { Probe } from "./probe.ts";
import { ProgressTeller } from "./progress.ts";
import { PostgresSink } from "./sink.ts";
import type { SinkStore } from "./sink_store.ts";
import { TailWatch } from "./tail_watch.ts";
import { Writer } from "./writer.ts";

/** The engine's group on the bus. */
export const engineGroup = "engine";

export interface EngineOptions {
  readonly bus: FrameReader;
  readonly groups: Groups;
  /** As role ransomeye_engine, for at least `engine.writers` connections. */
  readonly pool: Pool;
  /** Set where the log lies on other servers than the rows: each frame is then archived in the transaction of its rows, and the log told of it. */
  readonly progress?: StoredProgress;
  /** One process at a time has this name: leases belong to it, and what a dead predecessor held is taken over at once. */
  readonly member: string;
  readonly config: Pick<Config, "engine">;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
  readonly lifetime: Lifetime;
  /** Fault injection for tests; absent in a running system. */
  readonly probe?: Probe;
}

/** Parts of an engine that the simulation replaces by models. */
export interface EngineParts extends Omit<EngineOptions, "pool" | "probe"> {
  readonly sinks: readonly SinkStore[];
}

export interface Engine {
  /** Settles when the bus has first answered what this engine may own. A lease may still be none: others can hold all. */
  readonly ready: Promise<void>;
  /** Frames on the bus without rows, in the partitions that this engine owns, as of the last look. */
  lag(): number;
}

/** Starts reading and storing. Stops with `lifetime`: a drain finishes groups under way and gives the leases back. */
export function startEngine(options: EngineOptions): Engine {
  const { pool, clock, random, telemetry, config, probe } = options;
  const sinks = Array.from({ length: config.engine.writers }, () => {
    return new PostgresSink({
      pool,
      clock,
      random,
      telemetry,
      leaseMs: config.engine.leaseMs,
      archives: options.progress !== undefined,
      ...(probe === undefined ? {} : { probe }),
    });
  });
  return runEngine({ ...options, sinks });
}

/** As `startEngine`, over any sinks: one writer for each. */
export function runEngine(parts: EngineParts): Engine {
  const { bus, groups, member, config, clock, telemetry, lifetime, sinks, progress } = parts;
  const archives = progress !== undefined;
  const teller = progress === undefined ? undefined : new ProgressTeller({ log: progress, group: engineGroup, clock, telemetry });
  const { commitRowsMax, commitMsMax, leaseMs } = config.engine;
  const limits: GatherLimits = { commitRowsMax, commitMsMax, gatherBytesMax };
  const tails = new TailWatch(bus, clock, telemetry);
  const writers = sinks.map(
    (sink) =>
      new Writer({ sink, tails, teller, clock, telemetry, gatherer: new Gatherer({ bus, tails, clock, telemetry, limits, archives }) }),
  );
  const keeper = new LeaseKeeper({
    groups,
    group: engineGroup,
    member,
    leaseMs,
    partitions: bus.partitions,
    writers,
    tails,
    clock,
    telemetry,
  });

  const working = new AbortController();
  const watching = new AbortController();
  const watch = tails.run(watching.signal, () => writers.some((writer) => writer.backlog));
  const keep = keeper.run(watching.signal);
  const work = writers.map((writer) => writer.run(working.signal));
  telemetry.emit(engineStarted, { member, writers: writers.length, partitions: bus.partitions });

  lifetime.defer("engine", async (mode) => {
    working.abort();
    if (mode === "destroy") await Promise.all(sinks.map((sink) => sink.close()));
    // The look-out runs on until the writers have ended: it wakes the one that waits for news.
    await Promise.all(work);
    watching.abort();
    await Promise.all([watch, keep]);
    await teller?.close();
    if (mode === "drain") await keeper.release().catch(() => undefined);
    await Promise.all(sinks.map((sink) => sink.close()));
  });
  return { ready: keeper.answered, lag: () => keeper.lag() };
}
