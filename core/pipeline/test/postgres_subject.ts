/**
 * Why it exists: the bus on a real PostgreSQL as a contract subject: appends as the gate's role, reads as the engine's, the rest as administrator.
 * One database serves a test file and is emptied for each subject, which costs milliseconds where a fresh one costs a second.
 */
import { openPool, type Pool } from "ransomeye-db";
import { tamper, type TestDatabase, type TestServer } from "ransomeye-db/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { openPostgresBus, openPostgresControl } from "../src/postgres/bus.ts";
import type { Subject } from "./subject.ts";

export interface PostgresSubject extends Subject {
  readonly database: TestDatabase;
  readonly admin: Pool;
  readonly gatePool: Pool;
  readonly enginePool: Pool;
}

const databases = new WeakMap<TestServer, Promise<{ database: TestDatabase; generation: string }>>();

async function openDatabase(server: TestServer): Promise<{ database: TestDatabase; generation: string }> {
  const database = await server.database();
  const { rows } = await database.pool.query<{ id: string }>("SELECT id FROM bus.generation");
  return { database, generation: rows[0]?.id ?? "" };
}

/** Removes every trace of frames, producers, groups and registry. */
export async function emptyBus({ admin }: Pick<PostgresSubject, "admin">): Promise<void> {
  await tamper(
    admin,
    "bus.frames",
    `
    TRUNCATE bus.frames, bus.producer_head, bus.epoch_log, bus.revoked, bus.consumer_offset, bus.consumer_group, bus.group_member,
      bus.gate_incarnation, bus.gate_counters, bus.partition_head, data.sink_head;
    INSERT INTO bus.partition_head (part) SELECT generate_series(0, 15);
    UPDATE bus.registry_version SET version = 0;
    UPDATE bus.state SET partitions = 16, paused_reason = NULL`,
  );
}

export async function openPostgresSubject(
  server: TestServer,
  options: { readonly epochOpeningsPerDayMax?: number } = {},
): Promise<PostgresSubject> {
  const opened = databases.get(server) ?? openDatabase(server);
  databases.set(server, opened);
  const { database, generation } = await opened;
  const admin = database.pool;
  await emptyBus({ admin });
  await admin.query("UPDATE bus.state SET epoch_openings_per_day_max = $1", [options.epochOpeningsPerDayMax ?? 32]);
  await admin.query("UPDATE bus.generation SET id = $1", [generation]);
  const telemetry = recordingTelemetry();
  const pools: Pool[] = [];
  const poolOf = (role: "ransomeye_gate" | "ransomeye_engine", max: number): Pool => {
    const pool = openPool({ connection: database.roleConnection(role), max, applicationName: "bus test", telemetry });
    pools.push(pool);
    return pool;
  };
  const [gatePool, enginePool] = [poolOf("ransomeye_gate", 4), poolOf("ransomeye_engine", 4)];
  const both = { clock: systemClock, telemetry };
  const bus = await openPostgresBus({ gatePool, enginePool, ...both });
  const other = await openPostgresBus({ gatePool: poolOf("ransomeye_gate", 2), enginePool: poolOf("ransomeye_engine", 2), ...both });
  return {
    bus,
    other,
    database,
    admin,
    gatePool,
    enginePool,
    control: openPostgresControl({ pool: admin, telemetry }),
    expireLeases: async (group) => {
      await admin.query(
        "UPDATE bus.consumer_offset SET lease_until = clock_timestamp() - interval '1 second' WHERE grp = $1 AND owner IS NOT NULL",
        [group],
      );
      await admin.query("UPDATE bus.group_member SET lease_until = clock_timestamp() - interval '1 second' WHERE grp = $1", [group]);
    },
    noteStored: async (producer, epoch, seq) => {
      await admin.query(
        `INSERT INTO data.sink_head (producer_id, producer_kind, epoch, seq, hash, updated_at) VALUES ($1, 2, $2, $3, '\\x00', now())
         ON CONFLICT (producer_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq`,
        [producer, epoch, seq],
      );
    },
    close: async () => {
      await bus.close();
      await other.close();
      await Promise.all(pools.map((pool) => pool.end()));
    },
  };
}

/** Runs a piece of work on an emptied bus of this server, and closes it whatever comes of it. */
export function subjectsOf(server: TestServer): (work: (subject: PostgresSubject) => Promise<void>) => Promise<void> {
  return async (work) => {
    const subject = await openPostgresSubject(server);
    try {
      await work(subject);
    } finally {
      await subject.close();
    }
  };
}

/** Waits for what must come; the bound only keeps a broken test from hanging. */
export async function until(what: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 4000; tries++) {
    if (await what()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error("it never came");
}
