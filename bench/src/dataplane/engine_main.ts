/**
 * Why: the engine runs in a process of its own, as in the running system, so that its rate is its own.
 * Enforces: the engine as its role starts it, with the configuration's defaults, started anew for each question in the same process: its code is warm. The sink
 *   alone is the engine's own: commit groups of the same size, as many connections, the same transaction.
 * Forbids: anything that the role does not do.
 */
import { type Connection, openPool, type Pool } from "ransomeye-db";
import { type CommitGroup, engineGroup, RowBatch, startEngine, type StoreRun } from "ransomeye-engine";
import { PostgresSink } from "ransomeye-engine/testing";
import { createTelemetry, Lifetime, loadConfig, systemClock, systemRandom } from "ransomeye-kernel";
import { type Lease, openPostgresConsumer, type Consumer, type Position } from "ransomeye-pipeline";
import { serveQuestions, sharedClockUs } from "../load/worker.ts";

export interface EngineQuestion {
  /** The whole engine, from the log to rows; or the sink alone, with everything read and encoded before the clock runs. */
  readonly ask: "engine" | "sink";
  /** As role ransomeye_engine. */
  readonly connection: Connection;
}

export interface EngineAnswer {
  /** To the moment at which nothing of the log is left to store. */
  readonly seconds: number;
  readonly cpuSeconds: number;
}

/** Of the question whether everything has been stored. */
const pollMs = 20;
const member = "engine-1";
const readBytesMax = 2 * 1024 * 1024;
const config = loadConfig({});
const telemetry = createTelemetry({ role: "bench", level: "error" });

async function store({ ask, connection }: EngineQuestion): Promise<EngineAnswer> {
  const pool = openPool({ connection, max: config.engine.writers + 4, applicationName: "bench engine", telemetry });
  try {
    const bus = await openPostgresConsumer({ pool, telemetry });
    return await (ask === "engine" ? wholeEngine(bus, pool) : sinkAlone(bus, pool));
  } finally {
    await pool.end();
  }
}

async function wholeEngine(bus: Consumer, pool: Pool): Promise<EngineAnswer> {
  const lifetime = new Lifetime();
  try {
    return await timed(async () => {
      await startEngine({ bus, groups: bus, pool, member, config, clock: systemClock, random: systemRandom, telemetry, lifetime }).ready;
      while ((await bus.lag(engineGroup)).some(({ entries }) => entries > 0)) await new Promise((resolve) => setTimeout(resolve, pollMs));
    });
  } finally {
    await lifetime.drain();
  }
}

async function sinkAlone(bus: Consumer, pool: Pool): Promise<EngineAnswer> {
  const { leaseMs, writers } = config.engine;
  const leases = await bus.acquire(engineGroup, member, { leaseMs: leaseMs * 100, partsMax: bus.partitions, held: [] });
  const sinks = Array.from({ length: writers }, () => {
    return new PostgresSink({ pool, clock: systemClock, random: systemRandom, telemetry, leaseMs });
  });
  try {
    // Each writer has partitions of its own, as in the engine.
    const shares = sinks.map((_, n) => leases.filter((_lease, at) => at % writers === n));
    const groups = await Promise.all(shares.map((share) => gathered(bus, share)));
    return await timed(async () => {
      await Promise.all(sinks.map((sink, n) => storeAll(sink, groups[n] ?? [])));
    });
  } finally {
    for (const sink of sinks) await sink.close();
    await bus.release(leases);
  }
}

/** Everything behind the leases' positions, in groups as large as the engine makes them. */
async function gathered(bus: Consumer, leases: readonly Lease[]): Promise<CommitGroup[]> {
  const groups: CommitGroup[] = [];
  const places = new Map<Lease, Position | null>(leases.map((lease) => [lease, lease.position]));
  for (;;) {
    const batch = new RowBatch();
    const runs = new Map<Lease, StoreRun>();
    let rows = 0;
    let idle = 0;
    while (rows < config.engine.commitRowsMax && idle < leases.length) {
      idle = 0;
      for (const [lease, after] of places) {
        if (rows >= config.engine.commitRowsMax) break;
        const entries = await bus.read(lease.part, after, { framesMax: 512, bytesMax: readBytesMax });
        const frames = entries.map((entry) => batch.add(entry));
        const last = frames.at(-1);
        if (last === undefined) {
          idle += 1;
          continue;
        }
        places.set(lease, last.position);
        rows += frames.reduce((sum, frame) => sum + frame.rows, 0);
        const run = runs.get(lease);
        runs.set(lease, {
          lease,
          part: lease.part,
          after: run === undefined ? after : run.after,
          frames: [...(run?.frames ?? []), ...frames],
        });
      }
    }
    batch.seal();
    if (runs.size === 0) return groups;
    groups.push({ runs: [...runs.values()], batch });
  }
}

async function storeAll(sink: PostgresSink, groups: readonly CommitGroup[]): Promise<void> {
  for (const group of groups)
    for (const [part, outcome] of await sink.store(group))
      if (outcome.kind !== "stored") throw new Error(`partition ${part} was not stored: ${JSON.stringify(outcome)}`);
}

async function timed(work: () => Promise<void>): Promise<EngineAnswer> {
  const [fromUs, from] = [sharedClockUs(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(from);
  return { seconds: (sharedClockUs() - fromUs) / 1e6, cpuSeconds: (user + system) / 1e6 };
}

serveQuestions(store, async () => undefined);
