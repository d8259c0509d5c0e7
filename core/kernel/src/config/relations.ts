/**
 * Why: each field may be right and their combination wrong (style rule 2).
 * Enforces: how fields relate to each other and to the limits.
 * Forbids: a start with bounds that contradict each other.
 */
import { limits } from "../limits.ts";
import type { FieldPath } from "./fields.ts";
import type { Config } from "./types.ts";
import { formatBytes } from "./values.ts";

/** A relation that does not hold: the field to change first, and why. */
export interface BrokenRelation {
  readonly field: FieldPath;
  readonly message: string;
}

/** Full frames that a gateway's buffer must hold beside all session floors. */
const spareFrames = 16;

/** Checks all relations of a configuration whose fields are valid one by one. */
export function brokenRelations(config: Config): BrokenRelation[] {
  const { gateway, engine, supervisor, database } = config;
  const broken: BrokenRelation[] = [];
  const require = (holds: boolean, field: FieldPath, message: string): void => {
    if (!holds) broken.push({ field, message });
  };
  const floors = gateway.sessionsMax * limits.sessionFloorBytes;
  require(floors + spareFrames * limits.messageBytesMax <=
    gateway.bufferBytesMax, "gateway.buffer_bytes_max", `must hold the floor of each of ${gateway.sessionsMax} sessions and ${spareFrames} full frames: at least ${formatBytes(floors + spareFrames * limits.messageBytesMax)}, or lower gateway.sessions_max`);
  require(gateway.registryFreshMsMax <=
    gateway.registryStaleMsMax, "gateway.registry_stale_ms_max", "must not be shorter than gateway.registry_fresh_ms_max: sessions end after new ones are refused, not before");
  require(gateway.quarantineMsMin <=
    gateway.quarantineMsMax, "gateway.quarantine_ms_max", "must not be shorter than gateway.quarantine_ms_min");
  require(gateway.appendConnections <=
    database.poolConnectionsMax, "database.pool_connections_max", "must be at least gateway.append_connections");
  require(engine.writers <
    database.poolConnectionsMax, "database.pool_connections_max", "must be more than engine.writers: reading needs a connection too");
  require(engine.commitMsMax * 4 <=
    engine.leaseMs, "engine.lease_ms", "must be at least four times engine.commit_ms_max: a commit must not outlive its lease");
  require(supervisor.restartMsMin <=
    supervisor.restartMsMax, "supervisor.restart_ms_max", "must not be shorter than supervisor.restart_ms_min");
  return broken;
}
