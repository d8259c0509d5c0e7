/**
 * Why it exists: the gateway's process: the gate with the ports that it needs and nothing else.
 * Enforces: the only credential here is the log's: role ransomeye_gate, which may call five functions, or a user of its servers; the process writes no
 * file.
 * Forbids: the CA's key, and every other database role.
 */
import { createPrivateKey } from "node:crypto";
import { join } from "node:path";
import { startGateway } from "ransomeye-ingestion";
import type { Clock } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { keyFiles, readPrivate } from "../registry/key_files.ts";
import { followRegistry } from "../registry/client.ts";
import { FollowedMaterial } from "../registry/followed_material.ts";
import { roleConnections } from "../supervisor/connection_budget.ts";
import { openLogAppender } from "./log_place.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** How often the supervisor hears our load. */
const loadMs = 250;

/** The gateway's process. */
export const gatewayRole: Role = async (context) => {
  const { begin, dataDir, clock, random, telemetry, lifetime, grants, say } = context;
  const { config } = begin;
  const { dpi, linux, windows, honeypot } = config;
  const material = new FollowedMaterial(dataDir.secrets, telemetry);
  const registry = await followRegistry({
    socketPath: begin.registrySocket,
    clock,
    random,
    telemetry,
    lifetime,
    onMaterial: (revision) => material.announced(revision),
  });
  const receiptPath = join(dataDir.secrets, keyFiles.receiptKey.name);
  const receiptKey = await readPrivate(receiptPath);
  if (receiptKey === undefined) throw new CliError("CLI_START_FAILED", `${receiptPath} is missing`);
  const gateway = await startGateway({
    listen: { ...begin.gateway, follow: (take) => grants.follow(take) },
    onFull: () => tellLoad(),
    tls: await material.first(),
    receiptKey: createPrivateKey(receiptKey),
    gatewayId: begin.name,
    frameLog: await openLogAppender(context, () => openRolePool(context, roleConnections(config).gateway)),
    registry,
    config: { ...config.gateway, kinds: { dpi, linux, windows, honeypot } },
    clock,
    random,
    telemetry,
    lifetime,
  });
  material.follow(gateway);
  grants.onShed = (connections) => gateway.shed(connections);
  const tellLoad = (): void => {
    const { connections, accepting } = gateway.door();
    say({
      type: "load",
      connections,
      connectionsMax: config.gateway.sessionsMax,
      willing: gateway.figures().state !== "paused",
      accepting,
    });
  };
  repeat(clock, loadMs, lifetime.draining, tellLoad);
};

/** Calls `work` now and every `ms` milliseconds until the signal. */
function repeat(clock: Clock, ms: number, until: AbortSignal, work: () => void): void {
  if (until.aborted) return;
  work();
  clock.setTimer(ms, () => repeat(clock, ms, until, work));
}
