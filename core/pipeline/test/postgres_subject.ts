/**
 * Why it exists: the bus on a real PostgreSQL as a contract subject: appends as the gate's role, reads as the engine's, the rest as administrator.
 */
import type { Pool } from "ransomeye-db";
import type { TestServer } from "ransomeye-db/testing";
import { recordingTelemetry, systemClock } from "ransomeye-kernel";
import { openPostgresBus, openPostgresControl } from "../src/postgres/bus.ts";
import type { Subject } from "./subject.ts";

export interface PostgresSubject extends Subject {
  readonly admin: Pool;
  readonly gatePool: Pool;
  readonly enginePool: Pool;
}

export async function openPostgresSubject(server: TestServer, options: { readonly epochOpeningsPerDayMax?: number } = {}): Promise<PostgresSubject> {
  const database = await server.database();
  const admin = database.pool;
  if (options.epochOpeningsPerDayMax !== undefined) await admin.query("UPDATE bus.state SET epoch_openings_per_day_max = $1", [options.epochOpeningsPerDayMax]);
  const telemetry = recordingTelemetry();
  const [gatePool, enginePool] = [database.rolePool("ransomeye_gate", 4), database.rolePool("ransomeye_engine", 4)];
  const pools = { gatePool, enginePool, clock: systemClock, telemetry };
  const bus = await openPostgresBus(pools);
  return {
    bus, admin, gatePool, enginePool,
    other: await openPostgresBus({ ...pools, gatePool: database.rolePool("ransomeye_gate", 2), enginePool: database.rolePool("ransomeye_engine", 2) }),
    control: openPostgresControl({ pool: admin, telemetry }),
    expireLeases: async (group) => {
      await admin.query("UPDATE bus.consumer_offset SET lease_until = clock_timestamp() - interval '1 second' WHERE grp = $1 AND owner IS NOT NULL", [group]);
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
      await database[Symbol.asyncDispose]();
    },
  };
}
