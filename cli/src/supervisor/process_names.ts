/**
 * Why it exists: how many processes a role has, and what they are called.
 * Enforces: one process for each role, but as many gateways as configured; a gateway's name is its id in counters, log file and metrics socket.
 * Forbids: names that change when a process is started again.
 */
import { machineFacts } from "ransomeye-kernel";
import type { RoleName } from "./runtime_file.ts";

/** Where the configuration leaves it to us: a gateway's part in the work of an event is about a third, bus and engine have the rest. */
const coresPerGateway = 3;

/** Gateway processes of this host; `configured` 0 leaves it to the machine. */
export function gatewayProcesses(configured: number, cores: number = machineFacts().cores): number {
  return configured > 0 ? configured : Math.max(1, Math.floor(cores / coresPerGateway));
}

/** Names of a role's processes. */
export function processNames(role: RoleName, gateways: number): readonly string[] {
  if (role !== "gateway") return [role];
  return Array.from({ length: gatewayProcesses(gateways) }, (_, i) => `gateway-${i + 1}`);
}
