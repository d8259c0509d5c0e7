/**
 * Why: proofs read and write a running system's message streams as any consumer on its host does.
 * Enforces: role ransomeye_consumer, or the servers that hold the log, wherever the environment says that this run has it.
 * Forbids: looking into tables.
 */
import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { openPool, readSecrets, roleConnection } from "ransomeye-db";
import { recordingTelemetry, systemClock, systemEnvironment } from "ransomeye-kernel";
import { type MessageLog, openPostgresMessages, openRedisMessages } from "ransomeye-pipeline";
import type { RunningSystem } from "./running_system.ts";

/** The system's message streams, as a consumer on this host opens them. */
export async function openStreams(system: RunningSystem): Promise<MessageLog> {
  const telemetry = recordingTelemetry();
  const url = systemEnvironment()["RANSOMEYE_BUS_URL"];
  if (url !== undefined && url !== "")
    return openRedisMessages({ url, prefix: basename(system.dataDir), durability: { level: "local" }, clock: systemClock, telemetry });
  const { postgres } = await system.runtime();
  assert.ok(postgres !== null);
  const secrets = await readSecrets(join(system.dataDir, "secrets", "database.json"));
  const pool = openPool({
    connection: roleConnection(postgres, secrets, "ransomeye_consumer"),
    max: 2,
    applicationName: "attacks test",
    telemetry,
  });
  const log = openPostgresMessages({ pool, telemetry });
  return Object.assign(log, { close: () => pool.end() });
}
