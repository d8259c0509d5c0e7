/**
 * Why it exists: the gateway's process: the gate with the ports that it needs and nothing else.
 * Enforces: the only credential here is role ransomeye_gate, which may call five functions of the bus; the process writes no file.
 * Forbids: the CA's key, and every other database role.
 */
import { createPrivateKey } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { startGateway } from "ransomeye-ingestion";
import { openPostgresAppender } from "ransomeye-pipeline";
import { CliError } from "../errors.ts";
import { gatewayId, keyFiles, readPrivate } from "../registry/key_files.ts";
import { followRegistry } from "../registry/client.ts";
import { openRolePool } from "./pools.ts";
import type { Role } from "./role_process.ts";

/** The gateway's process. */
export const gatewayRole: Role = async (context) => {
  const { begin, dataDir, clock, random, telemetry, lifetime } = context;
  const { config } = begin;
  const pool = openRolePool(context, config.gateway.appendConnections + 1);
  const registry = await followRegistry({ socketPath: begin.registrySocket, clock, random, telemetry, lifetime });
  const read = async (file: (typeof keyFiles)[keyof typeof keyFiles]): Promise<string> => {
    const path = join(dataDir.secrets, file.name);
    const text = file.private ? await readPrivate(path) : await readFile(path, "utf8");
    if (text === undefined) throw new CliError("CLI_START_FAILED", `${path} is missing`);
    return text;
  };
  await startGateway({
    listen: begin.gateway,
    tls: { key: await read(keyFiles.gatewayKey), cert: await read(keyFiles.gatewayCert), ca: await read(keyFiles.caCert) },
    receiptKey: createPrivateKey(await read(keyFiles.receiptKey)),
    trustDomain: config.gateway.trustDomain,
    gatewayId,
    frameLog: await openPostgresAppender({ pool, clock, telemetry }),
    registry,
    config,
    clock,
    random,
    telemetry,
    lifetime,
  });
};
