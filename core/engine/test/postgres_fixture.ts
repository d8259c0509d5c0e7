// Why: the engine's promises are about what PostgreSQL holds after anything has died, so its tests run on a real one.

import assert from "node:assert/strict";
import type { Pool } from "ransomeye-db";
import type { TestDatabase, TestServer } from "ransomeye-db/testing";
import { Lifetime, type RecordingTelemetry, recordingTelemetry, systemClock, systemRandom } from "ransomeye-kernel";
import {
  type Bus,
  type BusControl,
  type FrameAppend,
  type Groups,
  type Lease,
  type Position,
  openPostgresBus,
  openPostgresControl,
} from "ransomeye-pipeline";
import { type Engine, engineGroup, startEngine } from "../src/engine.ts";
import type { Probe } from "../src/probe.ts";
import { RowBatch } from "../src/row_batch.ts";
import { PostgresSink } from "../src/sink.ts";
import type { CommitGroup, StoreRun } from "../src/sink_store.ts";
import { type Chain, producerId } from "../src/testing.ts";

export interface StoredEvent {
  readonly producer: string;
  readonly epoch: number;
  readonly seq: number;
  readonly host: string | null;
}

/** Runs a piece of work on a fresh database of this server, and closes it whatever comes of it. */
export function fixturesOf(server: TestServer): (work: (fixture: Fixture) => Promise<void>) => Promise<void> {
  return async (work) => {
    const fixture = await Fixture.open(server);
    try {
      await work(fixture);
    } finally {
      await fixture.close();
    }
  };
}

/** A database with a bus, and what tests do with it. */
export class Fixture {
  readonly database: TestDatabase;
  readonly bus: Bus;
  readonly enginePool: Pool;
  readonly telemetry: RecordingTelemetry;
  readonly control: BusControl;
  readonly #parts = new Map<string, number>();
  readonly #lifetimes: Lifetime[] = [];
  readonly #sinks: PostgresSink[] = [];

  private constructor(database: TestDatabase, bus: Bus, enginePool: Pool, telemetry: RecordingTelemetry) {
    this.database = database;
    this.bus = bus;
    this.enginePool = enginePool;
    this.telemetry = telemetry;
    this.control = openPostgresControl({ pool: database.pool, telemetry });
  }

  static async open(server: TestServer): Promise<Fixture> {
    const database = await server.database();
    const telemetry = recordingTelemetry();
    const enginePool = database.rolePool("ransomeye_engine", 8);
    const bus = await openPostgresBus({ gatePool: database.rolePool("ransomeye_gate", 4), enginePool, clock: systemClock, telemetry });
    return new Fixture(database, bus, enginePool, telemetry);
  }

  async close(): Promise<void> {
    for (const lifetime of this.#lifetimes) await lifetime.destroy();
    // A test that has failed leaves its sinks open, and a pool would wait for their connections.
    for (const sink of this.#sinks) await sink.close();
    await this.bus.close();
    await this.database.close();
  }

  /** Opens the chain's next epoch on the bus. */
  async openEpoch(chain: Chain): Promise<number> {
    const opened = await this.bus.openEpoch({
      producer: chain.producer,
      expectedEpoch: chain.epoch,
      keyId: "0011223344556677",
      registryVersion: 0,
    });
    assert.equal(opened.kind, "opened");
    if (opened.kind !== "opened") throw new Error("unreachable");
    chain.open(opened.epoch, opened.prev);
    this.#parts.set(chain.producer, opened.part);
    return opened.part;
  }

  partOf(chain: Chain): number {
    return this.#parts.get(chain.producer) ?? -1;
  }

  /** Appends frames of one chain; all must be accepted. */
  async append(chain: Chain, frames: readonly FrameAppend[]): Promise<void> {
    const options = { gateway: "test", incarnation: producerId(99), registryVersion: 0 };
    const outcomes = await this.bus.append(this.partOf(chain), frames, options);
    for (const outcome of outcomes) assert.equal(outcome.kind, "accepted", JSON.stringify(outcome));
  }

  async events(): Promise<StoredEvent[]> {
    const found = await this.database.pool.query<{ producer_id: string; epoch: number; seq: number; host: string | null }>(
      `SELECT producer_id, epoch, seq, host FROM data.events_dpi UNION ALL SELECT producer_id, epoch, seq, host FROM data.events_agent
       UNION ALL SELECT producer_id, epoch, seq, host FROM data.events_honeypot ORDER BY 1, 2, 3`,
    );
    return found.rows.map((row) => ({ producer: row.producer_id, epoch: row.epoch, seq: row.seq, host: row.host }));
  }

  async deadLetters(): Promise<{ first_seq: number; count: number; line: number | null; code: string; detail: string }[]> {
    return (await this.database.pool.query("SELECT first_seq, count, line, code, detail FROM data.event_dead_letters ORDER BY first_seq"))
      .rows;
  }

  async offset(part: number): Promise<{ off: number; fence: number }> {
    const found = await this.database.pool.query<{ off: number; fence: number }>(
      "SELECT off, fence FROM bus.consumer_offset WHERE grp = $1 AND part = $2",
      [engineGroup, part],
    );
    return found.rows[0] ?? { off: 0, fence: 0 };
  }

  async headOf(chain: Chain): Promise<{ epoch: number; seq: number } | undefined> {
    return (
      await this.database.pool.query<{ epoch: number; seq: number }>("SELECT epoch, seq FROM data.sink_head WHERE producer_id = $1", [
        chain.producer,
      ])
    ).rows[0];
  }

  /** Each seq of the chain's epochs exactly once, as a row or a dead letter, up to the head. */
  async assertExactlyOnce(chain: Chain, epoch: number, lastSeq: number): Promise<void> {
    const rows = (await this.events())
      .filter((event) => event.producer === chain.producer && event.epoch === epoch)
      .map((event) => event.seq);
    assert.deepEqual(
      rows,
      Array.from({ length: lastSeq }, (_, i) => i + 1),
    );
  }

  lease(part: number, member = "one", leaseMs = 60_000): Promise<Lease> {
    return takeLease(this.bus, part, member, leaseMs);
  }

  sink(probe?: Probe, pool: Pool = this.enginePool): PostgresSink {
    const sink = new PostgresSink({
      pool,
      clock: systemClock,
      random: systemRandom,
      telemetry: this.telemetry,
      leaseMs: 10_000,
      ...(probe === undefined ? {} : { probe }),
    });
    this.#sinks.push(sink);
    return sink;
  }

  /** Everything behind `after` in the leases' partitions, prepared for one commit group. */
  async group(leases: readonly Lease[], after?: Position | null): Promise<CommitGroup> {
    const batch = new RowBatch();
    const runs: StoreRun[] = [];
    for (const lease of leases) {
      const from = after === undefined ? lease.position : after;
      const entries = await this.bus.read(lease.part, from, { framesMax: 1000, bytesMax: 64 * 1024 * 1024 });
      if (entries.length > 0) runs.push({ lease, part: lease.part, after: from, frames: entries.map((entry) => batch.add(entry)) });
    }
    batch.seal();
    return { runs, batch };
  }

  engine(options: { readonly member?: string; readonly leaseMs?: number; readonly probe?: Probe; readonly pool?: Pool } = {}): {
    engine: Engine;
    lifetime: Lifetime;
  } {
    const lifetime = new Lifetime();
    const engine = startEngine({
      bus: this.bus,
      groups: this.bus,
      pool: options.pool ?? this.enginePool,
      member: options.member ?? "one",
      config: { engine: { commitRowsMax: 20_000, commitMsMax: 25, writers: 2, leaseMs: options.leaseMs ?? 2000 } },
      clock: systemClock,
      random: systemRandom,
      telemetry: this.telemetry,
      lifetime,
      ...(options.probe === undefined ? {} : { probe: options.probe }),
    });
    this.#lifetimes.push(lifetime);
    return { engine, lifetime };
  }

  /** Resolves when every entry of the bus is behind the engine's offsets. */
  async stored(): Promise<void> {
    await until(async () => (await this.bus.lag(engineGroup)).every(({ entries }) => entries === 0));
  }
}

/** Leases until this member holds the partition; its other leases go back. */
async function takeLease(groups: Groups, part: number, member: string, leaseMs: number): Promise<Lease> {
  const leases = await groups.acquire(engineGroup, member, { leaseMs, partsMax: 1024, held: [] });
  const lease = leases.find((one) => one.part === part);
  assert.ok(lease !== undefined, `partition ${part} is free`);
  await groups.release(leases.filter((one) => one !== lease));
  return lease;
}

/** Polls a condition; a test that hangs is ended by its runner. */
export async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 10));
}
