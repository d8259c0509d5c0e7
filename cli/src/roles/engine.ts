/**
 * Why it exists: the engine's process: from the bus into rows.
 * Enforces: a member name of its own for each process, so that a dead one's leases are never mistaken for this one's.
 * Forbids: anything but wiring.
 */
import { startEngine } from "ransomeye-engine";
import { openPostgresConsumer } from "ransomeye-pipeline";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** Connections beside the writers: reading frames, tails and leases. */
const otherConnections = 4;

/** The engine's process. */
export const engineRole: Role = async (context) => {
  const { begin, clock, random, telemetry, lifetime } = context;
  const { config } = begin;
  const pool = openRolePool(context, config.engine.writers + otherConnections);
  const bus = await openPostgresConsumer({ pool, telemetry });
  lifetime.defer("bus", () => bus.close());
  startEngine({ bus, groups: bus, pool, member: `engine-${random.uuid()}`, config, clock, random, telemetry, lifetime });
};
