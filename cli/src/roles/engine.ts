/**
 * Why it exists: the engine's process: from the bus into rows.
 * Enforces: the same member name for each process of this role: the supervisor never runs two of them, so what the name still holds after a
 * crash is free at once (R-3: taking it over moves the token). Ready means that the bus has said which partitions are ours.
 * Forbids: anything but wiring.
 */
import { startEngine } from "ransomeye-engine";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openEngineLog } from "./log_place.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** The engine of this system, and its name in its group. */
const engineId = "engine-1";

/** The engine's process. */
export const engineRole: Role = async (context) => {
  const { begin, clock, random, telemetry, lifetime } = context;
  const { config } = begin;
  const pool = openRolePool(context, roleConnections(config).engine);
  const log = await openEngineLog(context, pool);
  lifetime.defer("bus", () => log.bus.close());
  await startEngine({ ...log, pool, member: engineId, config, clock, random, telemetry, lifetime }).ready;
};
