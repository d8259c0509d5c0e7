/**
 * Why it exists: more processes open more connections, and a server that has none left refuses whoever comes last, in the middle of the work.
 * Enforces: one table of what each role may open; the sum and a reserve fit the server before anything starts.
 * Forbids: a role that opens more than its line says.
 */
import type { Config } from "ransomeye-kernel";
import { CliError } from "../errors.ts";
import { gatewayProcesses } from "./process_names.ts";

/** Commands in other shells, the live view, an administrator; and what PostgreSQL keeps for superusers. */
export const reservedConnections = 20;

/** What the embedded server allows at least. */
const serverConnectionsMin = 200;

/** Connections that one process of each role may open. */
export function roleConnections(
  config: Config,
): Readonly<Record<"registry" | "keeper" | "gateway" | "engine" | "sealer" | "indexer" | "forensics", number>> {
  // A gateway: appends, and one for heads, epochs and counters. The engine: its writers, and frames, tails and leases. The registry: requests, and barring
  // producers on the bus. The keeper: the disk's watch, messages and the log's mirror beside longer work. The forensics trigger: taking, and publishing beside it.
  // The sealer: one thing after the other, and the beginnings of several partitions at once. The indexer: one thing after the other.
  return {
    registry: 3,
    keeper: 4,
    gateway: config.gateway.appendConnections + 1,
    engine: config.engine.writers + 4,
    sealer: 2,
    indexer: 1,
    forensics: 2,
  };
}

/** Connections of the whole system, reserve included. */
export function connectionBudget(config: Config, gateways: number = gatewayProcesses(config.gateway.processes)): number {
  const { registry, keeper, gateway, engine, sealer, indexer, forensics } = roleConnections(config);
  return (
    registry + keeper + engine + sealer + indexer + (config.forensics.enabled ? forensics : 0) + gateways * gateway + reservedConnections
  );
}

/** What the embedded server allows (`max_connections`) for a budget of so many. */
export function serverConnections(budget: number): number {
  return Math.max(serverConnectionsMin, budget);
}

/** @throws CliError CLI_START_FAILED when a server that allows `serverMax` is too small for `needed` */
export function assertConnectionsFit(needed: number, serverMax: number): void {
  if (needed <= serverMax) return;
  throw new CliError(
    "CLI_START_FAILED",
    `the system needs ${needed} database connections and the server allows ${serverMax}: raise max_connections, or lower gateway.processes, gateway.append_connections or engine.writers`,
  );
}
